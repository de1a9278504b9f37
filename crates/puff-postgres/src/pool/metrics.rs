//! What a pool has done so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a pool has done since it was made; all numbers only grow.
///
/// They are counted one by one, so that two of them may be a step apart while the pool works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolMetrics {
    /// Connections that were handed out.
    pub acquired: u64,
    /// Callers that found none idle and had to wait.
    pub waited: u64,
    /// Callers that waited in vain for as long as the pool allows.
    pub timed_out: u64,
    /// The time that callers have waited, all together; those who gave up by themselves are not counted.
    pub wait_time: Duration,
    /// Connections that were opened.
    pub opened: u64,
    /// Attempts to open one that failed.
    pub open_failed: u64,
    /// Connections that were closed, by reason.
    pub closed: ClosedCounts,
}

/// Why connections of a pool were closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClosedCounts {
    /// The server or the network had ended them, or they did not answer a check.
    pub broken: u64,
    /// They had idled for too long.
    pub idle: u64,
    /// They had reached their lifetime.
    pub old: u64,
    /// Their holder asked for it.
    pub discarded: u64,
    /// They came back in a state that could not be cleaned in time.
    pub unclean: u64,
    /// The pool was closed.
    pub drained: u64,
}

/// Why a connection leaves its pool.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reason {
    Broken,
    Idle,
    Old,
    Discarded,
    Unclean,
    Drained,
}

/// Counts without a lock; the order among counters does not matter.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) acquired: Counter,
    pub(super) waited: Counter,
    pub(super) timed_out: Counter,
    wait_nanos: Counter,
    pub(super) opened: Counter,
    pub(super) open_failed: Counter,
    closed: [Counter; 6],
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn closed(&self, reason: Reason) {
        self.closed[reason as usize].count();
    }

    pub(super) fn add_wait(&self, time: Duration) {
        // 2^64 ns are 584 years.
        self.wait_nanos
            .0
            .fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> PoolMetrics {
        let closed = |reason: Reason| self.closed[reason as usize].get();
        PoolMetrics {
            acquired: self.acquired.get(),
            waited: self.waited.get(),
            timed_out: self.timed_out.get(),
            wait_time: Duration::from_nanos(self.wait_nanos.get()),
            opened: self.opened.get(),
            open_failed: self.open_failed.get(),
            closed: ClosedCounts {
                broken: closed(Reason::Broken),
                idle: closed(Reason::Idle),
                old: closed(Reason::Old),
                discarded: closed(Reason::Discarded),
                unclean: closed(Reason::Unclean),
                drained: closed(Reason::Drained),
            },
        }
    }
}
