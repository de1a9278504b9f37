//! Rust calls Python: a function runs in a greenlet of the hub, a Tokio task waits for its value.
//!
//! The task never attaches to Python. It leaves a job in the hub's queue; the hub converts the arguments, the
//! Python half (`puff/_call.py`) calls the function, and the value is plain Rust data again before it leaves
//! the hub's thread.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use pyo3::BoundObject;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tokio::sync::oneshot;

use crate::import::resolve;
use crate::reactor::{Event, Job, Reactor};
use crate::runtime::Runtime;

/// A Python function that Rust may call from any thread; a clone is the same function.
///
/// Named by its path it may be made before Python runs, and is imported by the first call. A call after that
/// costs no import.
///
/// ```
/// use puff_python::PythonFunction;
/// let price = PythonFunction::named("shop.prices:price");
/// assert_eq!(format!("{price:?}"), "PythonFunction(shop.prices:price)");
/// ```
#[derive(Clone)]
pub struct PythonFunction {
    target: Arc<Target>,
}

enum Target {
    Object(Py<PyAny>),
    Named {
        path: String,
        found: OnceLock<Py<PyAny>>,
    },
}

impl PythonFunction {
    /// The function at `path`, written `pkg.mod:function` or `pkg.mod.function`.
    pub fn named(path: impl Into<String>) -> PythonFunction {
        let target = Target::Named {
            path: path.into(),
            found: OnceLock::new(),
        };
        PythonFunction {
            target: Arc::new(target),
        }
    }

    /// The path, while the function has not been imported.
    pub(crate) fn missing(&self) -> Option<&str> {
        match &*self.target {
            Target::Named { path, found } if found.get().is_none() => Some(path),
            _ => None,
        }
    }

    /// The function. Its module has been imported, so that this runs no code of it.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &*self.target {
            Target::Object(function) => Ok(function.clone_ref(py)),
            Target::Named { path, found } => {
                if let Some(function) = found.get() {
                    return Ok(function.clone_ref(py));
                }
                let function = resolve(py, path).map_err(|error| match error {
                    crate::import::ResolveError::Import { source, .. } => source,
                    error => PyRuntimeError::new_err(error.to_string()),
                })?;
                Ok(found.get_or_init(|| function.unbind()).clone_ref(py))
            }
        }
    }
}

impl fmt::Debug for PythonFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What an object is called, only Python knows, and this may be a thread of Tokio's.
        let name = match &*self.target {
            Target::Object(_) => "an object",
            Target::Named { path, .. } => path,
        };
        write!(f, "PythonFunction({name})")
    }
}

impl From<Py<PyAny>> for PythonFunction {
    fn from(function: Py<PyAny>) -> Self {
        PythonFunction {
            target: Arc::new(Target::Object(function)),
        }
    }
}

impl From<&str> for PythonFunction {
    fn from(path: &str) -> Self {
        PythonFunction::named(path)
    }
}

impl From<&PythonFunction> for PythonFunction {
    fn from(function: &PythonFunction) -> Self {
        function.clone()
    }
}

/// Why a call of Python gave no value.
#[non_exhaustive]
pub enum CallError {
    /// The function raised; or it could not be found, or its value or arguments could not be converted.
    Raised {
        /// The exception's class and text, taken where it was raised: showing it needs no Python.
        text: String,
        /// The exception itself, with its traceback.
        error: PyErr,
    },
    /// The greenlet was killed before the function returned, or the program ended.
    Ended,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Raised { text, .. } => f.write_str(text),
            CallError::Ended => f.write_str("the Python function was ended before it returned"),
        }
    }
}

impl fmt::Debug for CallError {
    /// Not derived: `PyErr` would attach to Python.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Raised { text, .. } => f.debug_tuple("Raised").field(text).finish(),
            CallError::Ended => f.write_str("Ended"),
        }
    }
}

/// Without a source: whoever prints the chain of causes would attach to Python.
impl std::error::Error for CallError {}

impl From<CallError> for PyErr {
    fn from(error: CallError) -> PyErr {
        match error {
            CallError::Raised { error, .. } => error,
            CallError::Ended => PyRuntimeError::new_err(error.to_string()),
        }
    }
}

impl CallError {
    /// Call it attached.
    fn raised(error: PyErr) -> CallError {
        CallError::Raised {
            text: error.to_string(),
            error,
        }
    }
}

/// A call of Python that is under way; a future of its value. Dropping it kills the greenlet.
///
/// Made by [`Runtime::call_python`].
#[must_use = "dropping the call kills it"]
pub struct PythonCall<T> {
    value: oneshot::Receiver<Result<T, CallError>>,
    shared: Arc<Shared>,
    reactor: Arc<Reactor>,
}

impl<T> Future for PythonCall<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let value = ready!(Pin::new(&mut self.value).poll(context));
        Poll::Ready(value.unwrap_or(Err(CallError::Ended)))
    }
}

impl<T> Drop for PythonCall<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        match std::mem::replace(&mut *state, State::Ended) {
            running @ State::Running { .. } => {
                *state = running;
                drop(state);
                self.reactor
                    .push(Event::Job(Box::new(KillJob(self.shared.clone()))));
            }
            // Arguments that nobody will see are dropped without the lock: they may be Python objects.
            other => {
                drop(state);
                drop(other);
            }
        }
    }
}

type MakeArguments = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyTuple>> + Send>;
type Deliver = Box<dyn for<'py> FnOnce(Result<&Bound<'py, PyAny>, CallError>) + Send>;

/// What a call's future and its greenlet share.
struct Shared {
    function: PythonFunction,
    state: Mutex<State>,
}

enum State {
    Queued {
        arguments: MakeArguments,
        deliver: Deliver,
    },
    Running {
        worker: Py<PyAny>,
        deliver: Deliver,
    },
    /// The value was delivered, or nobody waits for it.
    Ended,
}

impl Runtime {
    /// Calls a Python function with `arguments` (a tuple) in a greenlet of its own; a future of its value.
    ///
    /// The call begins at once, whether the future is polled or not. It may be made on any thread, and never
    /// attaches to Python there: arguments and value are converted on the hub. The function may wait like any
    /// greenlet. Dropping the future kills the greenlet: `GreenletExit` is raised where it waits. Ask for a
    /// `Py<PyAny>` if the value is to stay a Python object, or does not matter.
    ///
    /// The hub's queue is not bounded: whoever calls in a loop bounds the calls under way, as the server does
    /// with its requests.
    ///
    /// # Errors
    /// The future ends with [`CallError::Raised`] for an exception of the function, of its import and of the
    /// conversions; with [`CallError::Ended`] if the greenlet was killed, or the hub ended.
    ///
    /// ```no_run
    /// # async fn example(runtime: puff_python::Runtime) -> Result<(), puff_python::CallError> {
    /// let root: f64 = runtime.call_python("math:sqrt", (2.0,)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call_python<T, A>(&self, function: impl Into<PythonFunction>, arguments: A) -> PythonCall<T>
    where
        T: for<'py> FromPyObjectOwned<'py> + Send + 'static,
        A: for<'py> IntoPyObject<'py, Target = PyTuple> + Send + 'static,
    {
        let (sender, value) = oneshot::channel();
        let arguments: MakeArguments = Box::new(move |py| {
            let tuple = arguments.into_pyobject(py).map_err(Into::into)?;
            Ok(tuple.into_bound().unbind())
        });
        let deliver: Deliver = Box::new(move |result| {
            let converted = result.and_then(|object| {
                object
                    .extract::<T>()
                    .map_err(|error| CallError::raised(unexpected(object, error.into())))
            });
            // An error means that the future has gone; nobody waits for the value.
            let _ = sender.send(converted);
        });
        let shared = Arc::new(Shared {
            function: function.into(),
            state: Mutex::new(State::Queued { arguments, deliver }),
        });
        let reactor = self.reactor().clone();
        reactor.push(Event::Job(Box::new(CallJob(FunctionCall {
            shared: shared.clone(),
        }))));
        PythonCall {
            value,
            shared,
            reactor,
        }
    }
}

/// The error for a value that is not of the type that Rust asked for.
fn unexpected(object: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = object.py();
    let text = format!("the Python function's value does not fit: {}", error.value(py));
    let outer = PyTypeError::new_err(text);
    outer.set_cause(py, Some(error));
    outer
}

/// A call in the hub's queue. Dropped there, it ends.
struct CallJob(FunctionCall);

impl Job for CallJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        entry(py, "run", self.0)
    }
}

/// The end of a call whose future was dropped.
struct KillJob(Arc<Shared>);

impl Job for KillJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        entry(py, "cancel", FunctionCall { shared: self.0 })
    }
}

fn entry(py: Python<'_>, name: &str, call: FunctionCall) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let function = py.import("puff._call")?.getattr(name)?.unbind();
    Ok((function, Py::new(py, call)?.into_any()))
}

/// One call of a function from Rust, for `puff._call`.
#[pyclass(frozen, module = "puff", name = "FunctionCall")]
pub(crate) struct FunctionCall {
    shared: Arc<Shared>,
}

#[pymethods]
impl FunctionCall {
    /// The call runs in the greenlet `worker` from now on: the arguments, or None if nobody waits for it any more.
    fn begin(&self, py: Python<'_>, worker: Py<PyAny>) -> PyResult<Option<Py<PyTuple>>> {
        let mut state = self.shared.state.lock();
        match std::mem::replace(&mut *state, State::Ended) {
            State::Queued { arguments, deliver } => {
                *state = State::Running { worker, deliver };
                drop(state);
                arguments(py).map(Some)
            }
            other => {
                *state = other;
                Ok(None)
            }
        }
    }

    /// The path of the function if it has to be imported before `function` is called.
    #[getter]
    fn missing(&self) -> Option<&str> {
        self.shared.function.missing()
    }

    /// The function; raises RuntimeError if there is none by its name.
    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.shared.function.get(py)
    }

    /// The greenlet that the call runs in; None before and after.
    #[getter]
    fn worker(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &*self.shared.state.lock() {
            State::Running { worker, .. } => Some(worker.clone_ref(py)),
            State::Queued { .. } | State::Ended => None,
        }
    }

    /// The function returned `value`.
    fn finish(&self, value: &Bound<'_, PyAny>) {
        if let Some(deliver) = self.end() {
            deliver(Ok(value));
        }
    }

    /// The function raised `error`.
    fn fail(&self, error: Bound<'_, PyAny>) {
        if let Some(deliver) = self.end() {
            deliver(Err(CallError::raised(PyErr::from_value(error))));
        }
    }

    /// The greenlet was killed.
    fn killed(&self) {
        drop(self.end());
    }
}

impl Drop for FunctionCall {
    /// A call that was dropped before it began or returned, as the hub does at its end, has no value.
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl FunctionCall {
    fn end(&self) -> Option<Deliver> {
        let state = std::mem::replace(&mut *self.shared.state.lock(), State::Ended);
        match state {
            State::Running { deliver, .. } | State::Queued { deliver, .. } => Some(deliver),
            State::Ended => None,
        }
    }
}
