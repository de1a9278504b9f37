//! Cells of a column that a Python function makes the values of a scalar of.

use std::sync::Arc;

use puff_graphql::{Cells, FieldError, Value};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use tokio::sync::oneshot;

use super::backend::{PythonBackend, Shared};
use super::failure::{Failures, is_exception};
use super::reply::Reply;
use crate::convert::{cell_to_object, object_to_value};
use crate::reactor::Job;

type Outcome = Result<Vec<Value>, FieldError>;

/// A column in the hub's queue.
pub(super) struct CellsJob {
    pub(super) shared: Arc<Shared>,
    pub(super) cells: Cells<PythonBackend>,
    pub(super) sender: oneshot::Sender<Outcome>,
}

impl Job for CellsJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = self.shared.convert.clone_ref(py);
        let call = CellsCall {
            shared: self.shared,
            cells: self.cells,
            reply: Reply::new(self.sender),
        };
        Ok((handler, Py::new(py, call)?.into_any()))
    }
}

/// One column, for `puff.graphql._execute.convert`.
#[pyclass(frozen, module = "puff.graphql", name = "CellsCall")]
pub(crate) struct CellsCall {
    shared: Arc<Shared>,
    cells: Cells<PythonBackend>,
    reply: Reply<Outcome>,
}

#[pymethods]
impl CellsCall {
    /// The scalar's own function: a cell's value in, JSON data out.
    #[getter]
    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.shared.types.cell_function(&self.cells.scalar) {
            Some(function) => Ok(function.clone_ref(py)),
            None => Err(PyRuntimeError::new_err("the schema has no such scalar")),
        }
    }

    /// How many lists are around the scalar.
    #[getter]
    fn list_depth(&self) -> usize {
        self.cells.list_depth
    }

    /// The cell of each row as a Python object.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.cells.rows.postgres();
        let column = self.cells.column;
        let type_oid = rows.columns()[column].type_oid;
        let list = PyList::empty(py);
        for row in 0..rows.len() {
            list.append(cell_to_object(py, type_oid, rows.cell(row, column))?)?;
        }
        Ok(list)
    }

    /// What the function made of each: JSON data, or the exception that it raised.
    fn finish(&self, results: &Bound<'_, PyList>) {
        let depth = self.cells.list_depth;
        let failures = self.failures();
        let values = results.iter().map(|result| converted(&result, depth, &failures));
        self.send(Ok(values.collect()));
    }

    /// Nothing came of it.
    fn fail(&self, error: &Bound<'_, PyAny>) {
        self.send(Err(self.failures().of(error)));
    }

    fn __repr__(&self) -> String {
        format!("{} of {}", self.cells.scalar, self.cells.field)
    }
}

/// What came of one cell: JSON data, an exception, or lists of these.
fn converted(result: &Bound<'_, PyAny>, depth: usize, failures: &Failures) -> Value {
    if is_exception(result) {
        return Value::Error(Box::new(failures.of(result)));
    }
    match result.cast::<PyList>() {
        Ok(list) if depth > 0 => Value::List(
            list.iter()
                .map(|item| converted(&item, depth - 1, failures))
                .collect(),
        ),
        _ => object_to_value(result)
            .unwrap_or_else(|error| Value::Error(Box::new(failures.of_raised(result.py(), &error)))),
    }
}

impl CellsCall {
    fn failures(&self) -> Failures {
        Failures::new(self.shared.mask_errors)
    }

    fn send(&self, outcome: Outcome) {
        self.reply.send(outcome);
    }
}
