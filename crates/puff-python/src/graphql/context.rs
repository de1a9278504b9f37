//! What a resolver sees of its request and its parents.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use puff_graphql::{ParentSource, Parents};
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
                state: Mutex::new(None),
            }),
        }
    }
}

impl RequestContext {
    pub(super) fn id(&self) -> Option<&str> {
        self.inner.id.as_ref()?.to_str().ok()
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
    /// The bearer token of the `Authorization` header, or None.
    #[getter]
    fn auth_token(&self) -> Option<&str> {
        let value = self
            .request
            .inner
            .headers
            .get(http::header::AUTHORIZATION)?
            .to_str()
            .ok()?;
        let (scheme, token) = value.split_once(' ')?;
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

    /// A dict for the resolvers of this request to share.
    #[getter]
    fn state(&self, py: Python<'_>) -> Py<PyDict> {
        self.request
            .inner
            .state
            .lock()
            .get_or_insert_with(|| PyDict::new(py).unbind())
            .clone_ref(py)
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
