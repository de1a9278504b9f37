//! Python objects as statement parameters, in PostgreSQL's text format.

use puff_postgres::{ArrayText, Param};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};

use super::types;

/// The parameters of one statement.
///
/// # Errors
/// `TypeError` that numbers the parameter (from 1, as in `$1`) and names its type.
pub(crate) fn objects_to_params(objects: &Bound<'_, PyAny>) -> PyResult<Vec<Param>> {
    // A text or a dict can be iterated over, and would become one parameter per character or key.
    let is_one_value = objects.is_instance_of::<PyString>()
        || objects.is_instance_of::<PyBytes>()
        || objects.is_instance_of::<PyDict>();
    let items = objects.try_iter().ok().filter(|_| !is_one_value).ok_or_else(|| {
        let name = objects.get_type().qualname();
        let name = name.map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "the parameters of a statement are a list or a tuple, not {name}"
        ))
    })?;
    items
        .enumerate()
        .map(|(index, object)| {
            object_to_param(&object?).map_err(|error| {
                PyTypeError::new_err(format!("parameter ${}: {}", index + 1, error.value(objects.py())))
            })
        })
        .collect()
}

/// One parameter. Lists and tuples become arrays, dicts become JSON.
///
/// # Errors
/// `TypeError` for a type that has no SQL form.
fn object_to_param(object: &Bound<'_, PyAny>) -> PyResult<Param> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Ok(Param::from(text.to_str()?));
    }
    if object.is_none() {
        return Ok(Param::NULL);
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(Param::from(bytes.as_bytes()));
    }
    if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
        let bytes: Vec<u8> = object
            .call_method0("__bytes__")
            .or_else(|_| object.py().get_type::<PyBytes>().call1((object,)))?
            .extract()?;
        return Ok(Param::from(bytes.as_slice()));
    }
    if is_array(object) {
        return Ok(Param::text(array_text(object)?.finish()));
    }
    Ok(Param::text(scalar_text(object)?))
}

fn is_array(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>()
}

/// The text of a value that is neither None, bytes nor a list.
fn scalar_text(object: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = object.py();
    if let Ok(text) = object.cast::<PyString>() {
        return if object.is_instance(types::enumeration(py)?)? {
            scalar_text(&object.getattr("value")?)
        } else {
            Ok(text.to_str()?.to_owned())
        };
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(if flag.is_true() { "t" } else { "f" }.to_owned());
    }
    if let Ok(number) = object.cast_exact::<PyInt>() {
        return match number.extract::<i64>() {
            Ok(small) => Ok(small.to_string()),
            Err(_) => Ok(number.str()?.to_str()?.to_owned()),
        };
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        let value = number.value();
        return Ok(if value.is_nan() {
            "NaN".to_owned()
        } else if value.is_infinite() {
            if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        } else {
            value.to_string()
        });
    }
    if object.is_instance_of::<PyDict>() {
        return types::json_dumps(object);
    }
    if object.is_instance(types::enumeration(py)?)? {
        return scalar_text(&object.getattr("value")?);
    }
    if object.is_instance(types::date(py)?)? || object.is_instance(types::time(py)?)? {
        return object.call_method0("isoformat")?.extract();
    }
    if object.is_instance(types::timedelta(py)?)? {
        let part = |name: &str| object.getattr(name)?.extract::<i64>();
        return Ok(format!(
            "{} days {} seconds {} microseconds",
            part("days")?,
            part("seconds")?,
            part("microseconds")?
        ));
    }
    if object.is_instance_of::<PyInt>()
        || object.is_instance(types::decimal(py)?)?
        || object.is_instance(types::uuid(py)?)?
    {
        return Ok(object.str()?.to_str()?.to_owned());
    }
    Err(PyTypeError::new_err(format!(
        "a {} has no SQL form; pass None, bool, int, float, str, bytes, Decimal, UUID, a date or time, \
         a list (an array) or a dict (JSON)",
        object.get_type().qualname()?
    )))
}

fn array_text(array: &Bound<'_, PyAny>) -> PyResult<ArrayText> {
    let mut text = ArrayText::with_capacity(array.len()?);
    for element in array.try_iter()? {
        let element = element?;
        if element.is_none() {
            text.null();
        } else if is_array(&element) {
            text.array(array_text(&element)?);
        } else if element.is_exact_instance_of::<PyInt>() {
            text.bare(&scalar_text(&element)?);
        } else if let Ok(string) = element.cast_exact::<PyString>() {
            text.quoted(string.to_str()?);
        } else {
            let param = object_to_param(&element)?;
            text.quoted(&String::from_utf8_lossy(
                param.value.as_deref().unwrap_or_default(),
            ));
        }
    }
    Ok(text)
}
