//! The server's own word on transactions.

use std::time::Duration;

use puff_postgres::{Connection, Error, IsolationLevel, SqlState, TransactionOptions, TransactionStatus};
use tokio::time::timeout;

use crate::support::{connect, number, run};

#[test]
fn the_status_follows_the_server() {
    run(async {
        let connection = connect().await;
        let status = || connection.transaction_status();
        assert_eq!(status(), TransactionStatus::Idle);
        connection.query("BEGIN", &[]).await.unwrap();
        assert_eq!(status(), TransactionStatus::InTransaction);
        connection.query("SAVEPOINT s", &[]).await.unwrap();
        connection.query("SELECT 1 / 0", &[]).await.unwrap_err();
        assert_eq!(status(), TransactionStatus::Failed);
        let error = connection.query("SELECT 1", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::IN_FAILED_SQL_TRANSACTION));
        connection.query("ROLLBACK TO SAVEPOINT s", &[]).await.unwrap();
        assert_eq!(status(), TransactionStatus::InTransaction);
        assert_eq!(
            connection.query("COMMIT", &[]).await.unwrap().tag().as_str(),
            "COMMIT"
        );
        assert_eq!(status(), TransactionStatus::Idle);
        connection.simple_query("BEGIN; SELECT 1 / 0").await.unwrap_err();
        assert_eq!(status(), TransactionStatus::Failed);
        assert_eq!(
            connection.query("COMMIT", &[]).await.unwrap().tag().as_str(),
            "ROLLBACK"
        );
        assert_eq!(status(), TransactionStatus::Idle);
    });
}

#[test]
fn several_statements_in_one_text_stand_or_fall_together() {
    run(async {
        let connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int)")
            .await
            .unwrap();
        connection
            .simple_query("INSERT INTO t VALUES (1); SELECT 1 / 0")
            .await
            .unwrap_err();
        assert!(connection.query("SELECT * FROM t", &[]).await.unwrap().is_empty());
        assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
    });
}

async fn count(connection: &Connection) -> usize {
    number(&connection.query("SELECT count(*) FROM t", &[]).await.unwrap())
}

async fn add(connection: &Connection) {
    let added = connection.execute("INSERT INTO t VALUES (1)", &[]).await;
    assert_eq!(added.unwrap(), 1);
}

#[test]
fn a_guard_commits_or_rolls_back() {
    run(async {
        let mut connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int)")
            .await
            .unwrap();
        let transaction = connection.transaction().await.unwrap();
        assert_eq!(transaction.transaction_status(), TransactionStatus::InTransaction);
        add(&transaction).await;
        transaction.commit().await.unwrap();
        assert_eq!(count(&connection).await, 1);

        let transaction = connection.transaction().await.unwrap();
        add(&transaction).await;
        transaction.rollback().await.unwrap();
        assert_eq!(count(&connection).await, 1);

        let transaction = connection.transaction().await.unwrap();
        add(&transaction).await;
        drop(transaction);
        assert_eq!(count(&connection).await, 1);
        assert_eq!(connection.transaction_status(), TransactionStatus::Idle);

        let transaction = connection.transaction().await.unwrap();
        transaction.query("SELECT 1 / 0", &[]).await.unwrap_err();
        assert!(matches!(transaction.commit().await, Err(Error::RolledBack)));
        add(&connection).await;
    });
}

#[test]
fn savepoints_nest() {
    run(async {
        let mut connection = connect().await;
        connection
            .simple_query("CREATE TEMP TABLE t (a int)")
            .await
            .unwrap();
        let mut transaction = connection.transaction().await.unwrap();
        add(&transaction).await;
        let mut outer = transaction.savepoint().await.unwrap();
        add(&outer).await;
        let inner = outer.savepoint().await.unwrap();
        add(&inner).await;
        inner.query("SELECT 1 / 0", &[]).await.unwrap_err();
        drop(inner);
        assert_eq!(count(&outer).await, 2);
        let inner = outer.savepoint().await.unwrap();
        add(&inner).await;
        inner.commit().await.unwrap();
        assert_eq!(count(&outer).await, 3);
        outer.rollback().await.unwrap();
        assert_eq!(count(&transaction).await, 1);
        let failed = transaction.savepoint().await.unwrap();
        failed.query("SELECT 1 / 0", &[]).await.unwrap_err();
        let error = failed.commit().await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::IN_FAILED_SQL_TRANSACTION));
        transaction.commit().await.unwrap();
        assert_eq!(count(&connection).await, 1);
    });
}

#[test]
fn a_transaction_begins_as_it_is_told() {
    run(async {
        let mut connection = connect().await;
        let options = TransactionOptions {
            isolation: Some(IsolationLevel::Serializable),
            read_only: Some(true),
            deferrable: Some(true),
        };
        let transaction = connection.transaction_with(&options).await.unwrap();
        for (setting, expected) in [
            ("transaction_isolation", "serializable"),
            ("transaction_read_only", "on"),
            ("transaction_deferrable", "on"),
        ] {
            let row = transaction
                .query_one(&format!("SHOW {setting}"), &[])
                .await
                .unwrap();
            assert_eq!(row.get::<&str>(0).unwrap(), expected);
        }
    });
}

/// Wherever the future is dropped, no transaction stays open.
#[test]
fn a_transaction_whose_future_is_dropped_is_rolled_back() {
    run(async {
        let mut connection = connect().await;
        for n in 0..100 {
            let short = Duration::from_micros(n * 5);
            let _ = timeout(short, async {
                let mut transaction = connection.transaction().await.unwrap();
                let savepoint = transaction.savepoint().await.unwrap();
                savepoint.query("SELECT 1", &[]).await.unwrap();
                savepoint.commit().await.unwrap();
                transaction.commit().await.unwrap();
            })
            .await;
            connection.sync().await.unwrap();
            assert_eq!(connection.transaction_status(), TransactionStatus::Idle);
        }
    });
}
