//! Redis commands from Python.

use bytes::Bytes;
use puff_redis::Reply;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PySet};

use crate::greenlet::start;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// A reply; converted on the hub.
struct PyReply(Reply);

impl<'py> IntoPyObject<'py> for PyReply {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        convert(py, self.0)
    }
}

fn convert<'py>(py: Python<'py>, reply: Reply) -> PyResult<Bound<'py, PyAny>> {
    let all = |replies: Vec<Reply>| {
        replies
            .into_iter()
            .map(|each| convert(py, each))
            .collect::<PyResult<Vec<_>>>()
    };
    match reply {
        Reply::Nil => Ok(py.None().into_bound(py)),
        Reply::Int(number) => number.into_bound_py_any(py),
        Reply::Bulk(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
        Reply::Status(text) => text.into_bound_py_any(py),
        Reply::Array(items) => Ok(PyList::new(py, all(items)?)?.into_any()),
        Reply::Set(items) => Ok(PySet::new(py, all(items)?)?.into_any()),
        Reply::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(convert(py, key)?, convert(py, value)?)?;
            }
            Ok(dict.into_any())
        }
        Reply::Double(number) => number.into_bound_py_any(py),
        Reply::Bool(flag) => flag.into_bound_py_any(py),
        Reply::BigNumber(digits) => py
            .get_type::<PyInt>()
            .call1((String::from_utf8_lossy(&digits).into_owned(),)),
        Reply::Failed { code, message } => Ok(PyRuntimeError::new_err(format!("{code} {message}"))
            .into_value(py)
            .into_bound(py)
            .into_any()),
        other => Err(PyRuntimeError::new_err(format!(
            "a reply of an unknown kind: {other:?}"
        ))),
    }
}

#[pyfunction]
fn redis_command(arguments: Vec<Vec<u8>>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let pool = runtime.services().redis().await?;
        let command = arguments.into_iter().map(Bytes::from).collect();
        Ok(PyReply(pool.command(command).await?))
    });
    Ok(())
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(redis_command, module)?)
}
