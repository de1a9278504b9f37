//! The native module `_puff`: the floor below, plus the doors to whole programs.

use std::ffi::OsString;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::cli;
use crate::program::{Background, in_extension_host};
use crate::test_server::TestServer;

/// The command line of the stock runtime; the exit status. Call it on the main thread.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<OsString>) -> i32 {
    cli::program().run_attached(py, argv)
}

/// Starts the runtime in the background of a plain Python program; ended by `atexit`.
#[pyfunction]
fn start_background(py: Python<'_>) -> PyResult<()> {
    in_extension_host(py)
        .and_then(|host| Background::start(py, host))
        .map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// The process that watches over private services; the exit status.
#[pyfunction]
fn supervise(py: Python<'_>, argv: Vec<OsString>) -> i32 {
    // An `ExitCode` does not tell its number; all that matters here is success or not.
    let code = py.detach(|| puff_embedded::supervisor::main(argv));
    i32::from(code != std::process::ExitCode::SUCCESS)
}

/// The native module `_puff`: registered by an embedding binary before Python starts, and what the extension
/// module of the wheel exports.
///
/// There is this one definition for both, since each brings the symbol `PyInit__puff`.
#[pymodule]
pub fn _puff(module: &Bound<'_, PyModule>) -> PyResult<()> {
    puff_python::populate(module)?;
    module.add_class::<TestServer>()?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(start_background, module)?)?;
    module.add_function(wrap_pyfunction!(supervise, module)?)
}
