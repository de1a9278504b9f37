//! Sessions on loan that their users drive themselves.

use bytes::Bytes;
use std::time::Duration;

use puff_postgres::{Config, Error, PoolConfig, PooledSession, Rows, SessionPool, Step, TransactionStatus};

use crate::support::{config, connect, drive, eventually, is_active, run, sessions};

fn pool(server: &Config, max_size: usize) -> SessionPool {
    let config = PoolConfig {
        max_size,
        acquire_timeout: Duration::from_secs(5),
        ..PoolConfig::default()
    };
    SessionPool::new(server.clone(), config)
}

fn exchange(session: &mut PooledSession, sql: &str) -> Result<Rows, Error> {
    session.start(sql.as_bytes(), None)?;
    drive(session, &[]).0
}

fn text(session: &mut PooledSession, sql: &str) -> String {
    exchange(session, sql).unwrap().text(0, 0).unwrap().to_owned()
}

#[test]
fn a_session_is_used_again_and_the_latest_first() {
    run(async {
        let pool = pool(&config(), 3);
        let (first, second) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let latest = second.process_id();
        drop(first);
        drop(second);
        assert_eq!(pool.get().await.unwrap().process_id(), latest);
        assert_eq!((pool.status().size, pool.status().idle), (2, 2));
    });
}

#[test]
fn the_next_holder_finds_no_settings_of_the_last() {
    run(async {
        let pool = pool(&config(), 1);
        for sql in [
            "SET app.tenant = '7'",
            "SELECT set_config('app.tenant', '7', false)",
        ] {
            let mut session = pool.get().await.unwrap();
            exchange(&mut session, sql).unwrap();
            assert!(!session.is_clean());
            drop(session);
            let mut next = pool.get().await.unwrap();
            assert!(next.is_clean());
            assert_eq!(
                text(
                    &mut next,
                    "SELECT coalesce(current_setting('app.tenant', true), '')"
                ),
                ""
            );
            let mut query = |sql: &str| {
                next.start_query(sql, &[], None).unwrap();
                drive(&mut next, &[]).0.unwrap()
            };
            query("SELECT set_config('app.tenant', '7', true)");
            assert!(next.is_clean(), "the setting has ended with its transaction");
        }
    });
}

#[test]
fn the_maximum_holds_and_who_came_first_is_served_first() {
    run(async {
        let server = config();
        let observer = connect().await;
        let pool = pool(&server, 4);
        let mut tasks = Vec::new();
        for _ in 0..60 {
            let pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                let session = pool.get().await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(session);
            }));
            assert!(sessions(&observer, &server).await <= 4);
        }
        for task in tasks {
            task.await.unwrap();
        }
        let status = pool.status();
        assert_eq!((status.in_use, status.connecting, status.waiting), (0, 0, 0));
        assert!(status.size <= 4);
    });
}

#[test]
fn a_late_waiter_learns_the_state_of_the_pool() {
    run(async {
        let config_of_pool = PoolConfig {
            max_size: 1,
            acquire_timeout: Duration::from_millis(50),
            ..PoolConfig::default()
        };
        let pool = SessionPool::new(config(), config_of_pool);
        // To open a session may take longer than that.
        let held = loop {
            match pool.get().await {
                Ok(held) => break held,
                Err(error) => assert!(matches!(error, Error::PoolTimeout { .. }), "{error}"),
            }
        };
        let error = pool.get().await.unwrap_err();
        assert!(
            matches!(&error, Error::PoolTimeout { status, .. } if status.in_use == 1),
            "{error}"
        );
        drop(held);
        eventually("it is free", || async { pool.get().await.is_ok() }).await;
    });
}

#[test]
fn what_a_user_left_behind_is_cleaned_up() {
    run(async {
        let pool = pool(&config(), 1);
        let mut session = pool.get().await.unwrap();
        let pid = session.process_id();
        exchange(&mut session, "SET statement_timeout = 70000; BEGIN; SELECT 1").unwrap();
        assert_eq!(session.transaction_status(), TransactionStatus::InTransaction);
        drop(session);
        let mut session = pool.get().await.unwrap();
        assert_eq!(session.process_id(), pid);
        assert_eq!(session.transaction_status(), TransactionStatus::Idle);
        assert_eq!(text(&mut session, "SHOW statement_timeout"), "0");
    });
}

#[test]
fn a_statement_that_nobody_waits_for_is_cancelled() {
    run(async {
        let observer = connect().await;
        let pool = pool(&config(), 1);
        let mut session = pool.get().await.unwrap();
        let pid = session.process_id();
        session.start(b"SELECT pg_sleep(60)", None).unwrap();
        assert!(matches!(session.advance(), Step::Wait { .. }));
        eventually("it runs", async || is_active(&observer, pid).await).await;
        drop(session);
        let mut session = pool.get().await.unwrap();
        assert_eq!(session.process_id(), pid);
        assert_eq!(text(&mut session, "SELECT 'next'"), "next");
    });
}

#[test]
fn a_statement_that_had_not_begun_is_cancelled_as_well() {
    run(async {
        let pool = pool(&config(), 1);
        let mut session = pool.get().await.unwrap();
        let pid = session.process_id();
        // Not even sent yet: the first request to cancel it comes too early.
        session.start(b"SELECT pg_sleep(60)", None).unwrap();
        drop(session);
        assert_eq!(pool.get().await.unwrap().process_id(), pid);
    });
}

#[test]
fn a_copy_left_in_the_middle_is_cleaned_up() {
    run(async {
        let pool = pool(&config(), 1);
        let mut session = pool.get().await.unwrap();
        exchange(&mut session, "CREATE TABLE half (t text)").unwrap();
        session.start(b"COPY half FROM STDIN", None).unwrap();
        while !matches!(session.advance(), Step::CopyIn) {
            session.wait(false, Duration::from_secs(5)).unwrap();
        }
        session.copy_data(Bytes::from_static(b"one\n"));
        drop(session);
        let mut session = pool.get().await.unwrap();
        assert_eq!(text(&mut session, "SELECT count(*) FROM half"), "0");
    });
}

#[test]
fn sessions_that_the_server_ended_are_replaced() {
    run(async {
        let observer = connect().await;
        let pool = pool(&config(), 2);
        let pid = pool.get().await.unwrap().process_id();
        observer
            .query("SELECT pg_terminate_backend($1, 5000)", &[pid.into()])
            .await
            .unwrap();
        let mut session = pool.get().await.unwrap();
        assert_ne!(session.process_id(), pid);
        assert_eq!(text(&mut session, "SELECT 'works'"), "works");
    });
}

#[test]
fn a_minimum_is_open_from_the_beginning_and_old_ones_leave() {
    run(async {
        let server = config();
        let observer = connect().await;
        let limits = PoolConfig {
            max_size: 5,
            min_size: 2,
            idle_timeout: Some(Duration::from_millis(200)),
            ..PoolConfig::default()
        };
        let pool = SessionPool::new(server.clone(), limits);
        eventually("two are open", async || sessions(&observer, &server).await == 2).await;
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(pool.get().await.unwrap());
        }
        assert_eq!(sessions(&observer, &server).await, 5);
        held.clear();
        eventually("three have left", async || {
            sessions(&observer, &server).await == 2
        })
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(sessions(&observer, &server).await, 2);
    });
}

#[test]
fn closing_ends_idle_ones_waiters_and_those_that_come_back() {
    run(async {
        let server = config();
        let observer = connect().await;
        let pool = pool(&server, 2);
        let (held, idle) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        drop(idle);
        let second = pool.get().await.unwrap();
        let waiter = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.get().await.map(drop) })
        };
        eventually("it waits", async || pool.status().waiting == 1).await;
        pool.shut();
        assert!(matches!(waiter.await.unwrap(), Err(Error::PoolClosed)));
        assert!(matches!(pool.get().await, Err(Error::PoolClosed)));
        drop((held, second));
        eventually("all have left", async || sessions(&observer, &server).await == 0).await;
    });
}

#[test]
fn why_none_could_be_opened() {
    run(async {
        let mut server = config();
        server.database = "nowhere".to_owned();
        let pool = pool(&server, 1);
        for _ in 0..3 {
            let error = pool.get().await.unwrap_err();
            assert!(error.to_string().contains("nowhere"), "{error}");
        }
        assert_eq!(pool.status().size, 0);
    });
}
