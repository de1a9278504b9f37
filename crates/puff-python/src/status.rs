//! What the hub is doing, in numbers: for metrics and health checks.

use std::time::{Duration, Instant};

use crate::runtime::Runtime;

/// What is known of a hub without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubLoad {
    /// How long it has run Python, since [`Runtime::measure_hub`]; only grows.
    pub busy: Duration,
    /// Greenlets that are due to be started or resumed.
    pub queued: usize,
}

/// What a hub says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStatus {
    /// How long it took to begin the greenlet that looked.
    pub latency: Duration,
    /// Greenlets that run or wait, the program's main one among them.
    pub greenlets: usize,
    /// Threads for `puff.blocking` that have work.
    pub blocking: usize,
}

impl Runtime {
    /// From now on the hub's work is timed; that costs it a look at the clock per batch.
    pub fn measure_hub(&self) {
        self.reactor().measure();
    }

    /// What is known of the hub without asking it. From any thread.
    pub fn hub_load(&self) -> HubLoad {
        HubLoad {
            busy: self.reactor().busy_time(),
            queued: self.reactor().queued(),
        }
    }

    /// Has the hub run a greenlet that tells what it sees; `None` if it does not within `patience`, because
    /// another one blocks it, or if it has ended.
    pub async fn hub_status(&self, patience: Duration) -> Option<HubStatus> {
        let asked = Instant::now();
        let answer = self.call_python::<(usize, usize), _>("puff._status:counts", ());
        let (greenlets, blocking) = tokio::time::timeout(patience, answer).await.ok()?.ok()?;
        Some(HubStatus {
            latency: asked.elapsed(),
            greenlets,
            blocking,
        })
    }
}
