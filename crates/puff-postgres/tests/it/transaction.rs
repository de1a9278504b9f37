//! The server's own word on transactions.

use puff_postgres::{SqlState, TransactionStatus};

use crate::support::{connect, run};

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
