//! How many requests are worked on at a time, and how long others wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::ServerConfig;
use crate::metrics::Metrics;

/// The turns of all requests of a server.
///
/// Requests are counted and not connections: those that idle cost next to nothing, and a proxy keeps many open.
pub(super) struct Turns {
    free: Arc<Semaphore>,
    /// For those that wait.
    queue: Semaphore,
    patience: Duration,
    metrics: Option<Metrics>,
}

impl Turns {
    /// As `config` says; who waits or has to go is counted.
    pub(super) fn new(config: &ServerConfig) -> Turns {
        Turns {
            free: Arc::new(Semaphore::new(config.max_requests)),
            queue: Semaphore::new(config.max_queue),
            patience: config.queue_timeout,
            metrics: config.observe.metrics.clone(),
        }
    }

    /// Waits for the request's turn, which lasts until the permit is dropped, and says for how long; `None` if
    /// there was none in time, or too many wait for one already.
    pub(super) async fn next(&self) -> Option<(OwnedSemaphorePermit, Duration)> {
        if let Some(turn) = self.free() {
            return Some((turn, Duration::ZERO));
        }
        let turn = self.wait().await;
        if let (None, Some(metrics)) = (&turn, &self.metrics) {
            metrics.refused();
        }
        turn
    }

    /// A turn that nobody else wants.
    pub(super) fn free(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    async fn wait(&self) -> Option<(OwnedSemaphorePermit, Duration)> {
        let _place = self.queue.try_acquire().ok()?;
        let begun = Instant::now();
        let _queued = self.metrics.as_ref().map(Metrics::queued);
        let turn = tokio::time::timeout(self.patience, self.free.clone().acquire_owned()).await;
        Some((turn.ok()?.ok()?, begun.elapsed()))
    }
}
