//! The span of an operation that a greenlet has started: what happens in it is logged with the greenlet's name.

use pyo3::prelude::*;
use tracing::{Level, Span};

use crate::waiter::Waiter;

/// The span for the work behind `waiter`; none if the filter does not ask for it.
///
/// It is on the level `debug`, below what servers log by default: to ask Python for a name costs as much as a
/// small operation itself.
pub(crate) fn span(py: Python<'_>, waiter: &Waiter) -> Span {
    if !tracing::span_enabled!(Level::DEBUG) {
        return Span::none();
    }
    let name = waiter.greenlet().and_then(|greenlet| name(py, greenlet).ok());
    match name {
        Some(name) => tracing::debug_span!("operation", greenlet = name),
        // A whole thread waits, or a greenlet that is not the hub's.
        None => Span::none(),
    }
}

fn name(py: Python<'_>, greenlet: &Py<PyAny>) -> PyResult<String> {
    let debug = py.import("puff.debug")?;
    debug.call_method1("name_of", (greenlet,))?.extract()
}
