//! What is counted of a schema, for whoever watches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The numbers of one schema. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) subscriptions: Count,
    pub(super) sockets: Count,
}

/// How many have begun and how many have ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<Both>);

#[derive(Debug, Default)]
struct Both {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Count {
    /// One more, until what is returned is dropped.
    pub(super) fn begin(&self) -> Counted {
        self.0.begun.fetch_add(1, Relaxed);
        Counted(self.clone())
    }

    /// How many are under way, and how many there have been.
    pub(super) fn load(&self) -> (u64, u64) {
        // Ends first: what ends between the two looks must not make the difference negative.
        let ended = self.0.ended.load(Relaxed);
        let begun = self.0.begun.load(Relaxed);
        (begun.saturating_sub(ended), begun)
    }
}

/// Something that is counted while it is there.
#[derive(Debug)]
pub struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Relaxed);
    }
}

/// What a schema's clients do, and have done since the program began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphQlStatus {
    /// Subscriptions that are under way: over WebSockets, as event streams, and in process.
    pub subscriptions: u64,
    /// Subscriptions that have begun.
    pub subscriptions_started: u64,
    /// Open WebSockets of clients that subscribe.
    pub sockets: u64,
    /// Such WebSockets that were opened.
    pub sockets_opened: u64,
}

impl Counts {
    pub(super) fn status(&self) -> GraphQlStatus {
        let (subscriptions, subscriptions_started) = self.subscriptions.load();
        let (sockets, sockets_opened) = self.sockets.load();
        GraphQlStatus {
            subscriptions,
            subscriptions_started,
            sockets,
            sockets_opened,
        }
    }
}
