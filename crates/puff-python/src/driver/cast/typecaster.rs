//! What `new_type` makes: a named rule for casting, bound to the OIDs of types.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::{Builtin, Reader, Rule, cast};

/// Casts the text of a type to Python objects, and compares equal to the OIDs it is for.
#[pyclass(frozen, module = "puff.postgres.extensions", name = "Typecaster")]
pub(crate) struct Typecaster {
    name: Py<PyString>,
    values: Py<PyTuple>,
    oids: Box<[i64]>,
    pub(in crate::driver) rule: Rule,
}

impl Typecaster {
    fn make(values: &Bound<'_, PyTuple>, name: &Bound<'_, PyString>, rule: Rule) -> PyResult<Self> {
        let oids = values
            .iter()
            .map(|value| value.extract())
            .collect::<PyResult<_>>()?;
        Ok(Typecaster {
            name: name.clone().unbind(),
            values: values.clone().unbind(),
            oids,
            rule,
        })
    }
}

#[pymethods]
impl Typecaster {
    /// A caster that calls `cast(text, cursor)`.
    #[new]
    #[pyo3(signature = (values, name, castobj=None))]
    fn new(
        values: &Bound<'_, PyTuple>,
        name: &Bound<'_, PyString>,
        castobj: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let rule = match castobj {
            // A caster of ours is a shortcut: no call, no detour through text.
            Some(callable) => match callable.cast::<Typecaster>() {
                Ok(caster) => caster.get().rule.clone_ref(callable.py()),
                Err(_) => Rule::Python(callable.unbind()),
            },
            None => Rule::Missing,
        };
        Typecaster::make(values, name, rule)
    }

    /// A caster of the kinds that are built in.
    #[staticmethod]
    fn builtin(values: &Bound<'_, PyTuple>, name: &Bound<'_, PyString>, kind: &str) -> PyResult<Self> {
        let builtin = match kind {
            "text" => Builtin::Text,
            "bytes" => Builtin::Bytes,
            "bool" => Builtin::Bool,
            "int" => Builtin::Int,
            "float" => Builtin::Float,
            "decimal" => Builtin::Decimal,
            "binary" => Builtin::Binary,
            "date" => Builtin::Date,
            "time" => Builtin::Time,
            "timestamp" => Builtin::Timestamp,
            "timestamptz" => Builtin::TimestampTz,
            "interval" => Builtin::Interval,
            other => return Err(PyValueError::new_err(format!("no such kind of caster: {other}"))),
        };
        Typecaster::make(values, name, Rule::Builtin(builtin))
    }

    /// A caster of arrays whose elements `baseobj` casts.
    #[staticmethod]
    fn array(
        values: &Bound<'_, PyTuple>,
        name: &Bound<'_, PyString>,
        baseobj: Bound<'_, Typecaster>,
    ) -> PyResult<Self> {
        Typecaster::make(values, name, Rule::Array(baseobj.unbind()))
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyString> {
        self.name.clone_ref(py)
    }

    #[getter]
    fn values(&self, py: Python<'_>) -> Py<PyTuple> {
        self.values.clone_ref(py)
    }

    /// Casts text (or bytes in UTF-8, or None), as if `cursor` had read it.
    #[pyo3(signature = (value, cursor))]
    fn __call__<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        cursor: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        cast_object(&self.rule, value, cursor)
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        operation: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let mine = slf.get();
        let equal = if let Ok(other) = other.cast::<Typecaster>() {
            slf.is(other) || mine.oids.iter().any(|oid| other.get().oids.contains(oid))
        } else if let Ok(number) = other.cast::<PyInt>() {
            number.extract::<i64>().is_ok_and(|oid| mine.oids.contains(&oid))
        } else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let result = match operation {
            CompareOp::Eq => equal,
            CompareOp::Ne => !equal,
            _ => return Ok(py.NotImplemented().into_bound(py)),
        };
        Ok(pyo3::types::PyBool::new(py, result).to_owned().into_any())
    }

    /// By identity: an equal OID need not have an equal hash.
    fn __hash__(slf: &Bound<'_, Self>) -> usize {
        slf.as_ptr() as usize >> 4
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let name = slf.get().name.bind(slf.py());
        format!("<puff.postgres type '{name}' at {:p}>", slf.as_ptr())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.rule {
            Rule::Array(element) => visit.call(element),
            Rule::Python(callable) => visit.call(callable),
            Rule::Builtin(_) | Rule::Missing => Ok(()),
        }
    }
}

/// Casts what a caller has in hand: text, bytes or None.
///
/// # Errors
/// `TypeError` for anything else, and those of [`cast`].
pub(in crate::driver) fn cast_object<'py>(
    rule: &Rule,
    value: &Bound<'py, PyAny>,
    cursor: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let reader = Reader::for_call(cursor)?;
    if value.is_none() {
        return cast(rule, None, &reader);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return cast(rule, Some(text.to_str()?.as_bytes()), &reader);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return cast(rule, Some(bytes.as_bytes()), &reader);
    }
    let name = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "a bytes-like object is required, not '{name}'"
    )))
}

/// The caster for a type: the one of the first dict that has it, then the global one; `None` if there is none
/// and the value stays text.
///
/// # Errors
/// `TypeError` if a user put something else than a caster there.
pub(in crate::driver) fn find<'py>(
    oid: u32,
    dicts: &[Option<Bound<'py, PyDict>>],
    py: Python<'py>,
) -> PyResult<Option<Bound<'py, Typecaster>>> {
    static GLOBAL: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let global = GLOBAL.import(py, "puff.postgres._types", "string_types")?;
    for dict in dicts.iter().flatten().chain([global]) {
        if let Some(found) = dict.get_item(oid)? {
            return found.cast_into::<Typecaster>().map(Some).map_err(PyErr::from);
        }
    }
    Ok(None)
}
