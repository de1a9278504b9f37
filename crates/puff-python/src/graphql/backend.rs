//! The engine's backend: resolvers on the hub, statements on the pool.

use std::sync::Arc;

use puff_graphql::{Backend, Call, Cells, FieldError, Resolved, ResolverId, Statement, Value};
use puff_postgres::{ArrayText, Param};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::call::ResolveJob;
use super::cells::CellsJob;
use super::context::RequestContext;
use super::rows::PgRows;
use super::types::Types;
use crate::lifeline::{Lifeline, Lifelines};
use crate::reactor::{Event, Reactor};
use crate::runtime::Runtime;
use crate::services::Services;

/// Python resolvers and the program's PostgreSQL pool.
pub(crate) struct PythonBackend {
    reactor: Arc<Reactor>,
    services: Services,
    lifelines: Lifelines,
    shared: Arc<Shared>,
}

/// What the calls of a schema need of Python.
pub(super) struct Shared {
    /// `resolve(call)` of the Python half.
    pub(super) handler: Py<PyAny>,
    /// `run(call)` of the Python half of subscriptions.
    pub(super) subscriber: Py<PyAny>,
    /// The class of a parent that came from SQL.
    pub(super) row_class: Py<PyAny>,
    /// `convert(call)` of the Python half, for cells.
    pub(super) convert: Py<PyAny>,
    /// The classes and scalars.
    pub(super) types: Types,
    /// By the number that the engine knows them by.
    pub(super) resolvers: Vec<Resolver>,
}

/// A resolver as the Python half describes it.
pub(super) struct Resolver {
    /// `call(parents, context, arguments)`.
    pub(super) call: Py<PyAny>,
    /// Whether the function wants the parents; its value is then one per parent.
    pub(super) takes_parents: bool,
    /// `module.Class.function`.
    pub(super) name: String,
}

impl PythonBackend {
    pub(super) fn new(
        py: Python<'_>,
        runtime: &Runtime,
        resolvers: Vec<Resolver>,
        types: Types,
    ) -> PyResult<PythonBackend> {
        let module = py.import("puff.graphql._execute")?;
        Ok(PythonBackend {
            reactor: runtime.reactor().clone(),
            services: runtime.services().clone(),
            lifelines: Lifelines::new(runtime),
            shared: Arc::new(Shared {
                handler: module.getattr("resolve")?.unbind(),
                convert: module.getattr("convert")?.unbind(),
                types,
                subscriber: py.import("puff.graphql._subscribe")?.getattr("run")?.unbind(),
                row_class: module.getattr("Row")?.unbind(),
                resolvers,
            }),
        })
    }
}

impl PythonBackend {
    pub(super) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(super) fn lifelines(&self) -> &Lifelines {
        &self.lifelines
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Backend for PythonBackend {
    type Context = RequestContext;
    type Rows = PgRows;
    type Param = Param;
    type Objects = Arc<[Py<PyAny>]>;

    async fn resolve(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
        let (sender, receiver) = oneshot::channel();
        // What a query computes is worth nothing without its client; what a mutation began is not left half done.
        let (life, guard) = match call.is_mutation {
            true => (None, None),
            false => {
                let (life, guard) = Lifeline::new(&self.lifelines);
                (Some(life), Some(guard))
            }
        };
        let job = ResolveJob {
            shared: self.shared.clone(),
            call,
            sender,
            life,
        };
        self.reactor.push(Event::Job(Box::new(job)));
        let outcome = receiver.await.unwrap_or_else(|_| {
            Err(FieldError::new(
                "RESOLVER_ENDED",
                "the resolver was ended before it returned",
            ))
        });
        if let Some(guard) = guard {
            guard.disarm();
        }
        outcome
    }

    async fn load(
        &self,
        _context: &RequestContext,
        statement: Statement<Self>,
    ) -> Result<PgRows, FieldError> {
        let pool = self
            .services
            .postgres()
            .await
            .map_err(|error| FieldError::new("SERVICE_UNAVAILABLE", error.to_string()))?;
        let rows = async {
            let connection = pool.get().await?;
            connection.query(&statement.sql, &statement.params).await
        };
        rows.await.map(PgRows::new).map_err(|error| sql_error(&error))
    }

    async fn convert(&self, cells: Cells<Self>) -> Result<Vec<Value>, FieldError> {
        let (sender, receiver) = oneshot::channel();
        self.reactor.push(Event::Job(Box::new(CellsJob {
            shared: self.shared.clone(),
            cells,
            sender,
        })));
        receiver.await.unwrap_or_else(|_| {
            Err(FieldError::new(
                "RESOLVER_ENDED",
                "the conversion was ended before it returned",
            ))
        })
    }

    fn param(&self, value: &Value) -> Result<Param, FieldError> {
        param(value)
    }

    fn show_param(&self, param: &Param) -> Value {
        match &param.value {
            Some(text) => Value::str(String::from_utf8_lossy(text)),
            None => Value::Null,
        }
    }

    fn resolver_name(&self, id: ResolverId) -> Option<String> {
        let resolver = self.shared.resolvers.get(id.0 as usize)?;
        Some(resolver.name.clone())
    }
}

/// A PostgreSQL error as a field's error, with what a developer needs to find it.
fn sql_error(error: &puff_postgres::Error) -> FieldError {
    let Some(report) = error.as_db() else {
        return FieldError::new("SQL_UNAVAILABLE", error.to_string());
    };
    let mut field = FieldError::new("SQL_ERROR", report.message.clone())
        .with("sqlstate", Value::str(report.code.as_str()));
    if let Some(detail) = &report.detail {
        field = field.with("detail", Value::str(detail.as_str()));
    }
    if let Some(hint) = &report.hint {
        field = field.with("hint", Value::str(hint.as_str()));
    }
    field
}

/// A plain value as a parameter, without entering Python.
fn param(value: &Value) -> Result<Param, FieldError> {
    Ok(match value {
        Value::Null => Param::NULL,
        Value::Bool(flag) => Param::from(*flag),
        Value::Int(number) => Param::from(*number),
        Value::Float(number) => Param::from(*number),
        Value::Big(text) | Value::Str(text) | Value::Json(text) => Param::from(&**text),
        Value::List(items) => Param::text(array_text(items)?.finish()),
        Value::Object(_) => {
            return Err(FieldError::new(
                "BAD_PARAMETER",
                "an object cannot be a statement's parameter",
            ));
        }
        Value::Error(error) => return Err((**error).clone()),
    })
}

fn array_text(items: &[Value]) -> Result<ArrayText, FieldError> {
    let mut text = ArrayText::with_capacity(items.len());
    for item in items {
        match item {
            Value::Null => text.null(),
            Value::List(inner) => text.array(array_text(inner)?),
            Value::Str(element) | Value::Json(element) => text.quoted(element),
            other => {
                let element = param(other)?;
                text.bare(&String::from_utf8_lossy(
                    element.value.as_deref().unwrap_or_default(),
                ))
            }
        };
    }
    Ok(text)
}
