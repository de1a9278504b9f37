//! Files on Tokio.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::greenlet::start;
use crate::waiter::Waiter;

/// A file's content as `bytes`.
struct Content(Vec<u8>);

impl<'py> IntoPyObject<'py> for Content {
    type Target = pyo3::types::PyBytes;
    type Output = Bound<'py, Self::Target>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(pyo3::types::PyBytes::new(py, &self.0))
    }
}

#[pyfunction]
fn read_file(path: PathBuf, waiter: Py<Waiter>) {
    start(waiter, async move { Ok(Content(tokio::fs::read(path).await?)) });
}

#[pyfunction]
fn write_file(path: PathBuf, data: PyBackedBytes, waiter: Py<Waiter>) {
    start(waiter, async move { Ok(tokio::fs::write(path, &data).await?) });
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_file, module)?)?;
    module.add_function(wrap_pyfunction!(write_file, module)?)
}
