//! Cells in PostgreSQL's text format as Python objects, by psycopg2's rules.
//!
//! Which rule a column follows is decided once per result ([`Typecaster`], found by the type's OID); then
//! each cell is one call of [`cast`]. The rules here are stricter than psycopg2 about text that no server
//! sends, and never give a wrong value for it: they raise `DataError`.

mod array;
mod error;
mod interval;
mod moment;
mod scalar;
mod typecaster;

use std::cell::OnceCell;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

pub(super) use error::Fault;
pub(super) use moment::default_factory;
pub(super) use typecaster::{Typecaster, cast_object, find};

/// The rules for the types that need no Python code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    Text,
    Bytes,
    Bool,
    Int,
    Float,
    Decimal,
    Binary,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
}

/// What a column's cells become.
pub(super) enum Rule {
    Builtin(Builtin),
    /// Lists of what the rule of the elements gives.
    Array(Py<Typecaster>),
    /// A callable of the user: `call(text or None, cursor)`.
    Python(Py<PyAny>),
    /// Made without a callable; casting with it is an error.
    Missing,
}

impl Rule {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Rule {
        match self {
            Rule::Builtin(builtin) => Rule::Builtin(*builtin),
            Rule::Array(element) => Rule::Array(element.clone_ref(py)),
            Rule::Python(callable) => Rule::Python(callable.clone_ref(py)),
            Rule::Missing => Rule::Missing,
        }
    }
}

/// Who reads the cells: what casting needs to know beside the cell.
pub(super) struct Reader<'a, 'py> {
    py: Python<'py>,
    /// The cursor that user's casters are given; `None` if there is none.
    cursor: Bound<'py, PyAny>,
    /// Python's name of the client encoding, if it is not UTF-8.
    codec: Option<&'a str>,
    zones: moment::Zones<'py>,
    decimal: OnceCell<Bound<'py, PyAny>>,
}

impl<'a, 'py> Reader<'a, 'py> {
    /// A reader for `cursor`, whose `tzinfo_factory` makes the time zones: `None` makes naive times.
    pub(super) fn new(cursor: Bound<'py, PyAny>, factory: Bound<'py, PyAny>, codec: Option<&'a str>) -> Self {
        let py = cursor.py();
        let zones = moment::Zones::new(factory);
        Reader {
            py,
            cursor,
            codec,
            zones,
            decimal: OnceCell::new(),
        }
    }

    /// A reader for a caster that is called directly, with any object for a cursor.
    pub(super) fn for_call(cursor: Bound<'py, PyAny>) -> PyResult<Self> {
        let py = cursor.py();
        let factory = match cursor.getattr_opt(intern!(py, "tzinfo_factory"))? {
            Some(factory) => factory,
            None => moment::default_factory(py)?.clone(),
        };
        Ok(Reader::new(cursor, factory, None))
    }

    fn text(&self, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        match self.codec {
            None => PyString::from_bytes(self.py, bytes),
            Some(codec) => scalar::decode(self.py, bytes, codec),
        }
    }
}

/// The Python object of one cell; `None` stands for SQL's null.
///
/// Casters of the user run in here. They may switch greenlets, so callers hold no lock.
///
/// # Errors
/// What psycopg2 raises: `ValueError` for values that Python cannot hold, `DataError` for malformed text, and
/// whatever a user's caster raises.
pub(super) fn cast<'py>(
    rule: &Rule,
    cell: Option<&[u8]>,
    reader: &Reader<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = reader.py;
    let bytes = match (rule, cell) {
        (Rule::Builtin(builtin), Some(bytes)) => return cast_builtin(*builtin, bytes, reader),
        (Rule::Builtin(_) | Rule::Array(_), None) => return Ok(py.None().into_bound(py)),
        (_, cell) => cell,
    };
    match (rule, bytes) {
        (Rule::Array(element), Some(bytes)) => array::cast(&element.get().rule, bytes, reader),
        (Rule::Python(callable), Some(bytes)) => {
            callable.bind(py).call1((reader.text(bytes)?, &reader.cursor))
        }
        (Rule::Python(callable), None) => callable.bind(py).call1((py.None(), &reader.cursor)),
        _ => Err(Fault::Error.raise(py, "internal error: no casting function found")),
    }
}

fn cast_builtin<'py>(
    builtin: Builtin,
    bytes: &[u8],
    reader: &Reader<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = reader.py;
    match builtin {
        Builtin::Text => Ok(reader.text(bytes)?.into_any()),
        Builtin::Int => scalar::int(py, bytes),
        Builtin::Bool => scalar::boolean(py, bytes),
        Builtin::Float => scalar::float(py, bytes),
        Builtin::Decimal => {
            let class = match reader.decimal.get() {
                Some(class) => class,
                None => {
                    let class = scalar::decimal_class(py)?;
                    reader.decimal.get_or_init(|| class)
                }
            };
            class.call1((PyString::from_bytes(py, bytes)?,))
        }
        Builtin::Bytes => Ok(pyo3::types::PyBytes::new(py, bytes).into_any()),
        Builtin::Binary => scalar::binary(py, bytes),
        Builtin::Date => moment::date(py, bytes),
        Builtin::Time => moment::time(py, bytes, &reader.zones),
        Builtin::Timestamp => moment::timestamp(py, bytes, &reader.zones),
        Builtin::TimestampTz => moment::timestamp_tz(py, bytes, &reader.zones),
        Builtin::Interval => interval::cast(py, bytes),
    }
}
