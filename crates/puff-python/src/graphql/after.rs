//! What resolvers want to be done when their work is committed.

use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::reactor::Job;

/// Functions to call once their transaction is committed, in the hub's queue.
pub(super) struct CommittedJob {
    pub(super) functions: Vec<Py<PyAny>>,
}

impl Job for CommittedJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = py.import("puff.graphql._borrow")?.getattr("after_commit")?;
        let functions = PyList::new(py, self.functions)?.unbind();
        Ok((
            handler.unbind(),
            Py::new(py, AfterCommit { functions })?.into_any(),
        ))
    }
}

/// Functions whose transaction is committed, for `puff.graphql._borrow.after_commit`.
#[pyclass(frozen, module = "puff.graphql", name = "AfterCommit")]
pub(crate) struct AfterCommit {
    functions: Py<PyList>,
}

#[pymethods]
impl AfterCommit {
    /// They, in the order in which they were registered.
    fn functions(&self, py: Python<'_>) -> Py<PyList> {
        self.functions.clone_ref(py)
    }
}
