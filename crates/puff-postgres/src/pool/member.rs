//! What a pool must know of the sessions it lends.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::transaction_status::TransactionStatus;

/// A session that a pool can lend: [`Connection`] or [`DirectConnection`](crate::DirectConnection). Sealed.
pub trait Poolable: Member {}

impl<S: Member> Poolable for S {}

/// The rules of a pool are written once, against this; whether Tokio or its holder drives a session is the only
/// thing that differs.
pub trait Member: Sized + Send + fmt::Debug + 'static {
    /// Opens a session; runs on Tokio, as all futures here.
    fn open(server: Arc<Config>) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Whether it is known to have ended; asks nobody.
    fn is_closed(&self) -> bool;

    /// Whether nothing is under way.
    fn is_quiet(&self) -> bool;

    /// The server's last word on transactions.
    fn transaction_status(&self) -> TransactionStatus;

    /// Whether a command tag has shown state that outlives a transaction.
    fn has_session_state(&self) -> bool;

    /// Looks at what has arrived meanwhile, without waiting; whether the session is still there.
    fn look(&mut self) -> bool;

    /// Forgets what the last holder has not read.
    fn tidy(&mut self);

    /// Makes an end of what is under way: cancels it if need be.
    fn settle(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Runs a statement whose answer does not matter.
    fn run(&mut self, sql: &'static str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until the server answers, as a sign of life.
    fn ask(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends the session and waits, a few seconds at most, until the server no longer counts it.
    fn end(self) -> impl Future<Output = ()> + Send;

    /// Ends the session without waiting.
    fn leave(self);
}

impl Member for Connection {
    async fn open(server: Arc<Config>) -> Result<Self, Error> {
        Self::connect_shared(server).await
    }

    fn is_closed(&self) -> bool {
        Connection::is_closed(self)
    }

    fn is_quiet(&self) -> bool {
        self.outstanding() == 0
    }

    fn transaction_status(&self) -> TransactionStatus {
        Connection::transaction_status(self)
    }

    fn has_session_state(&self) -> bool {
        Connection::has_session_state(self)
    }

    fn look(&mut self) -> bool {
        !Connection::is_closed(self)
    }

    fn tidy(&mut self) {}

    async fn settle(&mut self) -> Result<(), Error> {
        Connection::settle(self).await
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Error> {
        self.simple_query(sql).await.map(drop)
    }

    async fn ask(&mut self) -> Result<(), Error> {
        self.sync().await
    }

    async fn end(self) {
        self.close().await;
    }

    fn leave(self) {
        drop(self);
    }
}
