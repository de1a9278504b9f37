//! Permissions: Python functions that say what may be shown, all those of a layer in one greenlet.

use std::sync::Arc;

use puff_graphql::{FieldError, PermissionCall, PermissionId, Permit};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tokio::sync::oneshot;

use super::backend::{PythonBackend, Shared};
use super::call::arguments_dict;
use super::context::{Context, RequestContext};
use super::failure::{Failures, is_exception};
use super::reply::Reply;
use super::unit::Unit;
use crate::lifeline::Lifeline;
use crate::reactor::Job;

/// The permissions of a layer in the hub's queue.
pub(super) struct PermitJob {
    pub(super) shared: Arc<Shared>,
    pub(super) context: RequestContext,
    pub(super) calls: Vec<PermissionCall<PythonBackend>>,
    pub(super) sender: oneshot::Sender<Vec<Permit>>,
    pub(super) life: Arc<Lifeline>,
}

impl Job for PermitJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let on_callers = self.context.unit().is_some_and(Unit::is_callers);
        let handler = match on_callers {
            true => self.shared.permit_lent.clone_ref(py),
            false => self.shared.permit.clone_ref(py),
        };
        let call = PermitCall {
            shared: self.shared,
            context: self.context,
            calls: self.calls,
            reply: Reply::new(self.sender),
            life: self.life,
        };
        Ok((handler, Py::new(py, call)?.into_any()))
    }
}

/// The permissions that one layer needs, for `puff.graphql._permit.permit`.
#[pyclass(frozen, module = "puff.graphql", name = "PermitCall")]
pub(crate) struct PermitCall {
    shared: Arc<Shared>,
    context: RequestContext,
    calls: Vec<PermissionCall<PythonBackend>>,
    reply: Reply<Vec<Permit>>,
    life: Arc<Lifeline>,
}

#[pymethods]
impl PermitCall {
    /// The call runs in the greenlet `worker` from now on. False: its request has gone, and it need not run.
    fn begin(slf: &Bound<'_, Self>, worker: Py<PyAny>) -> PyResult<bool> {
        slf.get().life.begin(worker, slf.as_any())
    }

    /// The greenlet to end because the request has gone; None if the call is over.
    fn doomed(&self) -> Option<Py<PyAny>> {
        self.life.doomed()
    }

    /// The id of the request, if the server gives ids.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.context.id()
    }

    /// A context with the connection of who asks, if there is one.
    fn context(&self) -> Context {
        Context::borrowing(self.context.clone())
    }

    /// What is asked: for each the permission, its context, how many parents there are (None: none are meant) and
    /// the arguments of the field by their GraphQL names.
    #[allow(clippy::type_complexity)]
    fn asked<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(Py<PyAny>, Context, Option<usize>, Bound<'py, PyDict>)>> {
        let one = |call: &PermissionCall<PythonBackend>| {
            let permission = self.permission(call.id)?.clone_ref(py);
            let context = Context::new(self.context.clone(), call.parents.clone());
            let parents = call.parents.as_ref().map(|parents| parents.len());
            Ok((permission, context, parents, arguments_dict(py, &call.arguments)?))
        };
        self.calls.iter().map(one).collect()
    }

    /// The answers, one for each that is asked: None grants, an exception refuses; a list does either for each
    /// parent.
    fn finish(&self, answers: Vec<Bound<'_, PyAny>>) {
        let failures = Failures::new(self.shared.mask_errors);
        let refusal = |answer: &Bound<'_, PyAny>| is_exception(answer).then(|| failures.of(answer));
        let permit = |answer: &Bound<'_, PyAny>| match answer.cast::<PyList>() {
            Ok(list) => Permit::Each(list.iter().map(|one| refusal(&one)).collect()),
            Err(_) => refusal(answer).map_or(Permit::Granted, Permit::Refused),
        };
        self.send(answers.iter().map(permit).collect());
    }

    /// Nothing was answered: all of it is refused.
    fn fail(&self, error: &Bound<'_, PyAny>) {
        let error = Failures::new(self.shared.mask_errors).of(error);
        self.send(vec![Permit::Refused(error); self.calls.len()]);
    }

    fn __repr__(&self) -> String {
        format!("{} permissions of a layer", self.calls.len())
    }
}

impl PermitCall {
    fn permission(&self, id: PermissionId) -> PyResult<&Py<PyAny>> {
        let found = self.shared.permissions.get(id.0 as usize);
        found.ok_or_else(|| PyRuntimeError::new_err("the schema has no such permission"))
    }

    fn send(&self, permits: Vec<Permit>) {
        self.life.end();
        self.reply.send(permits);
    }
}

/// What is answered when nobody answers.
pub(super) fn ended() -> Permit {
    Permit::Refused(FieldError::new(
        "RESOLVER_ENDED",
        "the permission was ended before it answered",
    ))
}
