//! Prepared statements: kept, evicted, outdated.

use puff_postgres::{Connection, SqlState, TransactionStatus};

use crate::support::{config, connect, number, run, table};

/// Asked by the simple protocol, so that the question is not itself prepared.
async fn prepared(connection: &Connection) -> usize {
    number(
        &connection
            .simple_query("SELECT count(*) FROM pg_prepared_statements")
            .await
            .unwrap()[0],
    )
}

#[test]
fn a_statement_is_prepared_once() {
    run(async {
        let connection = connect().await;
        for n in 0..10 {
            let rows = connection.query("SELECT $1::int + 1", &[n.into()]).await.unwrap();
            assert_eq!(number(&rows), usize::try_from(n).unwrap() + 1);
        }
        assert_eq!(prepared(&connection).await, 1);
        // A failing statement leaves nothing behind; a failing parameter leaves the statement.
        connection.query("SELECT nonsense", &[]).await.unwrap_err();
        let error = connection
            .query("SELECT $1::int + 1", &["x".into()])
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_TEXT_REPRESENTATION));
        connection.query("SELECT $1::int + 1", &[1.into()]).await.unwrap();
        assert_eq!(prepared(&connection).await, 1);
    });
}

#[test]
fn the_number_of_kept_statements_is_bounded() {
    run(async {
        let mut config = config();
        config.statement_cache_size = 3;
        let connection = Connection::connect(&config).await.unwrap();
        for round in 0..3 {
            for n in 0..10 {
                let rows = connection.query(&format!("SELECT {n}"), &[]).await.unwrap();
                assert_eq!(number(&rows), n, "round {round}");
            }
        }
        assert_eq!(prepared(&connection).await, 3);
    });
}

#[test]
fn without_a_cache_nothing_is_prepared_by_name() {
    run(async {
        let mut config = config();
        config.statement_cache_size = 0;
        let connection = Connection::connect(&config).await.unwrap();
        for n in 0..3 {
            assert_eq!(
                number(&connection.query("SELECT $1::int", &[n.into()]).await.unwrap()),
                n as usize
            );
        }
        assert_eq!(prepared(&connection).await, 0);
    });
}

#[test]
fn a_changed_table_is_no_error() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let select = || connection.query("SELECT * FROM t", &[]);
        assert_eq!(table(&select().await.unwrap()), [[Some("1")]]);
        connection
            .simple_query("ALTER TABLE t ADD b text DEFAULT 'new'")
            .await
            .unwrap();
        let rows = select().await.unwrap();
        assert_eq!(table(&rows), [[Some("1"), Some("new")]]);
        assert_eq!(&*rows.columns()[1].name, "b");
        assert_eq!(select().await.unwrap().columns().len(), 2);
        assert_eq!(prepared(&connection).await, 1);

        // Several that are sent before the first answer.
        connection.simple_query("ALTER TABLE t DROP b").await.unwrap();
        let answers = tokio::join!(select(), select(), select());
        for rows in [answers.0, answers.1, answers.2] {
            assert_eq!(table(&rows.unwrap()), [[Some("1")]]);
        }
        assert_eq!(prepared(&connection).await, 1);
    });
}

#[test]
fn a_changed_table_in_a_transaction_fails_it_once() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int)")
            .await
            .unwrap();
        connection.query("SELECT * FROM t", &[]).await.unwrap();
        connection.simple_query("ALTER TABLE t ADD b int").await.unwrap();
        connection.simple_query("BEGIN").await.unwrap();
        let error = connection.query("SELECT * FROM t", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::FEATURE_NOT_SUPPORTED));
        assert_eq!(connection.transaction_status(), TransactionStatus::Failed);
        connection.simple_query("ROLLBACK; BEGIN").await.unwrap();
        assert_eq!(
            connection
                .query("SELECT * FROM t", &[])
                .await
                .unwrap()
                .columns()
                .len(),
            2
        );
    });
}

#[test]
fn discarded_statements_are_prepared_again() {
    run(async {
        let connection = connect().await;
        for discard in [
            "DISCARD ALL",
            "DEALLOCATE ALL",
            "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
        ] {
            assert_eq!(
                number(&connection.query("SELECT $1::int", &[4.into()]).await.unwrap()),
                4
            );
            connection.simple_query(discard).await.unwrap();
        }
        assert_eq!(
            number(&connection.query("SELECT $1::int", &[5.into()]).await.unwrap()),
            5
        );
    });
}

#[test]
fn a_statement_that_fails_to_prepare_fails_for_all_who_wait_behind() {
    run(async {
        let connection = connect().await;
        let broken = || connection.query("SELECT * FROM nowhere", &[]);
        let good = || connection.query("SELECT 1", &[]);
        let (a, b, c, d) = tokio::join!(broken(), broken(), broken(), good());
        for error in [a, b, c] {
            assert_eq!(error.unwrap_err().code(), Some(SqlState::UNDEFINED_TABLE));
        }
        assert_eq!(number(&d.unwrap()), 1);
    });
}
