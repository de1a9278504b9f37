//! Using a private service: start it or attach to it, and say when done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::account::own_like;
use crate::binaries::Binaries;
use crate::project::Project;
use crate::state::State;
use crate::supervisor::{Order, Report};
use crate::{EmbeddedConfig, Error, Service, lock};

/// A log longer than this is put aside when a service starts; one old log is kept.
const LOG_LIMIT: u64 = 1 << 20;
/// A lock that is only being looked at is free again within this time.
const GLANCE: Duration = Duration::from_millis(100);
/// What the supervisor gets beyond its own time-out, to clean up and say why.
const GRACE: Duration = Duration::from_secs(10);
/// The supervisor says one line; more than this is not from a supervisor.
const REPORT_LIMIT: usize = 1 << 20;

/// The right to use a private service: it runs at least as long as this value lives.
///
/// The kernel takes the right back when the process ends, however it ends; a forked child shares it. Dropping it
/// neither blocks nor stops the service: its supervisor does, [`EmbeddedConfig::linger`] after the last user.
#[derive(Debug)]
pub struct Lease {
    service: Service,
    state: State,
    _share: File,
}

impl Lease {
    /// Where to connect: `postgres://puff@/puff?host=%2Ftmp%2Fpuff-0-1f2e...` (libpq's form for a socket directory)
    /// or `unix:///tmp/puff-0-1f2e.../valkey.sock`. Stays the same if the server dies and is started again.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Which service this is.
    pub fn service(&self) -> Service {
        self.service
    }

    /// More about the server: where its data is, its version, its process id.
    pub fn state(&self) -> &State {
        &self.state
    }
}

/// Starts a private service of a project, or attaches to the one that runs. Any number of processes may do so at
/// once; one of them starts it.
///
/// Blocks the calling thread until the service answers, at most about [`EmbeddedConfig::start_timeout`]; from
/// asynchronous code use a thread for blocking work.
///
/// # Errors
/// See [`Error`]; on an error nothing keeps running.
pub fn acquire(config: &EmbeddedConfig, service: Service) -> Result<Lease, Error> {
    if config.production {
        return Err(Error::Production { service });
    }
    let project = Project::open(&config.project_dir, service)?;
    let begin = Instant::now();
    let deadline = begin + config.start_timeout;
    let start = lock::exclusive(&project.start_lock(), deadline)?;
    let share = lock::shared(&project.users_lock(), deadline)?;
    let supervisor = lock::open(&project.supervisor_lock())?;
    while lock::is_held(&supervisor).map_err(Error::io("lock", &project.supervisor_lock()))? {
        if let Some(state) = State::read(&project.state())
            && matches!(service.is_ready(&state.socket_dir), Ok(true))
        {
            return Ok(Lease {
                service,
                state,
                _share: share,
            });
        }
        // The server is being started again, or the supervisor of a failed start is about to end.
        if Instant::now() >= deadline {
            let what = format!(
                "the running {service} does not answer; see {}",
                project.log().display()
            );
            return Err(Error::TimedOut {
                what,
                waited: begin.elapsed(),
            });
        }
        thread::sleep(Duration::from_millis(5));
    }
    let state = start_supervised(config, &project)?;
    drop(start);
    Ok(Lease {
        service,
        state,
        _share: share,
    })
}

/// Keeps a private service running for as long as it lives, without using it.
#[derive(Debug)]
pub struct Keep {
    _share: File,
}

/// Keeps a service of a project running that runs already; `None` if it does not. Starts nothing.
///
/// For who looks after programs that come and go: the service would stop [`EmbeddedConfig::linger`] after the
/// last of them.
///
/// # Errors
/// When the project's `.puff/` cannot be read.
pub fn keep(config: &EmbeddedConfig, service: Service) -> Result<Option<Keep>, Error> {
    let Some(project) = Project::find(&config.project_dir, service)? else {
        return Ok(None);
    };
    let path = project.supervisor_lock();
    if !path.exists() || !lock::is_held(&lock::open(&path)?).map_err(Error::io("lock", &path))? {
        return Ok(None);
    }
    let share = lock::shared(&project.users_lock(), Instant::now() + GLANCE)?;
    Ok(Some(Keep { _share: share }))
}

fn start_supervised(config: &EmbeddedConfig, project: &Project) -> Result<State, Error> {
    let service = project.service;
    if service == Service::Postgres {
        project.account.require_passwd_entry()?;
    }
    let binaries = Binaries::find(service, &config.search_dirs, project.account)?;
    warn_of_older_data(project, &binaries)?;
    let project_dir = project.root.parent().unwrap_or(&project.root).to_owned();
    let order = Order {
        service: service.name().to_owned(),
        project_dir,
        program: binaries.server,
        version: binaries.version,
        linger: config.linger,
        start_timeout: config.start_timeout,
    };
    let failed = |reason: String, log: String| Error::StartFailed { service, reason, log };
    let order = serde_json::to_string(&order).map_err(|error| failed(error.to_string(), String::new()))?;
    let Some((program, arguments)) = config.supervisor.split_first() else {
        return Err(failed(
            "the configuration names no supervisor command".to_owned(),
            String::new(),
        ));
    };
    let log = open_log(&project.log())?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg(order)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(Error::io("run", Path::new(program)))?;
    let report = read_report(child.stdout.take(), config.start_timeout + GRACE);
    if report.is_err() {
        // Not SIGKILL, which would leave the server behind.
        let _ = kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)),
            Signal::SIGTERM,
        );
    }
    reap(child);
    match report {
        Ok(Report::Ready(state)) => Ok(state),
        Ok(Report::Failed { reason, log }) => Err(failed(reason, log)),
        Err(error) => {
            let log = File::open(project.log()).and_then(|mut log| crate::server::tail(&mut log, 20));
            Err(failed(
                format!("its supervisor said nothing: {error}"),
                log.unwrap_or_default(),
            ))
        }
    }
}

/// The new major version starts empty; say so rather than let a developer look for their rows.
fn warn_of_older_data(project: &Project, binaries: &Binaries) -> Result<(), Error> {
    let data = project.data(binaries)?;
    if project.service == Service::Postgres && !data.exists() {
        for other in project
            .existing_data()?
            .iter()
            .filter(|other| !data.starts_with(other))
        {
            tracing::warn!(
                "{} holds data of another PostgreSQL version; version {} starts with an empty database",
                other.display(),
                binaries.major(),
            );
        }
    }
    Ok(())
}

fn open_log(path: &Path) -> Result<File, Error> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        let old = path.with_extension("log.1");
        fs::rename(path, &old).map_err(Error::io("rename", path))?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("open", path))?;
    if let Some(dir) = path.parent() {
        own_like(path, dir);
    }
    Ok(log)
}

fn read_report(stdout: Option<ChildStdout>, patience: Duration) -> io::Result<Report> {
    let mut stdout = stdout.ok_or_else(|| io::Error::other("no pipe"))?;
    let deadline = Instant::now() + patience;
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut chunk = [0; 4096];
        match stdout.read(&mut chunk)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended")),
            n => text.extend(&chunk[..n]),
        }
        if text.len() > REPORT_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it talks too much"));
        }
    }
    serde_json::from_slice(&text).map_err(|_| {
        let text = String::from_utf8_lossy(&text);
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is not one: {}", text.trim()),
        )
    })
}

/// Collects the supervisor's exit status one day, so that it does not stay behind as a zombie while we live.
fn reap(mut child: Child) {
    // Without the thread there would be a zombie until we end, which harms nobody: not worth failing for.
    let _ = thread::Builder::new()
        .name("puff-supervisor-wait".into())
        .stack_size(64 * 1024)
        .spawn(move || child.wait());
}
