//! The words of a command, as redis-py takes them.

use puff_redis::Command;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple};

use super::reply::Peer;

/// The command with these words. The first may be several, parted by spaces: "CONFIG GET".
pub(super) fn command(words: &Bound<'_, PyTuple>) -> PyResult<Command> {
    let mut command = Command::with_capacity(words.len() + 1, 64);
    let mut words = words.iter_borrowed();
    if let Some(name) = words.next() {
        push_name(&mut command, &name)?;
    }
    for word in words {
        push(&mut command, &word)?;
    }
    Ok(command)
}

/// Each is a tuple of words, or one of such a tuple and something else.
pub(super) fn commands(list: &Bound<'_, PyList>) -> PyResult<Vec<Command>> {
    let mut commands = Vec::with_capacity(list.len());
    for each in list {
        let each = each.cast_into::<PyTuple>()?;
        let first = each.get_borrowed_item(0);
        commands.push(match first.as_ref().map(|first| first.cast::<PyTuple>()) {
            Ok(Ok(words)) => command(&words)?,
            _ => command(&each)?,
        });
    }
    Ok(commands)
}

fn push_name(command: &mut Command, name: &Bound<'_, PyAny>) -> PyResult<()> {
    let whole = match name.cast::<PyString>() {
        Ok(name) => name.to_str()?.as_bytes(),
        Err(_) => match name.cast::<PyBytes>() {
            Ok(name) => name.as_bytes(),
            Err(_) => return push(command, name),
        },
    };
    for word in whole
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
    {
        command.push(word);
    }
    Ok(())
}

fn push(command: &mut Command, word: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(text) = word.cast::<PyString>() {
        command.push(text.to_str()?);
    } else if let Ok(bytes) = word.cast::<PyBytes>() {
        command.push(bytes.as_bytes());
    } else if word.is_exact_instance_of::<PyInt>()
        && let Ok(number) = word.extract::<i64>()
    {
        command.push(number.to_string());
    } else if word.is_instance_of::<PyBool>() {
        return Err(unfit("bool"));
    } else if word.is_instance_of::<PyInt>() || word.is_instance_of::<PyFloat>() {
        command.push(word.repr()?.to_str()?);
    } else if let Ok(bytes) = word.cast::<PyByteArray>() {
        command.push(bytes.to_vec());
    } else if word.is_instance_of::<PyMemoryView>() {
        let bytes = word.call_method0(intern!(word.py(), "tobytes"))?;
        command.push(bytes.cast::<PyBytes>()?.as_bytes());
    } else {
        return Err(unfit(&word.get_type().name()?.to_string()));
    }
    Ok(())
}

/// In redis-py's words.
fn unfit(kind: &str) -> PyErr {
    let text = format!("Invalid input of type: '{kind}'. Convert to a bytes, string, int or float first.");
    Peer::new("data", text).into()
}
