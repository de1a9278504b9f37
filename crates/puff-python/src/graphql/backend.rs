//! The engine's backend: resolvers on the hub, statements on the pool.

use std::sync::Arc;

use puff_graphql::{
    Backend, Call, Cells, FieldError, Given, Operation, PermissionCall, Permit, Resolved, ResolverId,
    Statement, Value,
};
use puff_postgres::{ArrayText, Param};
use pyo3::prelude::*;
use tokio::sync::oneshot;

use super::after::CommittedJob;
use super::blame::BlameJob;
use super::call::ResolveJob;
use super::cells::CellsJob;
use super::checks::ChecksJob;
use super::context::RequestContext;
use super::load::{Authored, GraphQlOptions};
use super::permission::{PermitJob, ended};
use super::rows::PgRows;
use super::types::Types;
use super::unit::{End, Unit, UnitError};
use crate::lifeline::{Lifeline, Lifelines};
use crate::reactor::{Event, Reactor};
use crate::runtime::Runtime;
use crate::services::{ServiceError, Services};

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
    /// `check(call)` of the Python half, for what clients gave.
    pub(super) check: Py<PyAny>,
    /// The classes and scalars.
    pub(super) types: Types,
    /// By the number that the engine knows them by.
    pub(super) resolvers: Vec<Resolver>,
    /// `blame(call)` of the Python half.
    pub(super) blame: Py<PyAny>,
    /// `permit(call)` of the Python half of permissions.
    pub(super) permit: Py<PyAny>,
    /// The same, with the connection of who asks lent to them.
    pub(super) permit_lent: Py<PyAny>,
    /// `lent(call, using)` of the Python half, for resolvers that work on that connection unasked.
    pub(super) lent: Py<PyAny>,
    /// By the number that the engine knows them by.
    pub(super) permissions: Vec<Py<PyAny>>,
    /// Whether clients read the messages of only those exceptions that are meant for them.
    pub(super) mask_errors: bool,
    /// Whether a root field of a mutation is one transaction, which an error undoes.
    atomic_mutations: bool,
    /// Whether there is a resolver that borrows the request's connection.
    any_borrows: bool,
}

/// A resolver as the Python half describes it.
pub(super) struct Resolver {
    /// `call(parents, context, arguments)`.
    pub(super) call: Py<PyAny>,
    /// Whether the function wants the parents; its value is then one per parent.
    pub(super) takes_parents: bool,
    /// `module.Class.function`.
    pub(super) name: String,
    /// Text for the log: the class, the function and where it stands.
    pub(super) place: Py<PyAny>,
    /// Whether it works on the request's own connection.
    pub(super) borrows: bool,
    /// Whether it returns a statement whose rows are pages.
    pub(super) pages: bool,
}

impl PythonBackend {
    pub(super) fn new(
        py: Python<'_>,
        runtime: &Runtime,
        authored: Authored,
        options: &GraphQlOptions,
    ) -> PyResult<PythonBackend> {
        let Authored {
            resolvers,
            permissions,
            types,
        } = authored;
        let module = py.import("puff.graphql._execute")?;
        Ok(PythonBackend {
            reactor: runtime.reactor().clone(),
            services: runtime.services().clone(),
            lifelines: Lifelines::new(runtime),
            shared: Arc::new(Shared {
                handler: module.getattr("resolve")?.unbind(),
                convert: module.getattr("convert")?.unbind(),
                blame: module.getattr("blame")?.unbind(),
                permit: py.import("puff.graphql._permit")?.getattr("permit")?.unbind(),
                permit_lent: py
                    .import("puff.graphql._permit")?
                    .getattr("permit_lent")?
                    .unbind(),
                lent: py.import("puff.graphql._borrow")?.getattr("lent")?.unbind(),
                permissions,
                check: module.getattr("check")?.unbind(),
                types,
                subscriber: py.import("puff.graphql._subscribe")?.getattr("run")?.unbind(),
                row_class: module.getattr("Row")?.unbind(),
                any_borrows: resolvers.iter().any(|resolver| resolver.borrows),
                resolvers,
                mask_errors: options.mask_errors,
                atomic_mutations: options.atomic_mutations,
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

    /// The error of a resolver's statement, with all that its author has to know.
    fn statement_error(&self, error: &puff_postgres::Error, sql: &str) -> FieldError {
        let mut field = sql_error(error, self.shared.mask_errors);
        field.note = Some(format!("{error}\n{}", sql.trim()).into());
        field
    }

    /// A statement's error; all of it in the log where clients are not to see it.
    fn sql_error(&self, error: &puff_postgres::Error, sql: &str) -> FieldError {
        if self.shared.mask_errors {
            tracing::warn!(target: "puff.graphql", "a statement failed: {error}\n{}", sql.trim());
        }
        sql_error(error, self.shared.mask_errors)
    }
}

impl Backend for PythonBackend {
    type Context = RequestContext;
    type Rows = PgRows;
    type Param = Param;
    type Objects = Arc<[Py<PyAny>]>;

    async fn resolve(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
        let context = call.context.clone();
        let borrows = |unit: &&Unit| unit.is_callers() || self.shared.borrows(call.id);
        let Some(unit) = context.unit().filter(borrows) else {
            return self.call(call).await;
        };
        let loan = unit
            .lend()
            .await
            .map_err(|error| self.unit_error(error, BORROW))?;
        let before = context.after_commit();
        let outcome = self.call(call).await;
        let hidden = loan.end(outcome.is_ok()).await;
        if hidden || outcome.is_err() {
            context.forget_after_commit(before);
        }
        match hidden {
            false => outcome,
            true => Err(FieldError::new(
                "SQL_ERROR",
                "a statement of the resolver failed, and it went on: what it did is rolled back",
            )),
        }
    }

    async fn begin(&self, context: &RequestContext, operation: Operation<'_>) -> Result<(), FieldError> {
        let atomic = self.shared.atomic_mutations && operation.is_mutation();
        if let Some(callers) = context.callers() {
            let (services, reactor) = (self.services.clone(), self.reactor.clone());
            context.set_unit(Unit::new(services, reactor, atomic).on(callers.clone()));
        } else if atomic || (self.shared.any_borrows && operation.calls(|id| self.shared.borrows(id))) {
            let (services, reactor) = (self.services.clone(), self.reactor.clone());
            context.set_unit(Unit::new(services, reactor, atomic));
        }
        Ok(())
    }

    async fn settle(&self, context: &RequestContext, failed: Option<FieldError>) -> Result<(), FieldError> {
        let Some(unit) = context.unit() else { return Ok(()) };
        let end = unit.end(failed).await;
        let functions = context.take_after_commit();
        match end.map_err(|error| self.unit_error(error, "COMMIT"))? {
            End::RolledBack(error) => return Err(error),
            End::Committed | End::Nothing if !functions.is_empty() => {
                self.reactor
                    .push(Event::Job(Box::new(CommittedJob { functions })));
            }
            // As with Django: what is not committed is not told.
            End::Committed | End::Nothing | End::Kept => {}
        }
        Ok(())
    }

    async fn load(&self, context: &RequestContext, statement: Statement<Self>) -> Result<PgRows, FieldError> {
        if let Some(unit) = context.unit() {
            let rows = unit.query(statement.sql.clone(), statement.params).await;
            return rows.map(PgRows::new).map_err(|error| match error {
                UnitError::Service(error) => unavailable(error),
                UnitError::Sql(error) => self.statement_error(&error, &statement.sql),
            });
        }
        let pool = self.services.postgres().await.map_err(unavailable)?;
        let rows = async {
            let connection = pool.get().await?;
            connection.query(&statement.sql, &statement.params).await
        };
        rows.await
            .map(PgRows::new)
            .map_err(|error| self.statement_error(&error, &statement.sql))
    }

    async fn blame(&self, id: ResolverId, errors: Vec<&mut FieldError>) {
        let full = |error: &&mut FieldError| match &error.note {
            Some(note) => note.to_string(),
            None => error.message.clone(),
        };
        let mut messages: Vec<String> = errors.iter().map(full).collect();
        messages.dedup();
        let (sender, receiver) = oneshot::channel();
        self.reactor.push(Event::Job(Box::new(BlameJob {
            shared: self.shared.clone(),
            id,
            messages,
            sender,
        })));
        // Where a program stands is nothing for the public; developers read it in the answer.
        if self.shared.mask_errors {
            return;
        }
        if let Ok(place) = receiver.await {
            for error in errors {
                error
                    .extensions
                    .push(("resolver".into(), Value::str(place.as_str())));
            }
        }
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

    async fn permit(&self, context: &RequestContext, calls: Vec<PermissionCall<Self>>) -> Vec<Permit> {
        let (sender, receiver) = oneshot::channel();
        let (life, guard) = Lifeline::new(&self.lifelines);
        let count = calls.len();
        let loan = match context.unit().filter(|unit| unit.is_callers()) {
            Some(unit) => match unit.lend().await {
                Ok(loan) => Some(loan),
                Err(error) => return vec![Permit::Refused(self.unit_error(error, BORROW)); count],
            },
            None => None,
        };
        self.reactor.push(Event::Job(Box::new(PermitJob {
            shared: self.shared.clone(),
            context: context.clone(),
            calls,
            sender,
            life,
        })));
        let permits = receiver.await.unwrap_or_else(|_| vec![ended(); count]);
        guard.disarm();
        if let Some(loan) = loan {
            loan.end(true).await;
        }
        permits
    }

    async fn check(&self, given: Vec<Given>) -> Result<Vec<Option<String>>, FieldError> {
        let (sender, receiver) = oneshot::channel();
        self.reactor.push(Event::Job(Box::new(ChecksJob {
            shared: self.shared.clone(),
            given,
            sender,
        })));
        receiver.await.unwrap_or_else(|_| {
            Err(FieldError::new(
                "RESOLVER_ENDED",
                "the check was ended before it returned",
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

/// What is done on a resolver's account before it runs.
const BORROW: &str = "borrow_db_context";

fn unavailable(error: ServiceError) -> FieldError {
    FieldError::new("SERVICE_UNAVAILABLE", error.to_string())
}

impl Shared {
    fn borrows(&self, id: ResolverId) -> bool {
        self.resolvers
            .get(id.0 as usize)
            .is_some_and(|resolver| resolver.borrows)
    }
}

impl PythonBackend {
    fn unit_error(&self, error: UnitError, sql: &str) -> FieldError {
        match error {
            UnitError::Service(error) => unavailable(error),
            UnitError::Sql(error) => self.sql_error(&error, sql),
        }
    }

    /// Runs a resolver in a greenlet.
    async fn call(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
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
}

/// A PostgreSQL error as a field's error, with what a developer needs to find it.
fn sql_error(error: &puff_postgres::Error, mask: bool) -> FieldError {
    let Some(report) = error.as_db() else {
        let message = match mask {
            true => "the database is not available".to_owned(),
            false => error.to_string(),
        };
        return FieldError::new("SQL_UNAVAILABLE", message);
    };
    let message = match mask {
        true => "the statement failed".to_owned(),
        false => report.message.clone(),
    };
    let mut field = FieldError::new("SQL_ERROR", message).with("sqlstate", Value::str(report.code.as_str()));
    if mask {
        return field;
    }
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
        Value::Host(_) => {
            return Err(FieldError::new(
                "BAD_PARAMETER",
                "a file cannot be a statement's parameter",
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
