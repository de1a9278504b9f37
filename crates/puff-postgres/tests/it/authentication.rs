//! Who may come in, and what is said to those who may not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use puff_embedded::testing;
use puff_postgres::{Config, Connection, Error, Host, SqlState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::support::{config, number, run};

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
            for host in [right.host.clone(), Host::Tcp("127.0.0.1".to_owned())] {
                let port = if matches!(host, Host::Tcp(_)) {
                    port
                } else {
                    right.port
                };
                let connection = Connection::connect(&Config {
                    host,
                    port,
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
        let host = Host::Tcp("0.0.0.0".to_owned());
        let far = Config {
            host,
            port,
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

#[test]
fn somebody_else_at_the_address() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let web = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 100]).await;
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            // Then one who says nothing at all.
            listener.accept().await.unwrap()
        });
        let mut config: Config = format!("postgres://ada@127.0.0.1:{port}/shop").parse().unwrap();
        config.connect_timeout = Duration::from_millis(300);
        let error = Connection::connect(&config).await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        let error = Connection::connect(&config).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
        drop(web.await.unwrap());
    });
}

#[test]
fn tcp_works_like_the_socket() {
    run(async {
        let config = config();
        let Host::Unix(directory) = &config.host else {
            panic!("a private server has a socket")
        };
        let port = tcp_in_front_of(directory.join(format!(".s.PGSQL.{}", config.port))).await;
        let config = Config {
            host: Host::Tcp("localhost".to_owned()),
            port,
            ..config
        };
        let connection = Connection::connect(&config).await.unwrap();
        assert_eq!(
            number(&connection.query("SELECT $1::int", &[8.into()]).await.unwrap()),
            8
        );
        let (answer, cancelled) = tokio::join!(connection.query("SELECT pg_sleep(50)", &[]), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            connection.cancel().await
        });
        cancelled.unwrap();
        assert_eq!(answer.unwrap_err().code(), Some(SqlState::QUERY_CANCELED));
    });
}
