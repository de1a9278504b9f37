//! A program: commands over one runtime.
//!
//! ```no_run
//! use puff_rs::prelude::*;
//! use puff_rs::program::commands::PythonCommand;
//!
//! fn main() -> ExitCode {
//!     Program::new("my_first_app")
//!         .about("This is my first app")
//!         .command(PythonCommand::new("run_hello_world", "my_python_app.hello_world"))
//!         .run()
//! }
//! ```
//!
//! From the command line to the first line of user code: the arguments are parsed and checked, the command
//! prepares itself (a server binds its port), Python starts, Tokio starts, the main greenlet imports the
//! user's modules, opens the services and runs the command. At the end: the hub's greenlets end, Python's
//! exit functions run, the pools close, the private services are given back, Tokio stops.

mod arguments;
mod command;
pub mod commands;
mod driver;
mod embedded;
mod launch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::ArgMatches;
use clap::error::ErrorKind;
use puff_embedded::EmbeddedConfig;
use pyo3::Python;

pub(crate) use command::Instead;
pub use command::{Command, Context, Invocation, Prepared, Root};
pub(crate) use driver::resolve_error;
pub(crate) use embedded::{SUPERVISOR_ARGUMENT, in_extension_host};
pub(crate) use launch::{Background, Launch};

use crate::errors::{ConfigError, ProgramError};
use crate::runtime::{Console, RuntimeConfig};
use crate::serve::Supervisor;
use crate::settings::{Settings, keys};

/// A command-line program whose commands run on Puff.
///
/// See the [module](self) for an example.
pub struct Program {
    name: String,
    about: Option<String>,
    version: Option<String>,
    config: RuntimeConfig,
    commands: Vec<Box<dyn Command>>,
}

impl Program {
    /// A program without commands; `name` is how error messages call it.
    pub fn new(name: impl Into<String>) -> Program {
        let config = RuntimeConfig::default();
        Program {
            name: name.into(),
            about: None,
            version: None,
            config,
            commands: Vec::new(),
        }
    }

    /// One line for the help.
    pub fn about(mut self, about: impl Into<String>) -> Program {
        self.about = Some(about.into());
        self
    }

    /// What `--version` prints.
    pub fn version(mut self, version: impl Into<String>) -> Program {
        self.version = Some(version.into());
        self
    }

    /// What the program asks of the runtime.
    pub fn runtime_config(mut self, config: RuntimeConfig) -> Program {
        self.config = config;
        self
    }

    /// Adds a command. Of two with one name, the later replaces the earlier.
    pub fn command(mut self, command: impl Command) -> Program {
        let name = command.cli().get_name().to_owned();
        self.commands.retain(|known| known.cli().get_name() != name);
        self.commands.push(Box::new(command));
        self
    }

    /// Runs the command that the process's arguments name, in an interpreter of its own.
    ///
    /// Call it first thing in `main`, on the main thread: it becomes the hub. The exit status is the
    /// command's; 2 for a wrong command line or configuration, told in one line on stderr.
    pub fn run(self) -> ExitCode {
        let args: Vec<OsString> = std::env::args_os().collect();
        if args.get(1).is_some_and(|first| first == SUPERVISOR_ARGUMENT) {
            return puff_embedded::supervisor::main(args.into_iter().skip(2));
        }
        let name = self.name.clone();
        let status = match self.prepare(args.clone()) {
            Ok(Ready::Launch(launch)) => embedded::run(*launch, args),
            Ok(Ready::Supervise(supervisor, embedded)) => {
                embedded::own_command(args).and_then(|command| supervisor.run(command, embedded))
            }
            Ok(Ready::Text(text)) => print_text(&text),
            Err(error) => Err(error),
        };
        exit_code(status.unwrap_or_else(|error| report(&name, &error)))
    }

    /// Runs the command that `args` name (the first is the program's own name) in the interpreter that runs
    /// already, on its main thread; the exit status. For the extension module.
    pub(crate) fn run_attached(self, py: Python<'_>, args: Vec<OsString>) -> i32 {
        let name = self.name.clone();
        let status = match self.prepare(args) {
            Ok(Ready::Launch(launch)) => in_extension_host(py).and_then(|host| launch.run(py, host)),
            Ok(Ready::Supervise(supervisor, embedded)) => embedded::own_command_of_python(py)
                .and_then(|command| py.detach(move || supervisor.run(command, embedded))),
            Ok(Ready::Text(text)) => print_text(&text),
            Err(error) => Err(error),
        };
        status.unwrap_or_else(|error| report(&name, &error))
    }

    /// The clap definition of the whole program.
    fn cli(&self) -> clap::Command {
        let mut cli = clap::Command::new(self.name.clone())
            .bin_name(self.name.clone())
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true)
            .max_term_width(100)
            .arg(
                clap::Arg::new("config").long("config").value_name("FILE").global(true).help(
                    "The file of settings [env: PUFF_CONFIG] [default: puff.toml in the working directory]",
                ),
            );
        if let Some(about) = &self.about {
            cli = cli.about(about.clone());
        }
        if let Some(version) = &self.version {
            cli = cli.version(version.clone());
        }
        let keys = keys::RUNTIME_KEYS.iter().chain(keys::PUBSUB_KEYS);
        for key in keys.chain(keys::OTEL_KEYS) {
            cli = cli.arg(key.arg().global(true).help_heading("Runtime"));
        }
        self.commands
            .iter()
            .fold(cli, |cli, command| cli.subcommand(command.cli()))
    }

    /// Everything that needs no Python.
    fn prepare(self, args: Vec<OsString>) -> Result<Ready, ProgramError> {
        let matches = match self.cli().try_get_matches_from(args) {
            Ok(matches) => matches,
            Err(error) => match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    return Ok(Ready::Text(error.render().to_string()));
                }
                _ => return Err(usage_error(&error).into()),
            },
        };
        let directory = std::env::current_dir().map_err(|error| ProgramError::System {
            context: "cannot find the working directory",
            error,
        })?;
        let (index, matches) = self.chosen(&matches)?;
        let file = matches.get_one::<String>("config").map(String::as_str);
        // A variable that the environment has wins over the program's own; see `RuntimeConfig::add_env`.
        let environment = self.config.env.iter().cloned().chain(utf8_environment());
        let settings = Settings::load(environment, file, &directory)?.with_flags(&matches);
        let settings = self
            .config
            .values
            .iter()
            .fold(settings, |settings, (key, value)| {
                settings.with_program_value(key, Some(value.clone()))
            })
            .with_program_schemas(&self.config.schemas);
        let invocation = Invocation { settings, matches };
        let mut prepared = self.commands[index].prepare(&invocation)?;
        let instead = prepared.instead.take();
        let launch = Launch::new(self.name, self.config, invocation.settings, directory, prepared)?;
        Ok(match instead {
            None => Ready::Launch(Box::new(launch)),
            Some(Instead::Print(text)) => Ready::Text(text),
            // The launch was only to see that all settings are right.
            Some(Instead::Supervise(supervisor)) => Ready::Supervise(supervisor, launch.into_embedded()),
        })
    }

    /// The command that the arguments chose, and its own arguments.
    fn chosen(&self, matches: &ArgMatches) -> Result<(usize, ArgMatches), ConfigError> {
        let missing = || ConfigError::Usage(format!("no command given; see '{} --help'", self.name));
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let index = self
            .commands
            .iter()
            .position(|command| command.cli().get_name() == name);
        Ok((index.ok_or_else(missing)?, matches.clone()))
    }
}

/// What the arguments ask for.
enum Ready {
    Launch(Box<Launch>),
    /// Workers that do the rest, and where the project has its private services.
    Supervise(Box<Supervisor>, EmbeddedConfig),
    /// Help, the version, or what a command prints.
    Text(String),
}

/// The environment, without what is not UTF-8: no setting of ours is.
pub(crate) fn utf8_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// clap's message as one line.
fn usage_error(error: &clap::Error) -> ConfigError {
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return ConfigError::Usage(format!("no command given\n\n{}", text.trim_end()));
    }
    let mut lines = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let first = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let more: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(" ({})", more.join(" "))
    };
    ConfigError::Usage(format!("{first}{more}; see --help"))
}

fn print_text(text: &str) -> Result<i32, ProgramError> {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    // A reader that closes the pipe (`--help | head`) has seen enough.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    Ok(0)
}

fn report(program: &str, error: &ProgramError) -> i32 {
    Console::new(false).error(program, error);
    error.exit_status().into()
}

fn exit_code(status: i32) -> ExitCode {
    // The system keeps eight bits; a status that is not 0 must not become 0.
    let byte = (status & 0xff) as u8;
    ExitCode::from(if status != 0 && byte == 0 { 1 } else { byte })
}
