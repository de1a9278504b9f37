//! Futures that are ready when they are polled for the first time, and need no thread of Tokio's.
//!
//! To hand such a future to Tokio and its result back costs some ten microseconds, most of them for waking
//! threads. So the hub polls it itself, between two batches of greenlets, and hands on what is not ready. A poll
//! cannot be interrupted, and one that computes would stop every greenlet: only kinds of futures that have
//! proved to be ready at once and quick are polled here. See decision 13.

use std::any::TypeId;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::poll;
use parking_lot::Mutex;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;

use crate::reactor::Reactor;
use crate::waiter::Waiter;

/// A first poll that took longer was no quick one; waking the hub for the result is within it.
const QUICK: Duration = Duration::from_micros(50);

/// How many first polls in a row have to be quick before the hub polls a future of that kind.
const PROOF: u8 = 100;

/// How long the hub polls in one turn; what is left over goes to Tokio.
const TURN: Duration = Duration::from_millis(1);

/// What is known of the kinds of futures, which are their types: each `async` block has its own.
#[derive(Default)]
pub(crate) struct Kinds {
    /// How many quick polls a kind has still to show. As many entries as the program has types.
    owed: Mutex<FxHashMap<TypeId, u8>>,
}

impl Kinds {
    fn is_quick(&self, kind: TypeId) -> bool {
        self.owed.lock().get(&kind) == Some(&0)
    }

    /// A first poll took `spent`, and the future was ready or not.
    fn note(&self, kind: TypeId, ready: bool, spent: Duration) {
        let mut kinds = self.owed.lock();
        let owed = kinds.entry(kind).or_insert(PROOF);
        *owed = match ready && spent <= QUICK {
            true => owed.saturating_sub(1),
            false => PROOF,
        };
    }
}

/// A future that completes `waiter`, and has not been polled.
pub(crate) struct Fresh {
    waiter: Py<Waiter>,
    kind: TypeId,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Fresh {
    /// `F` is the kind: the future that the user gave, of which `work` is made.
    pub(crate) fn new<F: 'static>(
        waiter: Py<Waiter>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Fresh {
        Fresh {
            waiter,
            kind: TypeId::of::<F>(),
            work: Box::pin(work),
        }
    }

    /// Starts it: on the hub if its kind is quick, else on Tokio. From any thread.
    pub(crate) fn start(self, reactor: &Arc<Reactor>) {
        if reactor.kinds().is_quick(self.kind) {
            reactor.push_fresh(self);
            return;
        }
        let Fresh {
            waiter,
            kind,
            mut work,
        } = self;
        let known = reactor.clone();
        let task = reactor.tokio().spawn(async move {
            let begun = Instant::now();
            let ready = poll!(work.as_mut()).is_ready();
            known.kinds().note(kind, ready, begun.elapsed());
            if !ready {
                work.await;
            }
        });
        waiter.get().set_task(task.abort_handle());
    }

    /// Polls it once, if somebody still waits for it; gives it to Tokio if it is not ready.
    fn poll(mut self, tokio: &Handle, kinds: &Kinds, begun: &mut Instant) -> Py<Waiter> {
        if self.waiter.get().is_finished() {
            return self.waiter;
        }
        // `block_on` for Tokio's context and its budget: a future that always finds more to do gives up here as
        // it does there. It never waits, for what it is given is ready.
        let work = &mut self.work;
        let ready = tokio.block_on(std::future::poll_fn(|context| {
            Poll::Ready(work.as_mut().poll(context).is_ready())
        }));
        let now = Instant::now();
        kinds.note(self.kind, ready, now - *begun);
        *begun = now;
        match ready {
            true => self.waiter,
            // Polled anew there: a wake-up since the first poll cannot be missed.
            false => self.spawn(tokio),
        }
    }

    fn spawn(self, tokio: &Handle) -> Py<Waiter> {
        let task = tokio.spawn(self.work);
        self.waiter.get().set_task(task.abort_handle());
        self.waiter
    }
}

/// Polls each of `fresh` once. For the hub's own greenlet, where no stack is parked and Python cannot wait.
///
/// Detached, as on Tokio's threads: a future may take a lock whose owner waits for Python.
pub(crate) fn poll_all(py: Python<'_>, fresh: Vec<Fresh>, reactor: &Reactor) {
    let waiters: Vec<Py<Waiter>> = py.detach(|| {
        let turn = Instant::now();
        let mut begun = turn;
        let start = |each: Fresh| match begun - turn < TURN {
            true => each.poll(reactor.tokio(), reactor.kinds(), &mut begun),
            false => each.spawn(reactor.tokio()),
        };
        fresh.into_iter().map(start).collect()
    });
    // Attached, where it costs least.
    drop(waiters);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_proves_itself_anew_after_each_failure() {
        let (kinds, kind) = (Kinds::default(), TypeId::of::<u8>());
        let show = |ready, spent| kinds.note(kind, ready, spent);
        for _ in 0..PROOF {
            assert!(!kinds.is_quick(kind));
            show(true, QUICK);
        }
        assert!(kinds.is_quick(kind));
        assert!(!kinds.is_quick(TypeId::of::<u16>()));
        for (ready, spent) in [(false, Duration::ZERO), (true, QUICK * 2)] {
            show(ready, spent);
            assert!(!kinds.is_quick(kind));
            (0..PROOF).for_each(|_| show(true, Duration::ZERO));
            assert!(kinds.is_quick(kind));
        }
    }
}
