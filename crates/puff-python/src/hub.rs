//! The hub: the one Python thread that runs every greenlet.
//!
//! The loop itself is Python (`puff/_hub.py`), because a greenlet must not be parked with native frames on
//! its stack; here are the native half of that loop and the ways to start it.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tokio::io::AsyncReadExt;

use crate::bell::Bell;
use crate::reactor::{Action, Alarm, Event, Reactor, deadline};
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// Makes this thread the hub until `function(*args)`, its main greenlet, returns; gives the exit status.
///
/// That is the function's result: None is 0, an int itself, an exception 1, with its traceback on stderr.
/// Ctrl-C and SIGTERM raise `KeyboardInterrupt` or `SystemExit(143)` in the main greenlet, wherever it waits.
/// Call it attached, on the process's main thread.
///
/// # Errors
/// If the Python package `puff` or `greenlet` cannot be imported.
pub fn run_main(runtime: &Runtime, function: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<i32> {
    let py = function.py();
    let native = Bound::new(py, NativeHub::new(runtime))?;
    py.import("puff._hub")?
        .call_method1("run_main", (native, function, args))?
        .extract()
}

/// Starts the hub on a daemon thread of its own, for programs whose main thread is plain Python.
///
/// # Errors
/// As [`run_main`].
pub fn run_background(py: Python<'_>, runtime: &Runtime) -> PyResult<()> {
    let native = Bound::new(py, NativeHub::new(runtime))?;
    py.import("puff._hub")?
        .call_method1("run_background", (native,))?;
    Ok(())
}

/// The native half of a hub for the queue of `runtime`, for whoever runs what comes there.
///
/// # Errors
/// Only if Python is out of memory.
pub fn new_hub<'py>(py: Python<'py>, runtime: &Runtime) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, NativeHub::new(runtime))?.into_any())
}

/// The native half of `puff._hub.Hub`.
#[pyclass(frozen, module = "puff", name = "NativeHub")]
pub(crate) struct NativeHub {
    reactor: Arc<Reactor>,
    runtime: Runtime,
}

impl NativeHub {
    fn new(runtime: &Runtime) -> NativeHub {
        NativeHub {
            reactor: runtime.reactor().clone(),
            runtime: runtime.clone(),
        }
    }
}

/// What the hub has to do: whom to resume and what to call, and what to start.
type Work<'py> = (Bound<'py, PyList>, Bound<'py, PyList>);

fn work(py: Python<'_>, events: Vec<Event>) -> PyResult<Work<'_>> {
    let (batch, jobs) = (PyList::empty(py), PyList::empty(py));
    for event in events {
        match event {
            Event::Resume(waiter) => {
                if let Some(greenlet) = waiter.get().greenlet() {
                    batch.append((greenlet.clone_ref(py), waiter))?;
                }
            }
            Event::InHub(function, argument) => batch.append((py.None(), (function, argument)))?,
            Event::Call(function, argument) => jobs.append((function, argument))?,
            Event::Job(job) => match job.into_call(py) {
                Ok(call) => jobs.append(call)?,
                Err(error) => error.write_unraisable(py, None),
            },
        }
    }
    Ok((batch, jobs))
}

#[pymethods]
impl NativeHub {
    /// Waits, detached, and returns what is to be done: a list of `(greenlet, waiter)` to resume and
    /// `(None, (function, argument))` to call, and one of `(function, argument)` to start in greenlets. Only the
    /// hub's thread calls it.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Work<'py>> {
        work(py, self.reactor.wait(py))
    }

    /// As `wait`, of what is there already: the lists may be empty. Only the hub's thread calls it.
    fn look<'py>(&self, py: Python<'py>) -> PyResult<Work<'py>> {
        work(py, self.reactor.look(py))
    }

    /// Waits for the result of `waiter`, detached, on the greenlet's own stack, as long as the hub would have
    /// nothing else to do; whether it has come. If not, the greenlet has to switch to the hub.
    fn wait_alone(&self, py: Python<'_>, waiter: &Bound<'_, Waiter>) -> bool {
        self.reactor.wait_alone(py, waiter.as_unbound())
    }

    /// Starts `function(argument)` in a greenlet of its own; from any thread.
    fn call_soon(&self, function: Py<PyAny>, argument: Py<PyAny>) {
        self.reactor.push(Event::Call(function, argument));
    }

    /// Calls `function(argument)` in the hub itself; from any thread.
    fn call_in_hub(&self, function: Py<PyAny>, argument: Py<PyAny>) {
        self.reactor.push(Event::InHub(function, argument));
    }

    /// A waiter for `greenlet`, or for the calling thread if it is None.
    #[pyo3(signature = (greenlet=None))]
    fn waiter(&self, greenlet: Option<Py<PyAny>>) -> Waiter {
        Waiter::new(self.reactor.clone(), greenlet)
    }

    /// What a loop of asyncio's watches.
    fn bell(&self) -> PyResult<Bell> {
        Ok(Bell::new(self.reactor.clone())?)
    }

    /// A waiter for `greenlet` that is completed with None after `seconds`.
    fn sleeper(&self, py: Python<'_>, greenlet: Py<PyAny>, seconds: f64) -> PyResult<Py<Waiter>> {
        let waiter = Py::new(py, Waiter::new(self.reactor.clone(), Some(greenlet)))?;
        self.reactor
            .at(deadline(seconds), Action::Complete(waiter.clone_ref(py)));
        Ok(waiter)
    }

    /// Completes `waiter` with None after `seconds`.
    fn wake_after(&self, waiter: Py<Waiter>, seconds: f64) {
        self.reactor.at(deadline(seconds), Action::Complete(waiter));
    }

    /// Calls `function(argument)` in the hub itself after `seconds`, unless the alarm is cancelled before.
    fn call_later(
        &self,
        py: Python<'_>,
        seconds: f64,
        function: Py<PyAny>,
        argument: Py<PyAny>,
    ) -> PyResult<Py<Alarm>> {
        let alarm = Py::new(py, Alarm::new(function, argument))?;
        self.reactor
            .at(deadline(seconds), Action::Call(alarm.clone_ref(py)));
        Ok(alarm)
    }

    /// For how many seconds the hub has been running Python without looking at its queue; 0 while it waits.
    fn busy_seconds(&self) -> f64 {
        self.reactor
            .busy_since()
            .map_or(0.0, |since| since.elapsed().as_secs_f64())
    }

    /// Whether greenlets are to be started or resumed.
    fn has_events(&self) -> bool {
        self.reactor.has_events()
    }

    /// Makes `wait` return soon.
    fn wake(&self) {
        self.reactor.wake();
    }

    /// Asks Rust futures (servers) to stop gracefully.
    fn shutdown(&self) {
        self.runtime.shutdown().cancel();
    }

    /// Reads `fd`, which `signal.set_wakeup_fd` writes to, and wakes the hub at each byte, so that
    /// Python's signal handlers run though the hub is parked. Takes ownership of the descriptor.
    fn watch_signals(&self, fd: i32) -> PyResult<()> {
        let socket = owned_socket(fd)?;
        socket.set_nonblocking(true)?;
        let reactor = self.reactor.clone();
        self.reactor.tokio().spawn(async move {
            let Ok(mut socket) = tokio::net::UnixStream::from_std(socket) else {
                return;
            };
            let mut buffer = [0; 64];
            while matches!(socket.read(&mut buffer).await, Ok(read) if read > 0) {
                reactor.wake();
            }
        });
        Ok(())
    }
}

#[allow(unsafe_code)]
fn owned_socket(fd: i32) -> PyResult<std::os::unix::net::UnixStream> {
    use std::os::fd::FromRawFd;
    if fd < 0 {
        return Err(PyTypeError::new_err("a file descriptor is not negative"));
    }
    // SAFETY: the one caller, `puff._hub`, passes the result of `socket.detach()`, which nobody else owns.
    Ok(unsafe { std::os::unix::net::UnixStream::from_raw_fd(fd) })
}

/// Adds the classes of this module to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeHub>()?;
    module.add_class::<Bell>()?;
    module.add_class::<Alarm>()
}
