//! Who waits, what is idle, and how many connections there are: the part of a pool that is under its lock.

use std::collections::VecDeque;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lent::Lent;
use super::member::Poolable;
use super::metrics::Reason;
use crate::error::Error;

pub(super) struct State<S: Poolable> {
    /// The end is the one that was used last.
    pub(super) idle: VecDeque<Idle<S>>,
    /// Everything that counts against the maximum: idle, in use, being cleaned, being opened or closed.
    pub(super) size: usize,
    /// Those of `size` that are being opened.
    pub(super) connecting: usize,
    pub(super) waiters: VecDeque<Waiter<S>>,
    /// Whether the task that retires idle connections runs.
    pub(super) reaping: bool,
    pub(super) closed: bool,
}

/// A caller in the line, and where a connection for it can be opened.
pub(super) struct Waiter<S: Poolable> {
    pub(super) sender: oneshot::Sender<Result<Lent<S>, Error>>,
    pub(super) runtime: Handle,
}

/// A session with its age, and the runtime it was opened on.
pub(super) struct Kept<S> {
    pub(super) session: S,
    pub(super) expires: Option<Instant>,
    pub(super) runtime: Handle,
}

impl<S: Poolable> Kept<S> {
    /// Why it cannot be used any more, if that is so.
    pub(super) fn fault(&self, now: Instant) -> Option<Reason> {
        if self.session.is_closed() {
            return Some(Reason::Broken);
        }
        self.expires
            .is_some_and(|expires| expires <= now)
            .then_some(Reason::Old)
    }
}

pub(super) struct Idle<S> {
    pub(super) kept: Kept<S>,
    pub(super) since: Instant,
}

impl<S: Poolable> State<S> {
    pub(super) fn new() -> Self {
        Self {
            idle: VecDeque::new(),
            size: 0,
            connecting: 0,
            waiters: VecDeque::new(),
            reaping: false,
            closed: false,
        }
    }

    /// Joins the line at its end, or, for somebody whose turn had come already, at its front.
    pub(super) fn join_line(&mut self, waiter: Waiter<S>, first: bool) {
        // Those who gave up leave their place behind; clearing them out at each doubling costs next to nothing.
        if self.waiters.len() >= self.waiters.capacity() {
            self.forget_leavers();
        }
        match first {
            true => self.waiters.push_front(waiter),
            false => self.waiters.push_back(waiter),
        }
    }

    pub(super) fn forget_leavers(&mut self) {
        self.waiters.retain(|waiter| !waiter.sender.is_closed());
    }

    pub(super) fn next_waiter(&mut self) -> Option<Waiter<S>> {
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

    /// Reserves a place for a new connection if there are fewer than `min_size`.
    pub(super) fn begin_filling(&mut self, min_size: usize) -> bool {
        let missing = !self.closed && self.size < min_size;
        self.size += usize::from(missing);
        self.connecting += usize::from(missing);
        missing
    }
}
