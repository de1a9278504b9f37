//! Bytes of Rust's as Python's.

use std::convert::Infallible;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Becomes `bytes` when it reaches Python; a `Vec<u8>` by itself would be a list of numbers.
pub(crate) struct AsBytes<B>(pub(crate) B);

impl<'py, B: AsRef<[u8]>> IntoPyObject<'py> for AsBytes<B> {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyBytes::new(py, self.0.as_ref()))
    }
}
