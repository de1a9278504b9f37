//! The runtime of a program: Tokio, the hub's queue, the services, the global state.

use std::panic::Location;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use puff_core::task::BlockingError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::graphql::{GraphQl, NoSchema, Schemas};
use crate::live::EventStreams;
use crate::reactor::Reactor;
use crate::services::Services;
use crate::tasks::{Tasks, Unfinished};

/// Everything a program runs on; a clone is the same runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    tokio: Handle,
    reactor: Arc<Reactor>,
    services: Services,
    shutdown: CancellationToken,
    tasks: Arc<Tasks>,
    global_state: OnceLock<Py<PyAny>>,
    schemas: OnceLock<Schemas>,
    event_streams: OnceLock<EventStreams>,
}

/// The runtime that Python's `puff.*` functions see.
///
/// The one process-wide slot of Puff: `import puff` in user code cannot be handed a value. Rust code gets
/// its [`Runtime`] as an argument and never reads this.
static INSTALLED: RwLock<Option<Runtime>> = RwLock::new(None);

impl Runtime {
    /// A runtime on `tokio`; its hub starts with [`crate::hub::run_main`] or [`crate::hub::run_background`].
    ///
    /// # Errors
    /// When the process may open no more files.
    pub fn new(tokio: Handle, services: Services) -> std::io::Result<Runtime> {
        Ok(Runtime {
            inner: Arc::new(Inner {
                reactor: Arc::new(Reactor::new(tokio.clone())?),
                tokio,
                services,
                shutdown: CancellationToken::new(),
                tasks: Arc::default(),
                global_state: OnceLock::new(),
                schemas: OnceLock::new(),
                event_streams: OnceLock::new(),
            }),
        })
    }

    /// The same Tokio and services with a queue of its own, for what must run while the hub does not. It has
    /// neither schemas nor a global state.
    ///
    /// # Errors
    /// When the process may open no more files.
    pub fn beside(&self) -> std::io::Result<Runtime> {
        Runtime::new(self.tokio().clone(), self.services().clone())
    }

    /// The Tokio runtime.
    pub fn tokio(&self) -> &Handle {
        &self.inner.tokio
    }

    /// Runs `future` on Tokio until it ends, also if the handle is dropped; `name` is for the log.
    ///
    /// A panic is logged and the handle gives `None`; nothing else of the program ends. A task that runs long
    /// watches [`Runtime::shutdown`]: when the program ends it has two seconds to do so too. Then its name and
    /// the line that called `spawn` are logged, and it is dropped where it waits; [`JoinHandle::abort`] does
    /// that at any time.
    #[track_caller]
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let entry = self.inner.tasks.enter(name, Location::caller());
        puff_core::task::spawn(self.tokio(), name, async move {
            let _entry = entry;
            future.await
        })
    }

    /// Runs `function`, which blocks, on a thread for such work; a future of its value.
    ///
    /// As [`puff_core::task::blocking`]: dropping the future takes the call back only if it has not begun. One
    /// that still runs when the program ends is waited for as in [`Runtime::spawn`], then left behind.
    ///
    /// # Errors
    /// A panic in `function`, or the end of the program before it began.
    #[track_caller]
    pub fn blocking<F, T>(
        &self,
        function: F,
    ) -> impl Future<Output = Result<T, BlockingError>> + Send + use<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let entry = self.inner.tasks.enter("blocking work", Location::caller());
        puff_core::task::blocking(self.tokio(), move || {
            let _entry = entry;
            function()
        })
    }

    /// The services.
    pub fn services(&self) -> &Services {
        &self.inner.services
    }

    /// Cancelled when the program shall stop gracefully: on SIGTERM or Ctrl-C if its main function is Rust's, by
    /// whoever cancels it, and at the latest when its main function has ended.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.inner.shutdown
    }

    /// The program has ended: cancels [`Runtime::shutdown`] and waits, `patience` at the most, for what
    /// [`Runtime::spawn`] and [`Runtime::blocking`] started; what of it still runs.
    ///
    /// Python is not called any more: [`Runtime::call_python`] ends with [`CallError::Ended`](crate::CallError).
    /// Blocks; call it detached, on a thread that is not Tokio's.
    pub fn settle(&self, patience: Duration) -> Vec<Unfinished> {
        self.reactor().close();
        self.shutdown().cancel();
        self.inner.tasks.wait(patience)
    }

    /// What event streams share: [`Runtime::bound_event_streams`], or 10,000 of them, which say something every 15 s.
    pub fn event_streams(&self) -> &EventStreams {
        self.inner
            .event_streams
            .get_or_init(|| EventStreams::new(10_000, Duration::from_secs(15), self.shutdown().clone()))
    }

    /// How many event streams there may be, and how often each says something at least. For a server, before it starts;
    /// later it does nothing.
    pub fn bound_event_streams(&self, most: usize, keep_alive: Duration) {
        let streams = EventStreams::new(most, keep_alive, self.shutdown().clone());
        let _ = self.inner.event_streams.set(streams);
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.inner.reactor
    }

    /// Sets what `puff.global_state()` returns. The first call counts.
    pub fn set_global_state(&self, state: Py<PyAny>) {
        let _ = self.inner.global_state.set(state);
    }

    pub(crate) fn global_state(&self) -> Option<&Py<PyAny>> {
        self.inner.global_state.get()
    }

    /// Sets the schemas behind `puff.global_graphql()`. Those that are not loaded are when Python first uses them: for
    /// runtimes without a start of their own, in plain Python. The first call counts.
    pub fn set_schemas(&self, schemas: Schemas) {
        let _ = self.inner.schemas.set(schemas);
    }

    /// The program's GraphQL schemas; none until they are loaded.
    pub fn schemas(&self) -> &Schemas {
        static NONE: Schemas = Schemas::new();
        self.inner.schemas.get().unwrap_or(&NONE)
    }

    /// The program's GraphQL schema without a name, if it has one.
    pub fn graphql(&self) -> Option<&GraphQl> {
        self.schemas().get(None).ok()
    }

    /// The program's GraphQL schema called `name`.
    ///
    /// # Errors
    /// [`NoSchema`], which tells the names there are.
    pub fn graphql_named(&self, name: &str) -> Result<&GraphQl, NoSchema> {
        self.schemas().get(Some(name))
    }

    /// Makes this the runtime that Python sees.
    ///
    /// # Errors
    /// `RuntimeError` if another runtime is installed.
    pub fn install(&self) -> PyResult<()> {
        let mut slot = INSTALLED.write();
        if slot.is_some() {
            return Err(PyRuntimeError::new_err(
                "a Puff runtime is running in this process already",
            ));
        }
        *slot = Some(self.clone());
        Ok(())
    }

    /// Takes back [`Runtime::install`]; for the end of the program.
    pub fn uninstall(&self) {
        INSTALLED.write().take();
    }

    /// The runtime that Python sees, if any. For functions that Python calls.
    pub(crate) fn installed() -> Option<Runtime> {
        INSTALLED.read().clone()
    }

    /// The runtime that Python sees.
    ///
    /// # Errors
    /// `RuntimeError` if there is none.
    pub fn current() -> PyResult<Runtime> {
        Runtime::installed().ok_or_else(|| {
            PyRuntimeError::new_err("no Puff runtime is running: it has not started yet, or it has ended")
        })
    }
}
