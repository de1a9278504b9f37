//! Errors of the database as exceptions with psycopg2's classes.

use puff_postgres::{DbError, Error, Severity};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The exception for `error`: `puff.postgres._exceptions` chooses the class by kind and SQLSTATE.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    match make(py, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}

fn make<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let (kind, fields) = match error {
        Error::Db(report) => ("db", Some(fields(py, report)?)),
        Error::Connect { .. } | Error::Auth { .. } | Error::Config(_) => ("connect", None),
        Error::Io(_) => ("io", None),
        Error::Closed { .. } | Error::PoolClosed => ("closed", None),
        Error::Timeout { .. } | Error::PoolTimeout { .. } => ("timeout", None),
        Error::Protocol { .. } => ("protocol", None),
        Error::InvalidInput(_) => ("input", None),
        Error::Unsupported(_) => ("unsupported", None),
        _ => ("connect", None),
    };
    py.import("puff.postgres._exceptions")?
        .getattr("from_native")?
        .call1((kind, error.to_string(), fields))
}

/// The server's fields by the letters of the protocol.
fn fields<'py>(py: Python<'py>, report: &DbError) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let texts = [
        ("S", Some(&report.severity_text)),
        ("M", Some(&report.message)),
        ("D", report.detail.as_ref()),
        ("H", report.hint.as_ref()),
        ("q", report.internal_query.as_ref()),
        ("W", report.where_.as_ref()),
        ("s", report.schema.as_ref()),
        ("t", report.table.as_ref()),
        ("c", report.column.as_ref()),
        ("d", report.datatype.as_ref()),
        ("n", report.constraint.as_ref()),
        ("F", report.file.as_ref()),
        ("R", report.routine.as_ref()),
    ];
    for (letter, text) in texts {
        if let Some(text) = text {
            fields.set_item(letter, text)?;
        }
    }
    let numbers = [
        ("P", report.position),
        ("p", report.internal_position),
        ("L", report.line),
    ];
    for (letter, number) in numbers {
        if let Some(number) = number {
            fields.set_item(letter, number.to_string())?;
        }
    }
    fields.set_item("C", report.code.as_str())?;
    fields.set_item("V", severity(report.severity))?;
    Ok(fields)
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "DEBUG",
        Severity::Log => "LOG",
        Severity::Info => "INFO",
        Severity::Notice => "NOTICE",
        Severity::Warning => "WARNING",
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
        Severity::Panic => "PANIC",
    }
}
