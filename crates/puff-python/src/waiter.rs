//! One wait of one greenlet or thread: the meeting point of a started operation and who asked for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::bell::Finished;
use crate::reactor::{Event, Reactor};

/// A finished operation's result, still plain Rust data; becomes a Python object when the waiter resumes.
pub(crate) type Outcome = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// What a started operation completes.
///
/// A greenlet's waiter resumes it through the hub's queue; a waiter made on another thread wakes that
/// thread, and one of an asyncio loop rings its bell. It completes once: a second result and a result after `cancel` are dropped.
#[pyclass(frozen, module = "puff", name = "Waiter")]
pub struct Waiter {
    reactor: Arc<Reactor>,
    /// The greenlet that waits; `None` where a whole thread does, or a loop.
    greenlet: Option<Py<PyAny>>,
    /// The loop's finished waiters, where one waits.
    finished: Option<Arc<Finished>>,
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
            finished: None,
            state: Mutex::new(State::Pending(None)),
            done: Condvar::new(),
        }
    }

    /// One that comes out among a loop's finished ones.
    pub(crate) fn of_loop(reactor: Arc<Reactor>, finished: Arc<Finished>) -> Waiter {
        Waiter {
            finished: Some(finished),
            ..Waiter::new(reactor, None)
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

    /// Gives the result, from any thread, attached or not; whether it is the one that counts: the first.
    pub(crate) fn complete(waiter: Py<Waiter>, outcome: Outcome) -> bool {
        let this = waiter.get();
        {
            let mut state = this.state.lock();
            if !matches!(*state, State::Pending(_)) {
                return false;
            }
            *state = State::Done(outcome);
        }
        if this.greenlet.is_some() {
            let reactor = this.reactor.clone();
            reactor.push(Event::Resume(waiter));
            return true;
        }
        // A thread that has a loop may block for one of its waiters, too.
        this.done.notify_all();
        if let Some(finished) = this.finished.clone() {
            finished.push(waiter);
        }
        true
    }

    /// Ends the wait; what it was.
    fn finish(&self) -> State {
        let state = std::mem::replace(&mut *self.state.lock(), State::Finished);
        if let State::Pending(Some(task)) = &state {
            task.abort();
        }
        state
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
    /// Completes the wait with `value`, on any thread; False if nobody waits any more, or it has a result.
    #[pyo3(signature = (value=None))]
    fn offer(slf: Py<Self>, value: Option<Py<PyAny>>) -> bool {
        Waiter::complete(slf, Box::new(move |py| Ok(value.unwrap_or_else(|| py.None()))))
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
        match self.finish() {
            State::Done(outcome) => outcome(py),
            State::Pending(_) | State::Finished => Err(PyRuntimeError::new_err(
                "this wait has no result: it was cancelled or already taken",
            )),
        }
    }

    /// Whether somebody still waits for a result.
    fn pending(&self) -> bool {
        !self.is_finished()
    }

    /// Whether there is a result to take.
    fn ready(&self) -> bool {
        matches!(*self.state.lock(), State::Done(_))
    }

    /// Nobody waits any more: a later result is dropped, and the Tokio task is ended.
    ///
    /// Returns a tuple of one, the value, if the result was there already and is now lost; else None.
    fn cancel(&self, py: Python<'_>) -> Option<(Py<PyAny>,)> {
        match self.finish() {
            State::Done(outcome) => outcome(py).ok().map(|value| (value,)),
            State::Pending(_) | State::Finished => None,
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
                self.finish();
                return Err(signal);
            }
            if deadline.is_some_and(|d| Instant::now() >= d) {
                // What came just now counts: whoever gave it, a permit of a lock perhaps, has let go of it.
                if let State::Done(outcome) = self.finish() {
                    return outcome(py);
                }
                return Err(PyTimeoutError::new_err(format!(
                    "not finished within {} s",
                    timeout.unwrap_or_default()
                )));
            }
        }
    }
}

/// The `return_func` of `puff.wrap_async`: whoever got it owes one result.
///
/// Dropped without a result it raises in the greenlet that waits, which would otherwise wait for ever.
#[pyclass(frozen, module = "puff", name = "ReturnFunc")]
pub(crate) struct ReturnFunc {
    waiter: Mutex<Option<Py<Waiter>>>,
}

impl ReturnFunc {
    /// The waiter, for the one who will complete it; `None` if that was done before.
    pub(crate) fn take(&self) -> Option<Py<Waiter>> {
        self.waiter.lock().take()
    }
}

#[pymethods]
impl ReturnFunc {
    #[new]
    fn new(waiter: Py<Waiter>) -> ReturnFunc {
        ReturnFunc {
            waiter: Mutex::new(Some(waiter)),
        }
    }

    /// `return_func(value)`: completes the wait from Python, on any thread.
    ///
    /// Raises RuntimeError if it was called before or handed to native code.
    #[pyo3(signature = (value=None))]
    fn __call__(&self, value: Option<Py<PyAny>>) -> PyResult<()> {
        let waiter = self.take().ok_or_else(|| {
            PyRuntimeError::new_err("return_func was called twice, or handed to native code before")
        })?;
        Waiter::complete(waiter, Box::new(move |py| Ok(value.unwrap_or_else(|| py.None()))));
        Ok(())
    }
}

impl Drop for ReturnFunc {
    fn drop(&mut self) {
        if let Some(waiter) = self.take() {
            Waiter::complete(
                waiter,
                Box::new(|_| {
                    Err(PyRuntimeError::new_err(
                        "return_func was dropped without being called: the work that was started has no result",
                    ))
                }),
            );
        }
    }
}
