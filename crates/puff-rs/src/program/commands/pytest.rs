//! [`PytestCommand`]: pytest inside the runtime.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::ffi::c_str;
use pyo3::prelude::*;

use super::python::{arguments, arguments_arg};
use crate::errors::{ConfigError, ProgramError};
use crate::program::{Command, Context, Invocation, Prepared, Root};

/// The command `pytest`: runs the tests of a project in the program's main greenlet.
///
/// The tests have what the program has: its services, its GraphQL schema, its global state. Arguments are
/// pytest's own (`-x`, `-k`, `--pdb`, ...), and so is the exit status: 0 if all passed, 1 if some failed, 5 if
/// there were none. pytest must be installed in the Python that the program uses.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::pytest::PytestCommand;
///
/// fn main() -> ExitCode {
///     Program::new("shop").command(PytestCommand::new("examples/shop")).run()
/// }
/// ```
pub struct PytestCommand {
    folder: Option<PathBuf>,
}

impl PytestCommand {
    /// Tests of the project in `folder`, relative to the working directory.
    ///
    /// pytest runs as if started there: it finds its configuration and its tests in `folder`, whose modules can
    /// be imported. Paths on the command line may be relative to `folder` or to where the program was started.
    pub fn new(folder: impl Into<PathBuf>) -> PytestCommand {
        PytestCommand {
            folder: Some(folder.into()),
        }
    }

    /// Tests of the working directory.
    pub(crate) fn stock() -> PytestCommand {
        PytestCommand { folder: None }
    }
}

impl Command for PytestCommand {
    fn cli(&self) -> clap::Command {
        clap::Command::new("pytest")
            .about("Runs tests with pytest inside the runtime")
            .long_about(
                "Runs tests with pytest, in the main greenlet of the runtime. The exit status is pytest's. Options \
                 of the runtime come before pytest's arguments.",
            )
            .arg(arguments_arg("Arguments for pytest; after -- also --help and the runtime's names"))
            .after_help(
                "Examples:\n  puff pytest\n  puff pytest -x -k orders tests/test_shop.py\n  puff pytest --pdb\n  \
                 puff pytest -- --help",
            )
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let (folder, arguments) = (self.folder.clone(), arguments(invocation));
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(ConfigError::Usage(format!(
                "there is no folder {} here, whose tests this command runs",
                folder.display()
            ))
            .into());
        }
        let path = folder.clone();
        let prepared = Prepared::new(move |py, _: Context| start(py, folder, arguments)).with_lazy_schemas();
        Ok(match path {
            Some(path) => prepared.with_python_path(path),
            None => prepared,
        })
    }
}

fn start(py: Python<'_>, folder: Option<PathBuf>, arguments: Vec<OsString>) -> Result<Root, ProgramError> {
    let failed = |error: PyErr| ProgramError::Failed(error.to_string());
    let found = py
        .import("importlib.util")
        .and_then(|util| util.call_method1("find_spec", ("pytest",)));
    if found.map_err(failed)?.is_none() {
        let text = "pytest is not installed: add it to this Python with pip install pytest";
        return Err(ConfigError::Missing(text.into()).into());
    }
    let root = || {
        let source = c_str!(include_str!("pytest_main.py"));
        let module = PyModule::from_code(py, source, c_str!("puff/pytest_main.py"), c_str!("_puff_pytest"))?;
        let folder = folder.map(PathBuf::into_os_string);
        Ok(Root::Python {
            callable: module.getattr("run")?.unbind(),
            args: (folder, arguments).into_pyobject(py)?.unbind(),
        })
    };
    root().map_err(failed)
}
