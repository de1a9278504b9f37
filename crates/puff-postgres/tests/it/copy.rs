//! COPY in both directions, on a connection that others use as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use puff_postgres::{Connection, Error, Pool, PoolConfig, SqlState, TransactionStatus};
use tokio::time::timeout;

use crate::support::{config, connect, eventually, is_active, number, run, table};

async fn with_table() -> Connection {
    let connection = connect().await;
    let create = "CREATE TEMP TABLE t (id int, name text)";
    connection.execute(create, &[]).await.unwrap();
    connection
}

async fn count(connection: &Connection) -> usize {
    number(&connection.query("SELECT count(*) FROM t", &[]).await.unwrap())
}

/// All pieces of a copy in one.
async fn read(connection: &Connection, sql: &str) -> Result<Vec<u8>, Error> {
    let mut copy = connection.copy_out(sql).await?;
    let mut all = Vec::new();
    while let Some(piece) = copy.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[test]
fn rows_in_and_out() {
    run(async {
        let connection = with_table().await;
        let mut copy = connection
            .copy_in("COPY t FROM STDIN (FORMAT csv)")
            .await
            .unwrap();
        // Pieces need not be rows.
        for piece in ["1,o", "ne\n2,", "", "two\n3,three\n"] {
            copy.send(piece).await.unwrap();
        }
        assert_eq!(copy.finish().await.unwrap(), 3);
        let text = read(&connection, "COPY t TO STDOUT").await.unwrap();
        assert_eq!(text, b"1\tone\n2\ttwo\n3\tthree\n");
        let mut copy = connection
            .copy_out("COPY (SELECT 1 WHERE false) TO STDOUT")
            .await
            .unwrap();
        assert!(copy.next().await.is_none());
        assert_eq!(copy.rows(), Some(0));
        assert!(copy.next().await.is_none());
        let empty = connection.copy_in("COPY t FROM STDIN").await.unwrap();
        assert_eq!(empty.finish().await.unwrap(), 0);
    });
}

/// 60 MB each way in pieces of every size, with a reader that is slow at first.
#[test]
fn much_data() {
    run(async {
        let connection = with_table().await;
        let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
        let line = format!("7\t{}\n", "x".repeat(998));
        copy.send(line.repeat(40_000)).await.unwrap();
        for _ in 0..20_000 {
            copy.send(line.clone()).await.unwrap();
        }
        assert_eq!(copy.finish().await.unwrap(), 60_000);
        assert_eq!(count(&connection).await, 60_000);
        let mut copy = connection.copy_out("COPY t TO STDOUT").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (mut size, mut largest) = (0, 0);
        while let Some(piece) = copy.next().await {
            let piece = piece.unwrap();
            size += piece.len();
            largest = largest.max(piece.len());
        }
        assert_eq!(size, line.len() * 60_000);
        assert_eq!(copy.rows(), Some(60_000));
        assert!(largest < 256 * 1024, "{largest}");
    });
}

#[test]
fn what_is_sent_behind_a_copy_waits_for_its_end() {
    run(async {
        let connection = Arc::new(with_table().await);
        let mut behind = Vec::new();
        let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
        for n in 0..20_usize {
            let connection = connection.clone();
            behind.push(tokio::spawn(async move {
                let id = i64::try_from(n).unwrap();
                match n % 3 {
                    0 => drop(connection.simple_query("SELECT 1; SELECT 2").await.unwrap()),
                    1 => assert_eq!(
                        read(&connection, "COPY (SELECT 5) TO STDOUT").await.unwrap(),
                        b"5\n"
                    ),
                    _ => {
                        let sql = "SELECT count(*), $1::int8 FROM t";
                        let rows = connection.query(sql, &[id.into()]).await.unwrap();
                        assert_eq!(number(&rows), 2);
                        assert_eq!(rows.get::<i64>(0, 1).unwrap(), id);
                    }
                }
            }));
        }
        copy.send("1\ta\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(behind.iter().all(|task| !task.is_finished()));
        copy.send("2\tb\n").await.unwrap();
        assert_eq!(copy.finish().await.unwrap(), 2);
        for task in behind {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_copy_in_that_is_dropped_fails() {
    run(async {
        let connection = with_table().await;
        for _ in 0..10 {
            let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
            copy.send("1\ta\n").await.unwrap();
            drop(copy);
            assert_eq!(count(&connection).await, 0);
        }
        // Also while it waits for the server's word on a lock.
        let other = connect().await;
        other
            .execute("CREATE TABLE IF NOT EXISTS locked (a int)", &[])
            .await
            .unwrap();
        other.simple_query("BEGIN; LOCK TABLE locked").await.unwrap();
        let start = Instant::now();
        let blocked = connection.copy_in("COPY locked FROM STDIN");
        assert!(timeout(Duration::from_millis(100), blocked).await.is_err());
        assert_eq!(count(&connection).await, 0);
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_copy_out_that_is_dropped_is_cancelled() {
    run(async {
        let connection = connect().await;
        for sql in [
            // One that is busy sending, one that computes in silence.
            "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT",
            "COPY (SELECT pg_sleep(50)) TO STDOUT",
        ] {
            let start = Instant::now();
            let reading = async {
                let mut copy = connection.copy_out(sql).await.unwrap();
                copy.next().await.unwrap().unwrap();
                std::future::pending::<()>().await
            };
            assert!(timeout(Duration::from_millis(100), reading).await.is_err());
            // The next statement is not hit.
            for n in 0..10 {
                let rows = connection
                    .query("SELECT $1::int FROM pg_sleep(0.001)", &[n.into()])
                    .await;
                assert_eq!(rows.unwrap().get::<i32>(0, 0).unwrap(), n);
            }
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    });
}

#[test]
fn bad_data_and_bad_statements() {
    run(async {
        let connection = with_table().await;
        let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
        copy.send("nonsense\n").await.unwrap();
        let error = copy.finish().await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_TEXT_REPRESENTATION));
        // Whoever goes on sending learns it as well, before having sent everything.
        let mut copy = connection.copy_in("COPY t FROM STDIN").await.unwrap();
        let error = loop {
            if let Err(error) = copy.send("nonsense\n".repeat(5000)).await {
                break error;
            }
        };
        assert_eq!(error.code(), Some(SqlState::INVALID_TEXT_REPRESENTATION));
        assert!(matches!(
            copy.send("x".repeat(100_000)).await,
            Ok(()) | Err(Error::Closed { .. })
        ));
        drop(copy);
        let error = connection.copy_in("COPY nowhere FROM STDIN").await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::UNDEFINED_TABLE));
        for sql in ["SELECT 1", "COPY t TO STDOUT", "COPY t FROM STDIN\0", ""] {
            let error = connection.copy_in(sql).await.unwrap_err();
            assert!(matches!(error, Error::InvalidInput(_)), "{sql}: {error}");
        }
        for sql in ["SELECT 1", "COPY t FROM STDIN", ""] {
            let error = connection.copy_out(sql).await.unwrap_err();
            assert!(matches!(error, Error::InvalidInput(_)), "{sql}: {error}");
        }
        // In the middle of the data.
        let error = read(
            &connection,
            "COPY (SELECT 1 / (5000 - n) FROM generate_series(1, 9000) n) TO STDOUT",
        );
        assert_eq!(
            error.await.unwrap_err().code().map(|code| code.to_string()),
            Some("22012".to_owned())
        );
        assert_eq!(count(&connection).await, 0);
        assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
    });
}

#[test]
fn a_pooled_connection_left_in_a_copy_comes_back_clean() {
    run(async {
        let observer = connect().await;
        let limits = PoolConfig {
            max_size: 1,
            ..PoolConfig::default()
        };
        let pool = Pool::new(config(), limits);
        for _ in 0..3 {
            let connection = pool.get().await.unwrap();
            let pid = connection.process_id();
            connection
                .simple_query("CREATE TABLE IF NOT EXISTS half (a int)")
                .await
                .unwrap();
            let mut copied_in = connection.copy_in("COPY half FROM STDIN").await.unwrap();
            copied_in.send("1\n").await.unwrap();
            // The copy outlives the loan.
            drop(connection);
            let connection = pool.get().await.unwrap();
            assert_eq!(connection.process_id(), pid);
            let rows = connection.query("SELECT count(*) FROM half", &[]).await.unwrap();
            assert_eq!(number(&rows), 0);
            copied_in.finish().await.unwrap_err();
            let sql = "COPY (SELECT repeat('x', 1000), generate_series(1, 100000000)) TO STDOUT";
            let mut copied_out = connection.copy_out(sql).await.unwrap();
            copied_out.next().await.unwrap().unwrap();
            drop(connection);
            let connection = pool.get().await.unwrap();
            assert_eq!(connection.process_id(), pid);
            assert!(!is_active(&observer, pid).await);
            let end = loop {
                match copied_out.next().await {
                    Some(Ok(_)) => {}
                    end => break end,
                }
            };
            assert!(matches!(end, Some(Err(_))), "{end:?}");
            drop(connection);
        }
    });
}

/// Cancelled copies, timed-out statements and plain ones, all on one connection.
#[test]
fn a_storm_of_cancellations() {
    run(async {
        let connection = Arc::new(with_table().await);
        let tasks: Vec<_> = (0..40_u64)
            .map(|task| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    for n in 0..6 {
                        let short = Duration::from_millis((task * 7 + n) % 5);
                        match (task + n) % 5 {
                            0 => {
                                let copy = timeout(short * 10, connection.copy_in("COPY t FROM STDIN")).await;
                                if let Ok(copy) = copy {
                                    let _ = timeout(short, copy.unwrap().send("1\ta\n")).await;
                                }
                            }
                            1 => {
                                let sql = "COPY (SELECT generate_series(1, 10000000)) TO STDOUT";
                                if let Ok(copy) = timeout(short * 10, connection.copy_out(sql)).await {
                                    let _ = timeout(short, copy.unwrap().next()).await;
                                }
                            }
                            2 => {
                                let slow = connection.query_within(short, "SELECT pg_sleep(5)", &[]).await;
                                assert!(matches!(slow, Err(Error::Timeout { .. })), "{slow:?}");
                            }
                            _ => {
                                let id = task * 100 + n;
                                let rows = connection.query("SELECT $1::int8", &[id.into()]).await.unwrap();
                                assert_eq!(rows.get::<u64>(0, 0).unwrap(), id);
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(count(&connection).await, 0);
        assert_eq!(
            table(&connection.query("SELECT 1", &[]).await.unwrap()),
            [[Some("1")]]
        );
    });
}

#[test]
fn a_statement_with_a_limit_of_its_own() {
    run(async {
        let (connection, observer) = (connect().await, connect().await);
        let pid = connection.process_id();
        let (short, long) = (Duration::from_millis(50), Duration::from_secs(20));
        let rows = connection.query_within(long, "SELECT 7", &[]).await.unwrap();
        assert_eq!(number(&rows), 7);
        let start = Instant::now();
        let error = connection.query_within(short, "SELECT pg_sleep(50)", &[]).await;
        assert!(matches!(error, Err(Error::Timeout { .. })));
        assert!(start.elapsed() < Duration::from_secs(20));
        eventually("it is cancelled", || async { !is_active(&observer, pid).await }).await;
        assert_eq!(number(&connection.query("SELECT 8", &[]).await.unwrap()), 8);
    });
}
