//! A command's own arguments, declared with clap, as Python keyword arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::ProgramError;
use crate::settings::keys;

/// A value of a type that Python gets as its own.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(OsString),
    Int(i128),
    Float(f64),
    Bool(bool),
    List(Vec<Value>),
}

/// The arguments of one call: keywords in the order of their declaration.
#[derive(Debug, Default)]
pub(crate) struct Keywords(Vec<(String, Value)>);

impl Keywords {
    /// Reads what clap found for `declared`, which are arguments of `command`.
    ///
    /// An argument that was not given and has no default is left out, so that the function's own default holds.
    ///
    /// # Errors
    /// Mistakes in the declaration, which every call of the command shows: the name of a setting, a type that
    /// Python does not get.
    pub(crate) fn read(
        mut command: clap::Command,
        declared: &[Arg],
        matches: &ArgMatches,
    ) -> Result<Keywords, ProgramError> {
        check_names(&command, declared)?;
        // Only then do the arguments know their number of values.
        command.build();
        let mut keywords = Vec::new();
        for arg in declared {
            let id = arg.get_id().as_str();
            let built = command.get_arguments().find(|known| known.get_id() == id);
            let many = built.is_some_and(takes_many);
            if let Some(mut values) = values(matches, id)? {
                let value = match (many, values.len()) {
                    (false, 1) => values.remove(0),
                    _ => Value::List(values),
                };
                keywords.push((id.replace('-', "_"), value));
            }
        }
        Ok(Keywords(keywords))
    }

    /// The keyword arguments as a dict. Call it attached.
    pub(crate) fn into_dict(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in self.0 {
            dict.set_item(name, value.into_object(py)?)?;
        }
        Ok(dict)
    }
}

impl Value {
    fn into_object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(match self {
            Value::Text(text) => text.into_pyobject(py)?.into_any(),
            Value::Int(number) => number.into_pyobject(py)?.into_any(),
            Value::Float(number) => number.into_pyobject(py)?.into_any(),
            Value::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
            Value::List(values) => {
                let items: PyResult<Vec<_>> = values.into_iter().map(|value| value.into_object(py)).collect();
                PyList::new(py, items?)?.into_any()
            }
        })
    }
}

/// Refuses names that are taken by settings: a value for one would be taken for the other.
pub(crate) fn check_names(command: &clap::Command, declared: &[Arg]) -> Result<(), ProgramError> {
    let taken = declared
        .iter()
        .map(|arg| arg.get_id().as_str())
        .find(|id| *id == "config" || keys::find(id).is_some());
    match taken {
        None => Ok(()),
        Some(id) => Err(ProgramError::Failed(format!(
            "the argument {id:?} of the command {:?} has the name of a setting; give it another",
            command.get_name()
        ))),
    }
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_num_args().is_some_and(|n| n.max_values() > 1)
}

/// The values of `id`; `None` if there are none.
fn values(matches: &ArgMatches, id: &str) -> Result<Option<Vec<Value>>, ProgramError> {
    macro_rules! attempt {
        ($($kind:ty => $make:expr),* $(,)?) => {$(
            match matches.try_get_many::<$kind>(id) {
                Ok(found) => return Ok(found.map(|values| values.cloned().map($make).collect())),
                Err(clap::parser::MatchesError::Downcast { .. }) => {}
                Err(error) => return Err(ProgramError::Failed(format!("the argument {id:?}: {error}"))),
            }
        )*};
    }
    attempt! {
        String => |text| Value::Text(text.into()),
        bool => Value::Bool,
        i64 => |number| Value::Int(number.into()),
        f64 => Value::Float,
        PathBuf => |path| Value::Text(path.into()),
        OsString => Value::Text,
        u8 => |number| Value::Int(number.into()),
        u16 => |number| Value::Int(number.into()),
        u32 => |number| Value::Int(number.into()),
        u64 => |number| Value::Int(number.into()),
        usize => |number| Value::Int(number as i128),
        i8 => |number| Value::Int(number.into()),
        i16 => |number| Value::Int(number.into()),
        i32 => |number| Value::Int(number.into()),
        f32 => |number| Value::Float(number.into()),
    }
    Err(ProgramError::Failed(format!(
        "the argument {id:?} has a type that Python does not get: use String, PathBuf, bool, a whole number or a \
         floating-point number"
    )))
}

#[cfg(test)]
mod tests {
    use clap::value_parser;

    use super::*;

    fn read(declared: &[Arg], line: &[&str]) -> Result<Vec<(String, Value)>, String> {
        let command = clap::Command::new("t").args(declared.to_vec());
        let matches = command
            .clone()
            .try_get_matches_from(line)
            .map_err(|e| e.to_string())?;
        let keywords = Keywords::read(command, declared, &matches).map_err(|e| e.to_string())?;
        Ok(keywords.0)
    }

    #[test]
    fn each_type_is_pythons_own() {
        let declared = [
            Arg::new("file")
                .value_parser(value_parser!(PathBuf))
                .required(true),
            Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue),
            Arg::new("verbose").short('v').action(ArgAction::Count),
            Arg::new("limit")
                .long("limit")
                .value_parser(value_parser!(u16).range(1..)),
            Arg::new("rate")
                .long("rate")
                .value_parser(value_parser!(f64))
                .default_value("0.5"),
            Arg::new("tag").long("tag").action(ArgAction::Append),
            Arg::new("kind").long("kind").value_parser(["a", "b"]),
            Arg::new("size")
                .long("size")
                .num_args(2)
                .value_parser(value_parser!(i64)),
        ];
        let line = [
            "t",
            "x.csv",
            "--dry-run",
            "-vv",
            "--limit",
            "3",
            "--tag",
            "new",
            "--size",
            "4",
            "5",
        ];
        let text = |text: &str| Value::Text(text.into());
        let expected = [
            ("file", text("x.csv")),
            ("dry_run", Value::Bool(true)),
            ("verbose", Value::Int(2)),
            ("limit", Value::Int(3)),
            ("rate", Value::Float(0.5)),
            ("tag", Value::List(vec![text("new")])),
            ("size", Value::List(vec![Value::Int(4), Value::Int(5)])),
        ];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value)).into();
        assert_eq!(read(&declared, &line), Ok(expected));
    }

    #[test]
    fn mistakes_in_a_declaration_are_told() {
        let setting = read(&[Arg::new("bind").long("bind")], &["t"]).unwrap_err();
        assert!(
            setting.contains("the argument \"bind\" of the command \"t\" has the name of a setting"),
            "{setting}"
        );
        let kind = Arg::new("letter").value_parser(value_parser!(char));
        let error = read(&[kind], &["t", "x"]).unwrap_err();
        assert!(
            error.contains("\"letter\" has a type that Python does not get"),
            "{error}"
        );
    }
}
