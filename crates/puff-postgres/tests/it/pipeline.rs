//! Many callers on one connection, and callers that leave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use puff_postgres::{Connection, Error, SqlState};
use tokio::time::timeout;

use crate::support::{connect, eventually, is_active, number, run};

#[test]
fn fifty_tasks_share_a_connection() {
    run(async {
        let connection = Arc::new(connect().await);
        let tasks: Vec<_> = (0..50)
            .map(|task: usize| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    for n in 0..100 {
                        let value = i64::try_from(task * 1000 + n).unwrap();
                        match n % 4 {
                            0 => {
                                let sql = "SELECT $1::int8 / 0";
                                assert!(
                                    connection
                                        .query(sql, &[value.into()])
                                        .await
                                        .unwrap_err()
                                        .code()
                                        .is_some()
                                );
                            }
                            1 => {
                                let sql = format!("SELECT 0; SELECT {value}");
                                let answers = connection.simple_query(&sql).await.unwrap();
                                assert_eq!(number(&answers[1]), task * 1000 + n);
                            }
                            _ => {
                                let sql = "SELECT $1::int8, repeat('x', $2::int) FROM generate_series(1, 3)";
                                let size = i32::try_from(n * 200).unwrap();
                                let rows = connection.query(sql, &[value.into(), size.into()]).await.unwrap();
                                assert_eq!(rows.len(), 3);
                                assert_eq!(number(&rows), task * 1000 + n);
                                assert_eq!(rows.cell(2, 1).unwrap().len(), n * 200);
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Both sides' socket buffers fill up: whoever only writes before it reads would wait for ever.
#[test]
fn large_requests_and_answers_at_once() {
    run(async {
        let connection = Arc::new(connect().await);
        let text = "x".repeat(3_000_000);
        let params = [text.as_str().into()];
        let echo = || connection.query("SELECT $1::text", &params);
        let answers = tokio::join!(echo(), echo(), echo(), echo());
        for rows in [answers.0, answers.1, answers.2, answers.3] {
            assert_eq!(rows.unwrap().cell(0, 0).unwrap().len(), text.len());
        }
    });
}

#[test]
fn dropped_futures_leave_the_order_intact() {
    run(async {
        let connection = connect().await;
        for n in 0..200_u64 {
            let sql = "SELECT $1::int8, repeat('y', 20000) FROM generate_series(1, 20)";
            let params = [(n + 1_000_000).into()];
            let abandoned = connection.query(sql, &params);
            let _ = timeout(Duration::from_micros(n * 10), abandoned).await;
            let rows = connection.query("SELECT $1::int8", &[n.into()]).await.unwrap();
            assert_eq!(number(&rows), usize::try_from(n).unwrap());
        }
    });
}

#[test]
fn a_running_statement_can_be_cancelled() {
    run(async {
        let (connection, observer) = (connect().await, connect().await);
        let pid = connection.process_id();
        let token = connection.cancel_token();
        let start = Instant::now();
        let (answer, ()) = tokio::join!(connection.query("SELECT pg_sleep(50)", &[]), async {
            eventually("the statement runs", || is_active(&observer, pid)).await;
            token.cancel().await.unwrap();
        });
        assert_eq!(answer.unwrap_err().code(), Some(SqlState::QUERY_CANCELED));
        assert!(start.elapsed() < Duration::from_secs(10));
        // An idle session does not mind.
        connection.cancel().await.unwrap();
        assert_eq!(number(&connection.query("SELECT 3", &[]).await.unwrap()), 3);
    });
}

#[test]
fn a_dropped_connection_ends_its_session_and_statement() {
    run(async {
        let observer = connect().await;
        let connection: Connection = connect().await;
        let pid = connection.process_id();
        tokio::select! {
            _ = connection.query("SELECT pg_sleep(50)", &[]) => panic!("it sleeps"),
            () = eventually("it runs", || is_active(&observer, pid)) => {}
        }
        drop(connection);
        let gone = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
        eventually("the session is gone", || async {
            observer.query(gone, &[pid.into()]).await.unwrap().is_empty()
        })
        .await;
    });
}

#[test]
fn close_waits_for_the_server() {
    run(async {
        let observer = connect().await;
        for _ in 0..20 {
            let connection = connect().await;
            let pid = connection.process_id();
            connection.query("SELECT 1", &[]).await.unwrap();
            connection.close().await;
            let gone = "SELECT 1 FROM pg_stat_activity WHERE pid = $1";
            assert!(observer.query(gone, &[pid.into()]).await.unwrap().is_empty());
        }
    });
}

/// What lies behind a refused copy cannot be told apart, so the connection ends, and says so.
#[test]
fn a_copy_with_requests_behind_it_ends_the_connection() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int)")
            .await
            .unwrap();
        // All three are sent before the first is answered.
        let (_, copy, behind) = tokio::join!(
            connection.query("SELECT pg_sleep(0.3)", &[]),
            connection.query("COPY t FROM STDIN", &[]),
            connection.query("SELECT 1", &[])
        );
        assert!(matches!(copy, Err(Error::Unsupported(_))), "{copy:?}");
        assert!(matches!(behind, Err(Error::Unsupported(_))), "{behind:?}");
        assert!(connection.is_closed());
        let error = connection.query("SELECT 1", &[]).await.unwrap_err();
        assert!(
            matches!(&error, Error::Closed { reason } if reason.contains("COPY")),
            "{error}"
        );
    });
}
