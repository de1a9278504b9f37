//! How many requests are worked on at a time, and how long others wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of all requests of a server.
///
/// Requests are counted and not connections: those that idle cost next to nothing, and a proxy keeps many open.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    patience: Duration,
}

impl Turns {
    /// `most` at a time; the others wait for `patience`.
    pub(super) fn new(most: usize, patience: Duration) -> Turns {
        Turns {
            free: Arc::new(Semaphore::new(most)),
            patience,
        }
    }

    /// Waits for the request's turn, which lasts until the permit is dropped; `None` if there was none in time.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(turn) = self.free.clone().try_acquire_owned() {
            return Some(turn);
        }
        let waiting = self.free.clone().acquire_owned();
        tokio::time::timeout(self.patience, waiting).await.ok()?.ok()
    }
}
