//! [`PythonCommand`]: a Python function as a command.

use std::ffi::OsString;

use clap::{Arg, value_parser};
use puff_python::import::resolve;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::ProgramError;
use crate::program::arguments::Keywords;
use crate::program::{Command, Context, Invocation, Prepared, Root, resolve_error};

/// Calls a Python function as the program's main greenlet.
///
/// The exit status is what the function returns: `None` is 0, an `int` itself; an exception prints its
/// traceback and is 1.
///
/// What follows on the command line is `sys.argv[1:]`, unless arguments are declared: then clap reads them,
/// and the function gets them as keyword arguments with Python's types. The type is that of clap's
/// `value_parser`: `String`, `PathBuf` and `OsString` become `str`, whole numbers `int`, `f64` `float`, flags
/// `bool`; an argument that takes several values is a `list`. A dash in a name becomes `_`. An argument that
/// was not given and has no default is not passed.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::PythonCommand;
///
/// fn main() -> ExitCode {
///     Program::new("tools").command(PythonCommand::new("import_prices", "shop.prices.import_all")).run()
/// }
/// ```
///
/// With arguments, for `def import_all(file: str, dry_run: bool, limit: int = 1000)`:
///
/// ```
/// use std::path::PathBuf;
/// use puff_rs::clap::{Arg, ArgAction, value_parser};
/// use puff_rs::program::commands::PythonCommand;
///
/// let command = PythonCommand::new("import_prices", "shop.prices.import_all")
///     .about("Imports the prices of a file")
///     .arg(Arg::new("file").required(true).value_parser(value_parser!(PathBuf)))
///     .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue))
///     .arg(Arg::new("limit").long("limit").value_parser(value_parser!(u32).range(1..)));
/// # let _ = command;
/// ```
pub struct PythonCommand {
    name: String,
    function: String,
    about: Option<String>,
    arguments: Vec<Arg>,
}

impl PythonCommand {
    /// The command `name` calls `function`, written `pkg.mod.function` or `pkg.mod:function`.
    pub fn new(name: impl Into<String>, function: impl Into<String>) -> PythonCommand {
        PythonCommand {
            name: name.into(),
            function: function.into(),
            about: None,
            arguments: Vec::new(),
        }
    }

    /// One line for the help.
    pub fn about(mut self, about: impl Into<String>) -> PythonCommand {
        self.about = Some(about.into());
        self
    }

    /// Declares an argument or flag, which the function gets as a keyword argument of this name. The name must
    /// not be that of a setting.
    pub fn arg(mut self, argument: Arg) -> PythonCommand {
        self.arguments.push(argument);
        self
    }
}

impl Command for PythonCommand {
    fn cli(&self) -> clap::Command {
        let about = self.about.clone();
        let about = about.unwrap_or_else(|| format!("Calls the Python function {}", self.function));
        let command = clap::Command::new(self.name.clone()).about(about);
        if self.arguments.is_empty() {
            command.arg(arguments_arg("Arguments for the function, in sys.argv"))
        } else {
            command.args(&self.arguments)
        }
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let path = self.function.clone();
        if self.arguments.is_empty() {
            return Ok(call_function(path, arguments(invocation)));
        }
        let keywords = Keywords::read(self.cli(), &self.arguments, &invocation.matches)?;
        Ok(start_function(path, Vec::new(), keywords))
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
    start_function(path, arguments, Keywords::default())
}

fn start_function(path: String, arguments: Vec<OsString>, keywords: Keywords) -> Prepared {
    let imported = path.clone();
    Prepared::new(move |py: Python<'_>, _: Context| {
        let function = resolve(py, &path).map_err(|error| resolve_error(py, error))?;
        if !function.is_callable() {
            return Err(ProgramError::Load(format!(
                "{path} is not a function: it cannot be called"
            )));
        }
        let function = with_keywords(&function, keywords)
            .map_err(|error| ProgramError::Load(format!("{path} cannot be called: {}", error.value(py))))?;
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

/// `function` with its keyword arguments, which it must take.
fn with_keywords<'py>(function: &Bound<'py, PyAny>, keywords: Keywords) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let keywords = keywords.into_dict(py)?;
    if keywords.is_empty() {
        return Ok(function.clone());
    }
    match py.import("inspect")?.call_method1("signature", (function,)) {
        // Now, and not from the call, so that a declaration that does not fit is told in one line.
        Ok(signature) => signature.call_method("bind", (), Some(&keywords)).map(drop)?,
        // Functions in C may have none.
        Err(error) if error.is_instance_of::<PyValueError>(py) => {}
        Err(error) => return Err(error),
    }
    py.import("functools")?
        .call_method("partial", (function,), Some(&keywords))
}
