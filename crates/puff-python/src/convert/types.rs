//! Classes of the standard library that the conversions look at, imported once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $module:literal . $class:literal;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            CLASS.import(py, $module, $class)
        }
    )*};
}

classes! {
    decimal = "decimal"."Decimal";
    uuid = "uuid"."UUID";
    enumeration = "enum"."Enum";
    date = "datetime"."date";
    datetime = "datetime"."datetime";
    time = "datetime"."time";
    timedelta = "datetime"."timedelta";
    timezone = "datetime"."timezone";
}

/// `json.dumps(object)` as text.
pub(super) fn json_dumps(object: &Bound<'_, PyAny>) -> PyResult<String> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DUMPS
        .import(object.py(), "json", "dumps")?
        .call1((object,))?
        .extract()
}

/// What a function of `puff.graphql.scalars` makes of an object.
pub(super) fn encoded(object: &Bound<'_, PyAny>, function: &str) -> PyResult<String> {
    static SCALARS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let py = object.py();
    SCALARS
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("puff.graphql.scalars")?.unbind()))?
        .bind(py)
        .call_method1(function, (object,))?
        .extract()
}

/// `json.loads(text)`.
pub(crate) fn json_loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")?.call1((text,))
}
