//! The exceptions of the driver, which are Python classes.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// A class of PEP 249 that the native half raises by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum Fault {
    Error,
    Data,
    Interface,
    NotSupported,
    Programming,
}

impl Fault {
    fn class(self, py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
        static ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static DATA: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static INTERFACE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static NOT_SUPPORTED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static PROGRAMMING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let (cache, name) = match self {
            Fault::Error => (&ERROR, "Error"),
            Fault::Data => (&DATA, "DataError"),
            Fault::Interface => (&INTERFACE, "InterfaceError"),
            Fault::NotSupported => (&NOT_SUPPORTED, "NotSupportedError"),
            Fault::Programming => (&PROGRAMMING, "ProgrammingError"),
        };
        cache.import(py, "puff.postgres._exceptions", name)
    }

    /// The exception with this text, or what keeps Python from making it.
    pub(in crate::driver) fn raise(self, py: Python<'_>, message: &str) -> PyErr {
        match self.class(py) {
            Ok(class) => PyErr::from_type(class.clone(), (message.to_owned(),)),
            Err(error) => error,
        }
    }
}
