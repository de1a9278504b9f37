//! [`IntoPyCompat`]: `value.into_py(py)`, the short way from a Rust value to a Python object.

use pyo3::BoundObject;
use pyo3::prelude::*;

/// Turns a Rust value into a Python object without a `Result` in between.
///
/// PyO3 has [`IntoPyObject`], which may fail and says so. Here a failure, which for classes and plain values
/// means that memory is out, is left set as the current Python exception and the object is `None`: the
/// function that returns to Python next raises it (as the cause of a `SystemError`), and a program's global
/// state is refused.
///
/// ```
/// use puff_rs::prelude::*;
/// # use pyo3::Python;
/// fn answer(py: Python<'_>) -> PyObject {
///     42.into_py(py)
/// }
/// # let _ = answer;
/// ```
pub trait IntoPyCompat {
    /// The Python object for this value.
    fn into_py(self, py: Python<'_>) -> Py<PyAny>;
}

impl<T> IntoPyCompat for T
where
    T: for<'py> IntoPyObject<'py>,
{
    fn into_py(self, py: Python<'_>) -> Py<PyAny> {
        match self
            .into_pyobject(py)
            .map(BoundObject::into_any)
            .map(BoundObject::unbind)
        {
            Ok(object) => object,
            Err(error) => {
                let error: PyErr = error.into();
                error.restore(py);
                py.None()
            }
        }
    }
}
