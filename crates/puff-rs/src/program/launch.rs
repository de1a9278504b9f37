//! From a prepared command to its exit status, inside a running interpreter.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use puff_embedded::EmbeddedConfig;
use puff_python::graphql::Schemas;
use puff_python::{Runtime, run_background, run_main};
use pyo3::ffi::c_str;
use pyo3::prelude::*;

use super::command::Prepared;
use super::driver::{Driver, schemas};
use crate::errors::{ConfigError, ProgramError};
use crate::logging::{self, Ending, LoggerLevels};
use crate::runtime::{Console, RuntimeConfig, ServicePlan, Started};
use crate::serve::{Seat, WORKER_VARIABLE};
use crate::settings::Settings;

/// How long tasks of a program that has ended may take to notice it.
const LAST_CALL: Duration = Duration::from_secs(2);

/// What a program has to know about the interpreter it runs in.
pub(crate) struct Host {
    /// The command that runs the supervisor of private services.
    pub(super) supervisor: Vec<OsString>,
    /// Whether the interpreter ends with the program.
    pub(super) owns_interpreter: bool,
}

/// A program whose arguments and settings are right.
pub(crate) struct Launch {
    name: String,
    config: RuntimeConfig,
    directory: PathBuf,
    prepared: Prepared,
    plan: ServicePlan,
    schemas: Schemas,
    threads: usize,
    blocking_threads: usize,
    watchdog: Duration,
    psycopg2: bool,
    log_levels: LoggerLevels,
    log_ending: Ending,
    embedded: EmbeddedConfig,
    console: Console,
}

impl Launch {
    /// Interprets the settings that every command shares, and starts logging.
    pub(super) fn new(
        name: String,
        config: RuntimeConfig,
        settings: Settings,
        directory: PathBuf,
        prepared: Prepared,
    ) -> Result<Launch, ConfigError> {
        let log = logging::init(&settings, &name, if prepared.server { "info" } else { "warn" })?;
        let plan = ServicePlan::new(&config, &settings)?;
        let schemas = schemas(&settings)?;
        Ok(Launch {
            schemas: if prepared.services {
                schemas
            } else {
                Schemas::default()
            },
            threads: threads(&settings, prepared.seat.as_deref())?,
            blocking_threads: blocking_threads(&settings)?,
            watchdog: settings
                .get("watchdog")?
                .unwrap_or_else(|| watchdog_default(&settings)),
            psycopg2: settings.get_or("psycopg2", false)?,
            embedded: embedded_config(&settings, &directory),
            console: Console::new(prepared.server),
            log_levels: log.levels,
            log_ending: log.ending,
            name,
            config,
            directory,
            prepared,
            plan,
        })
    }

    /// Where the program keeps its private services, for who only looks after them.
    pub(super) fn into_embedded(self) -> EmbeddedConfig {
        self.embedded
    }

    /// Runs the command on this thread, which becomes the hub; the exit status. Python is attached.
    pub(super) fn run(mut self, py: Python<'_>, host: Host) -> Result<i32, ProgramError> {
        self.set_up_python(py)
            .map_err(|error| raised(py, &error, "Python could not be set up"))?;
        self.embedded.supervisor = host.supervisor;
        let tokio = tokio_runtime(self.threads)?;
        let started = self.plan.build(&self.embedded, self.console);
        let runtime = new_runtime(&tokio, &started)?;
        let log = std::mem::take(&mut self.log_ending);
        let outcome = self.run_hub(py, &runtime);
        // At once, so that Rust futures come to their ends while Python's exit functions run.
        runtime.shutdown().cancel();
        if host.owns_interpreter {
            finish_python(py);
        }
        runtime.uninstall();
        end(py, &runtime, tokio, started, log);
        outcome
    }

    fn run_hub(self, py: Python<'_>, runtime: &Runtime) -> Result<i32, ProgramError> {
        let run = || {
            runtime.install()?;
            limit_blocking(py, self.blocking_threads)?;
            let needs_services = self.prepared.services;
            let driver = Driver {
                program: self.name,
                console: self.console,
                watchdog: self.watchdog,
                psycopg2: self.psycopg2,
                log_levels: self.log_levels,
                runtime: runtime.clone(),
                embedded: self.embedded,
                eager_postgres: self.prepared.eager_postgres,
                lazy_schemas: self.prepared.lazy_schemas,
                services: Some(self.plan).filter(|_| needs_services && self.prepared.eager),
                seat: self.prepared.seat.clone(),
                global_state: self.config.global_state.filter(|_| needs_services),
                schemas: Mutex::new(self.schemas),
                prepared: Mutex::new(Some(self.prepared)),
                failure: Arc::default(),
            };
            let function = boot_module(py)?.getattr("run")?;
            run_main(runtime, &function, &(Bound::new(py, driver)?,).into_pyobject(py)?)
        };
        run().map_err(|error: PyErr| raised(py, &error, "the program could not be started"))
    }

    /// The environment and the module path, as the program wants them.
    fn set_up_python(&mut self, py: Python<'_>) -> PyResult<()> {
        let environ = py.import("os")?.getattr("environ")?;
        for (name, value) in &self.config.env {
            environ.call_method1("setdefault", (name, value))?;
        }
        for (name, value) in &self.prepared.environment {
            environ.set_item(name, value)?;
        }
        // Not for the processes that the program starts.
        environ.call_method1("pop", (WORKER_VARIABLE, py.None()))?;
        let path = py.import("sys")?.getattr("path")?;
        let more = self.config.python_path.iter().chain(&self.prepared.python_path);
        let folders =
            std::iter::once(self.directory.clone()).chain(more.map(|folder| self.directory.join(folder)));
        for (index, folder) in folders.enumerate() {
            // As a str: the import system passes over `pathlib.Path`, which a `PathBuf` would become.
            let folder = folder.as_os_str();
            if !path.contains(folder)? {
                path.call_method1("insert", (index, folder))?;
            }
        }
        self.embedded.search_dirs = search_dirs(py)?;
        Ok(())
    }
}

/// The runtime that plain Python gets on the first use of a service: everything lazy, until the process ends.
#[pyclass(frozen)]
pub(crate) struct Background {
    parts: Mutex<Option<(Runtime, tokio::runtime::Runtime, Started, Ending)>>,
}

impl Background {
    /// Starts the runtime of this process and its hub on a thread of its own; `atexit` ends both.
    ///
    /// # Errors
    /// Settings that are not right, or a runtime that runs already.
    pub(crate) fn start(py: Python<'_>, host: Host) -> Result<(), ProgramError> {
        let directory = std::env::current_dir().map_err(|error| ProgramError::System {
            context: "cannot find the working directory",
            error,
        })?;
        let settings = Settings::load(super::utf8_environment(), None, &directory)?;
        let log = logging::init(&settings, "puff", "warn")?;
        let plan = ServicePlan::new(&RuntimeConfig::default().lazy_services(), &settings)?;
        let schemas = schemas(&settings)?;
        let mut embedded = embedded_config(&settings, &directory);
        embedded.supervisor = host.supervisor;
        let failed =
            |error: PyErr| ProgramError::Failed(format!("the runtime could not be started: {error}"));
        embedded.search_dirs = search_dirs(py).map_err(failed)?;
        let blocking = blocking_threads(&settings)?;
        let tokio = tokio_runtime(threads(&settings, None)?)?;
        let started = plan.build(&embedded, Console::new(false));
        let runtime = new_runtime(&tokio, &started)?;
        if schemas.classes().next().is_some() {
            // A class is meant from the folder of `puff.toml`. Last, so that it hides nothing.
            append_path(py, &directory).map_err(failed)?;
            runtime.set_schemas(schemas);
        }
        let background = Background {
            parts: Mutex::new(Some((runtime.clone(), tokio, started, log.ending))),
        };
        let start = || {
            runtime.install()?;
            limit_blocking(py, blocking)?;
            // Registered before the hub registers its own end, so that it runs after it.
            let close = Bound::new(py, background)?.getattr("close")?;
            py.import("atexit")?.call_method1("register", (close,))?;
            run_background(py, &runtime)
        };
        start().map_err(failed)
    }
}

#[pymethods]
impl Background {
    /// Ends the runtime; for `atexit`.
    fn close(&self, py: Python<'_>) {
        let parts = self.parts.lock().take();
        if let Some((runtime, tokio, started, log)) = parts {
            runtime.shutdown().cancel();
            runtime.uninstall();
            end(py, &runtime, tokio, started, log);
        }
    }
}

fn embedded_config(settings: &Settings, directory: &Path) -> EmbeddedConfig {
    EmbeddedConfig {
        production: settings.is_production(),
        ..EmbeddedConfig::new(directory, Vec::<OsString>::new())
    }
}

/// The limit of `puff.blocking`, if the settings name one; at least one thread.
fn blocking_threads(settings: &Settings) -> Result<usize, ConfigError> {
    Ok(settings.get("blocking_threads")?.unwrap_or(32).clamp(1, 1024))
}

fn limit_blocking(py: Python<'_>, threads: usize) -> PyResult<()> {
    py.import("puff._blocking")?
        .call_method1("set_limit", (threads,))?;
    Ok(())
}

/// Developers want to hear of code that blocks; in production a log full of it would drown what matters.
fn watchdog_default(settings: &Settings) -> Duration {
    match settings.is_production() {
        true => Duration::ZERO,
        false => Duration::from_secs(1),
    }
}

fn threads(settings: &Settings, seat: Option<&Seat>) -> Result<usize, ConfigError> {
    // Respects the process's CPU affinity and cgroup, unlike the number of CPUs of the machine. Workers share
    // them.
    let available = || {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        cpus.div_ceil(seat.map_or(1, Seat::workers))
    };
    Ok(settings.get("threads")?.unwrap_or_else(available).min(1024))
}

fn new_runtime(tokio: &tokio::runtime::Runtime, started: &Started) -> Result<Runtime, ProgramError> {
    Runtime::new(tokio.handle().clone(), started.services.clone())
        .map_err(|error| ProgramError::Failed(format!("the hub could not be set up: {error}")))
}

fn tokio_runtime(threads: usize) -> Result<tokio::runtime::Runtime, ProgramError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("puff-tokio")
        .enable_all()
        .build()
        .map_err(|error| ProgramError::System {
            context: "cannot start Tokio's threads",
            error,
        })
}

/// The folders of Python packages, where the wheels of private services may lie.
fn search_dirs(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in py.import("sys")?.getattr("path")?.try_iter()? {
        // Anything may be put on sys.path; what is no path is nobody's folder.
        if let Ok(folder) = entry?.extract::<PathBuf>()
            && folder.is_dir()
        {
            folders.push(folder);
        }
    }
    Ok(folders)
}

/// Makes the modules of `folder` importable, after all others.
fn append_path(py: Python<'_>, folder: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?;
    if !path.contains(folder.as_os_str())? {
        path.call_method1("append", (folder.as_os_str(),))?;
    }
    Ok(())
}

fn boot_module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    PyModule::from_code(
        py,
        c_str!(include_str!("boot.py")),
        c_str!("puff/boot.py"),
        c_str!("_puff_boot"),
    )
}

fn finish_python(py: Python<'_>) {
    if let Err(error) = boot_module(py).and_then(|boot| boot.call_method0("finish")) {
        error.print(py);
    }
}

/// Waits for Rust work that outlives the program, closes the services and stops Tokio, each for a moment only.
///
/// Detached: tasks may be about to attach. No wait here relies on Tokio's timers, which stand still when a
/// future blocks the last of its threads.
fn end(py: Python<'_>, runtime: &Runtime, tokio: tokio::runtime::Runtime, started: Started, log: Ending) {
    py.detach(|| {
        let left = runtime.settle(LAST_CALL);
        for each in &left {
            tracing::warn!(
                "Rust work {each} did not end within {LAST_CALL:?} of its program's end, and is left behind"
            );
        }
        let (closed, wait) = std::sync::mpsc::channel::<()>();
        tokio.spawn(async move {
            started.close().await;
            drop(closed);
        });
        // Nothing is ever sent: the error is the task's end, or the time-out.
        let _ = wait.recv_timeout(LAST_CALL);
        let begun = Instant::now();
        tokio.shutdown_timeout(LAST_CALL);
        if begun.elapsed() >= LAST_CALL && left.is_empty() {
            tracing::warn!(
                "Rust work that a greenlet started blocks a thread of Tokio's, and is left behind: a future that \
                 does not come to an .await, or a call on a thread for such"
            );
        }
        log.end();
    });
}

/// A Python exception where none was expected: printed, and told in one line.
fn raised(py: Python<'_>, error: &PyErr, context: &str) -> ProgramError {
    error.print(py);
    ProgramError::Raised {
        context: context.to_owned(),
    }
}
