//! The services and file functions as Python calls them: each *starts* an operation for a waiter.

mod files;
mod graphql;
mod logging;
mod postgres;
mod pubsub;
mod redis;
mod subscription;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

pub(crate) use self::redis::Peer;
use crate::runtime::Runtime;

/// The object behind `puff.global_state()`.
#[pyfunction]
fn global_state(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let runtime = Runtime::current()?;
    runtime.global_state().map(|state| state.clone_ref(py)).ok_or_else(|| {
        PyRuntimeError::new_err(
            "this program has no global state: its Rust side sets it with RuntimeConfig::set_global_state_fn",
        )
    })
}

/// Adds everything here to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(global_state, module)?)?;
    files::populate(module)?;
    graphql::populate(module)?;
    logging::populate(module)?;
    postgres::populate(module)?;
    pubsub::populate(module)?;
    redis::populate(module)?;
    subscription::populate(module)
}
