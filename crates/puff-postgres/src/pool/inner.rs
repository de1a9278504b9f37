//! The rules of a pool: who gets a connection, what becomes of those that come back.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use super::lent::Lent;
use super::member::Poolable;
use super::metrics::{Counters, Reason};
use super::place::Place;
use super::pool_config::{PoolConfig, Reset};
use super::state::{Idle, Kept, State, Waiter};
use crate::TransactionStatus;
use crate::config::Config;
use crate::error::Error;

/// How long cleaning a returned connection may take before it is closed instead.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Inner<S: Poolable> {
    pub(super) server: Arc<Config>,
    pub(super) config: PoolConfig,
    pub(super) state: Mutex<State<S>>,
    pub(super) counters: Counters,
    /// Told whenever a place becomes free, for those who wait for the end of a closed pool.
    pub(super) drained: Notify,
}

/// What a caller gets at first.
pub(super) enum Turn<S: Poolable> {
    /// An idle connection, and for how long it was idle.
    Now(Lent<S>, Duration),
    /// A place in the line.
    Wait(oneshot::Receiver<Result<Lent<S>, Error>>),
}

impl<S: Poolable> Inner<S> {
    /// The connection that came back last, unless that was so long ago that it has to be checked.
    pub(super) fn take_fresh(self: &Arc<Self>) -> Option<Lent<S>> {
        let now = Instant::now();
        let mut state = self.state.lock();
        let last = state.idle.back()?;
        if state.closed || now - last.since >= self.config.check_after_idle || last.kept.fault(now).is_some()
        {
            return None;
        }
        let last = state.idle.pop_back()?;
        drop(state);
        Some(Lent::new(last.kept, self.clone()))
    }

    /// `first` is for somebody whose connection turned out to be broken: they have waited already.
    pub(super) fn take_or_wait(self: &Arc<Self>, first: bool) -> Result<Turn<S>, Error> {
        let now = Instant::now();
        let mut unusable = Vec::new();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::PoolClosed);
        }
        // An idle connection and a waiter never exist together, so nobody is overtaken here.
        let mut found = None;
        while let Some(idle) = state.idle.pop_back() {
            match idle.kept.fault(now) {
                None => {
                    found = Some(idle);
                    break;
                }
                Some(reason) => unusable.push((idle.kept, reason)),
            }
        }
        let turn = match found {
            Some(Idle { kept, since }) => Turn::Now(Lent::new(kept, self.clone()), now - since),
            None => {
                let (sender, turn) = oneshot::channel();
                let runtime = Handle::current();
                state.join_line(Waiter { sender, runtime }, first);
                Turn::Wait(turn)
            }
        };
        drop(state);
        for (kept, reason) in unusable {
            self.retire(kept, reason);
        }
        self.open_for_waiters();
        self.fill(&Handle::current());
        Ok(turn)
    }

    /// Opens connections until each waiter has one coming, or the maximum is reached.
    pub(super) fn open_for_waiters(self: &Arc<Self>) {
        // A statement of its own, for the lock ends with it: never spawn under the lock, because a runtime that
        // has shut down drops the task at once, and its `Place` locks again.
        let next = || self.state.lock().begin_connecting(self.max_size());
        while let Some(runtime) = next() {
            self.open(&runtime);
        }
    }

    /// Opens what is missing to the minimum.
    pub(super) fn fill(self: &Arc<Self>, runtime: &Handle) {
        let min_size = self.config.min_size.min(self.max_size());
        // As above. Without a runtime each attempt ends at once, so their number is limited here.
        for _ in 0..min_size {
            if !self.state.lock().begin_filling(min_size) {
                return;
            }
            self.open(runtime);
        }
    }

    /// Opens a connection for the place that was reserved.
    ///
    /// The task does not belong to a waiter: a connection that was asked for by someone who left serves the
    /// next, instead of leaving a half-open socket at each time-out. It ends by serving a waiter, by making the
    /// connection idle, or by reporting its failure to a waiter.
    fn open(self: &Arc<Self>, runtime: &Handle) {
        let (pool, mut place) = (self.clone(), Place::connecting(self, runtime));
        puff_core::task::spawn(runtime, "postgres pool connect", async move {
            match S::open(pool.server.clone()).await {
                Ok(session) => {
                    pool.counters.opened.count();
                    let expires = pool.config.max_lifetime.map(|limit| {
                        // Connections that were opened together shall not all leave together.
                        Instant::now() + limit.mul_f64(rand::rng().random_range(0.9..1.1))
                    });
                    let runtime = Handle::current();
                    let kept = Kept {
                        session,
                        expires,
                        runtime,
                    };
                    pool.put(kept, Some(place));
                }
                Err(error) => {
                    pool.counters.open_failed.count();
                    tracing::debug!("a pool could not open a connection: {error}");
                    place.failed(error);
                }
            }
        });
    }

    pub(super) fn max_size(&self) -> usize {
        self.config.max_size.max(1)
    }

    /// Takes a connection back from a caller.
    pub(super) fn release(self: &Arc<Self>, mut kept: Kept<S>) {
        let session = &kept.session;
        if session.is_closed() {
            return self.retire(kept, Reason::Broken);
        }
        let is_idle = session.transaction_status() == TransactionStatus::Idle;
        if session.is_quiet() && is_idle && !self.needs_reset(session) {
            return self.put(kept, None);
        }
        let (pool, runtime) = (self.clone(), kept.runtime.clone());
        let place = Place::new(self, &runtime);
        puff_core::task::spawn(&runtime, "postgres pool clean", async move {
            match timeout(CLEAN_LIMIT, pool.clean(&mut kept.session)).await {
                Ok(Ok(())) => return pool.put(kept, Some(place)),
                Ok(Err(error)) => tracing::debug!("a returned connection could not be cleaned: {error}"),
                Err(_) => tracing::debug!("a returned connection could not be cleaned in time"),
            }
            place.keep();
            pool.retire(kept, Reason::Unclean);
        });
    }

    /// Behind PgBouncer a session's state is not the client's, and cleaning it would clean another's.
    fn needs_reset(&self, session: &S) -> bool {
        !self.server.pgbouncer && (self.config.reset == Reset::Always || session.has_session_state())
    }

    async fn clean(&self, session: &mut S) -> Result<(), Error> {
        session.settle().await?;
        if session.transaction_status() != TransactionStatus::Idle {
            session.run("ROLLBACK").await?;
        }
        if self.needs_reset(session) {
            session.run("DISCARD ALL").await?;
        }
        Ok(())
    }

    /// Gives a clean connection to the first in line, or keeps it for later. Its place, if a task held it
    /// meanwhile, goes along.
    fn put(self: &Arc<Self>, mut kept: Kept<S>, place: Option<Place<S>>) {
        kept.session.tidy();
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(place) = place {
            // Together with serving the waiter, or another connection would be opened for it in between.
            state.connecting -= usize::from(place.connecting);
            place.keep();
        }
        let fault = match state.closed {
            true => Some(Reason::Drained),
            false => kept.fault(now),
        };
        if let Some(reason) = fault {
            drop(state);
            return self.retire(kept, reason);
        }
        if let Some(waiter) = state.next_waiter() {
            drop(state);
            // If the waiter leaves at this moment, the connection comes back by its own drop.
            let _ = waiter.sender.send(Ok(Lent::new(kept, self.clone())));
            return;
        }
        let runtime = kept.runtime.clone();
        state.idle.push_back(Idle { kept, since: now });
        let limited = self.config.idle_timeout.is_some() || self.config.max_lifetime.is_some();
        let reap = limited && !std::mem::replace(&mut state.reaping, limited);
        drop(state);
        if reap {
            puff_core::task::spawn(&runtime, "postgres pool reaper", reap_idle(Arc::downgrade(self)));
        }
    }

    /// Ends a connection; its place is free when the server has noticed, so that the maximum holds on the
    /// server's side as well.
    pub(super) fn retire(self: &Arc<Self>, kept: Kept<S>, reason: Reason) {
        self.counters.closed(reason);
        let place = Place::new(self, &kept.runtime);
        let Kept { session, runtime, .. } = kept;
        if session.is_closed() {
            // Its socket may have a duplicate, in the hands of who had it on loan.
            return session.leave();
        }
        puff_core::task::spawn(&runtime, "postgres pool close", async move {
            session.end().await;
            drop(place);
        });
    }

    /// Retires connections that have idled or lived too long, those used longest ago first; returns when to
    /// look again, or `None` if there is nothing to look after.
    fn retire_old(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut leaving = Vec::new();
        let next = {
            let mut state = self.state.lock();
            let mut spare = state.size.saturating_sub(self.config.min_size);
            let mut kept = VecDeque::with_capacity(state.idle.len());
            let mut next: Option<Instant> = None;
            for idle in std::mem::take(&mut state.idle) {
                let rest = self.config.idle_timeout.map(|limit| idle.since + limit);
                let rested = rest.is_some_and(|end| end <= now) && spare > 0;
                if let Some(reason) = idle.kept.fault(now).or(rested.then_some(Reason::Idle)) {
                    spare = spare.saturating_sub(1);
                    leaving.push((idle.kept, reason));
                    continue;
                }
                let rest = rest.filter(|end| *end > now);
                next = next.into_iter().chain(idle.kept.expires).chain(rest).min();
                kept.push_back(idle);
            }
            state.idle = kept;
            state.reaping = next.is_some();
            next
        };
        for (kept, reason) in leaving {
            self.retire(kept, reason);
        }
        next
    }
}

impl<S: Poolable> Drop for Inner<S> {
    fn drop(&mut self) {
        for idle in std::mem::take(&mut self.state.get_mut().idle) {
            idle.kept.session.leave();
        }
    }
}

async fn reap_idle<S: Poolable>(pool: Weak<Inner<S>>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.retire_old()) {
        tokio::time::sleep_until(next).await;
    }
}
