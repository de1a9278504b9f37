//! One worker of a crew.

use std::time::{Duration, Instant};

use crate::serve::config::WorkerLimits;

/// How far a worker is.
#[derive(Debug)]
pub(super) enum Stage {
    /// Until when it may take; `None` once it has been killed for taking longer.
    Starting(Option<Instant>),
    Ready,
    Leaving(Option<Instant>),
}

/// A worker.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: usize,
    pub(super) generation: u64,
    pub(super) stage: Stage,
    /// When it was started, then when it became ready.
    pub(super) since: Instant,
    pub(super) limits: WorkerLimits,
    pub(super) spent: bool,
}

impl Member {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving(_))
    }

    /// Notes that it leaves, and until when it may take; whether that is new.
    pub(super) fn leave(&mut self, deadline: Instant) -> bool {
        let new = !self.is_leaving();
        if new {
            self.stage = Stage::Leaving(Some(deadline));
        }
        new
    }
}

/// A worker's own limits: up to a tenth below, so that those who began together do not end together.
pub(super) fn drawn(limits: WorkerLimits) -> WorkerLimits {
    let less = |most: u64| most - below(most / 10 + 1);
    WorkerLimits {
        requests: limits.requests.map(less),
        lifetime: limits
            .lifetime
            .map(|most| Duration::from_millis(less(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)))),
        memory: limits.memory.map(less),
    }
}

/// A random number below `end`.
fn below(end: u64) -> u64 {
    let bytes = puff_core::random::bytes(8);
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    number % end
}
