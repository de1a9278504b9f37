//! The Python half's table of adapters, as this side sees it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyMemoryView,
    PyString, PyTime, PyTuple, PyType,
};

/// A type whose values are written without a Python call, as long as its adapter is the default one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Text,
    Int,
    Bool,
    Float,
    DateTime,
    Date,
    Time,
    Delta,
    Decimal,
    Uuid,
    List,
    Tuple,
    Bytes,
    ByteArray,
    MemoryView,
}

const COUNT: usize = Builtin::MemoryView as usize + 1;

/// Objects of `puff.postgres._adapters`, which exist once.
pub(super) struct Registry {
    adapters: Py<PyDict>,
    isqlquote: Py<PyAny>,
    adapt: Py<PyAny>,
    programming_error: Py<PyType>,
    decimal: Py<PyType>,
    uuid: Py<PyType>,
    /// By [`Builtin`]: the key in `adapters`, and the value there that we stand in for.
    defaults: [(Py<PyTuple>, Py<PyAny>); COUNT],
}

impl Registry {
    /// The one registry; the first call imports the Python half.
    pub(super) fn get(py: Python<'_>) -> PyResult<&Registry> {
        static REGISTRY: PyOnceLock<Registry> = PyOnceLock::new();
        REGISTRY.get_or_try_init(py, || Registry::load(py))
    }

    fn load(py: Python<'_>) -> PyResult<Registry> {
        let module = py.import("puff.postgres._adapters")?;
        let isqlquote = module.getattr("ISQLQuote")?;
        let builtin = module.getattr("BUILTIN")?.cast_into::<PyDict>()?;
        let decimal = py.import("decimal")?.getattr("Decimal")?.cast_into::<PyType>()?;
        let uuid = py.import("uuid")?.getattr("UUID")?.cast_into::<PyType>()?;
        let default = |class: Bound<'_, PyType>| {
            let adapter = builtin.as_any().get_item(&class)?;
            let key = PyTuple::new(py, [class.as_any(), &isqlquote])?;
            PyResult::Ok((key.unbind(), adapter.unbind()))
        };
        let defaults = [
            default(py.get_type::<PyString>())?,
            default(py.get_type::<PyInt>())?,
            default(py.get_type::<PyBool>())?,
            default(py.get_type::<PyFloat>())?,
            default(py.get_type::<PyDateTime>())?,
            default(py.get_type::<PyDate>())?,
            default(py.get_type::<PyTime>())?,
            default(py.get_type::<PyDelta>())?,
            default(decimal.clone())?,
            default(uuid.clone())?,
            default(py.get_type::<PyList>())?,
            default(py.get_type::<PyTuple>())?,
            default(py.get_type::<PyBytes>())?,
            default(py.get_type::<PyByteArray>())?,
            default(py.get_type::<PyMemoryView>())?,
        ];
        Ok(Registry {
            adapters: module.getattr("adapters")?.cast_into::<PyDict>()?.unbind(),
            isqlquote: isqlquote.unbind(),
            adapt: module.getattr("adapt")?.unbind(),
            programming_error: module
                .getattr("ProgrammingError")?
                .cast_into::<PyType>()?
                .unbind(),
            decimal: decimal.unbind(),
            uuid: uuid.unbind(),
            defaults,
        })
    }

    /// Which builtin type this is a value of; subclasses are not.
    pub(super) fn builtin(&self, value: &Bound<'_, PyAny>) -> Option<Builtin> {
        let class = value.get_type_ptr();
        Some(if value.is_exact_instance_of::<PyString>() {
            Builtin::Text
        } else if value.is_exact_instance_of::<PyInt>() {
            Builtin::Int
        } else if value.is_exact_instance_of::<PyBool>() {
            Builtin::Bool
        } else if value.is_exact_instance_of::<PyFloat>() {
            Builtin::Float
        } else if value.cast_exact::<PyDateTime>().is_ok() {
            Builtin::DateTime
        } else if value.cast_exact::<PyDate>().is_ok() {
            Builtin::Date
        } else if class == self.decimal.as_ptr().cast() {
            Builtin::Decimal
        } else if value.is_exact_instance_of::<PyList>() {
            Builtin::List
        } else if value.is_exact_instance_of::<PyTuple>() {
            Builtin::Tuple
        } else if class == self.uuid.as_ptr().cast() {
            Builtin::Uuid
        } else if value.is_exact_instance_of::<PyBytes>() {
            Builtin::Bytes
        } else if value.cast_exact::<PyTime>().is_ok() {
            Builtin::Time
        } else if value.cast_exact::<PyDelta>().is_ok() {
            Builtin::Delta
        } else if value.is_exact_instance_of::<PyMemoryView>() {
            Builtin::MemoryView
        } else if value.is_exact_instance_of::<PyByteArray>() {
            Builtin::ByteArray
        } else {
            return None;
        })
    }

    /// Whether the adapter of a builtin type is still the default one.
    pub(super) fn is_default(&self, py: Python<'_>, builtin: Builtin) -> PyResult<bool> {
        let (key, default) = &self.defaults[builtin as usize];
        let adapter = self.adapters.bind(py).get_item(key)?;
        Ok(adapter.is_some_and(|adapter| adapter.is(default)))
    }

    /// The adapter object for a value, as `adapt(value)` finds it.
    pub(super) fn adapt<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let key = PyTuple::new(py, [value.get_type().as_any(), self.isqlquote.bind(py)])?;
        match self.adapters.bind(py).get_item(key)? {
            Some(adapter) => adapter.call1((value,)),
            None => self.adapt.bind(py).call1((value,)),
        }
    }

    /// A `ProgrammingError` with this message.
    pub(super) fn programming_error(&self, py: Python<'_>, message: &'static str) -> PyErr {
        PyErr::from_type(self.programming_error.bind(py).clone(), message)
    }
}
