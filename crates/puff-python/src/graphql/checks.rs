//! Values that clients gave for scalars, which the scalars' own functions check before anything runs.

use std::sync::Arc;

use puff_graphql::{FieldError, Given};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tokio::sync::oneshot;

use super::backend::Shared;
use super::failure::Failures;
use super::reply::Reply;
use crate::convert::value_to_object;
use crate::reactor::Job;

type Outcome = Result<Vec<Option<String>>, FieldError>;

/// Values in the hub's queue.
pub(super) struct ChecksJob {
    pub(super) shared: Arc<Shared>,
    pub(super) given: Vec<Given>,
    pub(super) sender: oneshot::Sender<Outcome>,
}

impl Job for ChecksJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = self.shared.check.clone_ref(py);
        let call = ChecksCall {
            shared: self.shared,
            given: self.given,
            reply: Reply::new(self.sender),
        };
        Ok((handler, Py::new(py, call)?.into_any()))
    }
}

/// The values of one request, for `puff.graphql._execute.check`.
#[pyclass(frozen, module = "puff.graphql", name = "ChecksCall")]
pub(crate) struct ChecksCall {
    shared: Arc<Shared>,
    given: Vec<Given>,
    reply: Reply<Outcome>,
}

#[pymethods]
impl ChecksCall {
    /// Pairs of a scalar's function and a value for it.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for given in &self.given {
            if let Some(parse) = self.shared.types.parse_function(&given.scalar) {
                list.append((parse, value_to_object(py, &given.value)?))?;
            }
        }
        Ok(list)
    }

    /// For each of them why it is refused, or None.
    fn finish(&self, refusals: Vec<Option<String>>) {
        self.send(Ok(refusals));
    }

    /// Nothing came of it.
    fn fail(&self, error: &Bound<'_, PyAny>) {
        self.send(Err(Failures::new(self.shared.mask_errors).of(error)));
    }
}

impl ChecksCall {
    fn send(&self, outcome: Outcome) {
        self.reply.send(outcome);
    }
}
