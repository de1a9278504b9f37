//! Sessions without a task of their own, as a pool's members: while nobody holds one, Tokio drives it.

use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::message::frontend;
use tokio::time::timeout;

use super::settle::{drive, run};
use super::{DirectConnection, Step};
use crate::config::Config;
use crate::error::Error;
use crate::pool::Member;
use crate::transaction_status::TransactionStatus;

/// How long the end of a session may take before the socket is simply dropped.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

impl Member for DirectConnection {
    async fn open(server: Arc<Config>) -> Result<Self, Error> {
        DirectConnection::open(&server).await
    }

    fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    fn is_quiet(&self) -> bool {
        !self.is_busy()
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    fn has_session_state(&self) -> bool {
        self.session_state
    }

    fn look(&mut self) -> bool {
        !matches!(self.advance(), Step::Done(_))
    }

    fn tidy(&mut self) {
        self.take_notices();
        self.take_notifications();
    }

    async fn settle(&mut self) -> Result<(), Error> {
        DirectConnection::settle(self).await
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), Error> {
        run(self, sql).await
    }

    async fn ask(&mut self) -> Result<(), Error> {
        run(self, "").await
    }

    async fn end(mut self) {
        let farewell = async {
            DirectConnection::settle(&mut self).await?;
            frontend::terminate(&mut self.wire.outgoing);
            // Up to the server's end of the socket: after that it no longer counts the session.
            drive(&mut self).await
        };
        // Its end is an error by nature.
        let _ = timeout(FAREWELL_LIMIT, farewell).await;
        self.wire.socket.shut_down();
    }

    fn leave(self) {
        self.close();
    }
}
