//! The span of an operation that a greenlet has started: what happens in it is logged with the greenlet's name.

use puff_core::TRACE_TARGET;
use pyo3::prelude::*;
use tracing::{Level, Span};

use crate::waiter::Waiter;
use crate::wsgi::WsgiRequest;

/// The span for the work behind `waiter`; none if the filter does not ask for it.
///
/// It is on the level `debug`, below what servers log by default: to ask Python for a name costs as much as a
/// small operation itself. With traces it is, or is within, the span of the request that the greenlet answers.
pub(crate) fn span(py: Python<'_>, waiter: &Waiter) -> Span {
    let named = tracing::span_enabled!(Level::DEBUG);
    let traced = tracing::span_enabled!(target: TRACE_TARGET, Level::TRACE);
    if !named && !traced {
        return Span::none();
    }
    // Without one a whole thread waits, or a greenlet that is not the hub's.
    let Some(greenlet) = waiter.greenlet() else {
        return Span::none();
    };
    let request = match traced {
        true => request_span(py, greenlet).unwrap_or_else(|_| Span::none()),
        false => Span::none(),
    };
    match name(py, greenlet) {
        Ok(name) if named => tracing::debug_span!(parent: &request, "operation", greenlet = name),
        _ => request,
    }
}

fn name(py: Python<'_>, greenlet: &Py<PyAny>) -> PyResult<String> {
    let debug = py.import("puff.debug")?;
    debug.call_method1("name_of", (greenlet,))?.extract()
}

fn request_span(py: Python<'_>, greenlet: &Py<PyAny>) -> PyResult<Span> {
    let job = greenlet.bind(py).getattr("puff_job")?;
    let request = job.get_item(1)?.cast_into::<WsgiRequest>()?;
    Ok(request.get().span().clone())
}
