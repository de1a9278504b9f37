//! The one table from Rust errors to Python exceptions.

use pyo3::exceptions::{
    PyConnectionError, PyNotImplementedError, PyOSError, PyRuntimeError, PyTimeoutError, PyValueError,
};
use pyo3::prelude::*;

use crate::bindings::Peer;
use crate::call::CallError;
use crate::graphql::NoSchema;
use crate::greenlet::BoxError;
use crate::services;

pyo3::create_exception!(
    puff,
    DatabaseError,
    pyo3::exceptions::PyException,
    "PostgreSQL refused a statement. `sqlstate` is its five-letter code, or None."
);

pyo3::create_exception!(
    puff,
    ServiceError,
    pyo3::exceptions::PyConnectionError,
    "A service (PostgreSQL, Redis, pub-sub) that cannot be had: not configured, not reached, not started."
);

/// The Python exception for an error of a future.
pub(crate) fn into_pyerr(error: BoxError) -> PyErr {
    let error = match error.downcast::<PyErr>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let error = match error.downcast::<CallError>() {
        Ok(error) => return (*error).into(),
        Err(error) => error,
    };
    let error = match error.downcast::<Peer>() {
        Ok(error) => return (*error).into(),
        Err(error) => error,
    };
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        return match io.raw_os_error() {
            // OSError(errno, text) picks FileNotFoundError and its like by itself, and shows the number.
            Some(errno) => {
                let text = io.to_string();
                let end = text.find(" (os error").unwrap_or(text.len());
                PyOSError::new_err((errno, text[..end].to_owned()))
            }
            None => PyOSError::new_err(io.to_string()),
        };
    }
    if let Some(failure) = error.downcast_ref::<puff_postgres::Error>() {
        return postgres(failure);
    }
    if let Some(failure) = error.downcast_ref::<puff_redis::Error>() {
        return redis(failure);
    }
    if let Some(failure) = error.downcast_ref::<services::ServiceError>() {
        return ServiceError::new_err(failure.to_string());
    }
    PyRuntimeError::new_err(error.to_string())
}

impl From<NoSchema> for PyErr {
    fn from(error: NoSchema) -> PyErr {
        PyRuntimeError::new_err(error.to_string())
    }
}

fn postgres(failure: &puff_postgres::Error) -> PyErr {
    use puff_postgres::Error;
    let text = failure.to_string();
    match failure {
        Error::Db(report) => Python::attach(|py| {
            let error = DatabaseError::new_err(text);
            let value = error.value(py);
            let fields = [
                ("sqlstate", Some(report.code.as_str().to_owned())),
                ("message", Some(report.message.clone())),
                ("detail", report.detail.clone()),
                ("hint", report.hint.clone()),
                ("schema", report.schema.clone()),
                ("table", report.table.clone()),
                ("column", report.column.clone()),
                ("constraint", report.constraint.clone()),
            ];
            for (name, field) in fields {
                if let Err(failure) = value.setattr(name, field) {
                    return failure;
                }
            }
            error
        }),
        Error::Timeout { .. } | Error::PoolTimeout { .. } => PyTimeoutError::new_err(text),
        Error::Config(_) | Error::InvalidInput(_) | Error::Decode { .. } | Error::RowCount { .. } => {
            PyValueError::new_err(text)
        }
        Error::Connect { .. } | Error::Auth { .. } => ServiceError::new_err(text),
        Error::Unsupported(_) => PyNotImplementedError::new_err(text),
        _ => PyConnectionError::new_err(text),
    }
}

fn redis(failure: &puff_redis::Error) -> PyErr {
    use puff_redis::Error;
    let text = failure.to_string();
    match failure {
        Error::Config { .. } | Error::Invalid { .. } => PyValueError::new_err(text),
        Error::Connect { .. } | Error::CircuitOpen { .. } => ServiceError::new_err(text),
        Error::Disconnected { .. } | Error::TooSlow { .. } => PyConnectionError::new_err(text),
        Error::Timeout { .. } | Error::PoolTimeout { .. } => PyTimeoutError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
