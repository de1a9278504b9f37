//! Servers that die, and what their clients learn.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use puff_embedded::testing;
use puff_postgres::{Config, Connection, Error, Pool, PoolConfig, SqlState};

use crate::support::{connect, eventually, is_active, number, run};

#[test]
fn a_session_ended_by_an_administrator() {
    run(async {
        let (connection, observer) = (connect().await, connect().await);
        let pid = connection.process_id();
        let (running, behind, ()) = tokio::join!(
            connection.query("SELECT pg_sleep(50)", &[]),
            connection.query("SELECT 2", &[]),
            async {
                eventually("the statement runs", || is_active(&observer, pid)).await;
                observer
                    .query("SELECT pg_terminate_backend($1)", &[pid.into()])
                    .await
                    .unwrap();
            }
        );
        let error = running.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::ADMIN_SHUTDOWN));
        assert!(error.is_connection_lost());
        assert!(behind.unwrap_err().is_connection_lost());
        let error = connection.query("SELECT 1", &[]).await.unwrap_err();
        assert!(
            matches!(&error, Error::Closed { reason } if reason.contains("administrator")),
            "{error}"
        );
        assert!(connection.is_closed());
        assert!(connection.sync().await.is_err());
    });
}

#[test]
fn an_idle_session_that_ends_is_noticed() {
    run(async {
        let (connection, observer) = (connect().await, connect().await);
        let end = "SELECT pg_terminate_backend($1)";
        observer
            .query(end, &[connection.process_id().into()])
            .await
            .unwrap();
        eventually("the end is noticed", || async { connection.is_closed() }).await;
    });
}

/// A killed session process makes PostgreSQL end all sessions and start anew.
#[test]
fn a_pool_survives_a_restart_of_the_server() {
    let server = testing::postgres();
    run(async {
        let config: Config = server.url().parse().unwrap();
        let limits = PoolConfig {
            max_size: 3,
            ..PoolConfig::default()
        };
        let pool = Pool::new(config.clone(), limits);
        let (a, b, c) = (
            pool.get().await.unwrap(),
            pool.get().await.unwrap(),
            pool.get().await.unwrap(),
        );
        drop((b, c));
        let pid = Pid::from_raw(a.process_id());
        let start = Instant::now();
        let (running, ()) = tokio::join!(a.query("SELECT pg_sleep(50)", &[]), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            kill(pid, Signal::SIGKILL).unwrap();
        });
        assert!(running.unwrap_err().is_connection_lost());
        drop(a);
        // While the server recovers it says so; nothing else may come out.
        let rows = loop {
            let error = match pool.get().await {
                Ok(connection) => match connection.query("SELECT 7", &[]).await {
                    Ok(rows) => break rows,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let starting = error.code() == Some(SqlState::CANNOT_CONNECT_NOW);
            let told = matches!(error, Error::Connect { .. }) || error.is_connection_lost();
            assert!(starting || told, "{error}");
            assert!(start.elapsed() < Duration::from_secs(20), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(number(&rows), 7);
        drop(rows);
        eventually("the dead ones are gone", || async { pool.status().in_use == 0 }).await;
        assert!(pool.status().size <= 3);
        pool.close().await;
    });
}

/// The whole server is gone: clear errors, in bounded time, and no place of the pool is lost.
#[test]
fn a_pool_without_a_server() {
    let server = testing::postgres();
    run(async {
        let config: Config = server.url().parse().unwrap();
        let limits = PoolConfig {
            max_size: 2,
            ..PoolConfig::default()
        };
        let pool = Pool::new(config, limits);
        let held = pool.get().await.unwrap();
        drop(pool.get().await.unwrap());
        kill(Pid::from_raw(server.server_pid().unwrap()), Signal::SIGKILL).unwrap();
        kill(Pid::from_raw(held.process_id()), Signal::SIGKILL).unwrap();
        assert!(
            held.query("SELECT 1", &[])
                .await
                .unwrap_err()
                .is_connection_lost()
        );
        drop(held);
        // The other session's process may live a moment longer than its parent.
        eventually("all sessions are gone", || async {
            match pool.get().await {
                Ok(connection) => connection.query("SELECT 1", &[]).await.is_err(),
                Err(_) => true,
            }
        })
        .await;
        for _ in 0..6 {
            let start = Instant::now();
            let error = pool.get().await.unwrap_err();
            assert!(error.to_string().contains(".s.PGSQL."), "{error}");
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        eventually("all places are free", || async { pool.status().size == 0 }).await;
    });
}

#[test]
fn the_end_of_a_runtime_ends_its_connections() {
    let observer_runtime = tokio::runtime::Runtime::new().unwrap();
    let observer = observer_runtime.block_on(connect());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connection: Connection = runtime.block_on(connect());
    let pid = connection.process_id();
    drop(runtime);
    observer_runtime.block_on(async {
        let answer = tokio::time::timeout(Duration::from_secs(5), connection.query("SELECT 1", &[])).await;
        assert!(matches!(answer, Ok(Err(Error::Closed { .. }))), "{answer:?}");
        eventually("the session is gone", || async {
            let gone = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
            observer.query(gone, &[pid.into()]).await.unwrap().is_empty()
        })
        .await;
    });
}
