//! Ends the greenlet of a request that has gone.
//!
//! A request that somebody on Tokio waits for runs in a worker greenlet, and workers are used again: by the time
//! the hub hears that the request has gone, its worker may have another one. So a kill names the request, and a
//! [`Lifeline`] knows whether that still runs, and where.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tokio_util::sync::CancellationToken;

use crate::reactor::{Event, Reactor};
use crate::runtime::Runtime;

/// What a request's [`Guard`] on Tokio and its greenlet share.
pub(crate) struct Lifeline {
    reactor: Arc<Reactor>,
    shutdown: CancellationToken,
    with_client: bool,
    state: Mutex<State>,
}

enum State {
    /// In the hub's queue.
    Queued,
    /// In the greenlet `worker`. The rest is what the hub is to call if the request goes: Tokio's threads can
    /// hand Python objects on, but not make references to them.
    Running {
        worker: Py<PyAny>,
        kill: Py<PyAny>,
        request: Py<PyAny>,
    },
    /// The request has gone, and the hub has been told so.
    Doomed { worker: Py<PyAny> },
    /// Answered, ended, or gone before it began: nothing is to be done any more.
    Over,
}

impl Lifeline {
    /// For a request that is about to be queued, and the guard for whoever waits for its answer.
    pub(crate) fn new(lines: &Lifelines) -> (Arc<Lifeline>, Guard) {
        let life = Arc::new(Lifeline {
            reactor: lines.reactor.clone(),
            shutdown: lines.shutdown.clone(),
            with_client: lines.with_client,
            state: Mutex::new(State::Queued),
        });
        let guard = life.guard();
        (life, guard)
    }

    /// One more guard; whichever is dropped first cuts the line.
    pub(crate) fn guard(self: &Arc<Self>) -> Guard {
        Guard(Some(self.clone()))
    }

    /// `request` runs in the greenlet `worker` from now on. False: it has gone, and need not run at all.
    ///
    /// Whoever begins must `end`: until then the line holds the request.
    pub(crate) fn begin(&self, worker: Py<PyAny>, request: &Bound<'_, PyAny>) -> PyResult<bool> {
        static KILL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let kill = KILL.import(request.py(), "puff._gone", "kill")?;
        let running = State::Running {
            worker,
            kill: kill.clone().unbind(),
            request: request.clone().unbind(),
        };
        let mut state = self.state.lock();
        Ok(match &*state {
            State::Queued => {
                *state = running;
                true
            }
            _ => {
                drop(state);
                false
            }
        })
    }

    /// From now on nothing ends the greenlet on the request's account.
    pub(crate) fn end(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Over);
        // Without the lock: it may hold Python objects.
        drop(state);
    }

    /// The greenlet to end; once, and only while it runs the request.
    pub(crate) fn doomed(&self) -> Option<Py<PyAny>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Doomed { worker } => Some(worker),
            other => {
                *state = other;
                None
            }
        }
    }

    /// The request has gone. From any thread.
    fn cut(&self) {
        // A server that is stopping cuts off its requests, and the hub ends what they run in: once, so that
        // cleaning up is not disturbed.
        if self.shutdown.is_cancelled() {
            return;
        }
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Over) {
            State::Running {
                worker,
                kill,
                request,
            } => {
                *state = State::Doomed { worker };
                drop(state);
                self.reactor.push(Event::InHub(kill, request));
            }
            State::Queued | State::Over => {}
            doomed @ State::Doomed { .. } => *state = doomed,
        }
    }
}

/// What makes lifelines: the part that all requests share.
pub(crate) struct Lifelines {
    reactor: Arc<Reactor>,
    shutdown: CancellationToken,
    /// Whether a request ends when nobody waits for it any more. Else only [`Guard::cut`] ends it.
    with_client: bool,
}

impl Lifelines {
    pub(crate) fn new(runtime: &Runtime) -> Lifelines {
        Lifelines {
            reactor: runtime.reactor().clone(),
            shutdown: runtime.shutdown().clone(),
            with_client: true,
        }
    }

    /// For requests that go on when nobody waits for them, unless `with_client`, but may be ended.
    pub(crate) fn with_deadline(runtime: &Runtime, with_client: bool) -> Lifelines {
        Lifelines {
            with_client,
            ..Lifelines::new(runtime)
        }
    }
}

/// Held by whoever waits for the answer. Dropping it says that nobody waits any more: `GreenletExit` is raised
/// in the greenlet, wherever it waits, if the request ends with its client.
pub(crate) struct Guard(Option<Arc<Lifeline>>);

impl Guard {
    /// The answer has come.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }

    /// Ends the greenlet, also of a request that would go on without its client.
    pub(crate) fn cut(mut self) {
        if let Some(life) = self.0.take() {
            life.cut();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(life) = self.0.take().filter(|life| life.with_client) {
            life.cut();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
