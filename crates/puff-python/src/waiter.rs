//! One wait of one greenlet or thread: the meeting point of a started operation and who asked for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::reactor::{Event, Reactor};

/// A finished operation's result, still plain Rust data; becomes a Python object when the waiter resumes.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What a started operation completes; to Python it is the `return_func` of `puff.wrap_async`.
///
/// A greenlet's waiter resumes it through the hub's queue; a waiter made on another thread wakes that
/// thread. It completes once: a second result and a result after `cancel` are dropped.
#[pyclass(frozen, module = "puff", name = "Waiter")]
pub struct Waiter {
    reactor: Arc<Reactor>,
    /// The greenlet that waits; `None` where a whole thread does.
    greenlet: Option<Py<PyAny>>,
    state: Mutex<State>,
    done: Condvar,
}

enum State {
    /// Not completed; the handle ends the Tokio task that works for it.
    Pending(Option<AbortHandle>),
    Done(Outcome),
    /// The result was taken, or nobody wants it any more.
    Finished,
}

impl Waiter {
    pub(crate) fn new(reactor: Arc<Reactor>, greenlet: Option<Py<PyAny>>) -> Waiter {
        Waiter {
            reactor,
            greenlet,
            state: Mutex::new(State::Pending(None)),
            done: Condvar::new(),
        }
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    pub(crate) fn greenlet(&self) -> Option<&Py<PyAny>> {
        self.greenlet.as_ref()
    }

    /// Whether a result would be dropped: there is one already, or the wait was cancelled.
    pub(crate) fn is_finished(&self) -> bool {
        !matches!(*self.state.lock(), State::Pending(_))
    }

    /// Gives the result, from any thread, attached or not. The first one counts.
    pub(crate) fn complete(waiter: Py<Waiter>, outcome: Outcome) {
        let this = waiter.get();
        {
            let mut state = this.state.lock();
            if !matches!(*state, State::Pending(_)) {
                return;
            }
            *state = State::Done(outcome);
        }
        if this.greenlet.is_some() {
            let reactor = this.reactor.clone();
            reactor.push(Event::Resume(waiter));
        } else {
            this.done.notify_all();
        }
    }

    /// Names the task that works for this waiter, so that `cancel` ends it.
    pub(crate) fn set_task(&self, task: AbortHandle) {
        let mut state = self.state.lock();
        match &mut *state {
            State::Pending(slot) => *slot = Some(task),
            State::Done(_) => {}
            State::Finished => task.abort(),
        }
    }
}

#[pymethods]
impl Waiter {
    /// `return_func(value)`: completes the wait from Python, on any thread.
    #[pyo3(signature = (value=None))]
    fn __call__(slf: Py<Self>, value: Option<Py<PyAny>>) {
        Waiter::complete(slf, Box::new(move |py| Ok(value.unwrap_or_else(|| py.None()))));
    }

    /// Completes the wait with an exception.
    fn fail(slf: Py<Self>, error: Py<PyAny>) {
        Waiter::complete(
            slf,
            Box::new(move |py| Err(PyErr::from_value(error.into_bound(py)))),
        );
    }

    /// The result; raises what the operation raised. For the resumed greenlet or thread, once.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let state = std::mem::replace(&mut *self.state.lock(), State::Finished);
        match state {
            State::Done(outcome) => outcome(py),
            State::Pending(_) | State::Finished => Err(PyRuntimeError::new_err(
                "this wait has no result: it was cancelled or already taken",
            )),
        }
    }

    /// Whether there is a result to take.
    fn ready(&self) -> bool {
        matches!(*self.state.lock(), State::Done(_))
    }

    /// Nobody waits any more: a later result is dropped, and the Tokio task is ended.
    fn cancel(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Finished);
        if let State::Pending(Some(task)) = state {
            task.abort();
        }
    }

    /// Blocks this thread, detached, until there is a result; raises `TimeoutError` after `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn block(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        /// How soon Ctrl-C is noticed; Python's signal handlers only run while attached.
        const TICK: Duration = Duration::from_millis(50);
        let deadline = timeout.map(crate::reactor::deadline);
        loop {
            let finished = py.detach(|| {
                let mut state = self.state.lock();
                if !matches!(*state, State::Pending(_)) {
                    return true;
                }
                let tick = Instant::now() + TICK;
                self.done
                    .wait_until(&mut state, deadline.map_or(tick, |d| d.min(tick)));
                !matches!(*state, State::Pending(_))
            });
            if finished {
                return self.take(py);
            }
            if let Err(signal) = py.check_signals() {
                self.cancel();
                return Err(signal);
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                self.cancel();
                return Err(PyTimeoutError::new_err(format!(
                    "not finished within {} s",
                    timeout.unwrap_or_default()
                )));
            }
        }
    }
}
