//! The engine's plain values as Python objects and back.

use puff_graphql::Value;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use super::types;
use crate::graphql::host_to_object;

/// Python makes no int of more digits, which takes time that grows with their square.
const MAX_INT_DIGITS: usize = 4_300;

/// The most digits that an exponent is written out as.
const MAX_PLAIN: i64 = 1_000;

/// A value of the engine (an argument, a parent's key) as a Python object.
pub(crate) fn value_to_object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null | Value::Error(_) => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Int(number) => number.into_bound_py_any(py),
        Value::Big(digits) => big(py, digits),
        Value::Float(number) => number.into_bound_py_any(py),
        Value::Str(text) => (**text).into_bound_py_any(py),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(value_to_object(py, item)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, field) in fields {
                dict.set_item(&**name, value_to_object(py, field)?)?;
            }
            Ok(dict.into_any())
        }
        Value::Json(text) => types::json_loads(py, text),
        Value::Host(host) => host_to_object(py, host),
    }
}

/// A number of any size: an int or, where it has a fraction or an exponent, a Decimal.
fn big<'py>(py: Python<'py>, digits: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(number) = digits.parse::<i128>() {
        return number.into_bound_py_any(py);
    }
    if digits.len() <= MAX_INT_DIGITS && !digits.contains(['.', 'e', 'E']) {
        return py.get_type::<PyInt>().call1((digits,));
    }
    types::decimal(py)?.call1((digits,))
}

/// A Python object that stands for a scalar, an enum value or a list of these.
///
/// # Errors
/// `TypeError` naming the type if it has no JSON form.
pub(crate) fn object_to_value(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let py = object.py();
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        return Ok(Value::str(text.to_str()?));
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if object.is_instance(types::enumeration(py)?)? {
        return Ok(Value::str(object.getattr("name")?.extract::<String>()?));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        return Ok(match number.extract::<i64>() {
            Ok(small) => Value::Int(small),
            Err(_) => Value::Big(number.str()?.to_str()?.into()),
        });
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Ok(Value::Float(number.value()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::str(text.to_str()?));
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        let items = object
            .try_iter()?
            .map(|item| object_to_value(&item?))
            .collect::<PyResult<_>>()?;
        return Ok(Value::List(items));
    }
    if let Ok(mapping) = object.cast::<PyMapping>() {
        let mut fields = Vec::with_capacity(mapping.len()?);
        for item in mapping.items()?.iter() {
            let (name, field): (String, Bound<'_, PyAny>) = item.extract()?;
            fields.push((name.into(), object_to_value(&field)?));
        }
        return Ok(Value::Object(fields));
    }
    if object.is_instance(types::decimal(py)?)? {
        let text: String = object.str()?.extract()?;
        return Ok(if object.call_method0("is_finite")?.is_truthy()? {
            Value::Big(plain_number(object)?.into())
        } else {
            Value::str(text)
        });
    }
    if object.is_instance(types::date(py)?)? || object.is_instance(types::time(py)?)? {
        return Ok(Value::str(object.call_method0("isoformat")?.extract::<String>()?));
    }
    if object.is_instance(types::uuid(py)?)? {
        return Ok(Value::str(object.str()?.extract::<String>()?));
    }
    if object.is_instance(types::timedelta(py)?)? {
        return Ok(Value::str(types::encoded(object, "encode_timedelta")?));
    }
    if object.is_instance_of::<PyBytes>() {
        return Ok(Value::str(types::encoded(object, "encode_bytes")?));
    }
    Err(PyTypeError::new_err(format!(
        "a {} has no JSON form; return None, bool, int, float, str, an Enum member, Decimal, UUID, a date or \
         time, a timedelta, bytes, or a list or dict of these",
        object.get_type().qualname()?
    )))
}

/// A finite Decimal as a number of JSON, without an exponent unless that would be far too long.
fn plain_number(decimal: &Bound<'_, PyAny>) -> PyResult<String> {
    let size: i64 = decimal.call_method0("adjusted")?.extract()?;
    match size.abs() <= MAX_PLAIN {
        true => decimal.call_method1("__format__", ("f",))?.extract(),
        false => decimal.str()?.extract(),
    }
}
