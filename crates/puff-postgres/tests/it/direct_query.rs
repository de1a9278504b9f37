//! A statement with parameters on a session in its user's own hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use puff_postgres::{
    Config, DirectConnection, Error, Host, Param, Rows, Server, SqlState, Step, TransactionStatus, oid,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

use crate::support::{config, connect, drive, eventually, is_active, number, run, table};

async fn open() -> DirectConnection {
    DirectConnection::open(&config()).await.unwrap()
}

fn query(session: &mut DirectConnection, sql: &str, params: &[Param]) -> Result<Rows, Error> {
    after(session, None, sql, params)
}

/// With a statement ahead.
fn after(
    session: &mut DirectConnection,
    ahead: Option<&str>,
    sql: &str,
    params: &[Param],
) -> Result<Rows, Error> {
    session.start_query(sql, params, ahead)?;
    drive(session, &[]).0
}

/// Asserts that a statement fails with this state, and that the session works as before.
fn fails(session: &mut DirectConnection, sql: &str, params: &[Param], state: &str) {
    let status = session.transaction_status();
    let error = query(session, sql, params).unwrap_err();
    assert_eq!(
        error.code().map(|code| code.as_str().to_owned()).as_deref(),
        Some(state),
        "{sql}: {error}"
    );
    assert!(session.closed().is_none(), "{sql}");
    if status == TransactionStatus::Idle {
        assert_eq!(session.transaction_status(), TransactionStatus::Idle, "{sql}");
        works(session);
    } else {
        assert_eq!(session.transaction_status(), TransactionStatus::Failed, "{sql}");
    }
}

fn works(session: &mut DirectConnection) {
    let rows = query(session, "SELECT $1::int + 1", &[41.into()]).unwrap();
    assert_eq!(table(&rows), [[Some("42")]]);
}

#[test]
fn parameters_arrive_as_they_were_given() {
    run(async {
        let mut session = open().await;
        let sql =
            "SELECT $1::int8, $2::text, $3::text, $4::bool, $5::float8, $6::int4[], $7::bytea, $8::jsonb";
        let params = [
            i64::MIN.into(),
            "ü\"\\\u{10ffff}\n'".into(),
            Param::NULL,
            true.into(),
            0.1.into(),
            Param::from(&[1, -2][..]),
            Param::from(&b"\x00\xff"[..]),
            "{\"a\": [1, null]}".into(),
        ];
        let rows = query(&mut session, sql, &params).unwrap();
        let found = [
            Some("-9223372036854775808"),
            Some("ü\"\\\u{10ffff}\n'"),
            None,
            Some("t"),
            Some("0.1"),
            Some("{1,-2}"),
            Some("\\x00ff"),
            Some("{\"a\": [1, null]}"),
        ];
        assert_eq!(table(&rows), [found]);
        // Empty text is no null, and one parameter may stand in several places.
        let rows = query(
            &mut session,
            "SELECT $1, $1 || $2, $2 IS NULL",
            &["".into(), "x".into()],
        )
        .unwrap();
        assert_eq!(table(&rows), [[Some(""), Some("x"), Some("f")]]);
    });
}

#[test]
fn their_types_are_inferred_or_said() {
    run(async {
        let mut session = open().await;
        let types = "SELECT pg_typeof(1 + $1)::text, pg_typeof($2)::text";
        let params = ["1".into(), Param::from("2").with_oid(oid::INT8)];
        assert_eq!(
            table(&query(&mut session, types, &params).unwrap()),
            [[Some("integer"), Some("bigint")]]
        );
        let sql = "SELECT * FROM generate_series(1, $1) AS n WHERE n = ANY ($2) ORDER BY n";
        let rows = query(&mut session, sql, &[5.into(), Param::from(&[7, 4, 2][..])]).unwrap();
        assert_eq!(table(&rows), [[Some("2")], [Some("4")]]);
        // Nothing says what it is.
        fails(
            &mut session,
            "SELECT jsonb_build_object('a', $1)",
            &[1.into()],
            "42P18",
        );
        let said = [Param::from(1).with_oid(oid::INT4)];
        let rows = query(&mut session, "SELECT jsonb_build_object('a', $1)", &said).unwrap();
        assert_eq!(table(&rows), [[Some("{\"a\": 1}")]]);
    });
}

#[test]
fn columns_are_told_with_their_types() {
    run(async {
        let mut session = open().await;
        let sql = "SELECT 1 AS a, 'x'::varchar(5) AS b, ARRAY[1.5] AS c, now() AS d WHERE $1";
        for (wanted, rows) in [(true, 1), (false, 0)] {
            let found = query(&mut session, sql, &[wanted.into()]).unwrap();
            let columns = found
                .columns()
                .iter()
                .map(|one| (one.name.to_string(), one.type_oid));
            let known = [
                (oid::INT4, "a"),
                (oid::VARCHAR, "b"),
                (oid::NUMERIC_ARRAY, "c"),
                (oid::TIMESTAMPTZ, "d"),
            ];
            assert!(
                columns.eq(known.map(|(oid, name)| (name.to_owned(), oid))),
                "{found:?}"
            );
            assert_eq!(found.len(), rows);
            assert!(found.has_result_set());
        }
    });
}

#[test]
fn statements_without_rows_have_their_tag() {
    run(async {
        let mut session = open().await;
        for (sql, params, tag) in [
            (
                "CREATE TEMP TABLE t (a int PRIMARY KEY, b text)",
                &[][..],
                "CREATE TABLE",
            ),
            (
                "INSERT INTO t SELECT n, $1 FROM generate_series(1, 10) AS n",
                &["x".into()],
                "INSERT 0 10",
            ),
            (
                "UPDATE t SET b = $2 WHERE a > $1",
                &[7.into(), "y".into()],
                "UPDATE 3",
            ),
            ("DELETE FROM t WHERE b = $1", &["nothing".into()], "DELETE 0"),
        ] {
            let rows = query(&mut session, sql, params).unwrap();
            assert_eq!(rows.tag().as_str(), tag);
            assert!(!rows.has_result_set(), "{sql}");
        }
        let rows = query(
            &mut session,
            "DELETE FROM t WHERE a < $1 RETURNING a, b",
            &[3.into()],
        )
        .unwrap();
        assert_eq!(table(&rows), [[Some("1"), Some("x")], [Some("2"), Some("x")]]);
        assert_eq!(rows.tag().rows(), Some(2));
        assert!(!query(&mut session, "", &[]).unwrap().has_result_set());
        assert!(!query(&mut session, "-- nothing", &[]).unwrap().has_result_set());
    });
}

#[test]
fn what_cannot_be_sent_is_refused_and_leaves_nothing_behind() {
    run(async {
        let mut session = open().await;
        let invalid = |answer: Result<Rows, Error>, text: &str| match answer {
            Err(Error::InvalidInput(found)) => assert!(found.contains(text), "{found}"),
            other => panic!("{other:?}"),
        };
        invalid(query(&mut session, "SELECT '\0'", &[]), "NUL");
        invalid(query(&mut session, "SELECT $1", &["a\0b".into()]), "parameter $1");
        invalid(after(&mut session, Some("BEGIN\0"), "SELECT 1", &[]), "NUL");
        works(&mut session);
        // The same for a statement without parameters.
        session.start(b"SELECT 1", Some("BEGIN\0")).unwrap_err();
        works(&mut session);
        invalid(
            query(&mut session, "SELECT 1", &vec![Param::NULL; 65_536]),
            "65535",
        );
        let most: Vec<_> = (1..=65_535).map(Param::from).collect();
        let places: Vec<_> = (1..=65_535).map(|number| format!("${number}::int8")).collect();
        let sql = format!("SELECT sum(n) FROM unnest(ARRAY[{}]) AS n", places.join(","));
        assert_eq!(
            number(&query(&mut session, &sql, &most).unwrap()),
            65_535 * 65_536 / 2
        );
        // One exchange at a time.
        session.start_query("SELECT 1", &[], None).unwrap();
        assert!(matches!(
            session.start_query("SELECT 2", &[], None),
            Err(Error::InvalidInput(_))
        ));
        assert_eq!(table(&drive(&mut session, &[]).0.unwrap()), [[Some("1")]]);
    });
}

#[test]
fn what_goes_ahead_decides() {
    run(async {
        let mut session = open().await;
        let status = "SELECT current_setting('transaction_isolation') WHERE $1";
        let rows = after(
            &mut session,
            Some("BEGIN ISOLATION LEVEL SERIALIZABLE"),
            status,
            &[true.into()],
        )
        .unwrap();
        assert_eq!(table(&rows), [[Some("serializable")]]);
        assert_eq!(session.transaction_status(), TransactionStatus::InTransaction);
        query(&mut session, "CREATE TEMP TABLE t (a int)", &[]).unwrap();
        // A savepoint, an error, and back to it.
        let error = after(
            &mut session,
            Some("SAVEPOINT s"),
            "INSERT INTO t VALUES ($1)",
            &["x".into()],
        );
        assert_eq!(
            error.unwrap_err().code(),
            Some(SqlState::INVALID_TEXT_REPRESENTATION)
        );
        assert_eq!(session.transaction_status(), TransactionStatus::Failed);
        fails(&mut session, "SELECT 1", &[], "25P02");
        after(
            &mut session,
            Some("ROLLBACK TO s"),
            "INSERT INTO t VALUES ($1)",
            &[7.into()],
        )
        .unwrap();
        assert_eq!(session.transaction_status(), TransactionStatus::InTransaction);
        // What fails ahead keeps the statement from running, and it is its error that counts.
        let error = after(
            &mut session,
            Some("SAVEPOINT"),
            "INSERT INTO t VALUES ($1)",
            &[8.into()],
        );
        assert_eq!(error.unwrap_err().code(), Some(SqlState::SYNTAX_ERROR));
        query(&mut session, "ROLLBACK", &[]).unwrap();
        let error = after(
            &mut session,
            Some("BEGIN WRONG"),
            "CREATE TABLE direct_ahead (a int)",
            &[],
        );
        assert_eq!(error.unwrap_err().code(), Some(SqlState::SYNTAX_ERROR));
        assert_eq!(session.transaction_status(), TransactionStatus::Idle);
        let rows = query(
            &mut session,
            "SELECT to_regclass($1) IS NULL",
            &["direct_ahead".into()],
        )
        .unwrap();
        assert_eq!(table(&rows), [[Some("t")]]);
    });
}

/// Each message that makes up the statement may be refused, and rows may have come before.
#[test]
fn errors_in_each_phase() {
    run(async {
        let mut session = open().await;
        query(
            &mut session,
            "CREATE TEMP TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            &[],
        )
        .unwrap();
        let phases: &[(&str, &[Param], &str)] = &[
            // Parse.
            ("SELEC $1", &[1.into()], "42601"),
            ("SELECT * FROM nowhere WHERE a = $1", &[1.into()], "42P01"),
            ("SELECT 1; SELECT 2", &[], "42601"),
            ("SELECT 1", &[1.into()], "42P18"),
            // Bind.
            ("SELECT $1::int", &["x".into()], "22P02"),
            ("SELECT $1::int", &[], "08P01"),
            ("SELECT $1::date", &["2026-02-30".into()], "22008"),
            // Execute: at once, and after many rows.
            ("SELECT 1 / $1", &[0.into()], "22012"),
            (
                "SELECT 1 / (n - $1) FROM generate_series(1, 50000) AS n",
                &[40_000.into()],
                "22012",
            ),
            (
                "DO $$BEGIN RAISE 'no' USING ERRCODE = 'P1234'; END$$",
                &[],
                "P1234",
            ),
            // Sync, which commits.
            ("INSERT INTO t VALUES ($1), ($1)", &[1.into()], "23505"),
        ];
        for (sql, params, state) in phases {
            fails(&mut session, sql, params, state);
        }
        assert_eq!(
            number(&query(&mut session, "SELECT count(*) FROM t", &[]).unwrap()),
            0
        );
        for (sql, params, state) in phases {
            // Within a transaction only its end would find the last.
            if *state != "23505" {
                query(&mut session, "BEGIN", &[]).unwrap();
                fails(&mut session, sql, params, state);
                query(&mut session, "ROLLBACK", &[]).unwrap();
            }
        }
        works(&mut session);
    });
}

#[test]
fn a_cancelled_statement_leaves_the_session() {
    run(async {
        let (mut session, observer) = (open().await, connect().await);
        let pid = session.process_id();
        for abandoned in [false, true] {
            session
                .start_query("SELECT pg_sleep($1)", &[60.into()], Some("BEGIN"))
                .unwrap();
            assert!(matches!(session.advance(), Step::Wait { .. }));
            eventually("the statement runs", async || is_active(&observer, pid).await).await;
            if abandoned {
                session.abandon();
            }
            session.cancel_token().cancel().await.unwrap();
            let error = drive(&mut session, &[]).0.unwrap_err();
            assert_eq!(error.code(), Some(SqlState::QUERY_CANCELED));
            assert_eq!(session.transaction_status(), TransactionStatus::Failed);
            query(&mut session, "ROLLBACK", &[]).unwrap();
            works(&mut session);
        }
    });
}

#[test]
fn an_abandoned_answer_is_read_to_its_end() {
    run(async {
        let mut session = open().await;
        let sql = "SELECT repeat('x', $1) FROM generate_series(1, 2000)";
        session.start_query(sql, &[10_000.into()], None).unwrap();
        assert!(matches!(session.advance(), Step::Wait { .. }));
        session.wait(false, Duration::from_secs(10)).unwrap();
        session.abandon();
        assert!(drive(&mut session, &[]).0.unwrap().is_empty());
        works(&mut session);
    });
}

#[test]
fn large_values_and_many_rows_pass_in_both_directions() {
    run(async {
        let mut session = open().await;
        // Beyond what sockets take at once, there and back.
        let large = "some text ".repeat(2_000_000);
        let rows = query(
            &mut session,
            "SELECT $1::text, length($1)",
            &[large.as_str().into()],
        )
        .unwrap();
        assert!(rows.text(0, 0) == Some(large.as_str()), "the value differs");
        assert_eq!(rows.text(0, 1), Some("20000000"));
        let sql = "SELECT n, repeat('x', $1), NULL FROM generate_series(1, 200000) AS n";
        let rows = query(&mut session, sql, &[50.into()]).unwrap();
        assert_eq!(rows.len(), 200_000);
        assert_eq!(rows.text(199_999, 0), Some("200000"));
        assert!((0..rows.len()).all(|row| rows.text(row, 1).is_some_and(|text| text.len() == 50)));
        // An answer that begins while the parameter is still on its way out does not stop both.
        let sql = "SELECT repeat('y', 1000) FROM generate_series(1, 5000) WHERE length($1) > 0";
        assert_eq!(
            query(&mut session, sql, &[large.as_str().into()]).unwrap().len(),
            5000
        );
        works(&mut session);
    });
}

#[test]
fn copies_go_through_it_too() {
    run(async {
        let mut session = open().await;
        query(&mut session, "CREATE TEMP TABLE t (a int)", &[]).unwrap();
        session
            .start_query("COPY t FROM STDIN", &[], Some("BEGIN"))
            .unwrap();
        let (answer, _) = drive(&mut session, &[b"1\n", b"2\n"]);
        assert_eq!(answer.unwrap().tag().as_str(), "COPY 2");
        session.start_query("COPY t TO STDOUT", &[], None).unwrap();
        let (answer, data) = drive(&mut session, &[]);
        assert_eq!(answer.unwrap().tag().rows(), Some(2));
        assert_eq!(data, b"1\n2\n");
        session.start_query("COPY t FROM STDIN", &[], None).unwrap();
        let (answer, _) = drive(&mut session, &[b"x\n"]);
        assert_eq!(
            answer.unwrap_err().code(),
            Some(SqlState::INVALID_TEXT_REPRESENTATION)
        );
        assert_eq!(session.transaction_status(), TransactionStatus::Failed);
        query(&mut session, "ROLLBACK", &[]).unwrap();
        works(&mut session);
    });
}

#[test]
fn an_administrator_ends_it_in_the_middle_of_an_answer() {
    run(async {
        let (mut session, observer) = (open().await, connect().await);
        let sql = "SELECT repeat('x', 1000), CASE WHEN n > $1 THEN pg_sleep(60) END FROM generate_series(1, 2000) AS n";
        session.start_query(sql, &[1500.into()], None).unwrap();
        let pid = session.process_id();
        assert!(matches!(session.advance(), Step::Wait { .. }));
        // Rows have come.
        session.wait(false, Duration::from_secs(10)).unwrap();
        while session.wait(false, Duration::from_millis(200)).unwrap() {
            assert!(matches!(session.advance(), Step::Wait { .. }));
        }
        let end = "SELECT pg_terminate_backend($1)";
        observer.query(end, &[pid.into()]).await.unwrap();
        let error = drive(&mut session, &[]).0.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::ADMIN_SHUTDOWN));
        assert!(error.is_connection_lost());
        assert!(session.closed().is_some());
        assert!(matches!(
            query(&mut session, "SELECT 1", &[]),
            Err(Error::Closed { .. })
        ));
    });
}

/// A line that is cut at any byte of an answer: an error that says so, never an answer.
#[test]
fn the_line_is_cut_in_the_middle_of_an_answer() {
    run(async {
        let sql = "SELECT n, repeat('x', 100) FROM generate_series(1, $1) AS n";
        let params = [20.into()];
        let line = Line::before(&config()).await;
        let mut session = DirectConnection::open(&line.config).await.unwrap();
        let before = line.passed.load(Ordering::SeqCst);
        assert_eq!(query(&mut session, sql, &params).unwrap().len(), 20);
        let whole = line.passed.load(Ordering::SeqCst) - before;
        assert!(whole > 2000, "{whole}");
        // The last five bytes say that the server is ready for more.
        for after in (0..whole)
            .step_by(whole / 40)
            .chain([1, 4, 5, whole - 6, whole - 1])
        {
            let line = Line::before(&config()).await;
            let mut session = DirectConnection::open(&line.config).await.unwrap();
            line.left.store(after, Ordering::SeqCst);
            let error = query(&mut session, sql, &params).unwrap_err();
            assert!(error.is_connection_lost(), "after {after} bytes: {error}");
            assert!(session.closed().is_some());
            let error = query(&mut session, "SELECT 1", &[]).unwrap_err();
            assert!(matches!(error, Error::Closed { .. }), "{error}");
        }
    });
}

/// Stands before the server, and ends the connection when enough has come from it.
struct Line {
    /// Leads to the server through here.
    config: Config,
    /// How many bytes have passed to the client.
    passed: Arc<AtomicUsize>,
    /// How many more may.
    left: Arc<AtomicUsize>,
}

impl Line {
    async fn before(server: &Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let first = &server.servers[0];
        let Host::Unix(folder) = &first.host else {
            panic!("the server is not on this machine")
        };
        let socket = folder.join(format!(".s.PGSQL.{}", first.port));
        let (passed, left) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(usize::MAX)),
        );
        let (counted, most) = (passed.clone(), left.clone());
        tokio::spawn(async move {
            // Errors end the connection, which the test notices.
            let (client, _) = listener.accept().await?;
            let (mut from_server, mut to_server) = UnixStream::connect(&socket).await?.into_split();
            let (mut from_client, mut to_client) = client.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let mut buffer = vec![0; 8192];
            loop {
                let count = from_server.read(&mut buffer).await?;
                let left = most.load(Ordering::SeqCst);
                // Before the client can have it.
                counted.fetch_add(count, Ordering::SeqCst);
                to_client.write_all(&buffer[..count.min(left)]).await?;
                if count == 0 || count >= left {
                    return to_client.shutdown().await;
                }
                most.store(left - count, Ordering::SeqCst);
            }
        });
        let mut config = server.clone();
        config.servers = vec![Server::new(Host::Tcp("127.0.0.1".to_owned()), port)];
        Self { config, passed, left }
    }
}
