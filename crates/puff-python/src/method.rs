//! Python functions bound to an object, as `object.function` is.

// Not in PyO3; calling `types.MethodType` instead makes a tuple of the two and takes it apart again, for each answer.
#![allow(unsafe_code)]

use pyo3::ffi;
use pyo3::prelude::*;

unsafe extern "C" {
    /// <https://docs.python.org/3/c-api/method.html#c.PyMethod_New>
    fn PyMethod_New(function: *mut ffi::PyObject, object: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// `function` with `object` as its first argument.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn bound_method<'py, T>(
    function: &Bound<'py, PyAny>,
    object: &Bound<'py, T>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: both are objects that live during the call, which takes references of its own and returns a new
    // reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), PyMethod_New(function.as_ptr(), object.as_ptr())) }
}
