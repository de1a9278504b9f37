//! The process that owns a server: starts it, watches who uses it, stops it when nobody does.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::binaries::Binaries;
use crate::launch::Launch;
use crate::process::Process;
use crate::project::Project;
use crate::server::{log_line, tail};
use crate::state::State;
use crate::{Error, Service, lock, place};

/// How often the supervisor looks at the locks and at its server.
const TICK: Duration = Duration::from_millis(100);
/// A server that dies again this soon after it was started again is given up.
const RESTART_AFTER: Duration = Duration::from_secs(10);

/// What a supervisor is told to run, as one JSON argument.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) service: String,
    pub(crate) project_dir: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    pub(crate) linger: Duration,
    pub(crate) start_timeout: Duration,
}

/// What a supervisor says, once, on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    Ready(State),
    Failed { reason: String, log: String },
}

/// The body of the supervisor process; `args` are the process's arguments after [`crate::EmbeddedConfig::supervisor`].
///
/// Call it first thing in a process of its own: it closes every file but the standard three, makes its own session
/// and ignores the terminal's signals. Returns when the server has stopped: success after a stop in order, failure
/// when the server did not start or died, 2 when the arguments are not those of a supervisor.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let order = args
        .into_iter()
        .next()
        .and_then(|arg| serde_json::from_str::<Order>(arg.to_str()?).ok());
    let Some(order) = order else {
        eprintln!("this command is started by Puff itself, to look after a private service");
        return ExitCode::from(2);
    };
    let Some(service) = [Service::Postgres, Service::Valkey]
        .into_iter()
        .find(|s| s.name() == order.service)
    else {
        eprintln!("unknown service {}", order.service);
        return ExitCode::from(2);
    };
    close_strays();
    // Both fail only where there is nothing to do: already a leader, no such directory.
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    let stop = match handle_signals() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("puff: cannot handle signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    match Supervisor::start(order, service, stop) {
        Ok(mut supervisor) => {
            report(&Report::Ready(supervisor.state.clone()));
            supervisor.watch()
        }
        Err(Failure { error, log }) => {
            log_line(&error.to_string());
            let reason = match error {
                Error::StartFailed { reason, log, .. } if log.is_empty() => reason,
                Error::StartFailed { reason, log, .. } => format!("{reason}\n{log}"),
                other => other.to_string(),
            };
            report(&Report::Failed { reason, log });
            ExitCode::FAILURE
        }
    }
}

/// Closes what the starter left open by accident, such as the pipes of a `make -j`: their other ends would wait for us.
fn close_strays() {
    let list = if cfg!(target_os = "linux") {
        "/proc/self/fd"
    } else {
        "/dev/fd"
    };
    let open: Vec<RawFd> = fs::read_dir(list)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // The list's own descriptor is among them and is closed already.
        let _ = nix::unistd::close(fd);
    }
}

/// SIGTERM stops in order; the terminal's signals do nothing. The mask is reset: the starter may be a thread that
/// blocks signals, and the server would inherit that and never stop.
fn handle_signals() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
    // A handler and not SIG_IGN, which the servers would inherit.
    for signal in [SIGINT, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    Ok(stop)
}

/// Tells the starter, who may be gone, and gives its pipe back.
fn report(report: &Report) {
    let mut out = io::stdout();
    if let Ok(mut text) = serde_json::to_vec(report) {
        text.push(b'\n');
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(null);
    }
}

struct Failure {
    error: Error,
    log: String,
}

struct Supervisor {
    launch: Launch,
    linger: Duration,
    process: Process,
    state: State,
    /// Held all our life: that is how others know that there is a supervisor.
    _alive: File,
}

impl Supervisor {
    fn start(order: Order, service: Service, stop: Arc<AtomicBool>) -> Result<Self, Failure> {
        let bare = |error| Failure {
            error,
            log: String::new(),
        };
        let project = Project::open(&order.project_dir, service).map_err(bare)?;
        // Others take the lock for a moment to see whether it is held.
        let patience = Instant::now() + Duration::from_secs(2);
        let alive = lock::exclusive(&project.supervisor_lock(), patience).map_err(bare)?;
        let users = lock::open(&project.users_lock()).map_err(bare)?;
        let binaries = Binaries {
            server: order.program,
            version: order.version,
        };
        let launch = Launch {
            project,
            binaries,
            start_timeout: order.start_timeout,
            users,
            stop,
        };
        match launch.run() {
            Ok((process, state)) => Ok(Self {
                launch,
                linger: order.linger,
                process,
                state,
                _alive: alive,
            }),
            Err(error) => {
                let log = File::open(launch.project.log()).and_then(|mut log| tail(&mut log, 20));
                Err(Failure {
                    error,
                    log: log.unwrap_or_default(),
                })
            }
        }
    }

    fn watch(&mut self) -> ExitCode {
        let service = self.launch.project.service;
        let socket = service.socket(&self.state.socket_dir);
        let mut restarted: Option<Instant> = None;
        let mut idle: Option<Instant> = None;
        loop {
            thread::sleep(TICK);
            if self.launch.stop.load(Ordering::Relaxed) {
                log_line("told to stop");
                return self.finish();
            }
            if self.launch.users.metadata().is_ok_and(|meta| meta.nlink() == 0) {
                log_line("the project's .puff directory was removed");
                return self.finish();
            }
            let used = self.launch.used();
            if let Some(how) = self.lost(&socket) {
                log_line(&format!("{service} is lost: {how}"));
                if !used || restarted.is_some_and(|at| at.elapsed() < RESTART_AFTER) {
                    self.clean();
                    return ExitCode::FAILURE;
                }
                match self.launch.run() {
                    Ok((process, state)) => (self.process, self.state) = (process, state),
                    Err(error) => {
                        log_line(&error.to_string());
                        self.clean();
                        return ExitCode::FAILURE;
                    }
                }
                restarted = Some(Instant::now());
            }
            if used {
                idle = None;
                continue;
            }
            if idle.get_or_insert_with(Instant::now).elapsed() < self.linger {
                continue;
            }
            // Whoever starts holds this lock and is about to be a user; nobody can become one while we hold it.
            if let Ok(_start) = lock::exclusive(&self.launch.project.start_lock(), Instant::now())
                && !self.launch.used()
            {
                log_line("the last user is gone");
                return self.finish();
            }
        }
    }

    /// Why the server is of no use any more, or `None`.
    fn lost(&mut self, socket: &Path) -> Option<String> {
        if let Some(how) = self.process.exited(socket) {
            return Some(how);
        }
        if socket.exists() {
            return None;
        }
        // A cleaner of temporary files, or the end of a login session whose runtime directory it was in.
        self.process.end(self.launch.project.service, socket);
        Some("its socket was removed".to_owned())
    }

    fn finish(&mut self) -> ExitCode {
        let service = self.launch.project.service;
        let ended = self.process.end(service, &service.socket(&self.state.socket_dir));
        self.clean();
        if ended {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn clean(&self) {
        // Nobody is left to tell, and the next start makes both anew.
        let _ = fs::remove_file(self.launch.project.state());
        place::remove_socket_dir(&self.state.socket_dir);
    }
}
