//! [`PythonCommand`]: a Python function as a command.

use std::ffi::OsString;

use clap::{Arg, value_parser};
use puff_python::import::resolve;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::ProgramError;
use crate::program::{Command, Context, Invocation, Prepared, Root, resolve_error};

/// Calls a Python function as the program's main greenlet.
///
/// The exit status is what the function returns: `None` is 0, an `int` itself; an exception prints its
/// traceback and is 1. Further arguments on the command line are `sys.argv[1:]`.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::PythonCommand;
///
/// fn main() -> ExitCode {
///     Program::new("tools").command(PythonCommand::new("import_prices", "shop.prices.import_all")).run()
/// }
/// ```
pub struct PythonCommand {
    name: String,
    function: String,
}

impl PythonCommand {
    /// The command `name` calls `function`, written `pkg.mod.function` or `pkg.mod:function`.
    pub fn new(name: impl Into<String>, function: impl Into<String>) -> PythonCommand {
        PythonCommand {
            name: name.into(),
            function: function.into(),
        }
    }
}

impl Command for PythonCommand {
    fn cli(&self) -> clap::Command {
        clap::Command::new(self.name.clone())
            .about(format!("Calls the Python function {}", self.function))
            .arg(arguments_arg("Arguments for the function, in sys.argv"))
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        Ok(call_function(self.function.clone(), arguments(invocation)))
    }
}

/// The positional arguments that a Python program gets as they are.
pub(crate) fn arguments_arg(help: &'static str) -> Arg {
    Arg::new("arguments")
        .value_name("ARGS")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(value_parser!(OsString))
        .help(help)
}

/// What [`arguments_arg`] got.
pub(crate) fn arguments(invocation: &Invocation) -> Vec<OsString> {
    invocation
        .matches
        .get_many::<OsString>("arguments")
        .map(|args| args.cloned().collect())
        .unwrap_or_default()
}

/// Calls the function that `path` names, with `arguments` in `sys.argv`.
pub(crate) fn call_function(path: String, arguments: Vec<OsString>) -> Prepared {
    let imported = path.clone();
    Prepared::new(move |py: Python<'_>, _: Context| {
        let function = resolve(py, &path).map_err(|error| resolve_error(py, error))?;
        if !function.is_callable() {
            return Err(ProgramError::Load(format!(
                "{path} is not a function: it cannot be called"
            )));
        }
        let argv = std::iter::once(OsString::from(path)).chain(arguments);
        py.import("sys")
            .and_then(|sys| sys.setattr("argv", argv.collect::<Vec<_>>()))
            .map_err(|error| ProgramError::Failed(error.to_string()))?;
        Ok(Root::Python {
            callable: function.unbind(),
            args: PyTuple::empty(py).unbind(),
        })
    })
    .importing(imported)
}
