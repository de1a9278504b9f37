//! Exceptions of resolvers as field errors: what a client is told, and what only the log gets.

use std::cell::{Cell, RefCell};

use puff_graphql::FieldError;
use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::convert::object_to_value;

/// What clients read in place of the message of an exception that nobody meant for them.
pub(super) const MASKED: &str = "the resolver failed";

/// Turns the exceptions of one call into errors, and keeps the unexpected ones for the log.
pub(super) struct Failures {
    /// Whether clients read only what was meant for them.
    mask: bool,
    count: Cell<usize>,
    first: RefCell<Option<Py<PyAny>>>,
}

impl Failures {
    pub(super) fn new(mask: bool) -> Failures {
        Failures {
            mask,
            count: Cell::new(0),
            first: RefCell::new(None),
        }
    }

    /// The field error for an exception.
    pub(super) fn of(&self, exception: &Bound<'_, PyAny>) -> FieldError {
        if let Ok(Some(meant)) = meant_for_clients(exception) {
            return meant;
        }
        self.count.set(self.count.get() + 1);
        self.first
            .borrow_mut()
            .get_or_insert_with(|| exception.clone().unbind());
        let message = match self.mask {
            true => MASKED.to_owned(),
            false => text_of(exception),
        };
        FieldError::new("RESOLVER_ERROR", message)
    }

    /// The same, of an error that Rust holds.
    pub(super) fn of_raised(&self, py: Python<'_>, error: &PyErr) -> FieldError {
        self.of(error.value(py).as_any())
    }

    /// The unexpected ones: the first, and how many.
    pub(super) fn unexpected(self) -> Option<(Py<PyAny>, usize)> {
        Some((self.first.into_inner()?, self.count.get()))
    }
}

/// A value that a resolver gave: an exception in a value's place is that value's own error.
pub(super) fn is_exception(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyBaseException>()
}

/// The error of a `puff.graphql.GraphQLError`, whose words are for the client.
fn meant_for_clients(exception: &Bound<'_, PyAny>) -> PyResult<Option<FieldError>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = exception.py();
    if !exception.is_instance(CLASS.import(py, "puff.graphql.errors", "GraphQLError")?)? {
        return Ok(None);
    }
    let code: String = exception.getattr("code")?.extract()?;
    let mut error = FieldError::new(code, exception.getattr("message")?.extract::<String>()?);
    if let Ok(extensions) = exception.getattr("extensions")?.cast::<PyDict>() {
        for (name, value) in extensions {
            let name = name.extract::<String>()?;
            // The code has a place of its own.
            if name != "code" {
                error = error.with(name, object_to_value(&value)?);
            }
        }
    }
    Ok(Some(error))
}

/// What an exception says; its class's name if it says nothing. Does not fail itself.
fn text_of(exception: &Bound<'_, PyAny>) -> String {
    let text = exception
        .str()
        .map_or_else(|_| String::new(), |text| text.to_string());
    match exception.get_type().name() {
        Ok(name) if text.is_empty() => name.to_string(),
        _ => text,
    }
}

/// The error for a result that is none of the forms a resolver may return.
pub(super) fn wrong(field: &str, what: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "the resolver {field} returned {what}; it may return a value, (..., objects), (..., sql, params) or \
         (..., sql, params, parent_keys, child_keys)"
    ))
}
