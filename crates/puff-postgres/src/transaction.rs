//! Transactions as guards: what is not committed is rolled back.

use std::fmt;
use std::ops::Deref;

use tokio::sync::mpsc::OwnedPermit;

use crate::connection::Connection;
use crate::error::Error;
use crate::request::Request;

/// How strictly a transaction is kept apart from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// Each statement sees what was committed before it.
    ReadCommitted,
    /// All statements see what was committed before the first.
    RepeatableRead,
    /// As if transactions ran one after another; they may have to be repeated.
    Serializable,
}

/// How a transaction begins; what is `None` is the session's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionOptions {
    /// The isolation level.
    pub isolation: Option<IsolationLevel>,
    /// Whether it may not write.
    pub read_only: Option<bool>,
    /// Whether a serializable, read-only transaction waits until it cannot fail.
    pub deferrable: Option<bool>,
}

impl TransactionOptions {
    fn begin(&self) -> String {
        let isolation = self.isolation.map(|level| match level {
            IsolationLevel::ReadCommitted => "ISOLATION LEVEL READ COMMITTED",
            IsolationLevel::RepeatableRead => "ISOLATION LEVEL REPEATABLE READ",
            IsolationLevel::Serializable => "ISOLATION LEVEL SERIALIZABLE",
        });
        let access = self
            .read_only
            .map(|yes| if yes { "READ ONLY" } else { "READ WRITE" });
        let deferrable = self
            .deferrable
            .map(|yes| if yes { "DEFERRABLE" } else { "NOT DEFERRABLE" });
        let modes: Vec<_> = [isolation, access, deferrable].into_iter().flatten().collect();
        format!("BEGIN {}", modes.join(", ")).trim_end().to_owned()
    }
}

/// An open transaction, or a savepoint in one; made by [`Connection::transaction`].
///
/// It is used as the connection itself, which nobody else can use meanwhile. If it is dropped without
/// [`commit`](Self::commit) it is rolled back, before anything else that is sent; nobody has to wait for that.
///
/// ```no_run
/// # async fn example(mut connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
/// let mut transaction = connection.transaction().await?;
/// transaction.execute("UPDATE accounts SET money = money - 5 WHERE id = $1", &[1.into()]).await?;
/// let bonus = transaction.savepoint().await?;
/// match bonus.execute("INSERT INTO bonus VALUES ($1)", &[1.into()]).await {
///     Ok(_) => bonus.commit().await?,
///     Err(_) => bonus.rollback().await?,
/// }
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'a> {
    connection: &'a Connection,
    /// 0 for the transaction itself, then one more for each savepoint in a savepoint.
    depth: u32,
    /// The place in the connection's queue for the end, if it is dropped; `None` if it has ended.
    end: Option<OwnedPermit<Request>>,
}

impl<'a> Transaction<'a> {
    pub(crate) async fn begin(
        connection: &'a Connection,
        options: &TransactionOptions,
    ) -> Result<Transaction<'a>, Error> {
        let end = connection.reserve().await?;
        // Before the statement: if this future is dropped, the transaction may have begun.
        let transaction = Transaction {
            connection,
            depth: 0,
            end: Some(end),
        };
        connection.simple_query(&options.begin()).await?;
        Ok(transaction)
    }

    /// Sets a savepoint. Its guard is a transaction of its own in this one: its failure can be rolled back
    /// alone.
    ///
    /// # Errors
    /// As [`Connection::query`]; [`Error::InvalidInput`] if more than 100 are open in each other.
    pub async fn savepoint(&mut self) -> Result<Transaction<'_>, Error> {
        let depth = self.depth + 1;
        if depth > 100 {
            let text = "more than 100 savepoints are open in each other";
            return Err(Error::InvalidInput(text.to_owned()));
        }
        let savepoint = Transaction {
            connection: self.connection,
            depth,
            end: Some(self.connection.reserve().await?),
        };
        let sql = format!("SAVEPOINT puff_{depth}");
        savepoint.connection.simple_query(&sql).await?;
        Ok(savepoint)
    }

    /// Makes what was done last, or, for a savepoint, a part of the transaction around it.
    ///
    /// If the future is dropped, the transaction is committed or rolled back.
    ///
    /// # Errors
    /// [`Error::RolledBack`] if a statement had failed and the server rolled back instead; what deferred
    /// constraints say; the loss of the connection, after which nobody knows.
    pub async fn commit(mut self) -> Result<(), Error> {
        let sql = match self.depth {
            0 => "COMMIT".to_owned(),
            depth => format!("RELEASE SAVEPOINT puff_{depth}"),
        };
        let done = self.connection.simple_query(&sql).await?;
        self.end = None;
        match done.first().map(|rows| rows.tag().as_str()) {
            Some("ROLLBACK") => Err(Error::RolledBack),
            _ => Ok(()),
        }
    }

    /// Undoes what was done, and waits for that.
    ///
    /// # Errors
    /// The loss of the connection, which undoes it as well.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.connection.simple_query(&self.undo()).await?;
        self.end = None;
        Ok(())
    }

    fn undo(&self) -> String {
        match self.depth {
            0 => "ROLLBACK".to_owned(),
            depth => format!("ROLLBACK TO SAVEPOINT puff_{depth}; RELEASE SAVEPOINT puff_{depth}"),
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let sql = self.undo().into();
            self.connection.send_unattended(end, sql);
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("connection", self.connection)
            .field("depth", &self.depth)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_as_the_server_reads_them() {
        assert_eq!(TransactionOptions::default().begin(), "BEGIN");
        let all = TransactionOptions {
            isolation: Some(IsolationLevel::Serializable),
            read_only: Some(true),
            deferrable: Some(true),
        };
        assert_eq!(
            all.begin(),
            "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE"
        );
    }
}
