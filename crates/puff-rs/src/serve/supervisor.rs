//! The process that starts workers and looks after them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use puff_embedded::{EmbeddedConfig, Keep, Service};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::config::ProcessConfig;
use super::crew::{Action, Crew, Id, Rules};
use super::excuse::Excuse;
use super::pid_file::PidFile;
use super::seat::{Assignment, Message};
use super::signals::{Signals, Wish};
use super::sockets::Sockets;
use super::title;
use super::watch::Watch;
use super::worker::{Event, Launcher, Worker, told};
use crate::errors::{ConfigError, ProgramError};
use crate::settings::Settings;
use crate::web::ServerConfig;

/// How often files, ages and memory are looked at.
const LOOK: Duration = Duration::from_millis(400);
/// Events that wait to be heard; workers wait when there are more.
const EVENTS: usize = 64;

/// Says what is served, once it is, by so many workers.
pub(crate) type Banner = Box<dyn Fn(&Sockets, usize) + Send>;

/// A supervisor that has its sockets.
pub(crate) struct Supervisor {
    pub(crate) config: ProcessConfig,
    pub(crate) server: ServerConfig,
    pub(crate) settings: Settings,
    pub(crate) sockets: Sockets,
    pub(crate) pid_file: Option<PidFile>,
    pub(crate) banner: Banner,
}

impl Supervisor {
    /// Serves with processes that run `command`, until a signal ends it; the exit status.
    ///
    /// Python, if it runs in this process, is detached: nothing of the program's runs here.
    ///
    /// # Errors
    /// If the system does not give what a supervisor takes for granted.
    pub(crate) fn run(self, command: Vec<OsString>, embedded: EmbeddedConfig) -> Result<i32, ProgramError> {
        let system = |context| move |error| ProgramError::System { context, error };
        title::set("puff: supervisor");
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system("cannot start the supervisor"))?;
        tokio.block_on(async {
            let signals = Signals::new().map_err(system("cannot take signals"))?;
            Ok(Watchman::new(self, command, embedded).watch(signals).await)
        })
    }
}

/// A supervisor at work.
struct Watchman {
    config: ProcessConfig,
    settings: Settings,
    embedded: EmbeddedConfig,
    crew: Crew,
    workers: HashMap<Id, Worker>,
    last_start: SystemTime,
    launcher: Launcher,
    events: mpsc::Receiver<Event>,
    sockets: Sockets,
    /// The sockets of a generation that is still to be ready.
    next_sockets: Option<Sockets>,
    watch: Option<Watch>,
    banner: Option<Banner>,
    /// What answers while the program does not start, in development.
    excuse: Option<Excuse>,
    server: ServerConfig,
    /// Private servers that stay while no worker runs.
    kept: Vec<(Service, Keep)>,
    /// Whether a terminal was there at the start.
    terminal: bool,
    _pid_file: Option<PidFile>,
}

impl Watchman {
    fn new(supervisor: Supervisor, command: Vec<OsString>, embedded: EmbeddedConfig) -> Watchman {
        let Supervisor {
            config,
            server,
            settings,
            sockets,
            pid_file,
            banner,
        } = supervisor;
        let (sender, events) = mpsc::channel(EVENTS);
        let target = config.workers.unwrap_or(1);
        let watched = [settings.file_path().to_owned()];
        Watchman {
            crew: Crew::new(Rules::new(&config), target, Instant::now()),
            watch: config
                .reload
                .then(|| Watch::new(watched, config.reload_paths.clone())),
            launcher: Launcher {
                command,
                directory: named_directory(),
                events: sender,
            },
            config,
            settings,
            embedded,
            workers: HashMap::new(),
            last_start: SystemTime::now(),
            events,
            sockets,
            next_sockets: None,
            banner: Some(banner),
            excuse: None,
            server,
            kept: Vec::new(),
            terminal: std::io::stdin().is_terminal(),
            _pid_file: pid_file,
        }
    }

    async fn watch(mut self, mut signals: Signals) -> i32 {
        loop {
            if let Some(status) = self.settle() {
                return status;
            }
            let now = Instant::now();
            let look = self.has_to_look().then_some(now + LOOK);
            let next = self.crew.next(now).into_iter().chain(look).min();
            let sleep = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.hear(event),
                wish = signals.next() => self.obey(wish),
                () = sleep => self.look(),
            }
        }
    }

    /// Does what the crew wants; the exit status if it has ended.
    fn settle(&mut self) -> Option<i32> {
        // A worker that cannot be started changes the crew at once.
        loop {
            let now = Instant::now();
            let actions = self.crew.settle(now);
            if actions.is_empty() {
                return None;
            }
            for action in actions {
                match action {
                    Action::Start { id, number } => self.start(id, number, now),
                    Action::Stop(id) => self.signal(id, Signal::SIGTERM),
                    Action::Kill(id) => self.signal(id, Signal::SIGKILL),
                    Action::Reloaded(done) => self.reloaded(done),
                    Action::End(status) => return Some(status),
                }
            }
        }
    }

    fn start(&mut self, id: Id, number: usize, now: Instant) {
        let sockets = self.next_sockets.as_ref().unwrap_or(&self.sockets);
        let patience = self.config.stop_timeout.as_millis();
        let assignment = |descriptors| Assignment {
            supervisor: i32::try_from(std::process::id()).unwrap_or_default(),
            number,
            workers: self.crew.target(),
            sockets: descriptors,
            channel: -1,
            requests: self.crew.requests_of(id),
            watched: self.watch.is_some(),
            patience: u64::try_from(patience).unwrap_or(u64::MAX),
        };
        match sockets.inherited(|descriptors| self.launcher.start(id, assignment(descriptors))) {
            Ok(worker) => {
                debug!("worker {number} is process {}", worker.pid);
                self.last_start = worker.started;
                self.workers.insert(id, worker);
            }
            Err(error) => {
                let program = self.launcher.command.first().cloned().unwrap_or_default();
                error!("cannot run {}: {error}", program.display());
                self.crew.exited(id, 1, "could not be started", now);
            }
        }
    }

    fn signal(&self, id: Id, signal: Signal) {
        if let Some(worker) = self.workers.get(&id) {
            worker.signal(signal);
        }
    }

    fn reloaded(&mut self, done: bool) {
        let next = self.next_sockets.take();
        if let Some(next) = next.filter(|_| done) {
            self.sockets = next;
        }
        if done && let Some(banner) = self.banner.take() {
            banner(&self.sockets, self.crew.target());
        }
    }

    // ------------------------------------------------------------------ events

    fn hear(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Said(id, Message::Ready) => self.crew.ready(id, now),
            Event::Said(id, Message::Spent) => self.crew.spent(id, "has answered its share of requests"),
            Event::Said(id, Message::Modules(files)) => {
                // It may have ended already.
                let started = self
                    .workers
                    .get(&id)
                    .map_or(self.last_start, |worker| worker.started);
                if let Some(watch) = &mut self.watch {
                    watch.add(files.into_iter().map(PathBuf::from), Some(started));
                    watch.watch_folders(self.crew.is_waiting());
                }
            }
            Event::Ended(id, status) => self.ended(id, status, now),
        }
    }

    fn ended(&mut self, id: Id, status: ExitStatus, now: Instant) {
        self.keep_services();
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        let (code, how) = told(worker.pid, status);
        debug!("worker {how}");
        self.crew.exited(id, code, &how, now);
        if self.crew.is_waiting() && self.excuse.is_none() {
            self.excuse = Some(Excuse::new(&self.sockets, self.server.clone()));
            if let Some(watch) = &mut self.watch {
                // What is missing comes into one of them.
                watch.watch_folders(true);
            }
        }
    }

    /// Holds on to the private servers that run: they would stop some seconds after their last user, and the
    /// next worker may be longer in coming.
    fn keep_services(&mut self) {
        if self.embedded.production {
            return;
        }
        for service in [Service::Postgres, Service::Valkey] {
            if self.kept.iter().any(|(kept, _)| *kept == service) {
                continue;
            }
            match puff_embedded::keep(&self.embedded, service) {
                Ok(Some(keep)) => self.kept.push((service, keep)),
                Ok(None) => {}
                Err(error) => debug!("{service} may stop when no worker uses it: {error}"),
            }
        }
    }

    // ------------------------------------------------------------------ wishes

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Stop(signum) => self.stop(signum),
            Wish::Reload if self.terminal && !std::io::stdin().is_terminal() => {
                info!("the terminal has gone");
                self.stop(Signal::SIGHUP as i32);
            }
            Wish::Reload => {
                info!("reloading");
                self.reload();
            }
            Wish::More => self.crew.resize_by(true),
            Wish::Fewer => self.crew.resize_by(false),
            Wish::Dump => {
                for worker in self.workers.values() {
                    worker.signal(Signal::SIGUSR1);
                }
            }
        }
    }

    fn stop(&mut self, signum: i32) {
        if self.crew.is_ending() {
            warn!("ending at once");
            self.crew.end_now(128 + signum);
            return;
        }
        let count = self.workers.len();
        info!("stopping {count} worker{}", if count == 1 { "" } else { "s" });
        // Nobody is to wait in a queue that has no end any more. The workers take what is in it.
        (self.sockets, self.next_sockets, self.excuse) = (Sockets::default(), None, None);
        self.crew.end(0);
    }

    /// New workers, with the settings as they are now.
    fn reload(&mut self) {
        if self.crew.is_ending() {
            return;
        }
        match self.reread() {
            Ok((mut config, server, sockets)) => {
                self.server = server;
                // Without the setting in the file any more, there is still a supervisor.
                self.crew.resize(config.workers.unwrap_or(1));
                // Development or not: that is for a supervisor's whole life.
                config.reload = self.config.reload;
                self.config = config;
                self.crew.set_rules(Rules::new(&self.config));
                self.next_sockets = Some(sockets);
                self.excuse = None;
                self.crew.reload(Instant::now());
                if let Some(watch) = &mut self.watch {
                    watch.watch_folders(false);
                }
            }
            Err(error) => error!("the settings are not right, and nothing is reloaded: {error}"),
        }
    }

    fn reread(&mut self) -> Result<(ProcessConfig, ServerConfig, Sockets), ProgramError> {
        let read = || -> Result<_, ConfigError> {
            let settings = self.settings.reread()?;
            let server = ServerConfig::from_settings(&settings)?;
            let config = ProcessConfig::from_settings(&settings, server.shutdown_timeout)?;
            Ok((settings, server, config))
        };
        let (settings, server, config) = read()?;
        let sockets = self.sockets.moved(&server.bind)?;
        self.settings = settings;
        Ok((config, server, sockets))
    }

    // ------------------------------------------------------------------ looking

    fn has_to_look(&self) -> bool {
        let limits = self.config.limits;
        self.watch.is_some() || limits.lifetime.is_some() || limits.memory.is_some()
    }

    fn look(&mut self) {
        let workers = &self.workers;
        self.crew
            .measure(Instant::now(), |id| workers.get(&id).and_then(Worker::memory));
        if let Some(changed) = self.watch.as_mut().and_then(Watch::changed)
            && !self.crew.is_ending()
        {
            info!("{} has changed: starting anew", changed.display());
            self.reload();
        }
    }
}

/// The working directory by the name it was entered with, if that goes through a link: a deployment that
/// points the link to another folder means this one to be used from the next reload on.
fn named_directory() -> Option<PathBuf> {
    let named = PathBuf::from(std::env::var_os("PWD")?);
    let real = std::env::current_dir().ok()?;
    (named != real && named.canonicalize().is_ok_and(|found| found == real)).then_some(named)
}
