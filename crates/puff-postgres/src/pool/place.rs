//! A connection's claim on one of the pool's places.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::inner::Inner;
use super::member::Poolable;
use crate::error::Error;

/// A connection's place among the pool's maximum, given free when this is dropped: also when a task ends in
/// its middle because the runtime does.
pub(super) struct Place<S: Poolable> {
    pool: Option<Arc<Inner<S>>>,
    runtime: Handle,
    /// Whether a connection is being opened for it; if that comes to nothing, a waiter is told.
    pub(super) connecting: bool,
    failure: Option<Error>,
}

impl<S: Poolable> Place<S> {
    /// Holds a place that has been taken already.
    pub(super) fn new(pool: &Arc<Inner<S>>, runtime: &Handle) -> Self {
        Self {
            pool: Some(pool.clone()),
            runtime: runtime.clone(),
            connecting: false,
            failure: None,
        }
    }

    /// Holds a place for which a connection is being opened.
    pub(super) fn connecting(pool: &Arc<Inner<S>>, runtime: &Handle) -> Self {
        let mut place = Self::new(pool, runtime);
        place.connecting = true;
        place
    }

    /// Keeps the reason for the waiter that is told.
    pub(super) fn failed(&mut self, error: Error) {
        self.failure = Some(error);
    }

    /// The place stays taken; its connection goes on to somebody who will give it free.
    pub(super) fn keep(mut self) {
        self.pool = None;
    }
}

impl<S: Poolable> Drop for Place<S> {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        let waiter = {
            let mut state = pool.state.lock();
            state.size -= 1;
            state.connecting -= usize::from(self.connecting);
            // Each failed attempt takes a waiter out of the line, so attempts come to an end.
            if self.connecting {
                state.next_waiter()
            } else {
                None
            }
        };
        if let Some(waiter) = waiter {
            let stopped = || Error::Closed {
                reason: "its runtime was shut down".to_owned(),
            };
            let _ = waiter
                .sender
                .send(Err(self.failure.take().unwrap_or_else(stopped)));
        }
        pool.open_for_waiters();
        if !self.connecting {
            // Not after a failed attempt: it would be repeated without end while the server is away.
            pool.fill(&self.runtime);
        }
        pool.drained.notify_waiters();
    }
}
