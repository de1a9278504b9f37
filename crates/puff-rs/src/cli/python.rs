//! `puff python`: what `python` would do, inside the runtime.

use std::ffi::OsString;

use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{ConfigError, ProgramError};
use crate::program::commands::python::{arguments, arguments_arg};
use crate::program::{Command, Invocation, Prepared, Root};

/// Runs a module, code, a file, or the interactive interpreter.
pub(super) struct PythonInterpreterCommand;

impl Command for PythonInterpreterCommand {
    fn cli(&self) -> clap::Command {
        clap::Command::new("python")
            .about("Does what `python` would do, as a greenlet of the runtime")
            .override_usage("puff python [OPTIONS] [-m MODULE | -c CODE | FILE | -] [ARGS]...")
            .arg(arguments_arg("As for python: -m MODULE, -c CODE, a FILE, or - for stdin; then arguments"))
            .after_help("Examples:\n  puff python script.py --verbose\n  puff python -m shop.tools\n  puff python -c 'import puff; puff.sleep(1)'")
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let target = Target::parse(arguments(invocation))?;
        Ok(Prepared::new(move |py, _| {
            target
                .root(py)
                .map_err(|error| ProgramError::Failed(error.to_string()))
        }))
    }
}

/// What to run.
#[derive(Debug, PartialEq)]
struct Target {
    /// The name of the function in `python_main.py`.
    kind: &'static str,
    what: OsString,
    arguments: Vec<OsString>,
}

impl Target {
    fn parse(arguments: Vec<OsString>) -> Result<Target, ConfigError> {
        let mut rest = arguments.into_iter();
        let Some(first) = rest.next() else {
            return Ok(Target {
                kind: "run_stdin",
                what: OsString::new(),
                arguments: Vec::new(),
            });
        };
        let text = first.to_string_lossy().into_owned();
        let option = |flag: &str| text.strip_prefix(flag).map(str::to_owned);
        let (kind, what) = if text == "-" {
            ("run_stdin", OsString::from("-"))
        } else if let Some(attached) = option("-m") {
            ("run_module", value(attached, "-m", &mut rest)?)
        } else if let Some(attached) = option("-c") {
            ("run_code", value(attached, "-c", &mut rest)?)
        } else if text.starts_with('-') {
            return Err(ConfigError::Usage(format!(
                "puff python has no option {text}; give Python's own options by variables such as PYTHONWARNINGS"
            )));
        } else {
            ("run_file", first)
        };
        Ok(Target {
            kind,
            what,
            arguments: rest.collect(),
        })
    }

    fn root(self, py: Python<'_>) -> PyResult<Root> {
        let source = c_str!(include_str!("python_main.py"));
        let module = PyModule::from_code(
            py,
            source,
            c_str!("puff/python_main.py"),
            c_str!("_puff_python_main"),
        )?;
        let callable = module.getattr(self.kind)?.unbind();
        let args: Bound<'_, PyTuple> = (self.what, self.arguments).into_pyobject(py)?;
        Ok(Root::Python {
            callable,
            args: args.unbind(),
        })
    }
}

/// What follows a flag: in the same argument or in the next.
fn value(
    attached: String,
    flag: &str,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, ConfigError> {
    if !attached.is_empty() {
        return Ok(attached.into());
    }
    rest.next()
        .ok_or_else(|| ConfigError::Usage(format!("puff python {flag} needs an argument")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Target, ConfigError> {
        Target::parse(arguments.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_forms_of_python() {
        let target = |kind, what: &str, arguments: &[&str]| Target {
            kind,
            what: what.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
        };
        assert_eq!(parse(&[]).unwrap(), target("run_stdin", "", &[]));
        assert_eq!(parse(&["-"]).unwrap(), target("run_stdin", "-", &[]));
        assert_eq!(
            parse(&["a.py", "-m", "x"]).unwrap(),
            target("run_file", "a.py", &["-m", "x"])
        );
        assert_eq!(
            parse(&["-m", "a.b", "-v"]).unwrap(),
            target("run_module", "a.b", &["-v"])
        );
        assert_eq!(
            parse(&["-cprint(1)", "2"]).unwrap(),
            target("run_code", "print(1)", &["2"])
        );
        assert!(
            parse(&["-c"])
                .unwrap_err()
                .to_string()
                .contains("needs an argument")
        );
        assert!(
            parse(&["-u", "a.py"])
                .unwrap_err()
                .to_string()
                .contains("no option -u")
        );
    }
}
