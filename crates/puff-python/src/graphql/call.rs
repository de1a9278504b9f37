//! One call of a Python resolver: its arguments in, its result out as plain data.

use std::sync::Arc;

use puff_graphql::{
    Arguments, Call, FieldError, Join, Page, ParentSource, Resolved, Spread, SqlResult, Statement, Value,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyEllipsis, PyList, PyString, PyTuple};
use tokio::sync::oneshot;

use super::backend::{PythonBackend, Resolver, Shared};
use super::context::{Context, parent_objects};
use super::extract::{Reading, attribute, resolved};
use super::failure::{Failures, wrong};
use super::reply::Reply;
use super::unit::Unit;
use crate::convert::{object_to_value, objects_to_params, value_to_object};
use crate::lifeline::Lifeline;
use crate::reactor::Job;

type Outcome = Result<Resolved<PythonBackend>, FieldError>;

/// A resolver's call in the hub's queue.
pub(super) struct ResolveJob {
    pub(super) shared: Arc<Shared>,
    pub(super) call: Call<PythonBackend>,
    pub(super) sender: oneshot::Sender<Outcome>,
    /// Of a call that ends with its request.
    pub(super) life: Option<Arc<Lifeline>>,
}

impl Job for ResolveJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = self.shared.handler.clone_ref(py);
        let call = ResolverCall {
            shared: self.shared,
            call: self.call,
            reply: Reply::new(self.sender),
            life: self.life,
        };
        Ok((handler, Py::new(py, call)?.into_any()))
    }
}

/// One call of a resolver, for `puff.graphql._execute.resolve`.
#[pyclass(frozen, module = "puff.graphql", name = "ResolverCall")]
pub(crate) struct ResolverCall {
    shared: Arc<Shared>,
    call: Call<PythonBackend>,
    reply: Reply<Outcome>,
    life: Option<Arc<Lifeline>>,
}

#[pymethods]
impl ResolverCall {
    /// The call runs in the greenlet `worker` from now on. False: its request has gone, and it need not run.
    fn begin(slf: &Bound<'_, Self>, worker: Py<PyAny>) -> PyResult<bool> {
        match &slf.get().life {
            Some(life) => life.begin(worker, slf.as_any()),
            None => Ok(true),
        }
    }

    /// The greenlet to end because the request has gone; None if the call is over.
    fn doomed(&self) -> Option<Py<PyAny>> {
        self.life.as_ref()?.doomed()
    }

    /// The id of the request, if the server gives ids.
    #[getter]
    pub(super) fn request_id(&self) -> Option<&str> {
        self.call.context.id()
    }

    /// The resolver's own `call(parents, context, arguments)`.
    #[getter]
    pub(super) fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let resolver = self.resolver()?;
        match self.is_callers() && !resolver.borrows {
            true => self.shared.lent.call1(py, (&resolver.call, "default")),
            false => Ok(resolver.call.clone_ref(py)),
        }
    }

    /// The parents as Python objects; None where the resolver does not want them.
    pub(super) fn parents<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.resolver()?.takes_parents {
            return Ok(None);
        }
        parent_objects(py, self.call.parents.as_ref(), &self.shared.row_class).map(Some)
    }

    /// The `context` argument.
    pub(super) fn context(&self) -> Context {
        let borrows = self.is_callers() || self.resolver().is_ok_and(|resolver| resolver.borrows);
        Context::of_call(&self.call, borrows)
    }

    /// The field's arguments by their GraphQL names.
    pub(super) fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        arguments_dict(py, &self.call.arguments)
    }

    /// The resolver returned `result`. Exceptions in it that nobody meant for clients: the first, and how many.
    ///
    /// Raises TypeError if the result is none of the forms a resolver may return.
    fn finish(&self, result: &Bound<'_, PyAny>) -> PyResult<Option<(Py<PyAny>, usize)>> {
        let failures = self.failures();
        let resolved = self.interpret(result, &failures)?;
        self.send(Ok(resolved));
        Ok(failures.unexpected())
    }

    /// The resolver raised `error`; whether that is news for the log. Does not fail itself, also if the error
    /// has no text to show.
    fn fail(&self, error: &Bound<'_, PyAny>) -> bool {
        let failures = self.failures();
        self.send(Err(failures.of(error)));
        failures.unexpected().is_some()
    }

    /// The class, the function and where it stands, for the log.
    fn place(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.resolver()?.place.call0(py)
    }

    fn __repr__(&self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for ResolverCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.call.field.fmt(f)
    }
}

impl ResolverCall {
    /// The call of a subscription's resolver, whose events are taken one by one: nobody waits for one value.
    pub(super) fn of_subscription(shared: Arc<Shared>, call: Call<PythonBackend>) -> ResolverCall {
        ResolverCall {
            shared,
            call,
            reply: Reply::to_nobody(),
            life: None,
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Turns exceptions of this call into errors.
    pub(super) fn failures(&self) -> Failures {
        Failures::new(self.shared.mask_errors)
    }

    /// Whether all of the request is done on the connection of who asks.
    fn is_callers(&self) -> bool {
        self.call.context.unit().is_some_and(Unit::is_callers)
    }

    fn resolver(&self) -> PyResult<&Resolver> {
        self.shared
            .resolvers
            .get(self.call.id.0 as usize)
            .ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("the schema has no such resolver"))
    }

    fn send(&self, outcome: Outcome) {
        if let Some(life) = &self.life {
            life.end();
        }
        self.reply.send(outcome);
    }

    /// The four forms of a resolver's result.
    pub(super) fn interpret(
        &self,
        result: &Bound<'_, PyAny>,
        failures: &Failures,
    ) -> PyResult<Resolved<PythonBackend>> {
        if self.resolver()?.pages {
            return self.page(result);
        }
        let form = result.cast::<PyTuple>().ok().filter(|tuple| {
            tuple
                .get_item(0)
                .is_ok_and(|first| first.is_instance_of::<PyEllipsis>())
        });
        let Some(form) = form else {
            return self.value(result, failures);
        };
        match form.len() {
            2 => self.value(&form.get_item(1)?, failures),
            3 => self.sql(form, None),
            5 => self.sql(form, Some((form.get_item(3)?, form.get_item(4)?))),
            count => Err(self.wrong(&format!("a tuple of {count}"))),
        }
    }

    fn wrong(&self, what: &str) -> PyErr {
        wrong(&self.call.field.to_string(), what)
    }

    /// A value, objects, or one of either per parent.
    fn value(&self, value: &Bound<'_, PyAny>, failures: &Failures) -> PyResult<Resolved<PythonBackend>> {
        let per_parent = self
            .call
            .parents
            .as_ref()
            .filter(|_| self.resolver().is_ok_and(|r| r.takes_parents));
        let Some(parents) = per_parent else {
            let values = std::slice::from_ref(value);
            return resolved(values, &self.call, Spread::Shared, self.reading(failures));
        };
        let values: Vec<Bound<'_, PyAny>> = match value.cast::<PyList>() {
            Ok(list) => list.iter().collect(),
            Err(_) => match value.cast::<PyTuple>() {
                Ok(tuple) => tuple.iter().collect(),
                Err(_) => return Err(self.wrong_count(parents.len(), None)),
            },
        };
        if values.len() != parents.len() {
            return Err(self.wrong_count(parents.len(), Some(values.len())));
        }
        resolved(&values, &self.call, Spread::PerParent, self.reading(failures))
    }

    fn reading<'r>(&'r self, failures: &'r Failures) -> Reading<'r> {
        Reading {
            types: &self.shared.types,
            failures,
        }
    }

    fn wrong_count(&self, parents: usize, values: Option<usize>) -> PyErr {
        let got = values.map_or_else(|| "no list".to_owned(), |count| count.to_string());
        pyo3::exceptions::PyTypeError::new_err(format!(
            "the resolver {} takes `parents` and so returns a list with one value per parent, in their order: \
             {parents} values were expected, {got} came",
            self.call.field
        ))
    }

    fn sql(
        &self,
        form: &Bound<'_, PyTuple>,
        keys: Option<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    ) -> PyResult<Resolved<PythonBackend>> {
        let sql = form.get_item(1)?;
        let Ok(sql) = sql.cast::<PyString>() else {
            return Err(self.wrong(&format!(
                "a {} where SQL text belongs",
                sql.get_type().qualname()?
            )));
        };
        let params = form.get_item(2)?;
        let statement = match params.cast::<PyDict>() {
            Ok(named) => by_name(sql, named)?,
            Err(_) => Statement {
                sql: sql.to_str()?.into(),
                params: objects_to_params(&params)?,
            },
        };
        let join = match keys {
            None => None,
            Some((parent_keys, child_keys)) => {
                let names = |keys: &Bound<'_, PyAny>| {
                    keys.extract::<Vec<String>>()
                        .map_err(|_| self.wrong("join keys that are no lists of strings"))
                };
                let join = Join {
                    parent_keys: names(&parent_keys)?,
                    child_keys: names(&child_keys)?,
                };
                if join.parent_keys.len() != join.child_keys.len() || join.parent_keys.is_empty() {
                    return Err(self.wrong("join keys of different or no length"));
                }
                Some(join)
            }
        };
        self.rows(form.py(), statement, join, None)
    }

    /// A statement whose rows are pages; `puff.graphql._pages.Paged` made it of the author's.
    fn page(&self, result: &Bound<'_, PyAny>) -> PyResult<Resolved<PythonBackend>> {
        let join = Join {
            parent_keys: result.getattr("parent_keys")?.extract()?,
            child_keys: result.getattr("child_keys")?.extract()?,
        };
        let statement = Statement {
            sql: result.getattr("sql")?.cast::<PyString>()?.to_str()?.into(),
            params: objects_to_params(&result.getattr("params")?)?,
        };
        let page = Page {
            size: result.getattr("size")?.extract()?,
            backward: result.getattr("backward")?.extract()?,
            from_cursor: result.getattr("from_cursor")?.extract()?,
        };
        let join = Some(join).filter(|join| !join.parent_keys.is_empty());
        self.rows(result.py(), statement, join, Some(page))
    }

    fn rows(
        &self,
        py: Python<'_>,
        statement: Statement<PythonBackend>,
        join: Option<Join>,
        page: Option<Page>,
    ) -> PyResult<Resolved<PythonBackend>> {
        let parent_values = match &join {
            Some(join) => self.parent_values(py, &join.parent_keys)?,
            None => None,
        };
        Ok(Resolved::Sql(SqlResult {
            statement,
            join,
            parent_values,
            page,
        }))
    }

    /// The join keys of parents that are Python objects; rows the engine reads itself.
    fn parent_values(&self, py: Python<'_>, names: &[String]) -> PyResult<Option<Vec<Vec<Value>>>> {
        let Some(parents) = &self.call.parents else {
            return Ok(None);
        };
        let ParentSource::Table { table, .. } = parents.source() else {
            return Ok(None);
        };
        let Some(objects) = &table.objects else {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            // Objects of a JSON column.
            return parents
                .values(&names)
                .map(Some)
                .map_err(|error| pyo3::exceptions::PyLookupError::new_err(error.message));
        };
        let columns = names.iter().map(|name| {
            let name = PyString::new(py, name);
            parents
                .indexes()
                .map(|index| object_to_value(&attribute(objects[index].bind(py), &name)?))
                .collect::<PyResult<Vec<Value>>>()
        });
        columns.collect::<PyResult<_>>().map(Some)
    }
}

/// A field's arguments by their GraphQL names.
pub(super) fn arguments_dict<'py>(py: Python<'py>, arguments: &Arguments) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in arguments.iter() {
        dict.set_item(name, value_to_object(py, value)?)?;
    }
    Ok(dict)
}

/// A statement with parameters by name, numbered as the server wants them.
fn by_name(sql: &Bound<'_, PyString>, params: &Bound<'_, PyDict>) -> PyResult<Statement<PythonBackend>> {
    static BY_NAME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found = BY_NAME
        .import(sql.py(), "puff.graphql._params", "by_name")?
        .call1((sql, params))?;
    let (text, values): (Bound<'_, PyString>, Bound<'_, PyAny>) = found.extract()?;
    Ok(Statement {
        sql: text.to_str()?.into(),
        params: objects_to_params(&values)?,
    })
}
