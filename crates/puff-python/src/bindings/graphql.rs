//! GraphQL called in process.

use http::{HeaderMap, HeaderName, HeaderValue};
use puff_graphql::Request;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::driver::PgSession;
use crate::graphql::{Callers, GraphQl, GraphQlLoadError, RequestContext};
use crate::greenlet::start;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// An answer as a dict; parsed on the hub.
pub(super) struct Answer(pub(super) bytes::Bytes);

impl<'py> IntoPyObject<'py> for Answer {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let text = String::from_utf8_lossy(&self.0);
        LOADS.import(py, "json", "loads")?.call1((text,))
    }
}

/// The schema called `name`, or the default one.
pub(super) fn schema(name: Option<&str>) -> PyResult<GraphQl> {
    Ok(Runtime::current()?.schemas().get(name)?.clone())
}

/// Where the schema is that is to be loaded before its first use: `pkg.mod:Schema`.
#[pyfunction]
fn graphql_pending(name: Option<&str>) -> PyResult<Option<String>> {
    let runtime = Runtime::current()?;
    let pending = runtime.schemas().pending(name);
    Ok(pending.map(|source| source.path.clone()))
}

/// Loads the pending schema, whose class Python has imported: a module's body may wait, and a greenlet must
/// not be parked with native frames on its stack.
#[pyfunction]
fn graphql_load(name: Option<&str>, class: &Bound<'_, PyAny>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    if let Some(source) = runtime.schemas().pending(name) {
        let loaded = GraphQl::from_class(class, &runtime, &source.options);
        let loaded = loaded.map_err(|error| match error {
            GraphQlLoadError::Python(raised) => raised,
            error => PyRuntimeError::new_err(error.to_string()),
        })?;
        runtime.schemas().set(name, loaded);
    }
    Ok(())
}

/// What a request in process brings besides document and variables.
#[derive(FromPyObject)]
pub(super) struct More {
    operation: Option<String>,
    headers: Vec<(String, String)>,
    state: Option<Py<PyDict>>,
    /// The session of a connection, and whether its transaction goes on; or why there is none.
    callers: Option<(Option<Py<PgSession>>, bool, String)>,
}

impl More {
    /// The request as JSON text, the one path that clients over HTTP take as well.
    pub(super) fn body(
        &self,
        query: String,
        variables: Option<Bound<'_, PyDict>>,
        py: Python<'_>,
    ) -> PyResult<String> {
        static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let body = PyDict::new(py);
        body.set_item("query", query)?;
        body.set_item("variables", variables)?;
        body.set_item("operationName", &self.operation)?;
        DUMPS.import(py, "json", "dumps")?.call1((body,))?.extract()
    }

    pub(super) fn context(self) -> PyResult<RequestContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let wrong = || PyValueError::new_err(format!("{name:?}: {value:?} is no header of HTTP"));
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?,
                HeaderValue::from_str(&value).map_err(|_| wrong())?,
            );
        }
        let callers = self
            .callers
            .map(|(session, in_transaction, reason)| match session {
                Some(session) => Callers::Session {
                    conversation: session.get().conversation().clone(),
                    in_transaction,
                },
                None => Callers::Refused(reason.into()),
            });
        let context = RequestContext::new(headers).with_callers(callers);
        Ok(match self.state {
            Some(state) => context.with_state(state),
            None => context,
        })
    }
}

#[pyfunction]
fn graphql_query(
    py: Python<'_>,
    name: Option<&str>,
    query: String,
    variables: Option<Bound<'_, PyDict>>,
    more: More,
    waiter: Py<Waiter>,
) -> PyResult<()> {
    let graphql = schema(name)?;
    let body = more.body(query, variables, py)?;
    let context = more.context()?;
    start(waiter, async move {
        let response = match Request::from_json(body.as_bytes()) {
            Ok(request) => graphql.execute(request, context).await,
            Err(error) => puff_graphql::Response::refused(&error),
        };
        Ok(Answer(response.body))
    });
    Ok(())
}

/// The layers that a document would have, as text. Raises ValueError for one that does not fit the schema.
#[pyfunction]
fn graphql_plan(name: Option<&str>, query: &str, operation: Option<&str>) -> PyResult<String> {
    let plan = schema(name)?.plan(query, operation);
    plan.map(|plan| plan.to_string())
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pyfunction]
fn graphql_sdl(name: Option<&str>) -> PyResult<String> {
    Ok(schema(name)?.sdl().to_owned())
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(graphql_pending, module)?)?;
    module.add_function(wrap_pyfunction!(graphql_load, module)?)?;
    module.add_function(wrap_pyfunction!(graphql_query, module)?)?;
    module.add_function(wrap_pyfunction!(graphql_plan, module)?)?;
    module.add_function(wrap_pyfunction!(graphql_sdl, module)?)
}
