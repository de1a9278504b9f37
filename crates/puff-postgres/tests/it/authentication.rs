//! Who may come in, and what is said to those who may not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use puff_embedded::testing;
use puff_postgres::{Config, ConnectFailure, Connection, Error, Host, Keepalive, Server, SqlState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::support::{config, connect, eventually, is_active, number, run};

/// Passes TCP connections on to the Unix socket at `socket`; returns the port.
async fn tcp_in_front_of(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    port
}

fn at(host: &str, port: u16) -> Vec<Server> {
    vec![Server::new(Host::Tcp(host.to_owned()), port)]
}

#[test]
fn passwords_in_every_form() {
    let directory = tempfile::tempdir().unwrap();
    // The server may run as another user than this test.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let hba = directory.path().join("hba.conf");
    let rules = "local all scram scram-sha-256\nlocal all md5 md5\nlocal all clear password\n\
         local all nobody_at_all reject\nlocal all all trust\n";
    fs::write(&hba, rules).unwrap();
    fs::set_permissions(&hba, fs::Permissions::from_mode(0o644)).unwrap();
    let server = testing::postgres_with(&[("hba_file", hba.to_str().unwrap())]);
    for role in ["scram", "md5", "clear", "nobody_at_all"] {
        let encryption = if role == "md5" { "md5" } else { "scram-sha-256" };
        server
            .execute(&format!(
                "SET password_encryption = '{encryption}'; CREATE ROLE \"{role}\" LOGIN PASSWORD 'gehéim'"
            ))
            .unwrap();
    }
    run(async {
        let port = tcp_in_front_of(server.socket()).await;
        let base: Config = server.url().parse().unwrap();
        let as_user = |user: &str, password: Option<&str>| {
            let (user, password) = (user.to_owned(), password.map(str::to_owned));
            Config {
                user,
                password,
                ..base.clone()
            }
        };
        for user in ["scram", "md5", "clear"] {
            let right = as_user(user, Some("gehéim"));
            for servers in [right.servers.clone(), at("127.0.0.1", port)] {
                let connection = Connection::connect(&Config {
                    servers,
                    ..right.clone()
                })
                .await
                .unwrap();
                let rows = connection.query("SELECT current_user", &[]).await.unwrap();
                assert_eq!(rows.text(0, 0), Some(user));
            }
            let error = Connection::connect(&as_user(user, Some("wrong")))
                .await
                .unwrap_err();
            assert_eq!(error.code(), Some(SqlState::INVALID_PASSWORD), "{error}");
            assert!(!error.to_string().contains("wrong"));
            let error = Connection::connect(&as_user(user, None)).await.unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("wants a password, and none is configured"),
                "{error}"
            );
        }
        // 0.0.0.0 leads to this machine, but who only reads the address cannot know.
        let far = Config {
            servers: at("0.0.0.0", port),
            ..as_user("clear", Some("gehéim"))
        };
        let error = Connection::connect(&far).await.unwrap_err();
        assert!(error.to_string().contains("clear text"), "{error}");
        let far = Config {
            user: "scram".to_owned(),
            ..far
        };
        assert!(Connection::connect(&far).await.is_ok());

        let error = Connection::connect(&as_user("nobody_at_all", None))
            .await
            .unwrap_err();
        assert_eq!(
            error.code().map(|code| code.class().to_owned()).as_deref(),
            Some("28")
        );
        let error = Connection::connect(&as_user("stranger", None)).await.unwrap_err();
        assert!(
            error.to_string().contains("role \"stranger\" does not exist"),
            "{error}"
        );
    });
}

#[test]
fn an_unknown_database_is_the_servers_error() {
    run(async {
        let config = Config {
            database: "nowhere".to_owned(),
            ..config()
        };
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_CATALOG_NAME));
    });
}

#[test]
fn the_session_gets_what_the_configuration_says() {
    run(async {
        let mut config = config();
        config.time_zone = Some("Asia/Tokyo".to_owned());
        config.options = Some("-c statement_timeout=1234".to_owned());
        let connection = Connection::connect(&config).await.unwrap();
        let show = |name: &str| {
            let sql = format!("SHOW {name}");
            let connection = &connection;
            async move {
                connection
                    .query(&sql, &[])
                    .await
                    .unwrap()
                    .text(0, 0)
                    .unwrap()
                    .to_owned()
            }
        };
        assert_eq!(show("TimeZone").await, "Asia/Tokyo");
        assert_eq!(show("statement_timeout").await, "1234ms");
        assert_eq!(Some(show("application_name").await), config.application_name);
        assert!(show("DateStyle").await.starts_with("ISO"));
    });
}

#[test]
fn nobody_at_the_address() {
    run(async {
        let config: Config = "postgres://ada:hush@127.0.0.1:1/shop".parse().unwrap();
        let error = Connection::connect(&config).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }));
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1") && !text.contains("hush"), "{text}");
        let config: Config = "host=/nonexistent user=ada".parse().unwrap();
        let text = Connection::connect(&config).await.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/.s.PGSQL.5432"), "{text}");
    });
}

/// Answers every connection with `words`; nothing at all without.
async fn stranger(words: Option<&'static [u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            if let Some(words) = words {
                let _ = socket.read(&mut [0; 100]).await;
                let _ = socket.write_all(words).await;
            }
            kept.push(socket);
        }
    });
    port
}

#[test]
fn somebody_else_at_the_address() {
    run(async {
        for (words, who) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "an HTTP server"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server"),
            (b"J\0\0\0\n8.0.36\0", "a MySQL or MariaDB server"),
            (b"hello, who is there?", "is not PostgreSQL"),
        ] {
            let port = stranger(Some(words)).await;
            for mode in ["disable", "prefer", "require"] {
                let text = format!("postgres://ada@127.0.0.1:{port}/shop?sslmode={mode}");
                let error = Connection::connect(&text.parse().unwrap()).await.unwrap_err();
                // The S of SSH is PostgreSQL's yes to encryption: the next step fails.
                if words.starts_with(b"S") && mode != "disable" {
                    assert!(
                        error.to_string().contains("encryption could not be agreed upon"),
                        "{error}"
                    );
                    continue;
                }
                let failure = match &error {
                    Error::Connect { failure, .. } => failure,
                    other => panic!("{mode}: {other}"),
                };
                assert!(
                    matches!(failure, ConnectFailure::NotPostgres(_)),
                    "{mode}: {error}"
                );
                assert!(error.to_string().contains(who), "{mode}: {error}");
            }
        }
        let port = stranger(None).await;
        let text = format!("postgres://ada@127.0.0.1:{port}/shop?connect_timeout=1");
        let error = Connection::connect(&text.parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("127.0.0.1:{port}")) && text.contains("is it PostgreSQL?"),
            "{text}"
        );
    });
}

#[test]
fn a_server_that_is_too_old() {
    run(async {
        let words = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x1aserver_version\x009.6.24\0Z\0\0\0\x05I";
        let port = stranger(Some(words)).await;
        let text = format!("postgres://ada@127.0.0.1:{port}/shop?sslmode=disable");
        let error = Connection::connect(&text.parse().unwrap()).await.unwrap_err();
        let expected = "its version is 9.6.24; PostgreSQL 10 is the oldest that is supported";
        assert!(error.to_string().ends_with(expected), "{error}");
    });
}

/// Valkey waits for the end of a line, and there is none in what PostgreSQL's clients say.
#[test]
fn a_redis_at_the_address() {
    let valkey = testing::valkey();
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(valkey.socket(), directory.path().join(".s.PGSQL.5432")).unwrap();
    run(async {
        let text = format!("host={} user=ada connect_timeout=1", directory.path().display());
        let error = Connection::connect(&text.parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("is it PostgreSQL?"), "{error}");
    });
}

#[test]
fn unknown_hosts() {
    run(async {
        let config: Config = "host=nowhere.invalid user=ada".parse().unwrap();
        let error = Connection::connect(&config).await.unwrap_err();
        let unknown = matches!(
            &error,
            Error::Connect {
                failure: ConnectFailure::UnknownHost(_),
                ..
            }
        );
        assert!(
            unknown && error.to_string().contains("nowhere.invalid:5432"),
            "{error}"
        );
        // With an address the name is not looked up.
        let real = crate::support::config();
        let port = tcp_in_front_of(real.address().into()).await;
        let mut named = real;
        named.servers = vec![Server {
            address: Some("127.0.0.1".parse().unwrap()),
            ..Server::new(Host::Tcp("nowhere.invalid".to_owned()), port)
        }];
        let connection = Connection::connect(&named).await.unwrap();
        assert_eq!(connection.peer().to_string(), format!("nowhere.invalid:{port}"));
        assert_eq!(connection.peer().address, Some("127.0.0.1".parse().unwrap()));
    });
}

#[test]
fn the_owner_of_a_socket() {
    run(async {
        let mut config = config();
        config.require_peer = Some("somebody".to_owned());
        let error = Connection::connect(&config).await.unwrap_err();
        let Error::Connect {
            failure: ConnectFailure::Owner { found, .. },
            ..
        } = error
        else {
            panic!("{error}")
        };
        config.require_peer = Some(found);
        Connection::connect(&config).await.unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_without_a_file() {
    run(async {
        let real = config();
        let name = format!("puff-test-{}", std::process::id());
        let listener = tokio::net::UnixListener::bind(format!("\0{name}/.s.PGSQL.5432")).unwrap();
        let socket = real.address();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            }
        });
        let config = Config {
            servers: vec![Server::new(Host::new(&format!("@{name}")), 5432)],
            ..real
        };
        let connection = Connection::connect(&config).await.unwrap();
        assert_eq!(number(&connection.query("SELECT 5", &[]).await.unwrap()), 5);
    });
}

#[test]
fn passwords_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (hba, passfile) = (directory.path().join("hba.conf"), directory.path().join("pgpass"));
    fs::write(&hba, "local all ada scram-sha-256\nlocal all all trust\n").unwrap();
    fs::set_permissions(&hba, fs::Permissions::from_mode(0o644)).unwrap();
    let server = testing::postgres_with(&[("hba_file", hba.to_str().unwrap())]);
    server
        .execute("CREATE ROLE ada LOGIN PASSWORD 'geh:eim'")
        .unwrap();
    run(async {
        let mut config: Config = server.url().parse().unwrap();
        config.user = "ada".to_owned();
        config.passfile = Some(passfile.clone());
        let refused = |config: Config| async move {
            let error = Connection::connect(&config).await.unwrap_err();
            assert!(matches!(error, Error::Auth { .. }), "{error}");
            error.to_string()
        };
        assert!(refused(config.clone()).await.contains("no line of"));
        fs::write(&passfile, "other:*:*:*:no\n*:5432:puff:ada:geh\\:eim\n").unwrap();
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused(config.clone()).await.contains("others may read it"));
        fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
        Connection::connect(&config).await.unwrap();
        // A password at hand goes first.
        config.password = Some("wrong".to_owned());
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_PASSWORD));
    });
}

#[test]
fn tcp_works_like_the_socket() {
    run(async {
        let config = config();
        let port = tcp_in_front_of(config.address().into()).await;
        let config = Config {
            servers: at("localhost", port),
            keepalive: Some(Keepalive::default()),
            tcp_user_timeout: Some(Duration::from_secs(9)),
            ..config
        };
        let connection = Connection::connect(&config).await.unwrap();
        assert_eq!(
            number(&connection.query("SELECT $1::int", &[8.into()]).await.unwrap()),
            8
        );
        let (observer, pid) = (connect().await, connection.process_id());
        let (answer, cancelled) = tokio::join!(connection.query("SELECT pg_sleep(50)", &[]), async {
            eventually("it runs", || is_active(&observer, pid)).await;
            connection.cancel().await
        });
        cancelled.unwrap();
        assert_eq!(answer.unwrap_err().code(), Some(SqlState::QUERY_CANCELED));
    });
}
