//! What a resolver sees of its request and its parents.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use puff_graphql::{Call, ParentSource, Parents, Selection, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::backend::PythonBackend;
use super::extract::attribute;
use super::unit::{Callers, Unit};
use crate::convert::{cell_to_object, json_loads, value_to_object};
use crate::driver::PgSession;

/// One GraphQL request, as far as resolvers care. Clones share it.
#[derive(Clone, Default)]
pub struct RequestContext {
    inner: Arc<Inner>,
    run: Arc<Run>,
}

/// One execution: a batch has several with one set of headers.
#[derive(Default)]
struct Run {
    /// Nobody waits for the answer any more.
    gone: AtomicBool,
    /// The connection of its own, if it has one.
    unit: OnceLock<Unit>,
    /// To be called after the commit.
    after_commit: Mutex<Vec<Py<PyAny>>>,
}

#[derive(Default)]
struct Inner {
    headers: HeaderMap,
    /// The request's id, if the server gives ids.
    id: Option<HeaderValue>,
    /// The client's address, if it came over TCP.
    peer: Option<SocketAddr>,
    /// `context.state`: a dict, made when a resolver first asks.
    state: Mutex<Option<Py<PyDict>>>,
    /// The connection of who asks in process, if the request is to use that.
    callers: Option<Callers>,
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
            run: Arc::default(),
        }
    }

    /// Likewise, from a client at this address. Before the context is shared.
    #[must_use]
    pub fn with_peer(mut self, peer: Option<SocketAddr>) -> RequestContext {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.peer = peer;
        }
        self
    }

    /// Likewise, with the dict that resolvers see as `context.state`. Before the context is shared.
    #[must_use]
    pub fn with_state(mut self, state: Py<PyDict>) -> RequestContext {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.state = Mutex::new(Some(state));
        }
        self
    }

    /// Likewise, on the connection of who asks. Before the context is shared.
    #[must_use]
    pub(crate) fn with_callers(mut self, callers: Option<Callers>) -> RequestContext {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.callers = callers;
        }
        self
    }

    /// The connection of who asks, if the request is to use that.
    pub(super) fn callers(&self) -> Option<&Callers> {
        self.inner.callers.as_ref()
    }

    /// A connection of a WebSocket from `peer`, whose client has sent `params`, an object.
    pub fn of_connection(
        headers: HeaderMap,
        id: Option<HeaderValue>,
        peer: Option<SocketAddr>,
        params: Option<Value>,
    ) -> RequestContext {
        RequestContext {
            inner: Arc::new(Inner {
                headers,
                id,
                peer,
                connection_params: params.map(Arc::new),
                ..Inner::default()
            }),
            run: Arc::default(),
        }
    }

    /// An operation on this connection. Its state begins as a copy of the connection's.
    pub fn operation(&self) -> RequestContext {
        RequestContext {
            inner: Arc::new(Inner {
                headers: self.inner.headers.clone(),
                id: self.inner.id.clone(),
                peer: self.inner.peer,
                connection_params: self.inner.connection_params.clone(),
                connection: Some(self.clone()),
                ..Inner::default()
            }),
            run: Arc::default(),
        }
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

    pub(super) fn id(&self) -> Option<&str> {
        self.inner.id.as_ref()?.to_str().ok()
    }

    /// Gives the request a connection of its own. The first call counts.
    pub(super) fn set_unit(&self, unit: Unit) {
        let _ = self.run.unit.set(unit);
    }

    /// The request's own connection, if it has one.
    pub(super) fn unit(&self) -> Option<&Unit> {
        self.run.unit.get()
    }

    /// How much is to be called after the commit.
    pub(super) fn after_commit(&self) -> usize {
        self.run.after_commit.lock().len()
    }

    /// What has been done since there was so much to call is undone.
    pub(super) fn forget_after_commit(&self, before: usize) {
        let undone = self.run.after_commit.lock().split_off(before);
        // Without the lock.
        drop(undone);
    }

    /// What is to be called when what has been done so far is committed; it is called once.
    pub(super) fn take_after_commit(&self) -> Vec<Py<PyAny>> {
        std::mem::take(&mut *self.run.after_commit.lock())
    }

    /// The same request for an execution of its own.
    pub(super) fn for_run(&self) -> RequestContext {
        RequestContext {
            inner: self.inner.clone(),
            run: Arc::default(),
        }
    }

    /// To be held while somebody waits for the answer.
    pub(super) fn attend(&self) -> Attended {
        Attended(Some(self.run.clone()))
    }
}

impl Run {
    /// The request is over, whoever still holds this.
    fn close(&self) {
        if let Some(unit) = self.unit.get() {
            unit.close();
        }
    }
}

/// Somebody waits for the answer. Dropped without [`Attended::answered`] it tells the resolvers that still run.
pub(super) struct Attended(Option<Arc<Run>>);

impl Attended {
    pub(super) fn answered(mut self) {
        if let Some(run) = self.0.take() {
            run.close();
        }
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if let Some(run) = &self.0 {
            run.gone.store(true, Ordering::Release);
            run.close();
        }
    }
}

/// The `context` argument of a resolver.
#[pyclass(frozen, module = "puff.graphql", name = "Context")]
pub(crate) struct Context {
    request: RequestContext,
    parents: Option<Parents<PythonBackend>>,
    /// Whether the resolver borrows the request's connection.
    borrows: bool,
    /// The connection object while it is lent.
    lent: Mutex<Option<Py<PyAny>>>,
    /// What the client selects of the field's value.
    selection: Option<Selection>,
}

impl Context {
    /// For what is no resolver.
    pub(super) fn new(request: RequestContext, parents: Option<Parents<PythonBackend>>) -> Context {
        Context {
            request,
            parents,
            borrows: false,
            lent: Mutex::new(None),
            selection: None,
        }
    }

    /// For what is no resolver and works on the connection of who asks.
    pub(super) fn borrowing(request: RequestContext) -> Context {
        Context {
            borrows: true,
            ..Context::new(request, None)
        }
    }

    /// For a resolver.
    pub(super) fn of_call(call: &Call<PythonBackend>, borrows: bool) -> Context {
        Context {
            borrows,
            selection: Some(call.selection.clone()),
            ..Context::new(call.context.clone(), call.parents.clone())
        }
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

    /// The request's cookies: a dict of text by name.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for value in self.request.inner.headers.get_all(http::header::COOKIE) {
            let text: String = value.as_bytes().iter().map(|byte| *byte as char).collect();
            for (name, value) in text.split(';').filter_map(|pair| pair.split_once('=')) {
                let value = value.trim();
                let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                dict.set_item(name.trim(), quoted.unwrap_or(value))?;
            }
        }
        Ok(dict)
    }

    /// The request's id, or None if the server gives none.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.request.id()
    }

    /// The client's address and port, or None if the request did not come over TCP.
    #[getter]
    fn peer(&self) -> Option<(String, u16)> {
        let peer = self.request.inner.peer?;
        Some((peer.ip().to_string(), peer.port()))
    }

    /// Whether nobody waits for the answer any more: the client has gone, or the time is over.
    ///
    /// A resolver of a query is ended then, wherever it waits; one of a mutation runs on and may ask.
    #[getter]
    fn gone(&self) -> bool {
        self.request.run.gone.load(Ordering::Acquire)
    }

    /// The request's own connection, a `puff.postgres` connection, in a resolver under `borrow_db_context`.
    ///
    /// Raises RuntimeError in others.
    #[getter]
    fn connection(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let lent = self.lent.lock();
        lent.as_ref().map(|lent| lent.clone_ref(py)).ok_or_else(|| {
            pyo3::exceptions::PyRuntimeError::new_err(
                "no connection is lent here: decorate the resolver with puff.graphql.borrow_db_context, below \
                 @classmethod",
            )
        })
    }

    /// The session of the request's own connection; None if the resolver borrows none.
    fn borrowed_session(&self) -> Option<PgSession> {
        let unit = self.request.unit().filter(|_| self.borrows)?;
        Some(PgSession::new(unit.opened()?.clone()))
    }

    /// `connection` is what `Context.connection` gives from now on.
    fn lend(&self, connection: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut *self.lent.lock(), connection);
        // Without the lock: its end may run Python.
        drop(before);
    }

    /// `function()` is called when what the resolver does is committed.
    fn on_commit(&self, function: Py<PyAny>) {
        self.request.run.after_commit.lock().push(function);
    }

    /// A dict for the resolvers of this request to share. That of an operation on a WebSocket begins as a copy of
    /// what `Schema.connect` has put into its own.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyDict>> {
        self.request.state(py)
    }

    /// Who the client is: `state["user"]`, which a framework such as Django puts there when it is first asked.
    ///
    /// Raises AttributeError if nobody says who it is.
    #[getter]
    fn user<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        // It only looks who could tell: what waits for a database is no part of this call.
        let module = slf.py().import("puff.graphql._user")?;
        module.call_method1("user_of", (slf,))
    }

    /// What the client of a WebSocket has sent when it connected; an empty dict for all others.
    #[getter]
    fn connection_params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.request.inner.connection_params {
            Some(params) => value_to_object(py, params),
            None => Ok(PyDict::new(py).into_any()),
        }
    }

    /// Whether the client reads an attribute of what the resolver returns, by its Python name: `"price"`, or
    /// `"maker.name"` within the objects of one. Fields with resolvers of their own are no attributes.
    fn selects(&self, path: &str) -> bool {
        let has = |selection: &Selection| selection.has(path);
        self.selection.as_ref().is_some_and(has)
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
        ParentSource::Table { table, .. } => match &table.objects {
            Some(objects) => {
                for index in parents.indexes() {
                    list.append(&objects[index])?;
                }
            }
            // From a JSON column.
            None => {
                for index in parents.indexes() {
                    let text = table.json.as_ref().and_then(|texts| texts.get(index));
                    let dict = json_loads(py, text.map_or("{}", |text| text))?;
                    list.append(row_class.bind(py).call1((dict,))?)?;
                }
            }
        },
    }
    Ok(list)
}
