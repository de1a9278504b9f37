//! A connection's tie to its server, for the time when the two have lost sight of each other.
//!
//! HTTP/1 gives a connection away when it becomes a WebSocket: hyper is done with it, and a handler of the program's
//! holds it. The server still waits for it when it stops, and cuts it off in the end.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Held by the connection's bytes, which nobody gives away without it.
pub(super) struct Lease {
    kill: CancellationToken,
    /// Made for those that need it.
    killed: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _token: TaskTrackerToken,
}

impl Lease {
    /// Until it is dropped the server of `token` waits; when `kill` is cancelled it is over.
    pub(super) fn new(kill: CancellationToken, token: TaskTrackerToken) -> Lease {
        Lease {
            kill,
            killed: None,
            _token: token,
        }
    }

    /// Ready when the connection is to be cut off.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let kill = &self.kill;
        let killed = self
            .killed
            .get_or_insert_with(|| Box::pin(kill.clone().cancelled_owned()));
        killed.as_mut().poll(context)
    }
}
