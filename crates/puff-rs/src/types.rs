//! Types that cross between Rust and Python: [`Text`] is `str`, [`Bytes`] is `bytes`.
//!
//! Both are cheap to clone, may wait in a future, and convert as arguments and results of `#[pymethods]`,
//! [`greenlet_async`](crate::runtime::greenlet_async) and
//! [`Runtime::call_python`](crate::runtime::Runtime::call_python). `bytes` from Python are not copied; text is.
//!
//! ```
//! use puff_rs::prelude::*;
//!
//! #[pyfunction]
//! fn seal(name: Text, data: Bytes) -> (Text, Bytes) {
//!     (format!("{name}, {} bytes", data.len()).into(), data.slice(..1))
//! }
//! # Python::initialize();
//! # Python::attach(|py| {
//! let name: Text = "box".into_pyobject(py)?.extract()?;
//! let data: Bytes = pyo3::types::PyBytes::new(py, b"abc").extract()?;
//! let (text, first) = seal(name, data).into_pyobject(py)?.extract::<(String, Vec<u8>)>()?;
//! assert_eq!((text.as_str(), &first[..]), ("box, 3 bytes", &b"a"[..]));
//! # PyResult::Ok(())
//! # }).unwrap();
//! ```

pub use puff_core::{Bytes, Text};
pub use pyo3::{Py, PyAny};

/// A Python object that is not bound to a scope; the name that PyO3 used to have for it.
pub type PyObject = pyo3::Py<pyo3::PyAny>;
