//! Gets a server to run: adopts one that is left over, or initialises the data and starts one.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::binaries::Binaries;
use crate::process::{Process, is_alive};
use crate::project::Project;
use crate::server::{Durability, NotReady, log_line, now, wait_ready};
use crate::state::State;
use crate::{Error, Service, lock, place, postgres, wire};

/// How many times a server that fails for a reason that passes is started again.
const ATTEMPTS: u32 = 10;
/// The time between two of these.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// What it takes to start one project's server, any number of times.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) project: Project,
    pub(crate) binaries: Binaries,
    pub(crate) start_timeout: Duration,
    /// The lock that every user shares.
    pub(crate) users: File,
    /// Set by SIGTERM.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Launch {
    /// Gets a server that answers and writes its state down. Nothing stays behind on an error.
    pub(crate) fn run(&self) -> Result<(Process, State), Error> {
        let service = self.project.service;
        if let Some(adopted) = self.adopt() {
            return Ok(adopted);
        }
        let deadline = Instant::now() + self.start_timeout;
        let data = self.project.data(&self.binaries)?;
        self.prepare(&data, deadline)?;
        let socket_dir = place::socket_dir(self.project.account, &self.project.root, service.name())?;
        let result = self.start(&data, &socket_dir, deadline).and_then(|mut process| {
            match self.finish(&process, &data, &socket_dir) {
                Ok(state) => Ok((process, state)),
                Err(error) => {
                    process.end(service, &service.socket(&socket_dir));
                    Err(error)
                }
            }
        });
        if result.is_err() {
            place::remove_socket_dir(&socket_dir);
        }
        result
    }

    /// Whether anyone uses the service. When in doubt, yes.
    pub(crate) fn used(&self) -> bool {
        lock::is_held(&self.users).unwrap_or(true)
    }

    fn given_up(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || !self.used()
    }

    /// The server of a supervisor that was killed. Its socket answers, and the kernel says which process that is.
    fn adopt(&self) -> Option<(Process, State)> {
        let service = self.project.service;
        let state = State::read(&self.project.state())?;
        let pid = wire::listener_pid(&service.socket(&state.socket_dir))?;
        service.is_ready(&state.socket_dir).ok().filter(|ready| *ready)?;
        log_line(&format!("adopting the running {service} with process id {pid}"));
        let supervisor_pid = i32::try_from(std::process::id()).ok()?;
        let state = State {
            server_pid: pid,
            supervisor_pid,
            ..state
        };
        state.write(&self.project.state()).ok()?;
        Some((
            Process::Adopted {
                pid,
                asked: Instant::now(),
            },
            state,
        ))
    }

    /// Makes the data directory if it is not there.
    fn prepare(&self, data: &Path, deadline: Instant) -> Result<(), Error> {
        let account = self.project.account;
        let base = self.project.base()?;
        fs::create_dir_all(&base).map_err(Error::io("create", &base))?;
        match self.project.service {
            Service::Valkey => place::private_dir(account, data),
            Service::Postgres => {
                if let Some(parent) = data.parent() {
                    place::private_dir(account, parent)?;
                }
                if data.join("PG_VERSION").is_file() {
                    return Ok(());
                }
                remove_unfinished(data);
                log_line(&format!("making a new database in {}", data.display()));
                let output = self.log()?;
                postgres::init(&self.binaries, account, data, &output, deadline, || {
                    self.given_up()
                })
            }
        }
    }

    /// Starts the server and waits until it answers.
    fn start(&self, data: &Path, socket_dir: &Path, deadline: Instant) -> Result<Process, Error> {
        let service = self.project.service;
        let socket = service.socket(socket_dir);
        let log_path = self.project.log();
        let mut attempt = 1;
        loop {
            let logged = fs::metadata(&log_path).map_or(0, |meta| meta.len());
            let mut process = Process::Child(self.spawn(data, socket_dir)?);
            let exited = || process.exited(&socket);
            let Err(problem) = wait_ready(service, socket_dir, deadline, exited, || self.given_up()) else {
                return Ok(process);
            };
            process.end(service, &socket);
            let reason = match problem {
                NotReady::Exited(_) if attempt < ATTEMPTS && passes(&log_path, logged, data) => {
                    attempt += 1;
                    thread::sleep(BETWEEN_ATTEMPTS);
                    continue;
                }
                NotReady::Exited(how) => format!("{} ended ({how})", self.binaries.server.display()),
                NotReady::TimedOut => format!("no answer within {:?}", self.start_timeout),
                NotReady::Refused(message) => message,
                NotReady::GivenUp => "whoever wanted it is gone".to_owned(),
            };
            return Err(Error::StartFailed {
                service,
                reason,
                log: String::new(),
            });
        }
    }

    /// What is left to do with a server that answers.
    fn finish(&self, process: &Process, data: &Path, socket_dir: &Path) -> Result<State, Error> {
        let service = self.project.service;
        if service == Service::Postgres {
            postgres::ensure_database(socket_dir)?;
        }
        let state = State {
            url: service.url(socket_dir)?,
            socket_dir: socket_dir.to_owned(),
            data_dir: data.to_owned(),
            program: self.binaries.server.clone(),
            version: self.binaries.version.clone(),
            server_pid: process.id(),
            supervisor_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            uid: self.project.account.uid,
            started: now(),
        };
        state.write(&self.project.state())?;
        Ok(state)
    }

    fn spawn(&self, data: &Path, socket_dir: &Path) -> Result<Child, Error> {
        let program = &self.binaries.server;
        let mut command = Command::new(program);
        postgres::clean(&mut command);
        command.args(
            self.project
                .service
                .arguments(data, socket_dir, Durability::Kept, &[]),
        );
        command
            .stdin(Stdio::null())
            .stdout(self.log()?)
            .stderr(self.log()?);
        self.project.account.apply(&mut command);
        command.spawn().map_err(Error::io("run", program))
    }

    /// The service's log, which is our standard error.
    fn log(&self) -> Result<File, Error> {
        let copy = io::stderr().as_fd().try_clone_to_owned();
        copy.map(File::from)
            .map_err(Error::io("share", &self.project.log()))
    }
}

/// Removes what a killed supervisor had not finished making. Nobody is making one now: we are the supervisor.
fn remove_unfinished(data: &Path) {
    let Some(parent) = data.parent() else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("data.init-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether the log since `from` shows a reason that passes: what is left of a killed server is still dying.
fn passes(log: &Path, from: u64, data: &Path) -> bool {
    let Ok(bytes) = fs::read(log) else { return false };
    let from = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let said = String::from_utf8_lossy(&bytes[from..]);
    // PostgreSQL takes a zombie, which `init` has not collected yet, for a living server.
    said.contains("is still in use")
        || (said.contains("already exists") && noted_pid(data).is_none_or(|pid| !is_alive(pid)))
}

/// The process id that PostgreSQL wrote into its data directory.
fn noted_pid(data: &Path) -> Option<i32> {
    fs::read_to_string(data.join("postmaster.pid"))
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}
