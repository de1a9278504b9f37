//! How many requests are worked on at a time, and how long others wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// The turns of all requests of a server.
///
/// Requests are counted and not connections: those that idle cost next to nothing, and a proxy keeps many open.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    patience: Duration,
    metrics: Option<Metrics>,
}

impl Turns {
    /// `most` at a time; the others wait for `patience`, and are counted.
    pub(super) fn new(most: usize, patience: Duration, metrics: Option<Metrics>) -> Turns {
        Turns {
            free: Arc::new(Semaphore::new(most)),
            patience,
            metrics,
        }
    }

    /// Waits for the request's turn, which lasts until the permit is dropped, and says for how long; `None` if
    /// there was none in time.
    pub(super) async fn next(&self) -> Option<(OwnedSemaphorePermit, Duration)> {
        if let Ok(turn) = self.free.clone().try_acquire_owned() {
            return Some((turn, Duration::ZERO));
        }
        let _queued = self.metrics.as_ref().map(Metrics::queued);
        let begun = Instant::now();
        let waiting = self.free.clone().acquire_owned();
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Ok(turn)) => Some((turn, begun.elapsed())),
            Ok(Err(_)) | Err(_) => {
                if let Some(metrics) = &self.metrics {
                    metrics.refused();
                }
                None
            }
        }
    }
}
