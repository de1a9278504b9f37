//! `puff db`: the private services of the project in the working directory.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::Command as Process;

use clap::{Arg, ArgAction, ArgMatches};
use puff_embedded::{EmbeddedConfig, Service};
use pyo3::prelude::*;

use crate::errors::{BoxError, ConfigError, ProgramError};
use crate::program::commands::python::{arguments, arguments_arg};
use crate::program::{Command, Invocation, Prepared, Root};

/// Looks after private PostgreSQL and Valkey.
pub(super) struct DbCommand;

const SERVICES: [Service; 2] = [Service::Postgres, Service::Valkey];

impl Command for DbCommand {
    fn cli(&self) -> clap::Command {
        let service = |help: &'static str| {
            Arg::new("service")
                .value_name("SERVICE")
                .value_parser(["postgres", "valkey"])
                .help(help)
        };
        clap::Command::new("db")
            .about("The private PostgreSQL and Valkey of this project")
            .subcommand_required(true)
            .subcommand(clap::Command::new("status").about("Shows what runs, where, and whether it is used"))
            .subcommand(
                clap::Command::new("psql")
                    .about("Opens psql on the project's PostgreSQL, started if need be")
                    .arg(arguments_arg("Arguments for psql"))
                    .after_help("Examples:\n  puff db psql\n  puff db psql -c 'SELECT version()'"),
            )
            .subcommand(
                clap::Command::new("logs").about("Prints the last lines of a server's log").arg(
                    service("Whose log").default_value("postgres"),
                ).arg(
                    Arg::new("lines").long("lines").value_name("N").default_value("50").help("How many")
                        .value_parser(clap::value_parser!(usize)),
                ),
            )
            .subcommand(
                clap::Command::new("stop")
                    .about("Stops the servers, also under programs that use them")
                    .arg(service("Only this one")),
            )
            .subcommand(
                clap::Command::new("reset")
                    .about("Deletes the servers' data")
                    .arg(service("Only this one's"))
                    .arg(Arg::new("yes").long("yes").action(ArgAction::SetTrue).help("Do not ask")),
            )
            .after_help("Examples:\n  puff db status\n  puff db logs valkey --lines 200\n  puff db reset postgres --yes")
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let (name, matches) = invocation
            .matches
            .subcommand()
            .ok_or_else(|| ConfigError::Usage("puff db needs a command; see 'puff db --help'".into()))?;
        let action = match name {
            "psql" => return psql(invocation, matches),
            "status" => Action::Status {
                url: invocation.settings.get::<String>("postgres_url")?.is_some(),
            },
            "logs" => Action::Logs {
                service: chosen(matches)[0],
                lines: matches.get_one("lines").copied().unwrap_or(50),
            },
            "stop" => Action::Stop {
                services: chosen(matches),
            },
            _ => Action::Reset {
                services: chosen(matches),
                sure: matches.get_flag("yes"),
            },
        };
        action.check()?;
        Ok(blocking(move |config| action.run(&config)))
    }
}

/// The services that a command line means.
fn chosen(matches: &ArgMatches) -> Vec<Service> {
    let named = matches.try_get_one::<String>("service").ok().flatten();
    SERVICES
        .into_iter()
        .filter(|service| named.is_none_or(|name| name == service.name()))
        .collect()
}

/// A command that is blocking work; Ctrl-C ends it.
fn blocking(work: impl FnOnce(EmbeddedConfig) -> Result<i32, BoxError> + Send + 'static) -> Prepared {
    Prepared::future(|context| async move {
        let config = context.embedded;
        let work = tokio::task::spawn_blocking(move || work(config));
        tokio::select! {
            status = work => status?,
            () = context.runtime.shutdown().cancelled() => Ok(130),
        }
    })
    .without_services()
}

enum Action {
    Status { url: bool },
    Logs { service: Service, lines: usize },
    Stop { services: Vec<Service> },
    Reset { services: Vec<Service>, sure: bool },
}

impl Action {
    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Action::Reset { sure: false, .. } if !std::io::stdin().is_terminal() => Err(ConfigError::Usage(
                "puff db reset deletes data and nobody is here to ask: add --yes".into(),
            )),
            _ => Ok(()),
        }
    }

    fn run(self, config: &EmbeddedConfig) -> Result<i32, BoxError> {
        let mut out = std::io::stdout().lock();
        match self {
            Action::Status { url } => {
                for service in SERVICES {
                    status(config, service, &mut out)?;
                }
                if url {
                    writeln!(
                        out,
                        "programs use the PostgreSQL whose URL is set, not the private one"
                    )?;
                }
            }
            Action::Logs { service, lines } => match puff_embedded::logs(config, service, lines)? {
                Some(text) => writeln!(out, "{}", text.trim_end())?,
                None => writeln!(out, "{service} has no log here yet")?,
            },
            Action::Stop { services } => {
                for service in services {
                    let stopped = puff_embedded::stop(config, service)?;
                    writeln!(
                        out,
                        "{service}: {}",
                        if stopped { "stopped" } else { "was not running" }
                    )?;
                }
            }
            Action::Reset { services, sure } => {
                if !sure && !confirmed(config, &services)? {
                    writeln!(out, "nothing was deleted")?;
                    return Ok(1);
                }
                for service in services {
                    match puff_embedded::reset(config, service)? {
                        Some(data) => writeln!(out, "{service}: deleted {}", data.display())?,
                        None => writeln!(out, "{service}: there was no data")?,
                    }
                }
            }
        }
        Ok(0)
    }
}

fn status(config: &EmbeddedConfig, service: Service, out: &mut impl Write) -> Result<(), BoxError> {
    let status = puff_embedded::status(config, service)?;
    match &status.running {
        Some(state) => {
            let used = if status.in_use {
                "in use"
            } else {
                "not in use, about to stop"
            };
            writeln!(
                out,
                "{service} {} runs ({used}), process {}",
                state.version, state.server_pid
            )?;
            writeln!(out, "  url   {}", state.url)?;
        }
        None => writeln!(out, "{service} does not run")?,
    }
    for data in &status.data {
        writeln!(out, "  data  {}", data.display())?;
    }
    if status.log.exists() {
        writeln!(out, "  log   {}", status.log.display())?;
    }
    Ok(())
}

fn confirmed(config: &EmbeddedConfig, services: &[Service]) -> Result<bool, BoxError> {
    let names: Vec<String> = services.iter().map(ToString::to_string).collect();
    let mut err = std::io::stderr().lock();
    write!(
        err,
        "Delete the data of {} in {}? [y/N] ",
        names.join(" and "),
        config.project_dir.display()
    )?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// `puff db psql`: on the URL that is set, else on the private server.
fn psql(invocation: &Invocation, matches: &ArgMatches) -> Result<Prepared, ProgramError> {
    let url: Option<String> = invocation.settings.get("postgres_url")?;
    let arguments = arguments(&Invocation {
        settings: Default::default(),
        matches: matches.clone(),
    });
    let run = blocking(move |config| run_psql(&config, url, arguments));
    let Prepared { start, .. } = run;
    Ok(Prepared::new(move |py, context| {
        // Ctrl-C is for psql to cancel a statement, not for us to end it. psql sets its own handler.
        ignore_interrupts(py).map_err(|error| ProgramError::Failed(error.to_string()))?;
        let root: Root = start(py, context)?;
        Ok(root)
    })
    .without_services())
}

fn ignore_interrupts(py: Python<'_>) -> PyResult<()> {
    let signal = py.import("signal")?;
    signal.call_method1("signal", (signal.getattr("SIGINT")?, signal.getattr("SIG_IGN")?))?;
    Ok(())
}

fn run_psql(config: &EmbeddedConfig, url: Option<String>, arguments: Vec<OsString>) -> Result<i32, BoxError> {
    // Not exec: the lease has to live as long as psql.
    let (_lease, mut command) = match url {
        Some(url) => {
            let mut command = Process::new("psql");
            command.arg(url);
            (None, command)
        }
        None => {
            let lease = puff_embedded::acquire(config, Service::Postgres)?;
            let command = puff_embedded::psql_command(&lease);
            (Some(lease), command)
        }
    };
    let status = command
        .args(arguments)
        .status()
        .map_err(|error| format!("cannot run psql: {error}"))?;
    Ok(status.code().unwrap_or(1))
}
