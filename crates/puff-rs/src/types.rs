//! Types that cross between Rust and Python.

pub use puff_core::{Bytes, Text};
pub use pyo3::{Py, PyAny};

/// A Python object that is not bound to a scope; the name that PyO3 used to have for it.
pub type PyObject = pyo3::Py<pyo3::PyAny>;
