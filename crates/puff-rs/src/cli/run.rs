//! `puff run pkg.mod.function`: any function as a program.

use clap::Arg;

use crate::errors::{ConfigError, ProgramError};
use crate::program::commands::python::{arguments, arguments_arg, call_function};
use crate::program::{Command, Invocation, Prepared};

/// Calls the function that the first argument names.
pub(super) struct RunCommand;

impl Command for RunCommand {
    fn cli(&self) -> clap::Command {
        clap::Command::new("run")
            .about("Calls a Python function as a greenlet")
            .long_about(
                "Calls a Python function as the main greenlet. The exit status is what it returns: None is 0, an \
                 int itself, an exception prints its traceback and is 1.",
            )
            .arg(Arg::new("function").value_name("MODULE.FUNCTION").required(true).help("What to call"))
            .arg(arguments_arg("Arguments for the function, in sys.argv"))
            .after_help("Examples:\n  puff run shop.prices.import_all\n  puff run shop.prices:import_all --dry-run")
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let function = invocation.matches.get_one::<String>("function");
        let function = function.ok_or_else(|| ConfigError::Usage("no function given".into()))?;
        Ok(call_function(function.clone(), arguments(invocation)))
    }
}
