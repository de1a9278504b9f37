//! Behind a real PgBouncer, which lends a server's session for a transaction at a time. Skipped without one.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use puff_postgres::{Config, Connection, Host, Pool, PoolConfig, SqlState, TransactionStatus};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{config, connect, eventually, number, run};

/// A PgBouncer with two sessions to share; ends with this.
struct PgBouncer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PgBouncer {
    /// `None` if it is not installed; `scripts/pgbouncer.sh` does that where it may.
    fn start(server: &Config) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists());
        let Some(program) = program else {
            eprintln!("skipped: pgbouncer is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let socket = server.servers[0].clone();
        let host = match &socket.host {
            Host::Unix(folder) => folder.display().to_string(),
            Host::Tcp(host) => host.clone(),
        };
        let password = server.password.as_deref();
        let clause = password.map_or(String::new(), |password| format!(" password={password}"));
        let password = password.unwrap_or_default();
        let (user, database) = (&server.user, &server.database);
        let users = folder.path().join("users.txt");
        std::fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n{database} = host={host} port={} user={user}{clause}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n\
             auth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n\
             logfile = {}\n",
            socket.port,
            users.display(),
            folder.path().join("log").display(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        if nix::unistd::geteuid().is_root() {
            // It refuses to run as root, and the server lets in nobody but its own user.
            let owner = std::fs::metadata(&host).unwrap().uid();
            let user = User::from_uid(Uid::from_raw(owner)).unwrap().unwrap().name;
            let status = Command::new("chown")
                .args(["-R", &user])
                .arg(folder.path())
                .status();
            assert!(status.unwrap().success());
            command.args(["-u", &user]);
        }
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Some(Self {
            child: child.unwrap(),
            port,
            folder,
        })
    }

    /// The way through it.
    fn config(&self, server: &Config) -> Config {
        let url = format!(
            "postgres://{}@127.0.0.1:{}/{}?pgbouncer=true&sslmode=disable",
            server.user, self.port, server.database
        );
        Config {
            application_name: server.application_name.clone(),
            ..url.parse().unwrap()
        }
    }
}

async fn ready(config: &Config, bouncer: &PgBouncer) -> Connection {
    let start = Instant::now();
    loop {
        match Connection::connect(config).await {
            Ok(connection) => return connection,
            Err(error) => {
                let log = std::fs::read_to_string(bouncer.folder.path().join("log"));
                assert!(start.elapsed() < Duration::from_secs(10), "{error}\n{log:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn statements_transactions_and_copies() {
    let server = config();
    let Some(bouncer) = PgBouncer::start(&server) else {
        return;
    };
    run(async {
        let config = bouncer.config(&server);
        let mut connection = ready(&config, &bouncer).await;
        // More clients than sessions, each statement with whichever session is free; two texts of one statement.
        let others: Vec<_> = (0..6)
            .map(|task: i64| {
                let config = config.clone();
                tokio::spawn(async move {
                    let connection = Connection::connect(&config).await.unwrap();
                    for n in 0..30 {
                        let sql = "SELECT $1::int8 + $2::int8 FROM pg_sleep(0.001)";
                        let (numbers, text) = ([task.into(), n.into()], ["x".into()]);
                        let (a, b) = tokio::join!(
                            connection.query(sql, &numbers),
                            connection.query("SELECT $1::text", &text),
                        );
                        assert_eq!(a.unwrap().get::<i64>(0, 0).unwrap(), task + n);
                        assert_eq!(b.unwrap().text(0, 0), Some("x"));
                    }
                })
            })
            .collect();
        for n in 0..20 {
            let transaction = connection.transaction().await.unwrap();
            let sql = "SELECT pg_backend_pid()";
            let first = number(&transaction.query(sql, &[]).await.unwrap());
            let error = transaction.query("SELECT 1 / $1::int", &[(n % 2).into()]).await;
            if n % 2 == 0 {
                assert!(error.is_err());
                drop(transaction);
            } else {
                assert_eq!(number(&transaction.query(sql, &[]).await.unwrap()), first);
                transaction.commit().await.unwrap();
            }
        }
        connection.sync().await.unwrap();
        assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
        for other in others {
            other.await.unwrap();
        }
        connection
            .execute("CREATE TABLE bounced (a int)", &[])
            .await
            .unwrap();
        let mut copy = connection.copy_in("COPY bounced FROM STDIN").await.unwrap();
        copy.send("1\n2\n").await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 2);
        let mut copy = connection.copy_out("COPY bounced TO STDOUT").await.unwrap();
        assert_eq!(copy.next().await.unwrap().unwrap(), "1\n2\n");
        assert!(copy.next().await.is_none());
        // No statement was left behind on the server's sessions.
        let left = connection
            .query("SELECT count(*) FROM pg_prepared_statements", &[])
            .await;
        assert_eq!(number(&left.unwrap()), 0);
    });
}

#[test]
fn a_pool_and_cancelled_statements() {
    let server = config();
    let Some(bouncer) = PgBouncer::start(&server) else {
        return;
    };
    run(async {
        let config = bouncer.config(&server);
        drop(ready(&config, &bouncer).await);
        let limits = PoolConfig {
            max_size: 5,
            check_after_idle: Duration::ZERO,
            ..PoolConfig::default()
        };
        let pool = Pool::new(config, limits);
        let tasks: Vec<_> = (0..40)
            .map(|n| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let connection = pool.get().await.unwrap();
                    if n % 4 == 0 {
                        let slow = connection.query("SELECT pg_sleep(20)", &[]);
                        assert!(timeout(Duration::from_millis(20), slow).await.is_err());
                    } else {
                        let rows = connection.query("SELECT $1::int", &[n.into()]).await.unwrap();
                        assert_eq!(rows.get::<i32>(0, 0).unwrap(), n);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let connection = pool.get().await.unwrap();
        let error = connection.query("SELECT 1 / 0", &[]).await.unwrap_err();
        assert_ne!(error.code(), Some(SqlState::QUERY_CANCELED));
        drop(connection);
        pool.close().await;
        assert_eq!(pool.status().size, 0);
        // Nothing that was cancelled runs on.
        let observer = connect().await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20)%' AND state = 'active'";
        eventually("all are cancelled", || async {
            number(&observer.query(sql, &[]).await.unwrap()) == 0
        })
        .await;
    });
}
