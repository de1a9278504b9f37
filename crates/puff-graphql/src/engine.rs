//! The engine: requests in, answers out.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::backend::Backend;
use crate::cache::{PlanCache, Planned};
use crate::error::{RequestError, RequestErrorCode};
use crate::execute::Execution;
use crate::explain::{PlanDescription, Trace};
use crate::plan::Plan;
use crate::plan::input::{coerce_variables, variables_json};
use crate::request::{Outcome, Request, Response};
use crate::schema::Schema;
use crate::write::answer::write_answer;

/// A schema with a backend: answers requests. Clones are cheap and share the plan cache.
pub struct Engine<B: Backend> {
    schema: Schema,
    backend: Arc<B>,
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
        Ok(self.planned(query, operation_name)?.describe())
    }

    fn planned(&self, query: &str, operation_name: Option<&str>) -> Planned {
        let build = || Plan::build(&self.schema.inner, query, operation_name).map(Arc::new);
        // A document that is too large anyway shall not take the place of others.
        if query.len() > self.schema.options().max_query_bytes {
            return build();
        }
        self.plans.get(query, operation_name, build)
    }

    async fn try_execute(&self, request: Request, context: B::Context) -> Result<Response, RequestError> {
        let plan = self.planned(&request.query, request.operation_name.as_deref())?;
        if request.read_only && plan.is_mutation {
            let message = "a mutation is not allowed in a read-only request";
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        }
        let types = &self.schema.inner.types;
        let variables = coerce_variables(types, &plan.variables, &request.variables)?;
        let introspected = match &plan.introspection {
            Some(kept) => {
                let given = variables_json(&plan.variables, &variables)
                    .map_err(|error| RequestError::new(RequestErrorCode::BadVariables, error.message))?;
                types.introspect(&kept.document, &kept.operation, &given)?
            }
            None => Vec::new(),
        };
        let execution = Execution {
            backend: &*self.backend,
            plan: &plan,
            options: self.schema.options(),
            context,
            flags: plan.flags(&variables),
            variables,
            trace: request.trace.then(Mutex::default),
        };
        let root = execution.run().await;
        let (body, errors) = write_answer(&execution, &root, &introspected);
        drop(root);
        let trace = execution.trace.map(|layers| Trace {
            layers: layers.into_inner(),
        });
        Ok(Response {
            body: Bytes::from(body),
            outcome: Outcome::Executed { errors },
            trace,
        })
    }
}
