//! The native half of the first greenlet (`boot.py`).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use puff_graphql::SchemaOptions;
use puff_python::graphql::{GraphQlLoadError, GraphQlOptions, GraphQlSource, Schemas};
use puff_python::import::ResolveError;
use puff_python::{Runtime, greenlet_async};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tokio::sync::watch;

use super::command::{Context, Prepared, Root};
use crate::errors::{BoxError, ConfigError, ProgramError};
use crate::logging::LoggerLevels;
use crate::runtime::{Console, GlobalStateFn, ServicePlan};
use crate::serve::Seat;
use crate::settings::{ByteSize, SchemaSettings, Settings};

/// The limits of a schema.
fn schema_options(settings: SchemaSettings<'_>) -> Result<SchemaOptions, ConfigError> {
    let default = SchemaOptions::default();
    let count = |name: &str, default: usize| settings.get_or(name, default);
    let response = settings.get_or("max_response", ByteSize(default.max_response_bytes))?;
    Ok(SchemaOptions {
        max_tokens: count("max_tokens", default.max_tokens)?,
        max_depth: count("max_depth", default.max_depth)?,
        max_fields: count("max_fields", default.max_fields)?,
        max_root_fields: count("max_root_fields", default.max_root_fields)?,
        max_aliases: count("max_aliases", default.max_aliases)?,
        max_directives: count("max_directives", default.max_directives)?,
        max_complexity: count("max_complexity", default.max_complexity)?,
        list_size: count("list_size", default.list_size)?,
        max_rows: count("max_rows", default.max_rows)?,
        max_response_bytes: response.0,
        introspection: settings.get_or("introspection", default.introspection)?,
        ..default
    })
}

/// Where a schema is and how it is served, if there is one.
fn schema_source(settings: SchemaSettings<'_>) -> Result<Option<GraphQlSource>, ConfigError> {
    let default = GraphQlOptions::default();
    let production = settings.program().is_production();
    let options = GraphQlOptions {
        camel_case: settings.get_or("camel_case", default.camel_case)?,
        timeout: settings.get_or("timeout", default.timeout)?,
        schema: schema_options(settings)?,
        atomic_mutations: settings.get_or("atomic_mutations", default.atomic_mutations)?,
        mask_errors: settings.get_or("mask_errors", production)?,
    };
    Ok(settings.class()?.map(|path| GraphQlSource { path, options }))
}

/// The schemas that the settings name.
pub(super) fn schemas(settings: &Settings) -> Result<Schemas, ConfigError> {
    let mut schemas = Schemas::default();
    if let Some(source) = schema_source(settings.schema(None))? {
        schemas = schemas.with_default(source);
    }
    for name in settings.schemas()? {
        if let Some(source) = schema_source(settings.schema(Some(&name)))? {
            schemas = schemas.with_named(name, source);
        }
    }
    Ok(schemas)
}

/// A program on its way from the command line to its command.
#[pyclass(frozen)]
pub(super) struct Driver {
    pub(super) program: String,
    pub(super) console: Console,
    pub(super) watchdog: Duration,
    pub(super) psycopg2: bool,
    pub(super) log_levels: LoggerLevels,
    pub(super) runtime: Runtime,
    pub(super) embedded: puff_embedded::EmbeddedConfig,
    pub(super) services: Option<ServicePlan>,
    /// Whether PostgreSQL is opened for schemas that need it.
    pub(super) eager_postgres: bool,
    /// Whether schemas are left to whoever uses them first.
    pub(super) lazy_schemas: bool,
    pub(super) global_state: Option<GlobalStateFn>,
    /// Until they are loaded.
    pub(super) schemas: Mutex<Schemas>,
    pub(super) prepared: Mutex<Option<Prepared>>,
    pub(super) seat: Option<Arc<Seat>>,
    pub(super) failure: Arc<Mutex<Option<ProgramError>>>,
}

impl Driver {
    /// Keeps an error for `fail`, which prints it; Python only learns that there is one.
    fn checked<T>(&self, result: Result<T, ProgramError>) -> Option<T> {
        result.map_err(|error| *self.failure.lock() = Some(error)).ok()
    }

    fn load_graphql(&self, py: Python<'_>) -> Result<(), ProgramError> {
        let schemas = std::mem::take(&mut *self.schemas.lock());
        if !self.lazy_schemas {
            schemas
                .load(py, &self.runtime)
                .map_err(|error| load_error(py, error))?;
        }
        self.runtime.set_schemas(schemas);
        Ok(())
    }

    fn begin(&self, py: Python<'_>, made: Py<PyDict>) -> Result<Root, ProgramError> {
        let prepared = self.prepared.lock().take();
        let prepared =
            prepared.ok_or_else(|| ProgramError::Failed("the program was started twice".into()))?;
        let context = Context {
            runtime: self.runtime.clone(),
            embedded: self.embedded.clone(),
            console: self.console,
            made,
        };
        (prepared.start)(py, context)
    }
}

type Parts<'py> = (Option<Bound<'py, Task>>, Option<Py<PyAny>>, Option<Py<PyTuple>>);

#[pymethods]
impl Driver {
    /// Opens the services that the program wants at once; completes `return_func` with whether that worked.
    fn open_services(&self, return_func: Py<PyAny>) {
        let (plan, services, failure) = (
            self.services.clone(),
            self.runtime.services().clone(),
            self.failure.clone(),
        );
        let mut schemas = self.runtime.schemas().loaded();
        let statements = schemas.any(|(_, schema)| schema.has_statements());
        let eager = self.eager_postgres;
        greenlet_async(return_func, async move {
            let Some(plan) = plan else { return Ok(true) };
            let plan = match eager {
                true => plan.with_eager_postgres(statements),
                false => plan,
            };
            match plan.open_eager(&services).await {
                Ok(()) => Ok(true),
                Err(error) => {
                    *failure.lock() = Some(error);
                    Ok(false)
                }
            }
        });
    }

    /// How many seconds the hub may be busy with one greenlet before the watchdog warns; 0 for no watchdog.
    fn watchdog_seconds(&self) -> f64 {
        self.watchdog.as_secs_f64()
    }

    /// Whether `import psycopg2` is to give `puff.postgres`.
    fn replaces_psycopg2(&self) -> bool {
        self.psycopg2
    }

    /// The levels of Python's loggers that follow from the setting `log`: names, the root's empty, and numbers.
    fn log_levels(&self) -> LoggerLevels {
        self.log_levels.clone()
    }

    /// Makes the global state; raises what making it raises.
    fn make_global_state(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(make) = &self.global_state {
            let state = make(py)?;
            // `into_py` of the prelude has no other way to report a failed conversion.
            if let Some(error) = PyErr::take(py) {
                return Err(error);
            }
            self.runtime.set_global_state(state);
        }
        Ok(())
    }

    /// Loads the GraphQL schemas; whether that worked.
    fn load(&self, py: Python<'_>) -> bool {
        self.checked(self.load_graphql(py)).is_some()
    }

    /// What to import before `start`.
    fn imports(&self) -> Vec<String> {
        let prepared = self.prepared.lock();
        let own = prepared
            .as_ref()
            .map(|prepared| prepared.imports.clone())
            .unwrap_or_default();
        if self.lazy_schemas {
            return own;
        }
        let schemas = self.schemas.lock();
        // The application first: that of a framework sets up what the modules of schemas import, as Django's models.
        own.into_iter()
            .chain(schemas.classes().map(str::to_owned))
            .collect()
    }

    /// Starts the command: `(task, None, None)` for Rust, `(None, function, args)` for Python, None for an error.
    /// `made` has what the functions have returned that the imports call.
    fn start<'py>(&self, py: Python<'py>, made: Py<PyDict>) -> PyResult<Option<Parts<'py>>> {
        let Some(root) = self.checked(self.begin(py, made)) else {
            return Ok(None);
        };
        Ok(Some(match root {
            Root::Python { callable, args } => (None, Some(callable), Some(args)),
            Root::Future(future) => {
                let task = Task::new(&self.runtime, self.program.clone(), self.console, future);
                (Some(Bound::new(py, task)?), None, None)
            }
        }))
    }

    /// Whether the command runs long; before `start`.
    fn is_server(&self) -> bool {
        self.prepared
            .lock()
            .as_ref()
            .is_some_and(|prepared| prepared.server)
    }

    /// Whether a supervisor looks after this process.
    fn is_supervised(&self) -> bool {
        self.seat.is_some()
    }

    /// Whether the supervisor wants to know which modules are imported.
    fn is_watched(&self) -> bool {
        self.seat.as_deref().is_some_and(Seat::is_watched)
    }

    /// Tells the supervisor which files the imported modules are.
    fn report_modules(&self, py: Python<'_>, files: Vec<String>) {
        if let Some(seat) = &self.seat {
            py.detach(|| seat.modules(files));
        }
    }

    /// Prints the error that ended the start; its exit status.
    fn fail(&self) -> i32 {
        let error = self.failure.lock().take();
        let error = error.unwrap_or_else(|| ProgramError::Failed("the program did not start".into()));
        self.console.error(&self.program, &error);
        error.exit_status().into()
    }

    /// Says that a service failed that the command could not do without; the exit status.
    fn service_failed(&self, text: String) -> i32 {
        *self.failure.lock() = Some(ProgramError::Service(text));
        self.fail()
    }

    /// Says that the import of `path`, whose traceback has been printed, ended the start; the exit status.
    fn import_failed(&self, path: &str) -> i32 {
        let error = ProgramError::Load(format!("the import of {path} failed"));
        *self.failure.lock() = Some(error);
        self.fail()
    }
}

/// The error of loading a schema; what user code raised is printed with its traceback first.
fn load_error(py: Python<'_>, error: GraphQlLoadError) -> ProgramError {
    if let GraphQlLoadError::Python(raised) = &error {
        raised.print(py);
    }
    ProgramError::Load(error.to_string())
}

/// The error of resolving a name, likewise.
pub(crate) fn resolve_error(py: Python<'_>, error: ResolveError) -> ProgramError {
    if let ResolveError::Import { source, .. } = &error {
        source.print(py);
    }
    ProgramError::Load(error.to_string())
}

/// A Rust future as the main task. Waiting for it may be interrupted and taken up again.
#[pyclass(frozen)]
pub(super) struct Task {
    runtime: Runtime,
    finished: watch::Receiver<bool>,
    status: Arc<AtomicI32>,
    /// Not spawned before somebody waits: a signal that comes earlier ends the program, one that comes later
    /// asks the future to stop, and there is nothing in between.
    unstarted: Mutex<Option<Unstarted>>,
}

type Unstarted = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Task {
    fn new(
        runtime: &Runtime,
        program: String,
        console: Console,
        future: impl Future<Output = Result<i32, BoxError>> + Send + 'static,
    ) -> Task {
        let (done, finished) = watch::channel(false);
        let status = Arc::new(AtomicI32::new(1));
        let outcome = status.clone();
        let task = async move {
            // Dropped when the future ends, also by a panic: the wait below ends with the status still 1.
            let _done = done;
            let status = future.await.unwrap_or_else(|error| {
                console.error(&program, error);
                1
            });
            outcome.store(status, Ordering::Release);
        };
        Task {
            unstarted: Mutex::new(Some(Box::pin(task))),
            runtime: runtime.clone(),
            finished,
            status,
        }
    }
}

#[pymethods]
impl Task {
    /// Starts the future if need be; completes `return_func` with the exit status when it has ended.
    fn wait(&self, return_func: Py<PyAny>) {
        if let Some(task) = self.unstarted.lock().take() {
            self.runtime.spawn("main", task);
        }
        let (mut finished, status) = (self.finished.clone(), self.status.clone());
        greenlet_async(return_func, async move {
            // Nothing is ever sent: the error is the sender's end.
            let _ = finished.changed().await;
            Ok(status.load(Ordering::Acquire))
        });
    }

    /// Asks the future to stop gracefully.
    fn stop(&self) {
        self.runtime.shutdown().cancel();
    }
}
