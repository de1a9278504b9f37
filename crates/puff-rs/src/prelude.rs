//! What most programs need, in one line: `use puff_rs::prelude::*;`.
//!
//! PyO3's macros (`#[pyclass]`, `#[pymethods]`) are here too, but the code they write names the crate `pyo3`:
//! a program that uses them has `pyo3` beside `puff-rs` in its `Cargo.toml`.

pub use std::process::ExitCode;
pub use std::time::Duration;

pub use pyo3::prelude::*;
pub use tracing::{debug, error, info, trace, warn};

pub use crate::into_py::IntoPyCompat;
pub use crate::program::Program;
pub use crate::runtime::RuntimeConfig;
pub use crate::types::{Bytes, PyObject, Text};
pub use crate::web::Router;
pub use puff_python::greenlet_async;
pub use tokio;
