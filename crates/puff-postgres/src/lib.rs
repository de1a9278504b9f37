//! PostgreSQL for Puff: a connection that many tasks can share, and a pool of them.
//!
//! - [`Config`]: which server and database, from a URL or a key-value string.
//! - [`Connection`]: one session; requests of several tasks are pipelined over it.
//! - [`Pool`]: a bounded number of connections that are handed out in turn.
//! - [`literal`]: values written into the text of a statement.
//! - [`Rows`]: an answer, in PostgreSQL's text format, cells left where the network put them.
//! - [`Error`]: everything that can go wrong, the server's reports with all their fields.
//!
//! Values travel as text in both directions: that is what Python's casters read, and what JSON copies.
//! The wire protocol is that of the crate `postgres-protocol`; the reason not to use a ready client is that
//! none shows the transaction state, command tags and column types of every statement.
//!
//! # Cancel safety
//! Every future of this crate may be dropped at any time; see [`Connection`] and [`Pool`].

mod actor;
mod array;
mod calendar;
mod cancel;
mod codec;
mod config;
mod connection;
mod copy;
mod db_error;
mod direct;
mod error;
mod from_sql;
mod in_flight;
mod listener;
pub mod literal;
mod notification;
pub mod oid;
mod param;
mod pool;
mod request;
mod row;
mod rows;
mod session_state;
mod sql_state;
mod startup;
mod statement;
mod stream;
mod tls;
mod transaction;
mod transaction_status;

/// The entry of the fuzz target for the wire decoder; not a part of the interface.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// Decodes any bytes, as a whole and in pieces.
    ///
    /// # Panics
    /// If it matters how they arrive.
    pub fn decode(data: &[u8]) {
        crate::codec::checks::decode(data);
    }
}

pub use array::ArrayText;
pub use config::{
    Ambient, ChannelBinding, ClientCert, Config, ConfigError, Host, Keepalive, Parameter, RootCerts, Server,
    SslMode, SslNegotiation, TargetSession, TlsConfig, TlsVersion,
};
pub use connection::{CancelToken, Connection};
pub use copy::{CopyIn, CopyOut};
pub use db_error::{DbError, Severity};
pub use direct::{DirectConnection, Step, wait_for_socket};
pub use error::{ConnectFailure, Error};
pub use from_sql::{DecodeReason, FromSql};
pub use listener::{Gap, Heard, Listener};
pub use notification::Notification;
pub use param::Param;
pub use pool::{
    ClosedCounts, Lent, Pool, PoolConfig, PoolMetrics, PoolOf, PoolStatus, Poolable, PooledConnection,
    PooledSession, Reset, SessionPool,
};
pub use row::{ColumnIndex, Row};
pub use rows::{Column, CommandTag, Rows};
pub use sql_state::{InvalidSqlState, SqlState};
pub use startup::{Peer, TlsInfo};
pub use transaction::{IsolationLevel, Transaction, TransactionOptions};
pub use transaction_status::TransactionStatus;
