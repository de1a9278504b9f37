//! GraphQL: Python resolvers and PostgreSQL rows behind the engine's traits.

mod after;
mod backend;
mod blame;
mod call;
mod cells;
mod checks;
mod context;
mod counts;
mod events;
mod extract;
mod failure;
mod load;
mod permission;
mod reply;
mod rows;
mod schemas;
mod subscription;
mod types;
mod unit;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use puff_graphql::{
    Engine, OperationKind, PlanDescription, Request, RequestError, RequestErrorCode, Response, Schema,
    SourceDocument, Validation,
};
use pyo3::prelude::*;

use backend::PythonBackend;
use context::Context;
pub use context::RequestContext;
use counts::Counts;
pub use counts::{Counted, GraphQlStatus};
pub use load::{GraphQlLoadError, GraphQlOptions, GraphQlSource};
pub use schemas::{NoSchema, Schemas};
pub use subscription::{Next, Subscription};
pub(crate) use unit::Callers;
pub(crate) use upload::host_to_object;
pub use upload::{Content, Upload};

use crate::call::PythonFunction;
use crate::runtime::Runtime;

/// A GraphQL schema written in Python, ready to answer requests. Clones are cheap and share the plan cache.
#[derive(Clone)]
pub struct GraphQl {
    engine: Engine<PythonBackend>,
    timeout: Duration,
    /// What the schema wants asked about each WebSocket.
    connect: Option<PythonFunction>,
    counts: Counts,
    has_statements: bool,
}

/// What a schema says to a client that wants to connect by a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub enum Connection {
    /// Come in. A JSON object may go with it.
    Accepted(Option<String>),
    /// It may not, for this reason.
    Refused(String),
    /// The question ended in an exception, which is in the log.
    Failed,
}

impl GraphQl {
    /// Imports the schema class that `source` names and prepares it. Call it attached, before serving.
    ///
    /// # Errors
    /// [`GraphQlLoadError`]: no such class, or a schema that makes no sense; the text names class and field.
    pub fn load(
        py: Python<'_>,
        runtime: &Runtime,
        source: &GraphQlSource,
    ) -> Result<GraphQl, GraphQlLoadError> {
        let class = load::import(py, &source.path)?;
        GraphQl::from_class(&class, runtime, &source.options)
    }

    /// Prepares a schema class that has been imported.
    ///
    /// # Errors
    /// As [`GraphQl::load`].
    pub(crate) fn from_class(
        class: &Bound<'_, PyAny>,
        runtime: &Runtime,
        options: &GraphQlOptions,
    ) -> Result<GraphQl, GraphQlLoadError> {
        let timeout = options.timeout;
        let loaded = load::build(class, options.clone())?;
        let backend = PythonBackend::new(class.py(), runtime, loaded.authored, options)?;
        Ok(GraphQl {
            engine: Engine::new(loaded.schema, Arc::new(backend)),
            timeout,
            connect: loaded.connect,
            counts: Counts::default(),
            has_statements: loaded.has_statements,
        })
    }

    /// Whether any field is made by a statement, or by a resolver that borrows a connection. What resolvers do by
    /// themselves is not known.
    pub fn has_statements(&self) -> bool {
        self.has_statements
    }

    /// Answers one request. Runs on Tokio; resolvers run on the hub, statements on the pool.
    ///
    /// Whatever goes wrong is in the answer. Dropping the future drops statements that are under way, and
    /// ends the resolvers of a query where they wait; those of a mutation run to their end.
    pub async fn execute(&self, request: Request, context: RequestContext) -> Response {
        let context = context.for_run();
        let attended = context.attend();
        match tokio::time::timeout(self.timeout, self.engine.execute(request, context)).await {
            Ok(response) => {
                attended.answered();
                response
            }
            Err(_) => self.timed_out(),
        }
    }

    /// The answer to a request that took too long.
    fn timed_out(&self) -> Response {
        let message = format!("the request took longer than {} s", self.timeout.as_secs_f64());
        Response::refused(&RequestError::new(RequestErrorCode::TimedOut, message))
    }

    /// Which kind of operation a request asks for.
    ///
    /// # Errors
    /// When the document does not fit the schema.
    pub fn kind(&self, request: &Request) -> Result<OperationKind, RequestError> {
        self.engine.kind(request)
    }

    /// What the schema's clients do.
    pub fn status(&self) -> GraphQlStatus {
        self.counts.status()
    }

    /// Counts a WebSocket of a client that subscribes, until what is returned is dropped.
    pub fn count_socket(&self) -> Counted {
        self.counts.sockets.begin()
    }

    /// The layers of an operation, without running it.
    ///
    /// # Errors
    /// When the document does not fit the schema.
    pub fn plan(&self, query: &str, operation: Option<&str>) -> Result<PlanDescription, RequestError> {
        self.engine.plan(query, operation)
    }

    /// What is wrong with the documents of files.
    pub fn validate(&self, files: &[SourceDocument<'_>]) -> Validation {
        self.schema().validate(files)
    }

    /// The schema in SDL.
    pub fn sdl(&self) -> &str {
        self.schema().sdl()
    }

    fn schema(&self) -> &Schema {
        self.engine.schema()
    }
}

/// Adds the classes of this module to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<call::ResolverCall>()?;
    module.add_class::<cells::CellsCall>()?;
    module.add_class::<permission::PermitCall>()?;
    module.add_class::<blame::BlameCall>()?;
    module.add_class::<checks::ChecksCall>()?;
    module.add_class::<events::SubscriptionCall>()?;
    module.add_class::<after::AfterCommit>()?;
    module.add_class::<context::Context>()
}
