//! Replies and errors as Python sees them: plain Python, or redis-py.

use std::fmt;

use puff_redis::{Error, Reply};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyConnectionError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PySet, PyString};

use crate::services::ServiceError;

/// A reply for `command`; converted on the hub.
pub(super) struct ToPython(pub(super) Reply);

impl<'py> IntoPyObject<'py> for ToPython {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        plain(py, self.0)
    }
}

fn plain<'py>(py: Python<'py>, reply: Reply) -> PyResult<Bound<'py, PyAny>> {
    let all = |replies: Vec<Reply>| {
        replies
            .into_iter()
            .map(|each| plain(py, each))
            .collect::<PyResult<Vec<_>>>()
    };
    match reply {
        Reply::Status(text) => text.into_bound_py_any(py),
        Reply::Array(items) => Ok(PyList::new(py, all(items)?)?.into_any()),
        Reply::Set(items) => Ok(PySet::new(py, all(items)?)?.into_any()),
        Reply::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(plain(py, key)?, plain(py, value)?)?;
            }
            Ok(dict.into_any())
        }
        Reply::Failed { code, message } => Ok(PyRuntimeError::new_err(format!("{code} {message}"))
            .into_value(py)
            .into_bound(py)
            .into_any()),
        simple => scalar(py, simple, false),
    }
}

/// What both see alike; strings as text if `decode`.
fn scalar<'py>(py: Python<'py>, reply: Reply, decode: bool) -> PyResult<Bound<'py, PyAny>> {
    match reply {
        Reply::Nil => Ok(py.None().into_bound(py)),
        Reply::Int(number) => number.into_bound_py_any(py),
        Reply::Bulk(bytes) => string(py, &bytes, decode),
        Reply::Double(number) => number.into_bound_py_any(py),
        Reply::Bool(flag) => flag.into_bound_py_any(py),
        Reply::BigNumber(digits) => py
            .get_type::<PyInt>()
            .call1((String::from_utf8_lossy(&digits).into_owned(),)),
        other => Err(PyRuntimeError::new_err(format!(
            "a reply of an unknown kind: {other:?}"
        ))),
    }
}

fn string<'py>(py: Python<'py>, bytes: &[u8], decode: bool) -> PyResult<Bound<'py, PyAny>> {
    match decode {
        false => Ok(PyBytes::new(py, bytes).into_any()),
        // Raises UnicodeDecodeError.
        true => Ok(PyString::from_bytes(py, bytes)?.into_any()),
    }
}

/// A reply as redis-py's parser gives it; text if `decode`.
pub(super) struct ToPeer {
    pub(super) reply: Reply,
    pub(super) decode: bool,
}

impl<'py> IntoPyObject<'py> for ToPeer {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        parsed(py, self.reply, self.decode)
    }
}

pub(super) fn parsed<'py>(py: Python<'py>, reply: Reply, decode: bool) -> PyResult<Bound<'py, PyAny>> {
    match reply {
        Reply::Status(text) => string(py, text.as_bytes(), decode),
        // A set's members may be what Python cannot hash.
        Reply::Array(items) | Reply::Set(items) => {
            let items = items.into_iter().map(|each| parsed(py, each, decode));
            Ok(PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any())
        }
        Reply::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(parsed(py, key, decode)?, parsed(py, value, decode)?)?;
            }
            Ok(dict.into_any())
        }
        Reply::Failed { code, message } => {
            let error = PyErr::from(Peer::from(Error::Command { code, message }));
            Ok(error.into_value(py).into_bound(py).into_any())
        }
        simple => scalar(py, simple, decode),
    }
}

/// An error on its way to being one of redis-py's.
#[derive(Debug)]
pub(crate) struct Peer {
    kind: &'static str,
    text: String,
    /// The command of a transaction that was not taken.
    index: Option<usize>,
}

impl Peer {
    /// `kind` is one of those that `puff.redis._errors` knows.
    pub(super) fn new(kind: &'static str, text: String) -> Peer {
        Peer {
            kind,
            text,
            index: None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Peer {}

impl From<Error> for Peer {
    fn from(error: Error) -> Peer {
        // What the server said is redis-py's to read.
        let answer = |code: &str, message: &str| match message {
            "" => code.to_owned(),
            message => format!("{code} {message}"),
        };
        let kind = match &error {
            Error::Command { code, message } => return Peer::new("answer", answer(code, message)),
            Error::Aborted { index, code, message } => {
                return Peer {
                    index: Some(*index),
                    ..Peer::new("answer", answer(code, message))
                };
            }
            Error::Config { .. } | Error::Invalid { .. } => "data",
            Error::Timeout { .. } => "timeout",
            Error::PoolTimeout { .. } => "exhausted",
            Error::CircuitOpen { .. } => "open",
            Error::Connect { code: Some(code), .. } => match code.as_str() {
                "WRONGPASS" | "NOAUTH" => "login",
                "NOPERM" => "forbidden",
                "LOADING" => "loading",
                _ => "connect",
            },
            Error::Unexpected { .. } => "unexpected",
            _ => "connect",
        };
        Peer::new(kind, error.to_string())
    }
}

impl From<ServiceError> for Peer {
    fn from(error: ServiceError) -> Peer {
        Peer::new("connect", error.to_string())
    }
}

impl From<Peer> for PyErr {
    fn from(error: Peer) -> PyErr {
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        Python::attach(|py| {
            let make = MAKE.get_or_try_init(py, || {
                let make = py.import("puff.redis._errors")?.getattr("make")?;
                Ok::<_, PyErr>(make.unbind())
            });
            match make.and_then(|make| make.call1(py, (error.kind, &error.text, error.index))) {
                Ok(made) => PyErr::from_value(made.into_bound(py)),
                // Without redis-py nobody gets here.
                Err(_) => PyConnectionError::new_err(error.text),
            }
        })
    }
}
