//! Rust futures that a greenlet waits for.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use puff_core::task::panic_message;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tracing::Instrument;

use crate::errors::into_pyerr;
use crate::operation;
use crate::quick::Fresh;
use crate::waiter::{ReturnFunc, Waiter};

/// Any error a future may end with; a `PyErr` inside is raised as it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs `future` on Tokio and gives its result to `return_func`, resuming the greenlet that waits for it.
///
/// `return_func` is what `puff.wrap_async` passes to the function that starts the work. Call it attached
/// to Python; it returns at once. The result is converted on the hub, when the greenlet resumes. If the
/// greenlet is killed, the future is dropped. A panic in the future is raised as `RuntimeError`.
///
/// Futures of one type that have shown a hundred times in a row to be ready at their first poll, within 50
/// microseconds, get that poll on the hub's thread, detached: to move them to Tokio and back would cost more than
/// they do. One that takes longer there is the last for a while. Python that such a poll calls cannot wait.
///
/// ```no_run
/// # use puff_python::greenlet_async;
/// # use pyo3::prelude::*;
/// fn answer(return_func: Py<PyAny>) {
///     greenlet_async(return_func, async {
///         tokio::time::sleep(std::time::Duration::from_millis(10)).await;
///         Ok(42)
///     })
/// }
/// ```
pub fn greenlet_async<F, T>(return_func: Py<PyAny>, future: F)
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    let waiter = Python::attach(|py| {
        let return_func = return_func.bind(py);
        match return_func.cast::<ReturnFunc>() {
            Ok(return_func) => return_func.get().take(),
            Err(_) => return_func
                .cast::<Waiter>()
                .ok()
                .map(|waiter| waiter.clone().unbind()),
        }
    });
    match waiter {
        Some(waiter) if waiter.get().greenlet().is_some() => {
            let reactor = waiter.get().reactor().clone();
            let (named, work) = prepare(waiter, future);
            Fresh::new::<F>(named, work).start(&reactor);
        }
        // A whole thread waits, and is woken sooner by another than by the hub, which may be busy.
        Some(waiter) => start(waiter, future),
        None => tracing::error!(
            "greenlet_async got a return_func that is not puff.wrap_async's, or was used before: the result is lost"
        ),
    }
}

/// [`greenlet_async`] for a waiter of ours: what the services do is never ready at once, and goes to Tokio.
pub(crate) fn start<F, T>(waiter: Py<Waiter>, future: F)
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    let tokio = waiter.get().reactor().tokio().clone();
    let (named, work) = prepare(waiter, future);
    let task = tokio.spawn(work);
    named.get().set_task(task.abort_handle());
}

/// The future that completes `waiter`, and the waiter once more.
fn prepare<F, T>(waiter: Py<Waiter>, future: F) -> (Py<Waiter>, impl Future<Output = ()> + Send + use<F, T>)
where
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    // One more handle on the waiter, to name the task once it exists.
    let (named, span) = Python::attach(|py| (waiter.clone_ref(py), operation::span(py, waiter.get())));
    let work = async move {
        let result = AssertUnwindSafe(future).catch_unwind().await;
        Waiter::complete(
            waiter,
            Box::new(move |py| match result {
                Ok(Ok(value)) => value.into_py_any(py),
                Ok(Err(error)) => Err(into_pyerr(error)),
                Err(panic) => Err(PyRuntimeError::new_err(format!(
                    "the Rust code panicked: {}",
                    panic_message(&*panic)
                ))),
            }),
        );
    };
    (named, work.instrument(span))
}
