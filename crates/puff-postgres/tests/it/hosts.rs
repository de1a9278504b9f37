//! Several servers, of which one will do.

use std::collections::HashSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};

use puff_postgres::{Config, ConnectFailure, Connection, Error, Host, SqlState};

use crate::support::run;
use crate::tls_server::Server;

/// A primary and its hot standby, by Unix socket.
struct Pair {
    primary: Server,
    standby: Server,
}

impl Pair {
    fn new() -> Self {
        let primary = Server::new(&[("wal_level", "replica")], "local replication all trust\n", &[]);
        let standby = primary.standby();
        Self { primary, standby }
    }

    /// Both servers in this order, `d` for a directory without a server.
    fn config(&self, order: &str, attributes: &str) -> Config {
        let mut config: Config = self.primary.local().parse().unwrap();
        let (primary, standby): (Config, Config) = (config.clone(), self.standby.local().parse().unwrap());
        config.servers = order
            .chars()
            .map(|which| match which {
                'p' => primary.servers[0].clone(),
                's' => standby.servers[0].clone(),
                _ => puff_postgres::Server::new(Host::new("/nonexistent"), 5432),
            })
            .collect();
        let text = format!("user=a {attributes}");
        let wanted: Config = text.parse().unwrap();
        config.target = wanted.target;
        config.load_balance = wanted.load_balance;
        config.options = wanted.options;
        config
    }

    async fn chosen(&self, order: &str, attributes: &str) -> char {
        let connection = Connection::connect(&self.config(order, attributes))
            .await
            .unwrap();
        match connection.peer().server.port {
            port if port == self.primary.port => 'p',
            _ => 's',
        }
    }
}

#[test]
fn the_first_server_that_will_do() {
    let pair = Pair::new();
    run(async {
        let target = |word| format!("target_session_attrs={word}");
        for (order, word, expected) in [
            ("dsp", "any", 's'),
            ("sp", "primary", 'p'),
            ("dsp", "read-write", 'p'),
            ("ps", "read-only", 's'),
            ("pds", "standby", 's'),
            ("ps", "prefer-standby", 's'),
            ("dp", "prefer-standby", 'p'),
        ] {
            assert_eq!(
                pair.chosen(order, &target(word)).await,
                expected,
                "{order} {word}"
            );
        }
        // A primary whose sessions may not write is as good as a standby.
        let read_only = "target_session_attrs=read-only options='-c default_transaction_read_only=on'";
        assert_eq!(pair.chosen("p", read_only).await, 'p');

        let error = Connection::connect(&pair.config("dp", &target("standby")))
            .await
            .unwrap_err();
        let text = error.to_string();
        let Error::Connect {
            failure: ConnectFailure::Several(failures),
            ..
        } = error
        else {
            panic!("{text}")
        };
        assert!(
            matches!(
                &failures[1],
                Error::Connect {
                    failure: ConnectFailure::Target(_),
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.contains("/nonexistent/.s.PGSQL.5432: No such file"),
            "{text}"
        );
        assert!(text.contains("target_session_attrs=standby"), "{text}");

        let mut seen = HashSet::new();
        for _ in 0..100 {
            seen.insert(pair.chosen("ps", "load_balance_hosts=random").await);
            if seen.len() == 2 {
                break;
            }
        }
        assert_eq!(seen.len(), 2);
    });
}

#[test]
fn a_server_that_refuses_the_user_ends_the_search() {
    let pair = Pair::new();
    run(async {
        let mut config = pair.config("dps", "");
        config.database = "nowhere".to_owned();
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_CATALOG_NAME), "{error}");
        let Error::Connect {
            failure: ConnectFailure::Several(failures),
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(failures.len(), 2);
        config.servers.clear();
        let error = Connection::connect(&config).await.unwrap_err();
        assert!(error.to_string().contains("no server is configured"), "{error}");
    });
}

/// Stands before the socket of a server and makes it look older: it reports another version, and not whether
/// it is a standby, which began with PostgreSQL 14. Returns the port.
async fn grown_old(socket: String, version: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                // Errors end the connection, which the test notices.
                let length = client.read_u32().await?;
                let mut start = vec![0; length as usize - 4];
                client.read_exact(&mut start).await?;
                server.write_u32(length).await?;
                server.write_all(&start).await?;
                loop {
                    let (tag, length) = (server.read_u8().await?, server.read_u32().await?);
                    let mut body = vec![0; length as usize - 4];
                    server.read_exact(&mut body).await?;
                    let is = |name: &[u8]| tag == b'S' && body.starts_with(name);
                    if is(b"in_hot_standby\0") || is(b"default_transaction_read_only\0") {
                        continue;
                    }
                    if is(b"server_version\0") {
                        body = format!("server_version\0{version}\0").into_bytes();
                    }
                    client.write_u8(tag).await?;
                    client.write_u32(body.len() as u32 + 4).await?;
                    client.write_all(&body).await?;
                    if tag == b'Z' {
                        return copy_bidirectional(&mut client, &mut server).await;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn servers_that_do_not_report_what_they_are() {
    let pair = Pair::new();
    run(async {
        let old = |server: &Server, version| grown_old(server.local_socket(), version);
        let primary = old(&pair.primary, "10.23").await;
        let standby = old(&pair.standby, "13.1 (Debian 13.1-1)").await;
        let ports = format!("host=127.0.0.1,127.0.0.1 port={primary},{standby} sslmode=disable");
        for (word, expected) in [
            ("any", primary),
            ("read-write", primary),
            ("primary", primary),
            ("read-only", standby),
            ("standby", standby),
            ("prefer-standby", standby),
        ] {
            let text = format!("{ports} user=postgres dbname=postgres target_session_attrs={word}");
            let connection = Connection::connect(&text.parse().unwrap()).await.unwrap();
            assert_eq!(connection.peer().server.port, expected, "{word}");
            assert_eq!(connection.query("SELECT 1", &[]).await.unwrap().len(), 1);
        }
        let ancient = old(&pair.primary, "9.6.24").await;
        let text = format!("host=127.0.0.1 port={ancient} sslmode=disable user=postgres");
        let error = Connection::connect(&text.parse().unwrap()).await.unwrap_err();
        let too_old = matches!(
            &error,
            Error::Connect {
                failure: ConnectFailure::TooOld(_),
                ..
            }
        );
        assert!(too_old && error.to_string().contains("9.6.24"), "{error}");
    });
}
