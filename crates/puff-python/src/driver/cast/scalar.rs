//! Truth values, numbers, text and bytes.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyUnicodeDecodeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyMemoryView, PyString, PyType};

use super::Fault;

/// Text in a client encoding that is not UTF-8.
pub(super) fn decode<'py>(py: Python<'py>, bytes: &[u8], codec: &str) -> PyResult<Bound<'py, PyString>> {
    if bytes.is_ascii() && codec == "latin_1" {
        return PyString::from_bytes(py, bytes);
    }
    let text = PyBytes::new(py, bytes).call_method1("decode", (codec,))?;
    text.cast_into::<PyString>().map_err(PyErr::from)
}

/// The text of a number for Python's own parser, which raises the error that the user knows.
fn number_text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    PyString::from_bytes(py, bytes).map_err(|error| {
        if error.is_instance_of::<PyUnicodeDecodeError>(py) {
            Fault::Data.raise(py, "a number that is no text")
        } else {
            error
        }
    })
}

pub(super) fn int<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if let Some(number) = parse_int(bytes) {
        return number.into_bound_py_any(py);
    }
    py.get_type::<PyInt>().call1((number_text(py, bytes)?,))
}

/// Digits with an optional minus that surely fit; `None` for anything else.
fn parse_int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number * 10 + i64::from(value);
    }
    Some(if negative { -number } else { number })
}

pub(super) fn float<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
    {
        Some(number) => Ok(PyFloat::new(py, number).into_any()),
        None => py.get_type::<PyFloat>().call1((number_text(py, bytes)?,)),
    }
}

pub(super) fn decimal_class(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(DECIMAL.import(py, "decimal", "Decimal")?.clone().into_any())
}

pub(super) fn boolean<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let value = match bytes {
        b"t" | b"T" => true,
        b"f" | b"F" => false,
        other if other.eq_ignore_ascii_case(b"true") => true,
        other if other.eq_ignore_ascii_case(b"false") => false,
        other => {
            let text = String::from_utf8_lossy(other);
            return Err(Fault::Interface.raise(py, &format!("can't parse boolean: '{text}'")));
        }
    };
    Ok(PyBool::new(py, value).to_owned().into_any())
}

/// A `bytea` in either of the server's two formats, as a `memoryview`.
pub(super) fn binary<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let content = match bytes {
        [b'\\', b'x', digits @ ..] => {
            PyBytes::new_with(py, digits.len() / 2, |target| unhex(py, digits, target))?
        }
        escaped => PyBytes::new(py, &unescape(escaped)),
    };
    Ok(PyMemoryView::from(&content)?.into_any())
}

fn unhex(py: Python<'_>, digits: &[u8], target: &mut [u8]) -> PyResult<()> {
    let broken = || Fault::Data.raise(py, "unable to parse bytea");
    if !digits.len().is_multiple_of(2) {
        return Err(broken());
    }
    for (byte, pair) in target.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        if high | low > 15 {
            return Err(broken());
        }
        *byte = high << 4 | low;
    }
    Ok(())
}

/// The value of each hexadecimal digit; 255 for other bytes.
const NIBBLES: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit] = digit as u8;
        digit += 1;
    }
    let mut letter = 0;
    while letter < 6 {
        table[b'a' as usize + letter] = 10 + letter as u8;
        table[b'A' as usize + letter] = 10 + letter as u8;
        letter += 1;
    }
    table
};

/// The older format: `\\` and `\ooo` are escapes, other bytes are themselves.
fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            content.push(*first);
            continue;
        }
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                content.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            [literal, after @ ..] => {
                content.push(*literal);
                rest = after;
            }
            [] => {}
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_size() {
        for number in [0, 7, -7, 999_999_999_999_999_999, -999_999_999_999_999_999] {
            assert_eq!(parse_int(number.to_string().as_bytes()), Some(number));
        }
        for other in [
            "",
            "-",
            "1.5",
            "1e5",
            "NaN",
            " 1",
            "+1",
            "1_0",
            "9223372036854775807",
        ] {
            assert_eq!(parse_int(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_escape_format_of_bytes() {
        assert_eq!(unescape(br"a\\b\001\377c"), b"a\\b\x01\xffc");
        assert_eq!(unescape(b""), b"");
        assert_eq!(unescape(br"\"), b"");
    }
}
