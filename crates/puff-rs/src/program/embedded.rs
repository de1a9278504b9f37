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
    let host = Host {
        supervisor: vec![own_file()?, SUPERVISOR_ARGUMENT.into()],
        owns_interpreter: true,
    };
    Python::attach(|py| launch.run(py, host))
}

/// The command that starts this program once more, as an embedding binary.
pub(super) fn own_command(args: Vec<OsString>) -> Result<Vec<OsString>, ProgramError> {
    Ok(std::iter::once(own_file()?)
        .chain(args.into_iter().skip(1))
        .collect())
}

/// The command that starts this program once more, as the extension module of an interpreter: with the
/// interpreter's own options.
///
/// Ctrl-C does from now on what the system or Rust makes of it, not Python.
pub(super) fn own_command_of_python(py: Python<'_>) -> Result<Vec<OsString>, ProgramError> {
    let find = || -> PyResult<Vec<OsString>> {
        let signal = py.import("signal")?;
        let (interrupt, default) = (signal.getattr("SIGINT")?, signal.getattr("SIG_DFL")?);
        signal.call_method1("signal", (interrupt, default))?;
        let sys = py.import("sys")?;
        let mut command: Vec<OsString> = sys.getattr("orig_argv")?.extract()?;
        let python: OsString = sys.getattr("executable")?.extract()?;
        if let Some(first) = command.first_mut() {
            *first = python;
        }
        Ok(command)
    };
    find().map_err(|error| ProgramError::Interpreter(error.to_string()))
}

fn own_file() -> Result<OsString, ProgramError> {
    std::env::current_exe()
        .map(OsString::from)
        .map_err(|error| ProgramError::System {
            context: "cannot find this program's own file",
            error,
        })
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
