//! The engine: requests in, answers out.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::backend::{Backend, Operation};
use crate::cache::{PlanCache, Planned};
use crate::error::{RequestError, RequestErrorCode};
use crate::execute::Execution;
use crate::explain::PlanDescription;
use crate::plan::input::{Variables, check_deciding, coerce_variables, refusals, variables_json};
use crate::plan::{Check, Plan};
use crate::request::{Outcome, Request, Response};
use crate::schema::Schema;
use crate::trace::{Record, Recorder, Times, Trace};
use crate::value::Value;
use crate::write::answer::write_answer;

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads.
    Query,
    /// Writes.
    Mutation,
    /// Has many answers.
    Subscription,
}

/// A schema with a backend: answers requests. Clones are cheap and share the plan cache.
///
/// ```
/// # use std::sync::Arc;
/// use puff_graphql::*;
///
/// /// Knows one resolver and no database.
/// struct Greeter;
///
/// struct NoRows;
/// # impl Rows for NoRows {
/// #     fn len(&self) -> usize { 0 }
/// #     fn columns(&self) -> usize { 0 }
/// #     fn column_name(&self, _: usize) -> &str { "" }
/// #     fn column_type(&self, _: usize) -> CellType { CellType::Scalar(ScalarType::Text) }
/// #     fn cell(&self, _: usize, _: usize) -> Option<&[u8]> { None }
/// # }
///
/// impl Backend for Greeter {
///     type Context = ();
///     type Rows = NoRows;
///     type Param = Value;
///     type Objects = ();
///
///     async fn resolve(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
///         let name = call.arguments.get("name").and_then(Value::as_str).unwrap_or("world");
///         Ok(Resolved::Values { values: vec![Value::str(format!("hello {name}"))], spread: Spread::Shared })
///     }
///
///     async fn load(&self, _: &(), _: Statement<Self>) -> Result<NoRows, FieldError> {
///         Err(FieldError::new("SQL_ERROR", "there is no database"))
///     }
///
///     fn param(&self, value: &Value) -> Result<Value, FieldError> {
///         Ok(value.clone())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SchemaError> {
/// let hello = FieldResolver {
///     type_name: "Query".into(),
///     field_name: "hello".into(),
///     kind: ResolverKind::Call(ResolverId(0)),
/// };
/// let schema = Schema::build("type Query { hello(name: String): String }", vec![hello], SchemaOptions::default())?;
/// let engine = Engine::new(schema, Arc::new(Greeter));
/// let response = engine.execute(Request::new("{ hello(name: \"Puff\") }"), ()).await;
/// assert_eq!(&response.body[..], br#"{"data":{"hello":"hello Puff"}}"#);
/// # Ok(())
/// # }
/// ```
pub struct Engine<B: Backend> {
    pub(crate) schema: Schema,
    pub(crate) backend: Arc<B>,
    plans: Arc<PlanCache>,
}

impl<B: Backend> Clone for Engine<B> {
    fn clone(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            backend: self.backend.clone(),
            plans: self.plans.clone(),
        }
    }
}

impl<B: Backend> Engine<B> {
    /// An engine with an empty plan cache.
    pub fn new(schema: Schema, backend: Arc<B>) -> Self {
        let options = schema.options();
        let plans = PlanCache::new(options.cache_entries, options.cache_bytes).into();
        Self {
            schema,
            backend,
            plans,
        }
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The backend.
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// Answers one request. It never fails: whatever goes wrong is in the answer.
    ///
    /// Dropping the future drops the backend's futures that are under way. There is no time-out here: the
    /// caller owns the clock.
    pub async fn execute(&self, request: Request, context: B::Context) -> Response {
        match self.try_execute(request, context).await {
            Ok(response) => response,
            Err(error) => Response::refused(&error),
        }
    }

    /// The layers of an operation, without running it.
    ///
    /// # Errors
    /// When the document is invalid or has no such operation.
    pub fn plan(&self, query: &str, operation_name: Option<&str>) -> Result<PlanDescription, RequestError> {
        Ok(self.planned(query, operation_name, &mut true)?.describe())
    }

    /// Which kind of operation a request asks for.
    ///
    /// # Errors
    /// When the document is invalid or has no such operation.
    pub fn kind(&self, request: &Request) -> Result<OperationKind, RequestError> {
        let plan = self.planned(&request.query, request.operation_name.as_deref(), &mut true)?;
        Ok(match (plan.is_mutation, plan.is_subscription) {
            (true, _) => OperationKind::Mutation,
            (_, true) => OperationKind::Subscription,
            _ => OperationKind::Query,
        })
    }

    /// The plan of an operation; `cached` becomes false if it was not known.
    pub(crate) fn planned(&self, query: &str, operation_name: Option<&str>, cached: &mut bool) -> Planned {
        let mut build = || {
            *cached = false;
            Plan::build(&self.schema.inner, query, operation_name).map(Arc::new)
        };
        // A document that is too large anyway shall not take the place of others.
        if query.len() > self.schema.options().max_query_bytes {
            return build();
        }
        self.plans.get(query, operation_name, build)
    }

    /// What a request's variables come to for its plan: their values, and which conditions hold.
    pub(crate) async fn bind(
        &self,
        plan: &Plan,
        given: HashMap<Box<str>, Value>,
    ) -> Result<(Variables, Arc<[bool]>), RequestError> {
        let (variables, checks) = coerce_variables(&self.schema.inner.types, &plan.variables, given)?;
        check_deciding(&plan.variables, &plan.deciding, &variables)?;
        let flags = plan.flags(&variables);
        if plan.has_variable_cost {
            let most = self.schema.options().max_complexity;
            plan.check_cost(&variables, Some(&flags), most)?;
        }
        self.check(plan, &checks).await?;
        Ok((variables, flags))
    }

    /// Has the backend check the values of scalars in a document that is new, and in the variables.
    async fn check(&self, plan: &Plan, checks: &[Check]) -> Result<(), RequestError> {
        let is_known = plan.checked.load(Ordering::Relaxed);
        let literals = plan.checks.iter().filter(|_| !is_known);
        let all: Vec<&Check> = literals.chain(checks).collect();
        if all.is_empty() {
            return Ok(());
        }
        let given = all.iter().map(|check| check.given.clone()).collect();
        let answers = self.backend.check(given).await;
        let answers =
            answers.map_err(|error| RequestError::new(RequestErrorCode::Unavailable, error.message))?;
        if !is_known && answers.iter().take(plan.checks.len()).all(Option::is_none) {
            plan.checked.store(true, Ordering::Relaxed);
        }
        let problems = refusals(&all, answers);
        if problems.is_empty() {
            return Ok(());
        }
        let code = RequestErrorCode::BadVariables;
        Err(RequestError { code, problems })
    }

    async fn try_execute(&self, request: Request, context: B::Context) -> Result<Response, RequestError> {
        let start = (request.record != Record::Nothing).then(Instant::now);
        let mut cached = true;
        let plan = self.planned(&request.query, request.operation_name.as_deref(), &mut cached)?;
        let planned_in = start.map(|start| start.elapsed());
        if plan.is_subscription {
            let message =
                "subscriptions are not answered here: use a WebSocket, or `Accept: text/event-stream`";
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        }
        if request.read_only && plan.is_mutation {
            let message = "a mutation is not allowed in a read-only request";
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        }
        let (variables, flags) = self.bind(&plan, request.variables).await?;
        let introspected = match &plan.introspection {
            Some(kept) => {
                let given = variables_json(&plan.variables, &variables)
                    .map_err(|error| RequestError::new(RequestErrorCode::BadVariables, error.message))?;
                self.schema
                    .inner
                    .types
                    .introspect(&kept.document, &kept.operation, &given)?
            }
            None => Vec::new(),
        };
        let execution = Execution {
            backend: &*self.backend,
            plan: &plan,
            options: self.schema.options(),
            context,
            flags,
            variables,
            recorder: start
                .filter(|_| request.record == Record::Layers)
                .map(Recorder::new),
            event: Mutex::default(),
            failed: Mutex::default(),
        };
        let operation = Operation { plan: &plan };
        if let Err(error) = self.backend.begin(&execution.context, operation).await {
            return Ok(Response::failed(&error));
        }
        let root = execution.run().await;
        if !plan.is_mutation
            && let Err(error) = execution.settle().await
        {
            return Ok(Response::failed(&error));
        }
        let (body, errors) = write_answer(&execution, &root, &introspected);
        drop(root);
        let times = start.zip(planned_in).map(|(start, planned_in)| {
            let parse = if cached { Duration::ZERO } else { plan.parsed_in };
            let total = start.elapsed();
            Times {
                cached,
                parse,
                plan: planned_in.saturating_sub(parse),
                execute: total.saturating_sub(planned_in),
                total,
            }
        });
        let trace = execution.recorder.map(|recorder| Trace {
            times: times.unwrap_or_default(),
            layers: recorder.finish(),
        });
        Ok(Response {
            body: Bytes::from(body),
            outcome: Outcome::Executed { errors },
            times,
            trace,
        })
    }
}
