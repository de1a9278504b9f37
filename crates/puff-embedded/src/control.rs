//! What `puff db status|psql|logs|stop|reset` do.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::binaries::Binaries;
use crate::project::Project;
use crate::state::State;
use crate::{EmbeddedConfig, Error, Lease, Service, lock, place, process, server, wire};

/// How long a stopping server may take; a supervisor escalates to SIGKILL before.
const STOP: Duration = Duration::from_secs(20);
/// A lock that is only being looked at is free again within this time.
const GLANCE: Duration = Duration::from_millis(100);

/// What is known about a service without touching it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The server, if one runs.
    pub running: Option<State>,
    /// Whether a program uses it now.
    pub in_use: bool,
    /// Whether a supervisor looks after it; an orphan is adopted by the next [`crate::acquire`].
    pub supervised: bool,
    /// Data directories of all versions.
    pub data: Vec<PathBuf>,
    /// Where the log is or would be.
    pub log: PathBuf,
}

/// Says how a service is. Starts nothing and makes no files.
///
/// # Errors
/// When the project's `.puff/` cannot be read.
pub fn status(config: &EmbeddedConfig, service: Service) -> Result<Status, Error> {
    let Some(project) = Project::find(&config.project_dir, service)? else {
        let log = config
            .project_dir
            .join(".puff/log")
            .join(format!("{}.log", service.name()));
        return Ok(Status {
            running: None,
            in_use: false,
            supervised: false,
            data: Vec::new(),
            log,
        });
    };
    let running = State::read(&project.state())
        .filter(|state| wire::listener_pid(&service.socket(&state.socket_dir)) == Some(state.server_pid));
    Ok(Status {
        running,
        in_use: is_held(&project.users_lock())?,
        supervised: is_held(&project.supervisor_lock())?,
        data: project.existing_data()?,
        log: project.log(),
    })
}

/// Stops a service, even under running programs; returns whether there was one to stop. Waits until it is gone.
///
/// # Errors
/// When the processes belong to another user, or do not end.
pub fn stop(config: &EmbeddedConfig, service: Service) -> Result<bool, Error> {
    let Some(project) = Project::find(&config.project_dir, service)? else {
        return Ok(false);
    };
    let _start = lock::exclusive(&project.start_lock(), Instant::now() + config.start_timeout)?;
    stop_locked(&project)
}

/// Stops a service and deletes its data, so that the next start finds it empty; returns the directory that is gone.
/// PostgreSQL's data of other major versions stays.
///
/// # Errors
/// [`Error::InUse`] while a program uses the service; otherwise as [`stop`].
pub fn reset(config: &EmbeddedConfig, service: Service) -> Result<Option<PathBuf>, Error> {
    let Some(project) = Project::find(&config.project_dir, service)? else {
        return Ok(None);
    };
    let _start = lock::exclusive(&project.start_lock(), Instant::now() + config.start_timeout)?;
    if is_held(&project.users_lock())? {
        return Err(Error::InUse { service });
    }
    let binaries = Binaries::find(service, &config.search_dirs, project.account)?;
    stop_locked(&project)?;
    let data = project.data(&binaries)?;
    if !data.exists() {
        return Ok(None);
    }
    // Renamed first: what is half deleted must not be taken for a database.
    let doomed = data.with_extension("deleted");
    if doomed.exists() {
        fs::remove_dir_all(&doomed).map_err(Error::io("delete", &doomed))?;
    }
    fs::rename(&data, &doomed).map_err(Error::io("rename", &data))?;
    fs::remove_dir_all(&doomed).map_err(Error::io("delete", &doomed))?;
    // The folders above were made for the data alone; what else lies in them keeps them.
    let shared = Path::new(crate::place::SYSTEM_DIR);
    for folder in data
        .ancestors()
        .skip(1)
        .take(2)
        .take_while(|folder| *folder != shared)
    {
        let _ = fs::remove_dir(folder);
    }
    Ok(Some(data))
}

/// The last lines of a service's log, or `None` when there is none yet.
///
/// # Errors
/// When the log cannot be read.
pub fn logs(config: &EmbeddedConfig, service: Service, lines: usize) -> Result<Option<String>, Error> {
    let Some(project) = Project::find(&config.project_dir, service)? else {
        return Ok(None);
    };
    let path = project.log();
    match File::open(&path) {
        Ok(mut log) => server::tail(&mut log, lines)
            .map(Some)
            .map_err(Error::io("read", &path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            action: "open",
            path,
            source,
        }),
    }
}

/// A `psql` connected to the leased PostgreSQL; the caller adds arguments and runs it while the lease lives.
///
/// It is the one beside the server's program, else the one on the `PATH`.
pub fn psql_command(lease: &Lease) -> Command {
    let beside = lease.state().program.with_file_name("psql");
    let mut command = Command::new(if beside.is_file() { beside } else { "psql".into() });
    command.arg(lease.url());
    command
}

fn stop_locked(project: &Project) -> Result<bool, Error> {
    let service = project.service;
    let begin = Instant::now();
    let state = State::read(&project.state());
    if is_held(&project.supervisor_lock())? {
        let Some(state) = state else {
            // Nobody starts it, who would need the lock that the caller has: it has stopped, and is about to end.
            lock::exclusive(&project.supervisor_lock(), begin + STOP)?;
            return Ok(true);
        };
        // The held lock proves that the supervisor lives, so the id that it wrote is still its own.
        match kill(Pid::from_raw(state.supervisor_pid), Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                return Err(Error::Io {
                    action: "stop the server of",
                    path: project.root.clone(),
                    source: errno.into(),
                });
            }
        }
        lock::exclusive(&project.supervisor_lock(), begin + STOP)?;
        return Ok(true);
    }
    let Some(state) = state else { return Ok(false) };
    // A supervisor that was killed left these.
    let socket = service.socket(&state.socket_dir);
    let ran = wire::listener_pid(&socket) == Some(state.server_pid);
    if ran && !process::end_orphan(service, &socket, state.server_pid) {
        let what = format!("{service} with process id {} does not end", state.server_pid);
        return Err(Error::TimedOut {
            what,
            waited: begin.elapsed(),
        });
    }
    let _ = fs::remove_file(project.state());
    place::remove_socket_dir(&state.socket_dir);
    Ok(ran)
}

/// Whether a lock is held for longer than a glance takes.
fn is_held(path: &std::path::Path) -> Result<bool, Error> {
    if !path.exists() {
        return Ok(false);
    }
    match lock::exclusive(path, Instant::now() + GLANCE) {
        Ok(_) => Ok(false),
        Err(Error::TimedOut { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}
