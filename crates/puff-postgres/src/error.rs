//! What can go wrong between a program and its database.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{ConfigError, DbError, PoolStatus, SqlState};

mod connect_failure;

pub use connect_failure::ConnectFailure;

/// Why an operation on a connection or pool failed.
///
/// Clones are cheap; when a connection breaks, everything that was under way on it gets the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL or key-value string does not make sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server said no.
    #[error("{0}")]
    Db(Box<DbError>),
    /// No session could be started: nobody answers at the address, or not in the right way.
    #[error("cannot connect to PostgreSQL at {address}: {failure}")]
    Connect {
        /// Host and port, or the path of the socket; several, separated by commas, if there are several.
        address: String,
        /// Why.
        failure: ConnectFailure,
    },
    /// The user cannot prove who they are: no password is configured, or the server asks for it in a way that
    /// is not offered, or does not prove that it knows it. A wrong password is the server's own report, `Db`.
    #[error("cannot log in to PostgreSQL at {address} as \"{user}\": {reason}")]
    Auth {
        /// Host and port, or the path of the socket.
        address: String,
        /// The user of the configuration.
        user: String,
        /// Why.
        reason: String,
    },
    /// An established connection broke.
    #[error("lost the connection to PostgreSQL: {0}")]
    Io(Arc<io::Error>),
    /// The other side does not speak PostgreSQL's protocol as it should.
    #[error("PostgreSQL at {address} sent something unexpected: {message}")]
    Protocol {
        /// Host and port, or the path of the socket.
        address: String,
        /// What was wrong.
        message: String,
    },
    /// The connection had ended before the operation began.
    #[error("the connection to PostgreSQL is closed: {reason}")]
    Closed {
        /// Why it ended.
        reason: String,
    },
    /// A wait took longer than it may.
    #[error("{operation} took longer than {} s", .after.as_secs_f64())]
    Timeout {
        /// What was waited for.
        operation: String,
        /// The limit.
        after: Duration,
    },
    /// No connection of the pool became free in time.
    #[error(
        "no PostgreSQL connection became free within {} s: {status}; \
         raise the pool's max_size, or find who holds connections for long",
        .waited.as_secs_f64()
    )]
    PoolTimeout {
        /// The limit.
        waited: Duration,
        /// The pool at that moment.
        status: PoolStatus,
    },
    /// The pool was closed.
    #[error("the PostgreSQL pool is closed")]
    PoolClosed,
    /// A statement or parameter that cannot be sent.
    #[error("{0}")]
    InvalidInput(String),
    /// A cell that is not what the program takes it for.
    #[error("column \"{column}\": {reason}")]
    Decode {
        /// The column's name, or its number if there is no such column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Another number of rows than the program counts on.
    #[error("the statement returned {found} rows where {expected} was expected")]
    RowCount {
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: usize,
    },
    /// A transaction was to be committed in which a statement had failed.
    #[error("a statement in the transaction had failed, so that it was rolled back instead of committed")]
    RolledBack,
    /// The server asks for something that this client does not do.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// The SQLSTATE, if the server reported this error.
    pub fn code(&self) -> Option<SqlState> {
        self.as_db().map(|error| error.code)
    }

    /// The server's own report, if this error comes from there.
    ///
    /// Of several servers that were tried it is the last one's.
    pub fn as_db(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            Self::Connect {
                failure: ConnectFailure::Several(failures),
                ..
            } => failures.last().and_then(Self::as_db),
            _ => None,
        }
    }

    /// Whether the connection is gone, so that the operation may or may not have happened.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Db(error) => error.is_fatal(),
            Self::Io(_) | Self::Protocol { .. } | Self::Closed { .. } => true,
            _ => false,
        }
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Self::Db(Box::new(error))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
