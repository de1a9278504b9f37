//! [`Command`]: what a program can be asked to do.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use clap::ArgMatches;
use puff_python::Runtime;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::{BoxError, ProgramError};
use crate::serve::{Seat, Supervisor};
use crate::settings::Settings;

/// A subcommand of a [`Program`](super::Program).
///
/// It works in two steps. [`Command::prepare`] runs before Python does: it reads the arguments, refuses what
/// is wrong with them and takes what may be taken by others (a port). What it returns says what the command
/// needs, and goes on once services are open and modules imported.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::program::{Command, Invocation, Prepared};
/// use puff_rs::errors::ProgramError;
///
/// struct Greet;
///
/// impl Command for Greet {
///     fn cli(&self) -> clap::Command {
///         clap::Command::new("greet").about("Says hello")
///     }
///
///     fn prepare(&self, _: &Invocation) -> Result<Prepared, ProgramError> {
///         Ok(Prepared::future(|_context| async {
///             println!("hello");
///             Ok(0)
///         }))
///     }
/// }
/// # use puff_rs::clap;
/// # let _ = Program::new("example").command(Greet);
/// ```
pub trait Command: Send + Sync + 'static {
    /// The command's name, help and arguments.
    fn cli(&self) -> clap::Command;

    /// Reads the arguments. Python does not run yet.
    ///
    /// # Errors
    /// What the user has to correct.
    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError>;
}

/// One call of a command from the command line.
#[derive(Debug)]
pub struct Invocation {
    /// The settings of all layers.
    pub settings: Settings,
    /// The command's own arguments.
    pub matches: ArgMatches,
}

/// What a started command has to work with.
pub struct Context {
    /// The program's runtime: Tokio, services, shutdown.
    pub runtime: Runtime,
    /// Where the program keeps its private services, and how they are run.
    pub(crate) embedded: puff_embedded::EmbeddedConfig,
    pub(crate) console: crate::runtime::Console,
    /// What the factories have made that were to be imported, `pkg.mod:create_app()`.
    pub(crate) made: Py<PyDict>,
}

/// What the main greenlet of a program does.
pub enum Root {
    /// Calls a Python function; the exit status is its result (None = 0, an int, an exception = 1).
    Python {
        /// What to call.
        callable: Py<PyAny>,
        /// Its positional arguments.
        args: Py<PyTuple>,
    },
    /// Waits for a Rust future that gives the exit status; a signal cancels [`Runtime::shutdown`].
    Future(Pin<Box<dyn Future<Output = Result<i32, BoxError>> + Send>>),
}

type Start = Box<dyn FnOnce(Python<'_>, Context) -> Result<Root, ProgramError> + Send>;

/// A command whose arguments are right: what it needs, and how it goes on.
pub struct Prepared {
    pub(crate) start: Start,
    pub(crate) imports: Vec<String>,
    pub(crate) python_path: Vec<PathBuf>,
    pub(crate) services: bool,
    /// Whether the schemas are loaded when Python first uses them, and not at the start.
    pub(crate) lazy_schemas: bool,
    pub(crate) eager_postgres: bool,
    pub(crate) server: bool,
    /// Whether services that the program wants at once are opened.
    pub(crate) eager: bool,
    /// Variables for the program's environment, whatever they are outside.
    pub(crate) environment: Vec<(String, String)>,
    /// The place under a supervisor, of a process that has one.
    pub(crate) seat: Option<Arc<Seat>>,
    /// What happens in place of all this, without Python.
    pub(crate) instead: Option<Instead>,
}

/// What a command does that needs no Python.
pub(crate) enum Instead {
    /// Prints a text.
    Print(String),
    /// Looks after other processes.
    Supervise(Box<Supervisor>),
}

impl Prepared {
    /// Goes on with `start`, attached, in the main greenlet. It must not wait: it returns what does.
    pub fn new(
        start: impl FnOnce(Python<'_>, Context) -> Result<Root, ProgramError> + Send + 'static,
    ) -> Prepared {
        Prepared {
            start: Box::new(start),
            imports: Vec::new(),
            python_path: Vec::new(),
            services: true,
            lazy_schemas: false,
            eager_postgres: false,
            server: false,
            eager: true,
            environment: Vec::new(),
            seat: None,
            instead: None,
        }
    }

    /// Does not go on here at all.
    pub(crate) fn instead(what: Instead) -> Prepared {
        Prepared {
            instead: Some(what),
            ..Prepared::future(|_| async { Ok(0) })
        }
    }

    /// Goes on with a future on Tokio; its value is the exit status.
    pub fn future<F>(start: impl FnOnce(Context) -> F + Send + 'static) -> Prepared
    where
        F: Future<Output = Result<i32, BoxError>> + Send + 'static,
    {
        Prepared::new(move |_, context| Ok(Root::Future(Box::pin(start(context)))))
    }

    /// Imports the module part of `path` (`pkg.mod:attr`) before going on.
    pub fn importing(mut self, path: impl Into<String>) -> Prepared {
        self.imports.push(path.into());
        self
    }

    /// Makes the Python modules of `folder` importable, before anything is imported. A relative folder is one
    /// of the working directory.
    pub fn with_python_path(mut self, folder: impl Into<PathBuf>) -> Prepared {
        self.python_path.push(folder.into());
        self
    }

    /// Goes on without opening the program's services, its global state and its GraphQL schema.
    pub fn without_services(mut self) -> Prepared {
        self.services = false;
        self
    }

    /// Loads the GraphQL schemas when Python first uses them: for programs that have to set up what a schema's
    /// module imports, as Django's models.
    pub fn with_lazy_schemas(mut self) -> Prepared {
        self.lazy_schemas = true;
        self
    }

    /// Opens PostgreSQL at the start if a GraphQL schema has statements, or if a server is named in the settings.
    pub fn with_eager_postgres(mut self) -> Prepared {
        self.eager_postgres = true;
        self
    }

    /// Loads all that the program consists of, but opens no service before it is used.
    pub(crate) fn without_opening(mut self) -> Prepared {
        self.eager = false;
        self
    }

    /// Tells on stderr every step of the start, and logs from `info` on: for what runs long.
    pub fn as_server(mut self) -> Prepared {
        self.server = true;
        self
    }
}
