//! Writes Python values as SQL literals.

use puff_postgres::literal::{self, Backslashes, Charset, LiteralError, Quoting};
use pyo3::exceptions::{PyRecursionError, PyUnicodeEncodeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyFloat, PyList,
    PyString, PyTime, PyTimeAccess, PyTuple, PyTzInfo, PyTzInfoAccess,
};

use super::registry::{Builtin, Registry};

/// The literals of one statement, one after the other.
pub(super) struct Writer<'py> {
    out: Vec<u8>,
    registry: &'py Registry,
    connection: Option<Bound<'py, PyAny>>,
    quoting: Quoting,
    /// Python's name of the encoding; `None` is UTF-8.
    codec: Option<Bound<'py, PyString>>,
    /// By [`Builtin`], a bit for each whose adapter was looked up and is the default one. User code may change
    /// that, so they are cleared after each call of it.
    defaults: u16,
    /// Lists and tuples around the value that is written.
    depth: u8,
}

/// Lists in lists in lists: beyond this it is a list that holds itself.
const MAX_DEPTH: u8 = 100;

impl<'py> Writer<'py> {
    /// A writer for a connection's encoding and settings; without one, for any setting, and for the encoding
    /// that psycopg2 takes then.
    pub(super) fn new(
        py: Python<'py>,
        connection: Option<&Bound<'py, PyAny>>,
        capacity: usize,
    ) -> PyResult<Self> {
        let Some(connection) = connection else {
            return Self::with_codec(py, intern!(py, "latin1").clone(), Backslashes::Unknown);
        };
        let codec = connection
            .getattr(intern!(py, "_codec"))?
            .cast_into::<PyString>()?;
        let escape = connection
            .getattr(intern!(py, "_backslash_quotes"))?
            .is_truthy()?;
        let backslashes = if escape {
            Backslashes::Escape
        } else {
            Backslashes::Ordinary
        };
        let mut writer = Self::with_codec(py, codec, backslashes)?;
        writer.connection = Some(connection.clone());
        writer.out.reserve(capacity);
        Ok(writer)
    }

    /// A writer for an encoding, by its Python name.
    pub(super) fn with_codec(
        py: Python<'py>,
        codec: Bound<'py, PyString>,
        backslashes: Backslashes,
    ) -> PyResult<Self> {
        let name = codec.to_str()?;
        let is_utf8 = matches!(name, "utf_8" | "utf8" | "utf-8");
        let charset = if is_utf8 {
            Charset::AsciiSafe
        } else {
            Charset::of_codec(name)
        };
        Ok(Self {
            out: Vec::new(),
            registry: Registry::get(py)?,
            connection: None,
            quoting: Quoting { backslashes, charset },
            codec: (!is_utf8).then_some(codec),
            defaults: 0,
            depth: 0,
        })
    }

    /// What was written.
    pub(super) fn finish(self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.out)
    }

    /// Appends a part of the statement as it is.
    pub(super) fn push(&mut self, sql: &[u8]) {
        self.out.extend_from_slice(sql);
    }

    /// A part of the statement as Python's text.
    pub(super) fn decode(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        match &self.codec {
            None => PyString::from_bytes(py, bytes),
            Some(codec) => {
                let bytes = PyBytes::new(py, bytes);
                let text = bytes.call_method1(intern!(py, "decode"), (codec,))?;
                Ok(text.cast_into()?)
            }
        }
    }

    /// Appends the literal of a value.
    pub(super) fn value(&mut self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        if value.is_none() {
            self.push(b"NULL");
            return Ok(());
        }
        match self.registry.builtin(value) {
            Some(builtin) if self.is_default(value.py(), builtin)? => self.builtin(builtin, value),
            _ => self.adapted(value),
        }
    }

    fn is_default(&mut self, py: Python<'py>, builtin: Builtin) -> PyResult<bool> {
        let bit = 1 << builtin as u16;
        if self.defaults & bit == 0 && self.registry.is_default(py, builtin)? {
            self.defaults |= bit;
        }
        Ok(self.defaults & bit != 0)
    }

    fn builtin(&mut self, builtin: Builtin, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = value.py();
        match builtin {
            Builtin::Text => return self.text(value.cast::<PyString>()?),
            Builtin::Int => match value.extract::<i64>() {
                Ok(number) => literal::integer(&mut self.out, number),
                Err(_) => self.number(value.str()?.to_str()?),
            },
            Builtin::Bool => self.push(if value.is_truthy()? { b"true" } else { b"false" }),
            Builtin::Float => literal::float(&mut self.out, value.cast::<PyFloat>()?.value()),
            Builtin::Decimal => {
                let text = value.str()?;
                let text = text.to_str()?;
                // "NaN", "sNaN", "Infinity": what PostgreSQL before 14 lacks is NaN, as in psycopg2.
                if text
                    .trim_start_matches('-')
                    .starts_with(|first: char| first.is_ascii_digit())
                {
                    self.number(text);
                } else {
                    self.push(b"'NaN'::numeric");
                }
            }
            Builtin::Date => {
                self.push(b"'");
                self.date(value.cast::<PyDate>()?);
                self.push(b"'::date");
            }
            Builtin::Time => {
                let time = value.cast::<PyTime>()?;
                self.push(b"'");
                match time.get_tzinfo() {
                    None => {
                        self.time(time);
                        self.push(b"'::time");
                    }
                    Some(_) => self.iso(value, b"'::timetz")?,
                }
            }
            Builtin::DateTime => {
                let moment = value.cast::<PyDateTime>()?;
                let zone = moment.get_tzinfo();
                self.push(b"'");
                match zone {
                    Some(zone) if !is_utc(py, &zone)? => self.iso(value, b"'::timestamptz")?,
                    zone => {
                        self.date(moment);
                        self.push(b"T");
                        self.time(moment);
                        self.push(if zone.is_some() {
                            b"+00:00'::timestamptz"
                        } else {
                            b"'::timestamp"
                        });
                    }
                }
            }
            Builtin::Delta => {
                let delta = value.cast::<PyDelta>()?;
                self.push(b"'");
                let (seconds, microseconds) = (delta.get_seconds(), delta.get_microseconds());
                literal::interval(
                    &mut self.out,
                    delta.get_days(),
                    seconds.unsigned_abs(),
                    microseconds.unsigned_abs(),
                );
                self.push(b"'::interval");
            }
            Builtin::Uuid => {
                let number: u128 = value.getattr(intern!(py, "int"))?.extract()?;
                let hex = format!("{number:032x}");
                let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                self.push(b"'");
                self.push(parts.join("-").as_bytes());
                self.push(b"'::uuid");
            }
            Builtin::List => return self.array(value.cast::<PyList>()?),
            Builtin::Tuple => return self.items(value.cast::<PyTuple>()?),
            Builtin::Bytes => self.bytea(value.cast::<PyBytes>()?.as_bytes()),
            Builtin::ByteArray => self.bytea(&value.cast::<PyByteArray>()?.to_vec()),
            Builtin::MemoryView => {
                let bytes = value.call_method0(intern!(py, "tobytes"))?;
                self.bytea(bytes.cast::<PyBytes>()?.as_bytes());
            }
        }
        Ok(())
    }

    /// Appends a text literal.
    pub(super) fn text(&mut self, text: &Bound<'py, PyString>) -> PyResult<()> {
        let done = match &self.codec {
            None => literal::text(&mut self.out, text.to_str()?.as_bytes(), self.quoting),
            Some(codec) => {
                let bytes = encode(text, codec)?;
                literal::text(&mut self.out, bytes.as_bytes(), self.quoting)
            }
        };
        done.map_err(|error| match error {
            LiteralError::Nul => PyValueError::new_err(error.to_string()),
            LiteralError::NotACharacter { .. } => {
                let codec = self.codec.as_ref().map(Bound::to_string).unwrap_or_default();
                let reason = "PostgreSQL's encoding has no such character, or reads it as a backslash";
                let length = text.len().unwrap_or_default();
                PyUnicodeEncodeError::new_err((codec, text.clone().unbind(), 0, length, reason))
            }
        })
    }

    /// Appends bytes.
    pub(super) fn bytea(&mut self, bytes: &[u8]) {
        literal::bytea(&mut self.out, bytes, self.quoting.backslashes);
    }

    /// Appends a tuple: `(1, 2)`.
    pub(super) fn items(&mut self, items: &Bound<'py, PyTuple>) -> PyResult<()> {
        self.enter()?;
        self.push(b"(");
        for (index, item) in items.iter_borrowed().enumerate() {
            if index > 0 {
                self.push(b", ");
            }
            self.value(&item)?;
        }
        self.push(b")");
        self.depth -= 1;
        Ok(())
    }

    /// Appends a list: `ARRAY[1,2]`, or `'{NULL}'` if nothing in it has a type.
    pub(super) fn array(&mut self, items: &Bound<'py, PyList>) -> PyResult<()> {
        if items.is_empty() {
            self.push(b"'{}'");
            return Ok(());
        }
        self.enter()?;
        let start = self.out.len();
        self.push(b"ARRAY[");
        // Where the items are, as long as all are NULL or arrays of it.
        let mut nulls = Some(Vec::new());
        let mut index = 0;
        // Not an iterator: an adapter may change the list.
        while index < items.len() {
            if index > 0 {
                self.push(b",");
            }
            let item = items.get_item(index)?;
            let from = self.out.len();
            self.value(&item)?;
            if item.is_instance_of::<PyList>() && self.out[from..] == *b"'{}'" {
                self.out.truncate(from);
                self.push(b"ARRAY[]");
            }
            let literal = &self.out[from..];
            let of_nulls =
                item.is_instance_of::<PyList>() && literal.starts_with(b"'{") && literal.ends_with(b"}'");
            if item.is_none() || of_nulls {
                if let Some(nulls) = &mut nulls {
                    nulls.push((from, self.out.len(), of_nulls));
                }
            } else {
                nulls = None;
            }
            index += 1;
        }
        match nulls {
            None => self.push(b"]"),
            Some(nulls) => {
                let mut text = b"'{".to_vec();
                for (index, (from, to, quoted)) in nulls.into_iter().enumerate() {
                    if index > 0 {
                        text.push(b',');
                    }
                    let quote = usize::from(quoted);
                    text.extend_from_slice(&self.out[from + quote..to - quote]);
                }
                text.extend_from_slice(b"}'");
                self.out.truncate(start);
                self.push(&text);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self) -> PyResult<()> {
        if self.depth == MAX_DEPTH {
            return Err(PyRecursionError::new_err(
                "lists are nested too deeply, or a list contains itself",
            ));
        }
        self.depth += 1;
        Ok(())
    }

    /// A value of any other type, by the object that adapts it.
    fn adapted(&mut self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = value.py();
        let adapted = self.registry.adapt(value)?;
        if let Some(connection) = &self.connection
            && let Some(prepare) = adapted.getattr_opt(intern!(py, "prepare"))?
        {
            prepare.call1((connection,))?;
        }
        let quoted = adapted.call_method0(intern!(py, "getquoted"))?;
        self.defaults = 0;
        if let Ok(quoted) = quoted.cast::<PyBytes>() {
            self.push(quoted.as_bytes());
        } else if let Ok(quoted) = quoted.cast::<PyString>() {
            match &self.codec {
                None => self.out.extend_from_slice(quoted.to_str()?.as_bytes()),
                Some(codec) => self.out.extend_from_slice(encode(quoted, codec)?.as_bytes()),
            }
        } else {
            let name = quoted.get_type().qualname()?;
            return Err(PyValueError::new_err(format!(
                "only bytes values expected, got {name}"
            )));
        }
        Ok(())
    }

    fn number(&mut self, digits: &str) {
        if digits.starts_with('-') {
            self.push(b" ");
        }
        self.push(digits.as_bytes());
    }

    fn date(&mut self, date: &impl PyDateAccess) {
        let year = u16::try_from(date.get_year()).unwrap_or_default();
        literal::date(&mut self.out, year, date.get_month(), date.get_day());
    }

    fn time(&mut self, time: &impl PyTimeAccess) {
        let (hour, minute, second) = (time.get_hour(), time.get_minute(), time.get_second());
        literal::time_of_day(&mut self.out, hour, minute, second, time.get_microsecond());
    }

    /// A time with an offset that only its zone can tell, which may be user code.
    fn iso(&mut self, value: &Bound<'py, PyAny>, rest: &[u8]) -> PyResult<()> {
        let text = value.call_method0(intern!(value.py(), "isoformat"))?;
        self.defaults = 0;
        self.push(text.cast::<PyString>()?.to_str()?.as_bytes());
        self.push(rest);
        Ok(())
    }
}

fn encode<'py>(text: &Bound<'py, PyString>, codec: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = text.call_method1(intern!(text.py(), "encode"), (codec,))?;
    Ok(bytes.cast_into()?)
}

/// Whether it is `datetime.timezone.utc`.
fn is_utc(py: Python<'_>, zone: &Bound<'_, PyTzInfo>) -> PyResult<bool> {
    Ok(zone.is(&*PyTzInfo::utc(py)?))
}
