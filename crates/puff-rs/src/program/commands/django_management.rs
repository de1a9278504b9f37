//! [`DjangoManagementCommand`]: Django's management commands inside the runtime.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use pyo3::prelude::*;

use super::server::ServerCommand;
use crate::errors::{ConfigError, ProgramError};
use crate::program::{Command, Context, Invocation, Prepared, Root};

/// The command `django`: what `manage.py` does, in the program's main greenlet.
///
/// Where the working directory has a `manage.py`, that runs; else Django does, with the settings of
/// `DJANGO_SETTINGS_MODULE`. The exit status is Django's. `runserver` is Puff's server, which loads changed code
/// anew and serves static files while `DEBUG` is on. Django must be installed in the Python that the program uses.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::django_management::DjangoManagementCommand;
///
/// fn main() -> ExitCode {
///     let config = RuntimeConfig::default().add_env("DJANGO_SETTINGS_MODULE", "blog.settings");
///     Program::new("blog").runtime_config(config).command(DjangoManagementCommand::new()).run()
/// }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct DjangoManagementCommand {
    _private: (),
}

impl DjangoManagementCommand {
    /// The commands of the project in the working directory, or of `DJANGO_SETTINGS_MODULE`.
    pub fn new() -> DjangoManagementCommand {
        DjangoManagementCommand::default()
    }
}

const RUNSERVER: &str = "runserver";
/// Makes the application that `runserver` serves.
const APPLICATION: &str = "puff.contrib.django.development:application()";
/// The argument that says where to listen.
const PLACE: &str = "addrport";
const IPV6: &str = "ipv6";
/// Tells that function what it is asked for.
const OPTIONS_VARIABLE: &str = "PUFF_DJANGO_RUNSERVER";
/// The flags of Django's `runserver`, which know no value, and their help.
const FLAGS: [(&str, &str); 9] = [
    ("nostatic", "Serves no static files"),
    ("insecure", "Serves static files also if DEBUG is off"),
    ("skip-checks", "Does without Django's system checks"),
    ("noreload", "Does not load changed code anew"),
    ("ipv6", "Listens on ::1, unless an address is given"),
    ("no-color", "Writes without colours"),
    ("force-color", "Writes with colours"),
    ("nothreading", "Nothing: a request is a greenlet, not a thread"),
    ("traceback", "Nothing: tracebacks are shown"),
];

impl Command for DjangoManagementCommand {
    fn cli(&self) -> clap::Command {
        clap::Command::new("django")
            .about("Runs Django's management commands inside the runtime")
            .long_about(
                "Runs Django's management commands in the main greenlet of the runtime: manage.py of the working \
                 directory, or Django itself with the settings of DJANGO_SETTINGS_MODULE. The exit status is \
                 Django's. Options of the runtime come before the command.",
            )
            .override_usage("puff django [OPTIONS] COMMAND [ARGS]...")
            .allow_external_subcommands(true)
            .external_subcommand_value_parser(value_parser!(OsString))
            .disable_help_subcommand(true)
            .subcommand(runserver())
            .after_help(
                "Examples:\n  puff django migrate\n  puff django runserver 0.0.0.0:8000\n  puff django test --parallel\n  \
                 puff django help             all commands\n  puff django help migrate     one of them",
            )
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let arguments = match invocation.matches.subcommand() {
            Some((RUNSERVER, matches)) => return serve(invocation, matches),
            Some((name, matches)) => {
                let more = matches.get_many::<OsString>("").into_iter().flatten();
                std::iter::once(OsString::from(name))
                    .chain(more.cloned())
                    .collect()
            }
            None => Vec::new(),
        };
        Ok(Prepared::new(move |py, _: Context| start(py, arguments)).with_lazy_schemas())
    }
}

/// Django's `runserver`, with Puff's server: its arguments, and the options of ours.
fn runserver() -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name(value).help(help);
        arg.help_heading("Django")
    };
    let command = server()
        .cli()
        .about("Serves the project for development: loads changed code anew, serves static files")
        .after_help(
            "Examples:\n  puff django runserver\n  puff django runserver 8080\n  \
             puff django runserver 0.0.0.0:8000 --noreload",
        )
        .arg(
            Arg::new(PLACE)
                .value_name("[ADDRESS:]PORT")
                .help("Where to listen, as --bind"),
        )
        .arg(option(
            "settings",
            "MODULE",
            "The settings, for DJANGO_SETTINGS_MODULE",
        ))
        .arg(option(
            "pythonpath",
            "FOLDER",
            "A folder whose modules can be imported",
        ))
        .arg(option("verbosity", "LEVEL", "Nothing").short('v'));
    FLAGS.iter().fold(command, |command, (name, help)| {
        let flag = Arg::new(*name).long(*name).action(ArgAction::SetTrue).help(*help);
        let flag = flag.help_heading("Django");
        command.arg(if *name == IPV6 { flag.short('6') } else { flag })
    })
}

fn server() -> ServerCommand {
    ServerCommand::stock().wsgi(APPLICATION).name(RUNSERVER)
}

fn serve(invocation: &Invocation, matches: &ArgMatches) -> Result<Prepared, ProgramError> {
    let production = invocation.settings.is_production();
    let mut settings = invocation
        .settings
        .clone()
        .with_flags(matches)
        .with_program_value("wsgi", Some(APPLICATION.to_owned()))
        .with_program_value("reload", (!production).then(|| "true".to_owned()));
    let place = matches.get_one::<String>(PLACE).map(String::as_str);
    if let Some(place) = place_of(place, matches.get_flag(IPV6))? {
        settings = settings.with_flag("bind", place);
    }
    if matches.get_flag("noreload") {
        settings = settings.with_flag("reload", "false");
    }
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let given = FLAGS.iter().filter(|(name, _)| matches.get_flag(name));
    let mut given: Vec<&str> = given.map(|(name, _)| *name).collect();
    if settings.get_or("reload", false)? {
        given.push("reload");
    }
    let mut prepared = server().prepare(&Invocation {
        settings,
        matches: matches.clone(),
    })?;
    prepared
        .environment
        .push((OPTIONS_VARIABLE.to_owned(), given.join(",")));
    if let Some(module) = text("settings") {
        prepared
            .environment
            .push(("DJANGO_SETTINGS_MODULE".to_owned(), module));
    }
    Ok(match text("pythonpath") {
        Some(folder) => prepared.with_python_path(folder),
        None => prepared,
    })
}

/// Where Django would listen for an argument, in the words of `bind`; `None` for where the settings say.
fn place_of(text: Option<&str>, ipv6: bool) -> Result<Option<String>, ConfigError> {
    let Some(text) = text else {
        return Ok(ipv6.then(|| "[::1]:8000".to_owned()));
    };
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inside {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !(host.contains([':', '/']) || (ipv6 && host.parse::<Ipv4Addr>().is_ok())),
    };
    if port.parse::<u16>().is_err() || !is_host || (host.is_empty() && text.starts_with(':')) {
        return Err(ConfigError::Usage(format!(
            "\"{text}\" is not a valid port number or address:port pair"
        )));
    }
    Ok(Some(match host {
        "" if ipv6 => format!("[::1]:{port}"),
        "" => port.to_owned(),
        "0" => format!("0.0.0.0:{port}"),
        _ => text.to_owned(),
    }))
}

fn start(py: Python<'_>, arguments: Vec<OsString>) -> Result<Root, ProgramError> {
    let failed = |error: PyErr| ProgramError::Failed(error.to_string());
    let found = py
        .import("importlib.util")
        .and_then(|util| util.call_method1("find_spec", ("django",)));
    if found.map_err(failed)?.is_none() {
        let text = "Django is not installed: add it to this Python with pip install django";
        return Err(ConfigError::Missing(text.into()).into());
    }
    let root = || {
        let module = py.import("puff.contrib.django._manage")?;
        Ok(Root::Python {
            callable: module.getattr("run")?.unbind(),
            args: (arguments,).into_pyobject(py)?.unbind(),
        })
    };
    root().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_as_for_django() {
        let place = |text, ipv6| place_of(text, ipv6).unwrap();
        assert_eq!(place(None, false), None);
        assert_eq!(place(None, true).as_deref(), Some("[::1]:8000"));
        assert_eq!(place(Some("8080"), false).as_deref(), Some("8080"));
        assert_eq!(place(Some("8080"), true).as_deref(), Some("[::1]:8080"));
        assert_eq!(place(Some("0:8080"), false).as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(place(Some("[::]:80"), false).as_deref(), Some("[::]:80"));
        assert_eq!(place(Some("site:80"), false).as_deref(), Some("site:80"));
        for wrong in [
            "",
            "x",
            "1.2.3.4",
            "[::1]",
            "::1:80",
            ":80",
            "[1.2.3.4]:80",
            "65536",
        ] {
            assert!(place_of(Some(wrong), false).is_err(), "{wrong}");
        }
        assert!(place_of(Some("127.0.0.1:80"), true).is_err());
    }
}
