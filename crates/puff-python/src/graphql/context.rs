//! What a resolver sees of its request and its parents.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use puff_graphql::{ParentSource, Parents, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::backend::PythonBackend;
use super::extract::attribute;
use crate::convert::{cell_to_object, value_to_object};

/// One GraphQL request, as far as resolvers care. Clones share it.
#[derive(Clone, Default)]
pub struct RequestContext {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    headers: HeaderMap,
    /// The request's id, if the server gives ids.
    id: Option<HeaderValue>,
    /// `context.state`: a dict, made when a resolver first asks.
    state: Mutex<Option<Py<PyDict>>>,
    /// What the client of a WebSocket sent when it connected.
    connection_params: Option<Arc<Value>>,
    /// Of an operation on a WebSocket: the connection, whose state its own begins with.
    connection: Option<RequestContext>,
}

impl RequestContext {
    /// A request with these HTTP headers.
    pub fn new(headers: HeaderMap) -> RequestContext {
        RequestContext::with_id(headers, None)
    }

    /// Likewise, with the id that the server has given it: its resolvers log it.
    pub fn with_id(headers: HeaderMap, id: Option<HeaderValue>) -> RequestContext {
        RequestContext {
            inner: Arc::new(Inner {
                headers,
                id,
                ..Inner::default()
            }),
        }
    }

    /// A connection of a WebSocket, whose client has sent `params`, an object.
    pub fn of_connection(
        headers: HeaderMap,
        id: Option<HeaderValue>,
        params: Option<Value>,
    ) -> RequestContext {
        RequestContext {
            inner: Arc::new(Inner {
                headers,
                id,
                connection_params: params.map(Arc::new),
                ..Inner::default()
            }),
        }
    }

    /// An operation on this connection. Its state begins as a copy of the connection's.
    pub fn operation(&self) -> RequestContext {
        RequestContext {
            inner: Arc::new(Inner {
                headers: self.inner.headers.clone(),
                id: self.inner.id.clone(),
                connection_params: self.inner.connection_params.clone(),
                connection: Some(self.clone()),
                ..Inner::default()
            }),
        }
    }

    /// Likewise, with the dict that resolvers see as `context.state`. Before the context is shared.
    #[must_use]
    pub fn with_state(mut self, state: Py<PyDict>) -> RequestContext {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.state = Mutex::new(Some(state));
        }
        self
    }
}

impl RequestContext {
    pub(super) fn id(&self) -> Option<&str> {
        self.inner.id.as_ref()?.to_str().ok()
    }

    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        if let Some(state) = &*self.inner.state.lock() {
            return Ok(state.clone_ref(py));
        }
        let fresh = match &self.inner.connection {
            Some(connection) => connection.state(py)?.bind(py).copy()?.unbind(),
            None => PyDict::new(py).unbind(),
        };
        Ok(self.inner.state.lock().get_or_insert(fresh).clone_ref(py))
    }

    /// The header `Authorization`; clients of WebSockets that cannot send headers have it among their parameters.
    fn authorization(&self) -> Option<&str> {
        if let Some(header) = self.inner.headers.get(http::header::AUTHORIZATION) {
            return header.to_str().ok();
        }
        let Value::Object(params) = &**self.inner.connection_params.as_ref()? else {
            return None;
        };
        let mut params = params.iter();
        let (_, value) = params.find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
        value.as_str()
    }
}

/// The `context` argument of a resolver.
#[pyclass(frozen, module = "puff.graphql", name = "Context")]
pub(crate) struct Context {
    request: RequestContext,
    parents: Option<Parents<PythonBackend>>,
}

impl Context {
    pub(super) fn new(request: RequestContext, parents: Option<Parents<PythonBackend>>) -> Context {
        Context { request, parents }
    }
}

#[pymethods]
impl Context {
    /// The bearer token of the `Authorization` header, or None. On a WebSocket without that header it is taken
    /// from `connection_params`.
    #[getter]
    fn auth_token(&self) -> Option<&str> {
        let (scheme, token) = self.request.authorization()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The request's HTTP headers: a dict with lower-case names; several values are joined with `, `.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for name in self.request.inner.headers.keys() {
            let values = self.request.inner.headers.get_all(name).iter();
            let text: Vec<String> = values
                .map(|value| value.as_bytes().iter().map(|byte| *byte as char).collect())
                .collect();
            dict.set_item(name.as_str(), text.join(", "))?;
        }
        Ok(dict)
    }

    /// A dict for the resolvers of this request to share. That of an operation on a WebSocket begins as a copy of
    /// what `Schema.connect` has put into its own.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.request.state(py)
    }

    /// What the client of a WebSocket has sent when it connected; an empty dict for all others.
    #[getter]
    fn connection_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.request.inner.connection_params {
            Some(params) => value_to_object(py, params),
            None => Ok(PyDict::new(py).into_any()),
        }
    }

    /// `parent_values(["id", ...])`: one tuple per parent with the values of these columns or attributes.
    ///
    /// Raises LookupError if the parents' rows have no such column, AttributeError if a parent object has no
    /// such attribute. At a root field there are no parents: an empty list.
    fn parent_values<'py>(
        &self,
        py: Python<'py>,
        names: Vec<Bound<'py, PyString>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let Some(parents) = &self.parents else {
            return Ok(PyList::empty(py));
        };
        let mut columns = Vec::with_capacity(names.len());
        for name in &names {
            columns.push(parent_column(py, parents, name)?);
        }
        let list = PyList::empty(py);
        for position in 0..parents.len() {
            let values = columns
                .iter_mut()
                .map(|column| std::mem::replace(&mut column[position], py.None()));
            list.append(PyTuple::new(py, values)?)?;
        }
        Ok(list)
    }
}

/// One value per parent.
fn parent_column(
    py: Python<'_>,
    parents: &Parents<PythonBackend>,
    name: &Bound<'_, PyString>,
) -> PyResult<Vec<Py<PyAny>>> {
    let text = name.to_str()?;
    match parents.source() {
        ParentSource::Rows(rows) => {
            let rows = rows.postgres();
            let column = rows.find_column(text).ok_or_else(|| {
                let names: Vec<&str> = rows.columns().iter().map(|column| &*column.name).collect();
                pyo3::exceptions::PyLookupError::new_err(format!(
                    "the parents' rows have no column {text:?} (columns: {})",
                    names.join(", ")
                ))
            })?;
            let type_oid = rows.columns()[column].type_oid;
            parents
                .indexes()
                .map(|row| Ok(cell_to_object(py, type_oid, rows.cell(row, column))?.unbind()))
                .collect()
        }
        ParentSource::Table { table, .. } => match &table.objects {
            Some(objects) => parents
                .indexes()
                .map(|index| Ok(attribute(objects[index].bind(py), name)?.unbind()))
                .collect(),
            None => {
                let values = parents
                    .values(&[text])
                    .map_err(|error| pyo3::exceptions::PyLookupError::new_err(error.message))?;
                values
                    .into_iter()
                    .flatten()
                    .map(|value| Ok(value_to_object(py, &value)?.unbind()))
                    .collect()
            }
        },
    }
}

/// The `parents` argument of a resolver: the objects themselves, or one `Row` per row.
pub(super) fn parent_objects<'py>(
    py: Python<'py>,
    parents: Option<&Parents<PythonBackend>>,
    row_class: &Py<PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    let Some(parents) = parents else { return Ok(list) };
    match parents.source() {
        ParentSource::Rows(rows) => {
            let rows = rows.postgres();
            for row in parents.indexes() {
                let dict = PyDict::new(py);
                for (index, column) in rows.columns().iter().enumerate() {
                    dict.set_item(
                        &*column.name,
                        cell_to_object(py, column.type_oid, rows.cell(row, index))?,
                    )?;
                }
                list.append(row_class.bind(py).call1((dict,))?)?;
            }
        }
        ParentSource::Table { table, .. } => {
            for index in parents.indexes() {
                match table.objects.as_ref().and_then(|objects| objects.get(index)) {
                    Some(object) => list.append(object)?,
                    None => list.append(py.None())?,
                }
            }
        }
    }
    Ok(list)
}
