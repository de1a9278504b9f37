//! Who waits, what is idle, and how many connections there are: the part of a pool that is under its lock.

use std::collections::VecDeque;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::PooledConnection;
use crate::connection::Connection;
use crate::error::Error;

#[derive(Default)]
pub(super) struct State {
    /// The end is the one that was used last.
    pub(super) idle: VecDeque<Idle>,
    /// Everything that counts against the maximum: idle, in use, being cleaned, being opened or closed.
    pub(super) size: usize,
    /// Those of `size` that are being opened.
    pub(super) connecting: usize,
    pub(super) waiters: VecDeque<Waiter>,
    /// Whether the task that retires idle connections runs.
    pub(super) reaping: bool,
    pub(super) closed: bool,
}

/// A caller in the line, and where a connection for it can be opened.
pub(super) struct Waiter {
    pub(super) sender: oneshot::Sender<Result<PooledConnection, Error>>,
    pub(super) runtime: Handle,
}

/// A connection with its age.
pub(super) struct Member {
    pub(super) connection: Connection,
    pub(super) expires: Option<Instant>,
}

impl Member {
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        !self.connection.is_closed() && self.expires.is_none_or(|expires| now < expires)
    }
}

pub(super) struct Idle {
    pub(super) member: Member,
    pub(super) since: Instant,
}

impl State {
    pub(super) fn join_line(&mut self, waiter: Waiter) {
        // Those who gave up leave their place behind; clearing them out at each doubling costs next to nothing.
        if self.waiters.len() >= self.waiters.capacity() {
            self.forget_leavers();
        }
        self.waiters.push_back(waiter);
    }

    pub(super) fn forget_leavers(&mut self) {
        self.waiters.retain(|waiter| !waiter.sender.is_closed());
    }

    pub(super) fn next_waiter(&mut self) -> Option<Waiter> {
        std::iter::from_fn(|| self.waiters.pop_front()).find(|waiter| !waiter.sender.is_closed())
    }

    /// Reserves a place for a new connection if a waiter needs one, and names the runtime to open it on.
    pub(super) fn begin_connecting(&mut self, max_size: usize) -> Option<Handle> {
        while self
            .waiters
            .front()
            .is_some_and(|waiter| waiter.sender.is_closed())
        {
            self.waiters.pop_front();
        }
        if self.closed || self.size >= max_size {
            return None;
        }
        let runtime = self.waiters.get(self.connecting)?.runtime.clone();
        self.size += 1;
        self.connecting += 1;
        Some(runtime)
    }
}
