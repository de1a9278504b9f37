//! Python values in the text of a statement: what `cursor.execute(sql, args)` sends.
//!
//! The template, and how text is quoted, are [`puff_postgres::literal`], which knows nothing of Python; here
//! values get there. Which adapter a type has is Python's table, `puff.postgres._adapters.adapters`: while it
//! has the default for a builtin type, its values are written without any Python call.

mod registry;
mod writer;

use puff_postgres::literal::{Backslashes, Piece, Template};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use registry::Registry;
use writer::Writer;

/// Adds the functions of this module to the native module.
pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pg_merge, module)?)?;
    module.add_function(wrap_pyfunction!(pg_quote, module)?)?;
    module.add_function(wrap_pyfunction!(pg_quote_text, module)?)?;
    module.add_function(wrap_pyfunction!(pg_quote_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(pg_quote_list, module)?)?;
    module.add_function(wrap_pyfunction!(pg_quote_tuple, module)?)
}

/// The statement with its placeholders replaced by literals; without arguments (`None`) it is left alone.
///
/// `connection` is the Python connection, for its encoding and its setting of backslashes, and for adapters
/// that want it. Adapters may switch greenlets.
#[pyfunction]
fn pg_merge<'py>(
    query: &Bound<'py, PyBytes>,
    args: &Bound<'py, PyAny>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    if args.is_none() {
        return Ok(query.clone());
    }
    let py = query.py();
    let template = query.as_bytes();
    let mut writer = Writer::new(py, connection, template.len() + 64)?;
    let mut named = None;
    let mut index = 0;
    let mut first_fault = None;
    for piece in Template::new(template) {
        let (name, fault) = match piece {
            Piece::Text(text) => {
                writer.push(text);
                continue;
            }
            Piece::Unclosed if named == Some(false) => return Err(mixed(py)),
            Piece::Unclosed => {
                return Err(
                    Registry::get(py)?.programming_error(py, "incomplete placeholder: '%(' without ')'")
                );
            }
            Piece::Value { name, fault } => (name, fault),
        };
        if named
            .replace(name.is_some())
            .is_some_and(|before| before != name.is_some())
        {
            return Err(mixed(py));
        }
        let value = match name {
            Some(name) => args.get_item(writer.decode(py, name)?)?,
            None => item(args, index)?,
        };
        index += 1;
        writer.value(&value)?;
        first_fault = first_fault.or(fault);
    }
    if let Some(fault) = first_fault {
        return Err(PyValueError::new_err(fault.to_string()));
    }
    if named == Some(false) && index < args.len()? {
        return Err(PyTypeError::new_err(
            "not all arguments converted during string formatting",
        ));
    }
    Ok(writer.finish(py))
}

/// The positional argument `index`.
fn item<'py>(args: &Bound<'py, PyAny>, index: usize) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(args) = args.cast_exact::<PyTuple>() {
        return args.get_item(index);
    }
    if let Ok(args) = args.cast_exact::<PyList>() {
        return args.get_item(index);
    }
    if args.is_instance_of::<PyDict>() {
        return Err(PyTypeError::new_err("dict is not a sequence"));
    }
    args.get_item(index)
}

fn mixed(py: Python<'_>) -> PyErr {
    match Registry::get(py) {
        Ok(registry) => registry.programming_error(py, "argument formats can't be mixed"),
        Err(error) => error,
    }
}

/// The literal of any value, by its adapter.
#[pyfunction]
fn pg_quote<'py>(
    value: &Bound<'py, PyAny>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut writer = Writer::new(value.py(), connection, 64)?;
    writer.value(value)?;
    Ok(writer.finish(value.py()))
}

/// The literal of a text. `codec` is Python's name of the encoding if there is no connection.
#[pyfunction]
fn pg_quote_text<'py>(
    text: &Bound<'py, PyString>,
    codec: &Bound<'py, PyString>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    let mut writer = match connection {
        Some(_) => Writer::new(py, connection, 64)?,
        None => Writer::with_codec(py, codec.clone(), Backslashes::Unknown)?,
    };
    writer.text(text)?;
    Ok(writer.finish(py))
}

/// The literal of bytes, as `bytea`.
#[pyfunction]
fn pg_quote_bytes<'py>(
    bytes: &Bound<'py, PyBytes>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut writer = Writer::new(bytes.py(), connection, 64)?;
    writer.bytea(bytes.as_bytes());
    Ok(writer.finish(bytes.py()))
}

/// The literal of a list, as an array, whatever adapter the list's own type has.
#[pyfunction]
fn pg_quote_list<'py>(
    items: &Bound<'py, PyList>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut writer = Writer::new(items.py(), connection, 64)?;
    writer.array(items)?;
    Ok(writer.finish(items.py()))
}

/// The literals of a tuple's items in parentheses, whatever adapter the tuple's own type has.
#[pyfunction]
fn pg_quote_tuple<'py>(
    items: &Bound<'py, PyTuple>,
    connection: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut writer = Writer::new(items.py(), connection, 64)?;
    writer.items(items)?;
    Ok(writer.finish(items.py()))
}
