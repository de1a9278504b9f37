//! Cells in PostgreSQL's text format as Python objects.

use puff_postgres::oid;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::types;

/// A cell of type `type_oid` as the Python object that a reader would expect.
///
/// Types without a rule stay text, and so does a value that Python's type cannot hold (an infinite date).
///
/// # Errors
/// Only if Python runs out of memory or its standard library is broken.
pub(crate) fn cell_to_object<'py>(
    py: Python<'py>,
    type_oid: oid::Oid,
    cell: Option<&[u8]>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(bytes) = cell else {
        return Ok(py.None().into_bound(py));
    };
    let text = String::from_utf8_lossy(bytes);
    if let Some(element) = oid::array_element(type_oid)
        && let Some(list) = array(py, element, &text)?
    {
        return Ok(list);
    }
    scalar(py, type_oid, &text)
}

fn scalar<'py>(py: Python<'py>, type_oid: oid::Oid, text: &str) -> PyResult<Bound<'py, PyAny>> {
    match type_oid {
        oid::BOOL => (text == "t").into_bound_py_any(py),
        oid::INT2 | oid::INT4 | oid::INT8 | oid::OID => match text.parse::<i64>() {
            Ok(number) => number.into_bound_py_any(py),
            Err(_) => text.into_bound_py_any(py),
        },
        oid::FLOAT4 | oid::FLOAT8 => match text.parse::<f64>() {
            Ok(number) => number.into_bound_py_any(py),
            Err(_) => text.into_bound_py_any(py),
        },
        oid::NUMERIC => types::decimal(py)?.call1((text,)),
        oid::JSON | oid::JSONB => types::json_loads(py, text),
        oid::UUID => types::uuid(py)?.call1((text,)),
        oid::BYTEA => match unhex(text) {
            Some(bytes) => Ok(PyBytes::new(py, &bytes).into_any()),
            None => text.into_bound_py_any(py),
        },
        oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            moment(py, type_oid, text)?.map_or_else(|| text.into_bound_py_any(py), Ok)
        }
        _ => Ok(PyString::new(py, text).into_any()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    digits
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?))
        .collect()
}

/// `2024-05-06`, `07:08:09.1`, `2024-05-06 07:08:09.1+05:30`; None for what Python cannot hold.
fn moment<'py>(py: Python<'py>, type_oid: oid::Oid, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (date, time) = match type_oid {
        oid::DATE => (Some(text), None),
        oid::TIME => (None, Some(text)),
        _ => match text.split_once(' ') {
            Some((date, time)) => (Some(date), Some(time)),
            None => return Ok(None),
        },
    };
    let date = match date.map(parse_date) {
        Some(None) => return Ok(None),
        Some(date) => date,
        None => None,
    };
    let time = match time.map(parse_time) {
        Some(None) => return Ok(None),
        Some(time) => time,
        None => None,
    };
    let made = match (date, time) {
        (Some((y, m, d)), None) => types::date(py)?.call1((y, m, d)),
        (None, Some(t)) => types::time(py)?.call1((t.hour, t.minute, t.second, t.microsecond)),
        (Some((y, m, d)), Some(t)) => {
            let zone = match t.offset {
                Some(seconds) => {
                    let delta = types::timedelta(py)?.call1((0, seconds))?;
                    types::timezone(py)?.call1((delta,))?
                }
                None => py.None().into_bound(py),
            };
            types::datetime(py)?.call1((y, m, d, t.hour, t.minute, t.second, t.microsecond, zone))
        }
        (None, None) => return Ok(None),
    };
    // ValueError: 24:00:00, or a year beyond 9999.
    Ok(made.ok())
}

struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    microsecond: u32,
    /// Seconds east of Greenwich.
    offset: Option<i32>,
}

fn parse_date(text: &str) -> Option<(i32, u32, u32)> {
    let mut parts = text.split('-');
    let date = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(date)
}

fn parse_time(text: &str) -> Option<Clock> {
    let (clock, offset) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(parse_offset(&text[at..])?)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let seconds = parts.next()?;
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let microsecond = format!("{fraction:0<6}").parse().ok()?;
    Some(Clock {
        hour,
        minute,
        second: second.parse().ok()?,
        microsecond,
        offset,
    })
}

fn parse_offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut seconds = 0;
    for (part, unit) in text[1..].split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i32>().ok()? * unit;
    }
    Some(sign * seconds)
}

/// A PostgreSQL array as a list of lists; None if the text is no plain array (custom bounds).
fn array<'py>(py: Python<'py>, element: oid::Oid, text: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    if !text.starts_with('{') {
        return Ok(None);
    }
    let mut stack: Vec<Bound<'py, PyList>> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '{' => stack.push(PyList::empty(py)),
            ',' => {}
            '}' => {
                let Some(done) = stack.pop() else { return Ok(None) };
                match stack.last() {
                    Some(outer) => outer.append(done)?,
                    None => return Ok(Some(done.into_any())),
                }
            }
            first => {
                let mut value = String::new();
                let quoted = first == '"';
                if quoted {
                    while let Some(next) = characters.next() {
                        match next {
                            '"' => break,
                            '\\' => value.extend(characters.next()),
                            other => value.push(other),
                        }
                    }
                } else {
                    value.push(first);
                    while let Some(next) = characters.next_if(|next| !matches!(next, ',' | '}')) {
                        value.push(next);
                    }
                }
                let Some(list) = stack.last() else { return Ok(None) };
                if !quoted && value == "NULL" {
                    list.append(py.None())?;
                } else {
                    list.append(scalar(py, element, &value)?)?;
                }
            }
        }
    }
    Ok(None)
}
