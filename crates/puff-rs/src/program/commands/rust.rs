//! [`RustCommand`]: an async Rust function as a command.

use std::pin::Pin;
use std::sync::Arc;

use clap::{Arg, ArgMatches};

use crate::errors::{BoxError, ProgramError};
use crate::program::arguments::check_names;
use crate::program::{Command, Context, Invocation, Prepared};

type Run =
    dyn Fn(Context, ArgMatches) -> Pin<Box<dyn Future<Output = Result<i32, BoxError>> + Send>> + Send + Sync;

/// Runs an async Rust function on Tokio; its value is the exit status, an error is one line and status 1.
///
/// The services that the program asks for are open, and the hub runs: the function may call Python with
/// [`Runtime::call_python`](crate::runtime::Runtime::call_python). Ctrl-C and SIGTERM cancel
/// [`Runtime::shutdown`](crate::runtime::Runtime::shutdown), which a function that runs long waits for; a
/// second signal stops waiting for the function.
///
/// ```no_run
/// use puff_rs::clap::{Arg, value_parser};
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::RustCommand;
///
/// fn main() -> ExitCode {
///     let count = Arg::new("count").long("count").value_parser(value_parser!(u64)).default_value("3");
///     let ticks = RustCommand::new("ticks", |context, arguments| async move {
///         for tick in 0..arguments.get_one::<u64>("count").copied().unwrap_or_default() {
///             let text: String = context.runtime.call_python("clock:describe", (tick,)).await?;
///             println!("{text}");
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///         Ok(0)
///     });
///     Program::new("clock").command(ticks.about("Counts seconds").arg(count)).run()
/// }
/// ```
pub struct RustCommand {
    name: String,
    about: Option<String>,
    arguments: Vec<Arg>,
    run: Arc<Run>,
}

impl RustCommand {
    /// The command `name` calls `run` with what it has to work with and its arguments.
    pub fn new<F, R>(name: impl Into<String>, run: R) -> RustCommand
    where
        R: Fn(Context, ArgMatches) -> F + Send + Sync + 'static,
        F: Future<Output = Result<i32, BoxError>> + Send + 'static,
    {
        RustCommand {
            name: name.into(),
            about: None,
            arguments: Vec::new(),
            run: Arc::new(move |context, arguments| Box::pin(run(context, arguments))),
        }
    }

    /// One line for the help.
    pub fn about(mut self, about: impl Into<String>) -> RustCommand {
        self.about = Some(about.into());
        self
    }

    /// Adds an argument or flag. Its name must not be that of a setting.
    pub fn arg(mut self, argument: Arg) -> RustCommand {
        self.arguments.push(argument);
        self
    }
}

impl Command for RustCommand {
    fn cli(&self) -> clap::Command {
        let command = clap::Command::new(self.name.clone()).args(&self.arguments);
        match &self.about {
            Some(about) => command.about(about.clone()),
            None => command,
        }
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        check_names(&self.cli(), &self.arguments)?;
        let (run, arguments) = (self.run.clone(), invocation.matches.clone());
        Ok(Prepared::future(move |context| run(context, arguments)))
    }
}
