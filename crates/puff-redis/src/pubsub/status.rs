//! What a hub is doing, and has done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::queue::Delivered;

/// Numbers of a [`PubSub`](crate::PubSub) hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubStatus {
    /// Open connections.
    pub connections: usize,
    /// Channels that somebody listens to: subscriptions in Redis, if it is there.
    pub channels: usize,
    /// Subscriptions of connections.
    pub subscriptions: usize,
    /// Whether messages come from Redis at this moment, from all nodes that are needed; always true within a process.
    pub connected: bool,
    /// Messages that this hub has published.
    pub published: u64,
    /// Messages that have come to this hub, each once.
    pub received: u64,
    /// Messages that were queued for connections, once for each.
    pub delivered: u64,
    /// Messages of a history that were queued for connections.
    pub replayed: u64,
    /// Messages that had no room in a connection's queue.
    pub dropped: u64,
    /// Gaps that were put into connections' queues.
    pub gaps: u64,
    /// Connections that were closed because they were too slow.
    pub disconnected: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    published: AtomicU64,
    received: AtomicU64,
    delivered: AtomicU64,
    replayed: AtomicU64,
    dropped: AtomicU64,
    gaps: AtomicU64,
    disconnected: AtomicU64,
}

impl Counters {
    pub(super) fn published(&self) {
        self.published.fetch_add(1, Relaxed);
    }

    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(super) fn delivered(&self, outcome: Delivered) {
        match outcome {
            Delivered::Queued => self.delivered.fetch_add(1, Relaxed),
            Delivered::Dropped { messages, gap } => {
                self.gaps.fetch_add(u64::from(gap), Relaxed);
                self.dropped.fetch_add(messages as u64, Relaxed)
            }
            Delivered::Overflowed => self.disconnected.fetch_add(1, Relaxed),
            Delivered::Unwanted => 0,
        };
    }

    pub(super) fn gap(&self, new: bool) {
        self.gaps.fetch_add(u64::from(new), Relaxed);
    }

    pub(super) fn replayed(&self, messages: usize) {
        self.replayed.fetch_add(messages as u64, Relaxed);
    }

    /// The counted part of a status.
    pub(super) fn status(&self) -> PubSubStatus {
        PubSubStatus {
            published: self.published.load(Relaxed),
            received: self.received.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            replayed: self.replayed.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            disconnected: self.disconnected.load(Relaxed),
            ..PubSubStatus::default()
        }
    }
}
