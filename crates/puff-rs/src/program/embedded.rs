//! The two hosts: a binary that embeds CPython, and an extension module in somebody else's.

use std::ffi::OsString;

use puff_python::interpreter::{EmbedOptions, start_embedded};
use pyo3::prelude::*;

use super::launch::{Host, Launch};
use crate::errors::ProgramError;
use crate::native::_puff;

/// The first argument that makes an embedding binary the supervisor of private services.
pub(crate) const SUPERVISOR_ARGUMENT: &str = "__puff-supervisor";

/// Starts an interpreter and runs `launch` in it; the exit status.
pub(super) fn run(launch: Launch, args: Vec<OsString>) -> Result<i32, ProgramError> {
    pyo3::append_to_inittab!(_puff);
    let options = EmbedOptions {
        argv: args,
        path: Vec::new(),
    };
    start_embedded(&options).map_err(|error| ProgramError::Interpreter(error.to_string()))?;
    let executable = std::env::current_exe().map_err(|error| ProgramError::System {
        context: "cannot find this program's own file",
        error,
    })?;
    let host = Host {
        supervisor: vec![executable.into(), SUPERVISOR_ARGUMENT.into()],
        owns_interpreter: true,
    };
    Python::attach(|py| launch.run(py, host))
}

/// The host of the extension module: the interpreter is the program, and outlives us.
pub(crate) fn in_extension_host(py: Python<'_>) -> Result<Host, ProgramError> {
    let executable = py
        .import("sys")
        .and_then(|sys| sys.getattr("executable")?.extract::<Option<OsString>>());
    let executable = executable.ok().flatten().filter(|path| !path.is_empty());
    let Some(executable) = executable else {
        return Err(ProgramError::Interpreter("sys.executable is not known".into()));
    };
    let supervisor = vec![executable, "-m".into(), "puff._supervisor".into()];
    Ok(Host {
        supervisor,
        owns_interpreter: false,
    })
}
