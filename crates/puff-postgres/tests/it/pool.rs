//! The pool: limits, order, and what becomes of connections that come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use puff_postgres::{Config, Error, Pool, PoolConfig, Reset, TransactionStatus};
use tokio::time::timeout;

use crate::support::{config, connect, eventually, is_active, number, run, sessions};

fn pool(max_size: usize) -> Pool {
    pool_with(PoolConfig {
        max_size,
        ..PoolConfig::default()
    })
}

fn pool_with(limits: PoolConfig) -> Pool {
    Pool::new(config(), limits)
}

#[test]
fn a_new_pool_does_nothing_until_it_is_asked() {
    let pool = Pool::new(
        "postgres://ada:hush@127.0.0.1:1/shop".parse().unwrap(),
        PoolConfig::default(),
    );
    assert_eq!(pool.status().size, 0);
    assert!(!format!("{pool:?}").contains("hush"));
    run(async {
        let start = Instant::now();
        for _ in 0..3 {
            let error = pool.get().await.unwrap_err();
            assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(pool.status().size, 0);
    });
}

#[test]
fn the_maximum_is_never_exceeded_and_nobody_starves() {
    run(async {
        let observer = connect().await;
        let pool = pool(4);
        let done = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    let connection = pool.get().await.unwrap();
                    match n % 10 {
                        // Some leave a transaction open, some leave while waiting, some are killed.
                        0 => drop(connection.query("BEGIN", &[]).await.unwrap()),
                        1 => {
                            let sleep = connection.query("SELECT pg_sleep(9)", &[]);
                            let _ = timeout(Duration::from_millis(5), sleep).await;
                        }
                        2 => {
                            let end = "SELECT pg_terminate_backend(pg_backend_pid())";
                            connection.query(end, &[]).await.unwrap_err();
                        }
                        _ => drop(connection.query("SELECT pg_sleep(0.005)", &[]).await.unwrap()),
                    }
                })
            })
            .collect();
        let highest = {
            let (pool, done) = (pool.clone(), done.clone());
            async move {
                let mut highest = 0;
                while !done.load(Ordering::Relaxed) {
                    highest = highest.max(sessions(&observer, pool.server()).await);
                    assert!(pool.status().size <= 4);
                }
                highest
            }
        };
        let all = async {
            for task in tasks {
                task.await.unwrap();
            }
            done.store(true, Ordering::Relaxed);
        };
        let (highest, ()) = tokio::join!(highest, all);
        assert!((2..=4).contains(&highest), "{highest}");
        eventually("all came back", || async { pool.status().in_use == 0 }).await;
    });
}

#[test]
fn first_come_first_served() {
    run(async {
        let pool = pool(1);
        let held = pool.get().await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for n in 0..10 {
            let (pool, order) = (pool.clone(), order.clone());
            let waiting = pool.status().waiting;
            let of_pool = pool.clone();
            tasks.push(tokio::spawn(async move {
                let connection = pool.get().await.unwrap();
                order.lock().push(n);
                connection.query("SELECT 1", &[]).await.unwrap();
            }));
            eventually("it waits", || async { of_pool.status().waiting > waiting }).await;
        }
        // One gives up; the others keep their turn.
        tasks.remove(3).abort();
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(pool.status().size, 1);
    });
}

#[test]
fn the_one_used_last_is_used_next() {
    run(async {
        let pool = pool(3);
        let (a, b) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let (first, second) = (a.process_id(), b.process_id());
        drop(a);
        drop(b);
        assert_eq!(pool.get().await.unwrap().process_id(), second);
        assert_ne!(first, second);
        assert_eq!(pool.status().size, 2);
    });
}

#[test]
fn who_waits_too_long_learns_the_state_of_the_pool() {
    run(async {
        let pool = pool_with(PoolConfig {
            max_size: 2,
            acquire_timeout: Duration::from_secs(3),
            ..PoolConfig::default()
        });
        let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let error = pool.get().await.unwrap_err();
        let Error::PoolTimeout { status, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!((status.size, status.in_use, status.idle), (2, 2, 0));
        let text = error.to_string();
        assert!(
            text.contains("within 3 s: 2 of at most 2 connections (2 in use"),
            "{text}"
        );
        for _ in 0..50 {
            let _ = timeout(Duration::from_millis(1), pool.get()).await;
        }
        assert_eq!(pool.status().waiting, 0);
        drop(held);
        pool.get().await.unwrap();
    });
}

#[test]
fn a_connection_in_a_transaction_comes_back_clean() {
    run(async {
        let pool = pool(1);
        for failed in [false, true] {
            let connection = pool.get().await.unwrap();
            let pid = connection.process_id();
            connection
                .simple_query("BEGIN; CREATE TABLE never (a int)")
                .await
                .unwrap();
            if failed {
                connection.query("SELECT 1 / 0", &[]).await.unwrap_err();
            }
            drop(connection);
            let connection = pool.get().await.unwrap();
            assert_eq!(connection.process_id(), pid);
            assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
            let rows = connection
                .query("SELECT to_regclass('never') IS NULL", &[])
                .await
                .unwrap();
            assert_eq!(rows.text(0, 0), Some("t"));
        }
    });
}

#[test]
fn a_connection_with_a_running_statement_is_cancelled_and_kept() {
    run(async {
        let observer = connect().await;
        let pool = pool(1);
        let connection = pool.get().await.unwrap();
        let pid = connection.process_id();
        connection.query("BEGIN", &[]).await.unwrap();
        tokio::select! {
            _ = connection.query("SELECT pg_sleep(50)", &[]) => panic!("it sleeps"),
            () = eventually("it runs", || is_active(&observer, pid)) => {}
        }
        drop(connection);
        let connection = timeout(Duration::from_secs(20), pool.get())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(connection.process_id(), pid);
        assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
        // The cancel request is over: it cannot hit the next user's statement.
        for n in 0..20 {
            let rows = connection
                .query("SELECT $1::int FROM pg_sleep(0.002)", &[n.into()])
                .await
                .unwrap();
            assert_eq!(number(&rows), usize::try_from(n).unwrap());
        }
    });
}

#[test]
fn session_state_does_not_leak() {
    run(async {
        let pool = pool(1);
        let show = "SHOW search_path";
        let connection = pool.get().await.unwrap();
        let normal = connection
            .query(show, &[])
            .await
            .unwrap()
            .text(0, 0)
            .map(str::to_owned);
        connection
            .simple_query("SET search_path = elsewhere; LISTEN news; PREPARE p AS SELECT 1")
            .await
            .unwrap();
        drop(connection);
        let connection = pool.get().await.unwrap();
        assert_eq!(
            connection
                .query(show, &[])
                .await
                .unwrap()
                .text(0, 0)
                .map(str::to_owned),
            normal
        );
        let left = "SELECT (SELECT count(*) FROM pg_listening_channels()) + \
             (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p')";
        assert_eq!(number(&connection.query(left, &[]).await.unwrap()), 0);
    });
}

#[test]
fn what_no_tag_tells_of_is_reset() {
    run(async {
        let pool = pool(1);
        let left = "SELECT current_setting('app.tenant', true), to_regclass('basket')::text, \
             (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
        for sql in [
            "SELECT set_config('app.tenant', '7', false)",
            "CREATE TEMP TABLE basket (n int)",
            "SELECT pg_advisory_lock(7)",
            "SELECT pg_advisory_lock(7), 1 / 0",
        ] {
            for prepared in [true, false] {
                let connection = pool.get().await.unwrap();
                let pid = connection.process_id();
                // Whether it succeeds or not.
                let _ = match prepared {
                    true => connection.query(sql, &[]).await.err(),
                    false => connection.simple_query(sql).await.err(),
                };
                drop(connection);
                let next = pool.get().await.unwrap();
                let rows = next.query(left, &[]).await.unwrap();
                let found = (
                    rows.text(0, 0).unwrap_or_default(),
                    rows.text(0, 1),
                    rows.text(0, 2),
                );
                assert_eq!(found, ("", None, Some("0")), "{sql}");
                assert_eq!(next.process_id(), pid);
            }
        }
    });
}

#[test]
fn an_unseen_setting_is_reset_on_demand() {
    run(async {
        for (reset, expected) in [(Reset::WhenSeen, "7s"), (Reset::Always, "0")] {
            let pool = pool_with(PoolConfig {
                max_size: 1,
                reset,
                ..PoolConfig::default()
            });
            let set = "UPDATE pg_settings SET setting = '7s' WHERE name = 'statement_timeout'";
            pool.get().await.unwrap().query(set, &[]).await.unwrap();
            let rows = pool
                .get()
                .await
                .unwrap()
                .query("SHOW statement_timeout", &[])
                .await
                .unwrap();
            assert_eq!(rows.text(0, 0), Some(expected));
        }
    });
}

#[test]
fn a_broken_connection_is_replaced() {
    run(async {
        let observer = connect().await;
        let pool = pool(2);
        let pid = pool.get().await.unwrap().process_id();
        observer
            .query("SELECT pg_terminate_backend($1)", &[pid.into()])
            .await
            .unwrap();
        let gone = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
        eventually("it is gone", || async {
            observer.query(gone, &[pid.into()]).await.unwrap().is_empty()
        })
        .await;
        eventually("it is noticed here too", || async {
            pool.get()
                .await
                .is_ok_and(|connection| connection.process_id() != pid)
        })
        .await;
        let connection = pool.get().await.unwrap();
        assert_ne!(connection.process_id(), pid);
        assert_eq!(number(&connection.query("SELECT 1", &[]).await.unwrap()), 1);
        assert_eq!(pool.status().size, 1);
        connection.discard();
        eventually("it is closed", || async {
            sessions(&observer, pool.server()).await == 0
        })
        .await;
    });
}

#[test]
fn a_connection_that_idled_is_tried_first() {
    run(async {
        let pool = pool_with(PoolConfig {
            check_after_idle: Duration::ZERO,
            ..PoolConfig::default()
        });
        let pid = pool.get().await.unwrap().process_id();
        assert_eq!(pool.get().await.unwrap().process_id(), pid);
    });
}

#[test]
fn idle_and_old_connections_leave() {
    run(async {
        let observer = connect().await;
        let short = Some(Duration::from_millis(200));
        for (idle_timeout, max_lifetime) in [(short, None), (None, short)] {
            let pool = pool_with(PoolConfig {
                idle_timeout,
                max_lifetime,
                ..PoolConfig::default()
            });
            let (a, b) = (pool.get().await.unwrap(), pool.get().await.unwrap());
            assert_eq!(sessions(&observer, pool.server()).await, 2);
            drop(a);
            eventually("the idle one leaves", || async {
                sessions(&observer, pool.server()).await == 1
            })
            .await;
            assert_eq!(number(&b.query("SELECT 1", &[]).await.unwrap()), 1);
            drop(b);
            eventually("both are gone", || async {
                sessions(&observer, pool.server()).await == 0
            })
            .await;
            eventually("their places are free", || async { pool.status().size == 0 }).await;
            assert_eq!(
                number(&pool.get().await.unwrap().query("SELECT 1", &[]).await.unwrap()),
                1
            );
        }
    });
}

#[test]
fn a_connection_that_nobody_waits_for_any_more_is_kept() {
    run(async {
        let pool = pool(1);
        tokio::select! {
            biased;
            _ = pool.get() => panic!("there is no connection yet"),
            () = std::future::ready(()) => {}
        }
        eventually("it is open", || async { pool.status().idle == 1 }).await;
        assert_eq!(pool.status().size, 1);
    });
}

#[test]
fn a_closed_pool() {
    run(async {
        let observer = connect().await;
        let pool = pool(2);
        let (held, idle) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        drop(idle);
        let waiting = {
            let pool = pool.clone();
            let _all = pool.get().await.unwrap();
            tokio::spawn(async move {
                let _second = pool.get().await;
                pool.get().await.map(drop)
            })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        let closing = tokio::spawn({
            let pool = pool.clone();
            async move { pool.close().await }
        });
        let _ = waiting.await.unwrap();
        assert_eq!(number(&held.query("SELECT 1", &[]).await.unwrap()), 1);
        assert!(!closing.is_finished());
        drop(held);
        closing.await.unwrap();
        assert_eq!(sessions(&observer, pool.server()).await, 0);
        assert!(matches!(pool.get().await, Err(Error::PoolClosed)));
    });
}

#[test]
fn connections_may_be_dropped_outside_the_runtime() {
    let finished = Arc::new(AtomicUsize::new(0));
    run(async {
        let pool = pool(1);
        for sql in ["SELECT 1", "BEGIN", "SET search_path = x"] {
            let connection = pool.get().await.unwrap();
            connection.query(sql, &[]).await.unwrap();
            let count = finished.clone();
            let thread = std::thread::spawn(move || {
                drop(connection);
                count.fetch_add(1, Ordering::Relaxed);
            });
            tokio::task::spawn_blocking(move || thread.join().unwrap())
                .await
                .unwrap();
        }
        assert_eq!(
            pool.get().await.unwrap().transaction_status(),
            TransactionStatus::Idle
        );
    });
    assert_eq!(finished.load(Ordering::Relaxed), 3);
}

#[test]
fn a_pool_dropped_with_its_runtime_leaves_nothing() {
    let config: Config = config();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = Pool::new(
        config,
        PoolConfig {
            max_size: 2,
            ..PoolConfig::default()
        },
    );
    let held = runtime.block_on(async {
        let held = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let waiter = pool.clone();
        tokio::spawn(async move { waiter.get().await.map(drop) });
        tokio::task::yield_now().await;
        held
    });
    drop(runtime);
    drop(held);
    run(async {
        assert_eq!(
            number(&pool.get().await.unwrap().query("SELECT 1", &[]).await.unwrap()),
            1
        );
        let observer = connect().await;
        eventually("only the new one is left", || async {
            sessions(&observer, pool.server()).await == 1
        })
        .await;
    });
}
