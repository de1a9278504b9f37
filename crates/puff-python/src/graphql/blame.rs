//! Statements that are not what they have to be: the log says where their resolvers stand, and so do the errors.

use std::sync::Arc;

use puff_graphql::ResolverId;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::backend::{Resolver, Shared};
use super::reply::Reply;
use crate::reactor::Job;

/// What is to be said of a resolver, in the hub's queue: only Python knows its place.
pub(super) struct BlameJob {
    pub(super) shared: Arc<Shared>,
    pub(super) id: ResolverId,
    pub(super) messages: Vec<String>,
    pub(super) sender: oneshot::Sender<String>,
}

impl Job for BlameJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = self.shared.blame.clone_ref(py);
        let call = BlameCall {
            shared: self.shared,
            id: self.id,
            messages: self.messages,
            reply: Reply::new(self.sender),
        };
        Ok((handler, Py::new(py, call)?.into_any()))
    }
}

/// What is wrong with the statement of a resolver, for `puff.graphql._execute.blame`.
#[pyclass(frozen, module = "puff.graphql", name = "BlameCall")]
pub(crate) struct BlameCall {
    shared: Arc<Shared>,
    id: ResolverId,
    messages: Vec<String>,
    reply: Reply<String>,
}

#[pymethods]
impl BlameCall {
    /// What is wrong, in full.
    #[getter]
    fn messages(&self) -> Vec<String> {
        self.messages.clone()
    }

    /// The class, the function and where it stands.
    fn place(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.shared.resolvers.get(self.id.0 as usize) {
            Some(resolver) => resolver.place.call0(py),
            None => Err(PyRuntimeError::new_err("the schema has no such resolver")),
        }
    }

    /// It has been said, and this is the place.
    fn finish(&self, place: String) {
        self.reply.send(place);
    }

    fn __repr__(&self) -> String {
        let name = |resolver: &Resolver| format!("the statement of {}", resolver.name);
        let resolver = self.shared.resolvers.get(self.id.0 as usize);
        resolver.map_or_else(String::new, name)
    }
}
