//! Many tasks on few connections, and servers that die in the middle of each phase.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use puff_embedded::testing;
use puff_postgres::{Config, Connection, Error, Pool, PoolConfig, SqlState};
use tokio::net::UnixListener;
use tokio::time::{sleep, timeout};

use crate::support::{config, connect, eventually, number, run, run_within, sessions};

/// How long the crowd works; `PUFF_TEST_CROWD_SECONDS=60` makes it a long test.
fn duration() -> Duration {
    let seconds = std::env::var("PUFF_TEST_CROWD_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(4))
}

#[test]
fn nobody_of_five_hundred_starves_on_ten_connections() {
    run_within(duration() + Duration::from_secs(60), async {
        let observer = connect().await;
        let pool = Pool::new(config(), PoolConfig::default());
        let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..500_usize)
            .map(|n| {
                let (pool, stop, total) = (pool.clone(), stop.clone(), total.clone());
                tokio::spawn(async move {
                    let mut done = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // Some leave while they wait, or while their statement runs.
                        let patience = if n % 7 == 0 { 5 } else { 60_000 };
                        let one = async {
                            let connection = pool.get().await.unwrap();
                            let rows = connection.query("SELECT $1::int8", &[n.into()]).await.unwrap();
                            assert_eq!(rows.get::<usize>(0, 0).unwrap(), n);
                        };
                        done += usize::from(timeout(Duration::from_millis(patience), one).await.is_ok());
                    }
                    total.fetch_add(done, Ordering::Relaxed);
                    (n, done)
                })
            })
            .collect();
        let (end, mut highest) = (Instant::now() + duration(), 0);
        while Instant::now() < end {
            highest = highest.max(sessions(&observer, pool.server()).await);
            assert!(pool.status().size <= 10);
            sleep(Duration::from_millis(5)).await;
        }
        stop.store(true, Ordering::Relaxed);
        let mut patient = Vec::new();
        for task in tasks {
            let (n, done) = task.await.unwrap();
            if n % 7 != 0 {
                patient.push(done);
            }
        }
        assert!((5..=10).contains(&highest), "{highest}");
        let (least, most) = (patient.iter().min().unwrap(), patient.iter().max().unwrap());
        println!(
            "{least} to {most} turns each, at most {highest} sessions, {:?}",
            pool.metrics()
        );
        assert!(*least > 0 && *most <= 3 * least + 10, "{least} to {most}");
        eventually("all came back", || async { pool.status().in_use == 0 }).await;
        let metrics = pool.metrics();
        assert!(
            metrics.acquired >= total.load(Ordering::Relaxed) as u64,
            "{metrics:?}"
        );
        assert_eq!((metrics.timed_out, metrics.open_failed), (0, 0));
        assert!(metrics.waited > 0 && metrics.wait_time > Duration::ZERO && metrics.opened >= 5);
        pool.close().await;
        let closed = pool.metrics().closed;
        assert_eq!(
            closed.drained + closed.broken + closed.unclean,
            pool.metrics().opened,
            "{closed:?}"
        );
        assert_eq!(sessions(&observer, &pool.server().clone()).await, 0);
    });
}

/// Kills the process of one session, which makes the server end all and start anew; then the pool must serve
/// again, and leave nothing behind.
async fn survives<F: Future<Output = Error>>(phase: &str, use_it: impl FnOnce(Pool) -> F) {
    // Its own, for a server that starts anew ends whatever comes a moment too early.
    let server = testing::postgres();
    let mut config: Config = server.url().parse().unwrap();
    config.application_name = Some("survivor".to_owned());
    let limits = PoolConfig {
        max_size: 2,
        ..PoolConfig::default()
    };
    let pool = Pool::new(config, limits);
    let start = Instant::now();
    let error = use_it(pool.clone()).await;
    // The server's farewell, or the socket's end, whichever came first.
    let told = error.code().is_none_or(|code| code.class() == "57");
    assert!(error.is_connection_lost() && told, "{phase}: {error:?}");
    let rows = loop {
        let again = async { pool.get().await?.query("SELECT 7", &[]).await };
        match again.await {
            Ok(rows) => break rows,
            Err(error) => {
                let known = error.code() == Some(SqlState::CANNOT_CONNECT_NOW)
                    || matches!(error, Error::Connect { .. })
                    || error.is_connection_lost();
                assert!(
                    known && start.elapsed() < Duration::from_secs(25),
                    "{phase}: {error}"
                );
            }
        }
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(number(&rows), 7, "{phase}");
    pool.close().await;
    assert_eq!(pool.status().size, 0, "{phase}");
    let observed: Config = server.url().parse().unwrap();
    eventually("nothing is left behind", || async {
        let gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'survivor'";
        match Connection::connect(&observed).await {
            Ok(observer) => observer
                .query(gone, &[])
                .await
                .is_ok_and(|rows| number(&rows) == 0),
            Err(_) => false,
        }
    })
    .await;
}

/// Kills the session's process a moment later.
async fn killed<T>(pid: i32, work: impl Future<Output = T>) -> T {
    let end = async {
        sleep(Duration::from_millis(100)).await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    };
    tokio::join!(work, end).0
}

#[test]
fn a_server_that_dies_in_each_phase() {
    run(async {
        survives("query", |pool| async move {
            let connection = pool.get().await.unwrap();
            let pid = connection.process_id();
            killed(pid, connection.query("SELECT pg_sleep(50)", &[]))
                .await
                .unwrap_err()
        })
        .await;
        survives("transaction", |pool| async move {
            let mut connection = pool.get().await.unwrap();
            let pid = connection.process_id();
            let transaction = connection.transaction().await.unwrap();
            transaction
                .execute("CREATE TABLE never (a int)", &[])
                .await
                .unwrap();
            killed(pid, sleep(Duration::from_millis(200))).await;
            transaction.commit().await.unwrap_err()
        })
        .await;
        survives("copy in", |pool| async move {
            let connection = pool.get().await.unwrap();
            connection
                .execute("CREATE TEMP TABLE t (a text)", &[])
                .await
                .unwrap();
            let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
            let sending = async {
                loop {
                    if let Err(error) = copy.send("x".repeat(999) + "\n").await {
                        return error;
                    }
                }
            };
            killed(connection.process_id(), sending).await
        })
        .await;
        survives("copy out", |pool| async move {
            let connection = pool.get().await.unwrap();
            let sql = "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT";
            let mut copy = connection.copy_out(sql).await.unwrap();
            let reading = async {
                loop {
                    match copy.next().await {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return error,
                        None => panic!("it cannot end well"),
                    }
                }
            };
            killed(connection.process_id(), reading).await
        })
        .await;
    });
}

/// Whoever answers hangs up in the middle of the handshake; after that the real server is there.
#[test]
fn a_server_that_dies_while_connecting() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.5432");
        let listener = UnixListener::bind(&path).unwrap();
        let hangs_up = tokio::spawn(async move {
            for _ in 0..3 {
                let (socket, _) = listener.accept().await.unwrap();
                socket.readable().await.unwrap();
            }
        });
        let url = format!("host={} user=ada", folder.path().display());
        let pool = Pool::new(url.parse().unwrap(), PoolConfig::default());
        for _ in 0..3 {
            let error = timeout(Duration::from_secs(5), pool.get())
                .await
                .unwrap()
                .unwrap_err();
            assert!(matches!(error, Error::Connect { .. } | Error::Io(_)), "{error:?}");
        }
        hangs_up.await.unwrap();
        eventually("all places are free", || async { pool.status().size == 0 }).await;
        assert_eq!((pool.metrics().open_failed, pool.metrics().opened), (3, 0));
    });
}
