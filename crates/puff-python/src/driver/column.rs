//! The items of `cursor.description`.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyInt, PyTuple, PyType};

use puff_postgres::oid;

/// A column of a result: PEP 249's sequence of seven, with names, and two attributes more.
#[pyclass(frozen, module = "puff.postgres.extensions", name = "Column")]
pub(super) struct Column {
    /// The seven items.
    items: Py<PyTuple>,
    table_oid: Py<PyAny>,
    table_column: Py<PyAny>,
}

impl Column {
    /// As psycopg2 tells it: a `numeric` without precision has 65535 of it.
    pub(super) fn describe(py: Python<'_>, column: &puff_postgres::Column) -> PyResult<Column> {
        // The modifier counts four bytes of header, and is -1 if there is none.
        let modifier = match column.type_modifier {
            set if set > 0 => set - 4,
            none => none,
        };
        let numeric = column.type_oid == oid::NUMERIC;
        let size = match column.type_size {
            -1 if numeric && modifier != -1 => modifier >> 16,
            -1 => modifier,
            fixed => i32::from(fixed),
        };
        let precision = numeric.then_some((modifier >> 16) & 0xFFFF);
        let scale = numeric.then_some(modifier & 0xFFFF);
        let none = py.None();
        let items = (
            &*column.name,
            column.type_oid,
            &none,
            size,
            precision,
            scale,
            &none,
        );
        Ok(Column {
            items: items.into_pyobject(py)?.unbind(),
            table_oid: (column.table_oid != 0)
                .then_some(column.table_oid)
                .into_py_any(py)?,
            table_column: (column.column_id != 0)
                .then_some(column.column_id)
                .into_py_any(py)?,
        })
    }

    fn item(&self, py: Python<'_>, index: usize) -> PyResult<Py<PyAny>> {
        Ok(self.items.bind(py).get_item(index)?.unbind())
    }
}

#[pymethods]
impl Column {
    #[new]
    #[pyo3(signature = (
        name=None, type_code=None, display_size=None, internal_size=None, precision=None, scale=None,
        null_ok=None, table_oid=None, table_column=None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "psycopg2's signature")]
    fn new(
        py: Python<'_>,
        name: Option<Py<PyAny>>,
        type_code: Option<Py<PyAny>>,
        display_size: Option<Py<PyAny>>,
        internal_size: Option<Py<PyAny>>,
        precision: Option<Py<PyAny>>,
        scale: Option<Py<PyAny>>,
        null_ok: Option<Py<PyAny>>,
        table_oid: Option<Py<PyAny>>,
        table_column: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let items = (
            name,
            type_code,
            display_size,
            internal_size,
            precision,
            scale,
            null_ok,
        );
        Ok(Column {
            items: items.into_pyobject(py)?.unbind(),
            table_oid: table_oid.into_py_any(py)?,
            table_column: table_column.into_py_any(py)?,
        })
    }

    /// The column's name.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 0)
    }

    /// The OID of the column's type.
    #[getter]
    fn type_code(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 1)
    }

    /// Always None: it would take a look at every cell.
    #[getter]
    fn display_size(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 2)
    }

    /// The type's size in bytes, or what it was declared with; -1 if it varies.
    #[getter]
    fn internal_size(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 3)
    }

    /// The digits of a `numeric`; None for other types.
    #[getter]
    fn precision(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 4)
    }

    /// The digits of a `numeric` after the point; None for other types.
    #[getter]
    fn scale(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 5)
    }

    /// Always None: the server does not tell.
    #[getter]
    fn null_ok(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.item(py, 6)
    }

    /// The OID of the table the column comes from, or None.
    #[getter]
    fn table_oid(&self, py: Python<'_>) -> Py<PyAny> {
        self.table_oid.clone_ref(py)
    }

    /// The column's number in that table, from 1, or None.
    #[getter]
    fn table_column(&self, py: Python<'_>) -> Py<PyAny> {
        self.table_column.clone_ref(py)
    }

    fn __len__(&self) -> usize {
        7
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let items = self.items.bind(index.py());
        if let Ok(number) = index.cast::<PyInt>() {
            let number: isize = number.extract()?;
            let number = if number < 0 { number + 7 } else { number };
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            return items
                .get_item(number)
                .map_err(|_| PyIndexError::new_err("tuple index out of range"));
        }
        items.as_any().get_item(index)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyIterator>> {
        self.items.bind(py).try_iter()
    }

    fn __richcmp__<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        operation: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let items = self.items.bind(other.py());
        match other.cast::<Column>() {
            Ok(column) => items.rich_compare(column.get().items.bind(other.py()), operation),
            Err(_) => items.rich_compare(other, operation),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let items = self.items.bind(py);
        let (name, type_code) = (items.get_item(0)?.repr()?, items.get_item(1)?.repr()?);
        Ok(format!("Column(name={name}, type_code={type_code})"))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let column = slf.get();
        let mut fields: Vec<Bound<'py, PyAny>> = column.items.bind(py).iter().collect();
        fields.extend([
            column.table_oid.bind(py).clone(),
            column.table_column.bind(py).clone(),
        ]);
        Ok((slf.get_type(), PyTuple::new(py, fields)?))
    }
}
