//! [`ServerCommand`]: serves a router.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use clap::{Arg, ArgAction};
use puff_python::Runtime;
use puff_python::import::resolve;
use puff_python::wsgi::{WsgiApp, WsgiOptions};
use pyo3::prelude::*;
use tower::util::MapRequestLayer;

use super::schemas::SchemaPlan;
use super::watch::{Watch, WatchConfig};
use super::websockets::WebSocketPlan;
use crate::errors::{ConfigError, ProgramError};
use crate::program::{Command, Context, Instead, Invocation, Prepared, Root, resolve_error};
use crate::runtime::Console;
use crate::serve::{PidFile, ProcessConfig, Seat, Sockets, Supervisor};
use crate::settings::{Settings, keys};
use crate::web::{
    ASSETS_PATH, Application, DirectRoutes, Listener, PlaygroundAssets, Router, ServerConfig, Site,
    WsgiService, listen, serve_on_seat, within,
};

/// Serves Rust routes, GraphQL and a WSGI application; the command `runserver`.
///
/// Handlers find the program's [`Runtime`] among the request's extensions, and with it Python, the services
/// and Tokio: `Extension(runtime): Extension<Runtime>` is an argument of a handler like any other.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::ServerCommand;
///
/// fn main() -> ExitCode {
///     let router = Router::new().get("/", || async { "Hello from Rust" });
///     Program::new("site").command(ServerCommand::new(router).wsgi("blog.wsgi:application")).run()
/// }
/// ```
pub struct ServerCommand {
    name: String,
    router: Router,
    wsgi: Option<String>,
    /// Whether the settings `graphql` and, without an application of the program's, `wsgi` say what is served.
    configurable: bool,
}

impl ServerCommand {
    /// Serves `router`.
    pub fn new(router: Router) -> ServerCommand {
        ServerCommand {
            name: "runserver".into(),
            router,
            wsgi: None,
            configurable: false,
        }
    }

    /// The server of the stock runtime: it serves what its settings name.
    pub(crate) fn stock() -> ServerCommand {
        ServerCommand {
            configurable: true,
            ..ServerCommand::new(Router::new())
        }
    }

    /// Another name for the command than `runserver`.
    pub fn name(mut self, name: impl Into<String>) -> ServerCommand {
        self.name = name.into();
        self
    }

    /// Lets the WSGI application at `path` answer what no route matches.
    pub fn wsgi(mut self, path: impl Into<String>) -> ServerCommand {
        self.wsgi = Some(path.into());
        self
    }
}

impl Command for ServerCommand {
    fn cli(&self) -> clap::Command {
        let mut command = clap::Command::new(self.name.clone()).about("Serves HTTP");
        if self.configurable && self.wsgi.is_none() {
            command = command.after_help(EXAMPLES).arg(Arg::new(MISPLACED).hide(true));
        }
        if self.configurable {
            let own = keys::APP_KEYS
                .iter()
                .filter(|key| self.wsgi.is_none() || key.name != "wsgi");
            let schemas = keys::GRAPHQL_KEYS.iter().chain(keys::SUBSCRIPTION_KEYS);
            for key in own.chain(schemas) {
                command = command.arg(key.arg().help_heading("Application"));
            }
        }
        for (heading, keys) in [
            ("Server", keys::SERVER_KEYS),
            ("Static files", keys::STATIC_KEYS),
            ("Compression", keys::COMPRESSION_KEYS),
            ("Processes", keys::PROCESS_KEYS),
            ("WebSockets", keys::WEBSOCKET_KEYS),
            ("Observability", keys::LOG_KEYS),
        ] {
            command = keys.iter().fold(command, |command, key| {
                command.arg(key.arg().help_heading(heading))
            });
        }
        command
            .arg(switch(
                CHECK,
                "Loads the settings and the program, says OK or what is wrong, and ends",
            ))
            .arg(switch(
                PRINT,
                "Prints all settings with where each comes from, and ends",
            ))
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let settings = &invocation.settings;
        if let Ok(Some(path)) = invocation.matches.try_get_one::<String>(MISPLACED) {
            let name = &self.name;
            return Err(ConfigError::Usage(format!(
                "write --wsgi before the application: {name} --wsgi '{path}'"
            ))
            .into());
        }
        let config = ServerConfig::from_settings(settings)?;
        let processes = ProcessConfig::from_settings(settings, config.shutdown_timeout)?;
        let watch = WatchConfig::from_settings(settings)?;
        if invocation.matches.get_flag(PRINT) {
            return Ok(Prepared::instead(Instead::Print(settings.listing())));
        }
        let plan = Plan::new(self, settings)?;
        if invocation.matches.get_flag(CHECK) {
            check_tls(&config)?;
            return Ok(plan
                .importing(|plan| Prepared::new(move |py, context| plan.check(py, &context, config)))
                .without_opening());
        }
        let seat = Seat::take(settings)?;
        if seat.is_none() && processes.is_supervised() {
            return supervise(plan, config, processes, settings);
        }
        check_tls(&config)?;
        // Before anybody is answered: who is may look at once.
        let watch = watch.open(seat.as_deref())?;
        let place = Place::take(seat, &config, &processes)?;
        let (seat, graphql) = (place.seat.clone(), plan.schemas.is_routed());
        let mut prepared = plan
            .importing(|plan| Prepared::new(move |py, context| plan.start(py, context, config, place, watch)))
            .as_server();
        prepared.seat = seat;
        if let Some(account) = &processes.account {
            prepared.environment = account.environment();
        }
        if graphql {
            prepared = prepared.with_eager_postgres();
        }
        Ok(prepared)
    }
}

const CHECK: &str = "check-config";
const PRINT: &str = "print-config";
/// An application as other servers take it.
const MISPLACED: &str = "application";

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn check_tls(config: &ServerConfig) -> Result<(), ProgramError> {
    match &config.tls {
        Some(files) => files
            .check()
            .map_err(|error| ProgramError::Load(error.to_string())),
        None => Ok(()),
    }
}

/// Where a process serves from: its sockets, and what says that it does.
struct Place {
    listeners: Vec<Listener>,
    seat: Option<Arc<Seat>>,
    /// Kept until the server ends.
    pid_file: Option<PidFile>,
}

impl Place {
    /// Takes the sockets that the supervisor has, or binds them; then becomes the user that is asked for.
    fn take(
        seat: Option<Arc<Seat>>,
        config: &ServerConfig,
        processes: &ProcessConfig,
    ) -> Result<Place, ProgramError> {
        // Before anything slow: a port in use is the most likely thing to go wrong.
        let (listeners, pid_file) = match &seat {
            Some(seat) => (seat.listeners()?, None),
            None => {
                processes.apply_umask();
                let listeners = config.bind.iter().map(listen).collect::<Result<_, _>>()?;
                (listeners, processes.write_pid_file()?)
            }
        };
        if let Some(account) = &processes.account {
            account.enter()?;
        }
        Ok(Place {
            listeners,
            seat,
            pid_file,
        })
    }
}

/// A supervisor in the place of a server.
fn supervise(
    plan: Plan,
    config: ServerConfig,
    processes: ProcessConfig,
    settings: &Settings,
) -> Result<Prepared, ProgramError> {
    check_tls(&config)?;
    processes.apply_umask();
    let sockets = Sockets::bind(&config.bind)?;
    let pid_file = processes.write_pid_file()?;
    let server = config.clone();
    let banner = move |sockets: &Sockets, workers: usize| {
        let places: Vec<_> = sockets
            .listeners()
            .map(|listener| place(listener, &config))
            .collect();
        plan.banner(Console::new(true), &places, Some(workers));
        plan.say_how_to_stop(Console::new(true));
    };
    Ok(Prepared::instead(Instead::Supervise(Box::new(Supervisor {
        config: processes,
        server,
        settings: settings.clone(),
        sockets,
        pid_file,
        banner: Box::new(banner),
    })))
    .as_server())
}

const EXAMPLES: &str = "\
Examples:
  puff runserver --wsgi blog.wsgi:application
  puff runserver --wsgi 'shop:create_app()'
  puff runserver --graphql shop.schema:Schema --bind 0.0.0.0:8000
  PUFF_WSGI=app:app PUFF_MAX_BODY=64MiB puff runserver

With --graphql the server answers GraphQL at /graphql, has subscriptions at /subscriptions, and shows the playground at /,
or at /playground if a WSGI application or static files have that. Schemas with names, from puff.toml, are at /graphql/NAME.";

/// What one server serves.
struct Plan {
    router: Router,
    /// Whether `router` has routes of the program.
    rust: bool,
    wsgi: Option<String>,
    schemas: SchemaPlan,
    websockets: WebSocketPlan,
    /// What the banner ends with.
    farewell: &'static str,
}

impl Plan {
    fn new(command: &ServerCommand, settings: &Settings) -> Result<Plan, ConfigError> {
        let websockets = WebSocketPlan::new(settings)?;
        let schemas = SchemaPlan::new(settings, command.configurable)?;
        if !command.configurable {
            let router = command.router.clone();
            return Ok(Plan {
                router,
                rust: true,
                wsgi: command.wsgi.clone(),
                schemas,
                websockets,
                farewell: farewell(settings)?,
            });
        }
        let wsgi = match &command.wsgi {
            Some(path) => Some(path.clone()),
            None => settings.get("wsgi")?,
        };
        if wsgi.is_none() && !schemas.is_routed() && websockets.is_empty() {
            return Err(ConfigError::Missing(
                "nothing to serve: name an application with --wsgi pkg.mod:app or a schema with --graphql \
                 pkg.mod:Schema (or in puff.toml)"
                    .into(),
            ));
        }
        Ok(Plan {
            router: Router::new(),
            rust: false,
            wsgi,
            schemas,
            websockets,
            farewell: farewell(settings)?,
        })
    }

    /// What `prepare` makes of the plan, with the imports that it takes.
    fn importing(self, prepare: impl FnOnce(Plan) -> Prepared) -> Prepared {
        let functions = self.websockets.functions();
        let paths: Vec<String> = self.wsgi.iter().chain(functions).cloned().collect();
        let prepared = prepare(self);
        paths.into_iter().fold(prepared, Prepared::importing)
    }

    /// Loads what would be served, and no more.
    fn check(self, py: Python<'_>, context: &Context, config: ServerConfig) -> Result<Root, ProgramError> {
        if let Some(path) = &self.wsgi {
            load_wsgi(py, context, path, config.wsgi)?;
        }
        self.websockets.load(py, &context.runtime)?;
        Ok(Root::Future(Box::pin(async {
            use std::io::Write;
            writeln!(std::io::stdout(), "OK")?;
            Ok(0)
        })))
    }

    fn start(
        self,
        py: Python<'_>,
        context: Context,
        mut config: ServerConfig,
        place: Place,
        watch: Watch,
    ) -> Result<Root, ProgramError> {
        let Place {
            listeners,
            seat,
            pid_file,
        } = place;
        config.wsgi.multiprocess = seat.as_ref().is_some_and(|seat| seat.workers() > 1);
        let wsgi = match &self.wsgi {
            Some(path) => Some(load_wsgi(py, &context, path, config.wsgi.clone())?),
            None => None,
        };
        let (websockets, paths) = self.websockets.load(py, &context.runtime)?;
        // A program's own routes may lead to Python as well, and subscriptions are WebSockets.
        let wanted = self.rust || !paths.is_empty() || self.schemas.is_routed();
        let websockets = wanted.then_some(websockets);
        if let Err(error) = allow_many_connections(py) {
            tracing::debug!("the limit of open files stays as it is: {error}");
        }
        if let Err(error) = let_io_finish_first(py) {
            tracing::debug!("the hub's scheduling stays as it is: {error}");
        }
        match &seat {
            // The supervisor says what is served.
            Some(seat) => seat.follow_supervisor(context.runtime.shutdown().clone()),
            None => {
                let places: Vec<_> = listeners
                    .iter()
                    .map(|listener| self::place(listener, &config))
                    .collect();
                self.banner(context.console, &places, None);
                if !paths.is_empty() {
                    let paths = paths.join(", ");
                    context.console.step(format_args!("WebSockets on {paths}"));
                }
            }
        }
        let watching = watch.start(&context, &mut config);
        if seat.is_none() {
            self.say_how_to_stop(context.console);
        }
        let (app, direct) = match wsgi {
            Some(app) if !self.rust && !self.schemas.is_routed() => {
                (Application::Wsgi(app), DirectRoutes::default())
            }
            wsgi => {
                let (router, direct) = self.routes(py, &context.runtime, &config, wsgi);
                (Application::Router(router), direct)
            }
        };
        let site = Site {
            app,
            direct,
            websockets,
        };
        let stop = context.runtime.shutdown().clone();
        Ok(Root::Future(Box::pin(async move {
            let _pid_file = pid_file;
            let served = serve_on_seat(listeners, site, config, stop, seat).await;
            watching.end().await;
            served.map(|()| 0)
        })))
    }

    /// All routes, with what the handlers find in a request's extensions; those that need no router.
    fn routes(
        self,
        py: Python<'_>,
        runtime: &Runtime,
        config: &ServerConfig,
        wsgi: Option<WsgiApp>,
    ) -> (axum::Router, DirectRoutes) {
        let mut router = self.schemas.route(self.router).into_axum();
        if let Some(limit) = config.request_timeout {
            // Not over the WSGI application, which has to end a greenlet.
            let limited = move |request, next: Next| within(limit, next.run(request));
            router = router.layer(axum::middleware::from_fn(limited));
        }
        if let Some(app) = wsgi {
            router = router.fallback_service(WsgiService::new(app, config.body));
        }
        let assets = PlaygroundAssets::open(&playground_directory(py));
        let files = {
            let assets = assets.clone();
            move |axum::extract::Path(name): axum::extract::Path<String>, headers: http::HeaderMap| async move {
                assets.file(&name, &headers).await
            }
        };
        router = router.route(&format!("{ASSETS_PATH}{{*name}}"), axum::routing::get(files));
        let endpoints = self.schemas.endpoints(runtime, config.body);
        let direct = self.schemas.direct(&endpoints, config.request_timeout);
        let (body, runtime) = (config.body, runtime.clone());
        // One layer for all of it: axum takes a box for each around each route, and clones them at each request.
        let router = router.layer(MapRequestLayer::new(move |mut request: Request| {
            let extensions = request.extensions_mut();
            extensions.insert(endpoints.clone());
            extensions.insert(body);
            extensions.insert(runtime.clone());
            extensions.insert(assets.clone());
            request
        }));
        (router, direct)
    }

    fn banner(&self, console: Console, places: &[String], workers: Option<usize>) {
        let mut all = places.join(", ");
        if let Some(workers) = workers {
            let plural = if workers == 1 { "" } else { "s" };
            all.push_str(&format!(" with {workers} worker{plural}"));
        }
        match &self.wsgi {
            Some(wsgi) => console.step(format_args!("Serving {wsgi} on {all}")),
            None => console.step(format_args!("Serving on {all}")),
        }
        let url = places.first().map_or("", |place| place.trim_end_matches('/'));
        self.schemas.banner(console, url);
    }

    /// The banner's last line.
    fn say_how_to_stop(&self, console: Console) {
        console.step(self.farewell);
    }
}

/// How the server is stopped, and what else a developer may want to know.
fn farewell(settings: &Settings) -> Result<&'static str, ConfigError> {
    Ok(if settings.is_production() {
        "Ctrl-C stops"
    } else if settings.get_or("reload", false)? {
        "Ctrl-C stops; changed code is loaded anew (development, PUFF_ENV is not production)"
    } else {
        "Ctrl-C stops; --reload loads changed code anew (development, PUFF_ENV is not production)"
    })
}

/// Where a listener is reached: a URL, or the socket's path.
fn place(listener: &Listener, config: &ServerConfig) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let address = listener.address();
    if listener.is_unix() {
        address
    } else {
        format!("{scheme}://{address}/")
    }
}

fn load_wsgi(
    py: Python<'_>,
    context: &Context,
    path: &str,
    options: WsgiOptions,
) -> Result<WsgiApp, ProgramError> {
    let failed = |error: PyErr| ProgramError::Load(format!("{path}: {}", error.value(py)));
    let app = match context.made.bind(py).get_item(path).map_err(failed)? {
        Some(made) => made,
        None => {
            let name = path.strip_suffix("()");
            let found = resolve(py, name.unwrap_or(path)).map_err(|error| resolve_error(py, error))?;
            if name.is_some() {
                let kind = found.get_type().qualname().map_err(failed)?;
                return Err(ProgramError::Load(format!(
                    "{path}: a factory is a function, not {kind}"
                )));
            }
            found
        }
    };
    WsgiApp::new(&context.runtime, &app, options).map_err(failed)
}

/// Where the Python package has the playground's files.
fn playground_directory(py: Python<'_>) -> PathBuf {
    let package = py
        .import("puff")
        .and_then(|puff| puff.getattr("__file__")?.extract::<PathBuf>());
    // Without the file (a package in a zip) there is no such folder, and the page says so.
    package
        .map(|init| init.with_file_name("playground").join("dist"))
        .unwrap_or_default()
}

/// Raises the soft limit of open files: its usual 1,024 is for the sake of `select`, which nobody here uses,
/// and each connection takes one.
fn allow_many_connections(py: Python<'_>) -> PyResult<()> {
    const ENOUGH: i64 = 65_536;
    let resource = py.import("resource")?;
    let files = resource.getattr("RLIMIT_NOFILE")?;
    let (soft, hard): (i64, i64) = resource.call_method1("getrlimit", (&files,))?.extract()?;
    // "No limit" is negative.
    let wanted = if hard < 0 { ENOUGH } else { hard.min(ENOUGH) };
    if (0..wanted).contains(&soft) {
        resource.call_method1("setrlimit", (files, (wanted, hard)))?;
    }
    Ok(())
}

/// Tells the kernel that the hub's thread, which this is, need not interrupt a thread that is running.
///
/// When an I/O thread hands the first of many requests to a parked hub, the kernel would let the woken hub
/// push the I/O thread off a shared CPU at once, and the two would take turns for every second request. A
/// `SCHED_BATCH` thread waits until the other has read what there is. Measured in November 2026, WSGI hello,
/// 64 connections, one CPU: 11.4 instead of 14.9 us of CPU per request; on two CPUs no difference. Threads and
/// processes that this one starts are not affected.
fn let_io_finish_first(py: Python<'_>) -> PyResult<()> {
    let os = py.import("os")?;
    let batch: i32 = os.getattr("SCHED_BATCH")?.extract()?;
    let not_inherited: i32 = os.getattr("SCHED_RESET_ON_FORK")?.extract()?;
    let priority = os.call_method1("sched_param", (0,))?;
    os.call_method1("sched_setscheduler", (0, batch | not_inherited, priority))?;
    Ok(())
}
