//! A session in its user's own hands.

use std::time::Duration;

use puff_postgres::{DirectConnection, Error, Rows, SqlState, Step, TransactionStatus};

use crate::support::{config, connect, drive, eventually, is_active, run, sessions, table};

async fn open() -> DirectConnection {
    DirectConnection::open(&config()).await.unwrap()
}

fn exchange(session: &mut DirectConnection, sql: &str, begin: Option<&str>) -> Result<Rows, Error> {
    session.start(sql.as_bytes(), begin)?;
    drive(session, &[]).0
}

#[test]
fn an_answer_is_that_of_the_last_statement() {
    run(async {
        let mut session = open().await;
        let rows = exchange(&mut session, "SELECT 1; SELECT 2 AS b, 'x'", None).unwrap();
        assert_eq!(table(&rows), [[Some("2"), Some("x")]]);
        assert_eq!(&*rows.columns()[0].name, "b");
        assert!(!exchange(&mut session, "", None).unwrap().has_result_set());
        let rows = exchange(
            &mut session,
            "SELECT repeat('x', 1000) FROM generate_series(1, 5000)",
            None,
        );
        assert_eq!(rows.unwrap().len(), 5000);
    });
}

#[test]
fn a_begin_goes_ahead_in_the_same_packet() {
    run(async {
        let mut session = open().await;
        let sql = "SELECT current_setting('transaction_read_only')";
        let rows = exchange(&mut session, sql, Some("BEGIN READ ONLY")).unwrap();
        assert_eq!(table(&rows), [[Some("on")]]);
        assert_eq!(session.transaction_status(), TransactionStatus::InTransaction);
        // One is open: no second BEGIN, whose warning would show.
        exchange(&mut session, "SELECT 1", Some("BEGIN")).unwrap();
        assert!(session.take_notices().is_empty());
        exchange(&mut session, "ROLLBACK", None).unwrap();
        let error = exchange(&mut session, "SELEC 1", Some("BEGIN")).unwrap_err();
        assert_eq!(error.code(), Some(SqlState::SYNTAX_ERROR));
        assert_eq!(session.transaction_status(), TransactionStatus::Failed);
    });
}

#[test]
fn without_its_begin_a_statement_does_not_run() {
    run(async {
        let mut session = open().await;
        exchange(&mut session, "CREATE TEMP TABLE t (a int)", None).unwrap();
        let error = exchange(
            &mut session,
            "INSERT INTO t VALUES (1)",
            Some("BEGIN ISOLATION LEVEL WRONG"),
        );
        assert_eq!(error.unwrap_err().code(), Some(SqlState::SYNTAX_ERROR));
        assert_eq!(session.transaction_status(), TransactionStatus::Idle);
        assert!(
            exchange(&mut session, "SELECT * FROM t", None)
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn copies_stream_in_both_directions() {
    run(async {
        let mut session = open().await;
        exchange(&mut session, "CREATE TEMP TABLE t (a int, b text)", None).unwrap();
        let line = "7\tsome text\n".repeat(20_000);
        session.start(b"COPY t FROM STDIN", None).unwrap();
        let pieces: Vec<_> = line.as_bytes().chunks(8192).collect();
        let (answer, _) = drive(&mut session, &pieces);
        assert_eq!(answer.unwrap().tag().as_str(), "COPY 20000");
        session.start(b"COPY t TO STDOUT", None).unwrap();
        let (answer, data) = drive(&mut session, &[]);
        assert_eq!(answer.unwrap().tag().rows(), Some(20_000));
        assert!(data == line.as_bytes(), "the copy differs");
        session.start(b"COPY t FROM STDIN", None).unwrap();
        let (answer, _) = drive(&mut session, &[b"no number\tx\n"]);
        assert_eq!(answer.unwrap_err().code().unwrap().as_str(), "22P02");
        session.start(b"COPY t FROM STDIN", None).unwrap();
        while !matches!(session.advance(), Step::CopyIn) {
            session.wait(false, Duration::from_secs(1)).unwrap();
        }
        session.copy_end(Some("enough"));
        let error = drive(&mut session, &[]).0.unwrap_err();
        assert!(error.to_string().contains("enough"), "{error}");
        assert_eq!(exchange(&mut session, "SELECT 1", None).unwrap().len(), 1);
    });
}

#[test]
fn notices_and_notifications_wait_to_be_taken() {
    run(async {
        let mut session = open().await;
        exchange(
            &mut session,
            "LISTEN news; DO $$BEGIN RAISE NOTICE 'hello'; END$$",
            None,
        )
        .unwrap();
        assert_eq!(session.take_notices()[0].message, "hello");
        let other = connect().await;
        other.simple_query("NOTIFY news, 'today'").await.unwrap();
        session.wait(false, Duration::from_secs(10)).unwrap();
        assert!(matches!(session.advance(), Step::Wait { write: false }));
        let news = session.take_notifications().pop_front().unwrap();
        assert_eq!((&*news.channel, &*news.payload), ("news", "today"));
        assert_eq!(news.process_id, other.process_id());
    });
}

#[test]
fn an_abandoned_exchange_ends_by_a_cancel() {
    run(async {
        let (mut session, observer) = (open().await, connect().await);
        session.start(b"SELECT pg_sleep(60)", None).unwrap();
        assert!(matches!(session.advance(), Step::Wait { .. }));
        let pid = session.process_id();
        eventually("the statement runs", async || is_active(&observer, pid).await).await;
        assert!(session.start(b"SELECT 1", None).is_err());
        session.abandon();
        session.cancel_token().cancel().await.unwrap();
        let error = drive(&mut session, &[]).0.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::QUERY_CANCELED));
        assert_eq!(exchange(&mut session, "SELECT 1", None).unwrap().len(), 1);
    });
}

#[test]
fn the_server_s_last_word_is_the_error() {
    run(async {
        let (mut session, observer) = (open().await, connect().await);
        session.start(b"SELECT pg_sleep(60)", None).unwrap();
        assert!(matches!(session.advance(), Step::Wait { .. }));
        let pid = session.process_id();
        observer
            .query("SELECT pg_terminate_backend($1)", &[pid.into()])
            .await
            .unwrap();
        let error = drive(&mut session, &[]).0.unwrap_err();
        assert_eq!(error.code().unwrap().as_str(), "57P01");
        assert!(session.closed().is_some());
        assert!(matches!(
            session.start(b"SELECT 1", None),
            Err(Error::Closed { .. })
        ));
    });
}

#[test]
fn a_closed_session_is_gone_at_the_server() {
    run(async {
        let (config, observer) = (config(), connect().await);
        let session = DirectConnection::open(&config).await.unwrap();
        assert_eq!(sessions(&observer, &config).await, 1);
        session.close();
        eventually("the session is gone", async || {
            sessions(&observer, &config).await == 0
        })
        .await;
    });
}

#[test]
fn the_rest_of_a_copy_out_may_be_abandoned() {
    run(async {
        let mut session = open().await;
        session
            .start(b"COPY (SELECT generate_series(1, 200000)) TO STDOUT", None)
            .unwrap();
        while !matches!(session.advance(), Step::CopyOut(_)) {
            session.wait(false, Duration::from_secs(5)).unwrap();
        }
        // By now the socket holds more than is taken at a time.
        std::thread::sleep(Duration::from_millis(50));
        session.abandon();
        drive(&mut session, &[]).0.unwrap();
        assert!(session.closed().is_none());
        assert_eq!(
            table(&exchange(&mut session, "SELECT 1", None).unwrap()),
            [[Some("1")]]
        );
    });
}
