//! The process that owns a server: starts it, watches who uses it, stops it when nobody does.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::binaries::Binaries;
use crate::project::Project;
use crate::server::{Durability, NotReady, tail, wait_ready};
use crate::state::State;
use crate::{Error, Service, lock, place, postgres, process, wire};

/// How often the supervisor looks at the locks and at its server.
const TICK: Duration = Duration::from_millis(100);
/// A server that dies again this soon after it was started again is given up.
const RESTART_AFTER: Duration = Duration::from_secs(10);
/// How many times a server that fails for a reason that passes is started again.
const START_ATTEMPTS: u32 = 10;

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

/// One line in the service's log, which is our standard error.
fn log_line(text: &str) {
    let seconds = now();
    // A log that cannot be written must not end the supervisor.
    let _ = writeln!(io::stderr(), "puff[{seconds}]: {text}");
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

struct Failure {
    error: Error,
    log: String,
}

/// The server's process: our child, or the orphan of a supervisor that was killed.
enum Process {
    Child(Child),
    Adopted { pid: i32, asked: Instant },
}

impl Process {
    fn id(&self) -> i32 {
        match self {
            Self::Child(child) => i32::try_from(child.id()).unwrap_or(i32::MAX),
            Self::Adopted { pid, .. } => *pid,
        }
    }

    /// How it ended, or `None` while it lives.
    fn exited(&mut self, socket: &Path) -> Option<String> {
        match self {
            Self::Child(child) => child.try_wait().ok().flatten().map(|status| status.to_string()),
            Self::Adopted { pid, asked } => {
                if asked.elapsed() < Duration::from_secs(1) {
                    return None;
                }
                *asked = Instant::now();
                (wire::listener_pid(socket) != Some(*pid)).then(|| "it is gone".to_owned())
            }
        }
    }

    fn end(&mut self, service: Service, socket: &Path) -> bool {
        match self {
            Self::Child(child) => {
                let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
                process::end(service, pid, || !matches!(child.try_wait(), Ok(None)))
            }
            Self::Adopted { pid, .. } => process::end_orphan(service, socket, *pid),
        }
    }
}

struct Supervisor {
    project: Project,
    binaries: Binaries,
    order: Order,
    process: Process,
    state: State,
    users: File,
    stop: Arc<AtomicBool>,
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
        let alive = lock::exclusive(
            &project.supervisor_lock(),
            Instant::now() + Duration::from_secs(2),
        )
        .map_err(bare)?;
        let users = lock::open(&project.users_lock()).map_err(bare)?;
        let binaries = Binaries {
            server: order.program.clone(),
            version: order.version.clone(),
        };
        match run(&project, &binaries, &order, &users, &stop) {
            Ok((process, state)) => Ok(Self {
                project,
                binaries,
                order,
                process,
                state,
                users,
                stop,
                _alive: alive,
            }),
            Err(error) => {
                let log = File::open(project.log())
                    .and_then(|mut log| tail(&mut log, 20))
                    .unwrap_or_default();
                Err(Failure { error, log })
            }
        }
    }

    fn watch(&mut self) -> ExitCode {
        let service = self.project.service;
        let socket = service.socket(&self.state.socket_dir);
        let mut restarted: Option<Instant> = None;
        let mut idle: Option<Instant> = None;
        loop {
            thread::sleep(TICK);
            if self.stop.load(Ordering::Relaxed) {
                log_line("told to stop");
                return self.finish();
            }
            if self.users.metadata().is_ok_and(|meta| meta.nlink() == 0) {
                log_line("the project's .puff directory was removed");
                return self.finish();
            }
            let used = used(&self.users);
            let ended = self.process.exited(&socket).or_else(|| {
                // A cleaner of temporary files, or the end of a login session whose runtime directory it was.
                (!socket.exists())
                    .then(|| self.process.end(service, &socket))
                    .map(|_| "its socket is gone".to_owned())
            });
            if let Some(how) = ended {
                log_line(&format!("{service} is lost: {how}"));
                if !used || restarted.is_some_and(|at| at.elapsed() < RESTART_AFTER) {
                    self.clean();
                    return ExitCode::FAILURE;
                }
                match run(
                    &self.project,
                    &self.binaries,
                    &self.order,
                    &self.users,
                    &self.stop,
                ) {
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
            if idle.get_or_insert_with(Instant::now).elapsed() < self.order.linger {
                continue;
            }
            // Whoever starts holds this lock and is about to be a user; nobody can become one while we hold it.
            if let Ok(_start) = lock::exclusive(&self.project.start_lock(), Instant::now())
                && !self::used(&self.users)
            {
                log_line("the last user is gone");
                return self.finish();
            }
        }
    }

    fn finish(&mut self) -> ExitCode {
        let socket = self.project.service.socket(&self.state.socket_dir);
        let ended = self.process.end(self.project.service, &socket);
        self.clean();
        if ended {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn clean(&self) {
        let _ = fs::remove_file(self.project.state());
        let _ = fs::remove_dir_all(&self.state.socket_dir);
    }
}

/// Whether anyone uses the service. When in doubt, yes.
fn used(users: &File) -> bool {
    lock::is_held(users).unwrap_or(true)
}

/// Gets a server that answers: one that an earlier supervisor left, or a new one.
fn run(
    project: &Project,
    binaries: &Binaries,
    order: &Order,
    users: &File,
    stop: &AtomicBool,
) -> Result<(Process, State), Error> {
    let service = project.service;
    if let Some(adopted) = adopt(project) {
        return Ok(adopted);
    }
    let data = project.data(binaries)?;
    prepare(project, binaries, &data)?;
    let socket_dir = place::socket_dir(project.account, &project.root, service.name())?;
    let result = start(project, binaries, order, users, stop, &data, &socket_dir);
    if result.is_err() {
        let _ = fs::remove_dir_all(&socket_dir);
    }
    let (mut process, state) = result?;
    if let Err(error) = state.write(&project.state()) {
        process.end(service, &service.socket(&socket_dir));
        let _ = fs::remove_dir_all(&socket_dir);
        return Err(error);
    }
    Ok((process, state))
}

/// The server of a supervisor that was killed. Its socket answers, and the kernel says which process that is.
fn adopt(project: &Project) -> Option<(Process, State)> {
    let state = State::read(&project.state())?;
    let pid = wire::listener_pid(&project.service.socket(&state.socket_dir))?;
    project
        .service
        .is_ready(&state.socket_dir)
        .ok()
        .filter(|ready| *ready)?;
    log_line(&format!(
        "adopting the running {} with process id {pid}",
        project.service
    ));
    let supervisor_pid = i32::try_from(std::process::id()).ok()?;
    let state = State {
        server_pid: pid,
        supervisor_pid,
        ..state
    };
    state.write(&project.state()).ok()?;
    Some((
        Process::Adopted {
            pid,
            asked: Instant::now(),
        },
        state,
    ))
}

/// Makes the data directory if it is not there.
fn prepare(project: &Project, binaries: &Binaries, data: &Path) -> Result<(), Error> {
    let base = project.base()?;
    fs::create_dir_all(&base).map_err(Error::io("create", &base))?;
    match project.service {
        Service::Valkey => place::private_dir(project.account, data),
        Service::Postgres => {
            if let Some(parent) = data.parent() {
                place::private_dir(project.account, parent)?;
            }
            if data.join("PG_VERSION").is_file() {
                return Ok(());
            }
            log_line(&format!("making a new database in {}", data.display()));
            postgres::init(binaries, project.account, data)
        }
    }
}

fn start(
    project: &Project,
    binaries: &Binaries,
    order: &Order,
    users: &File,
    stop: &AtomicBool,
    data: &Path,
    socket_dir: &Path,
) -> Result<(Process, State), Error> {
    let service = project.service;
    let socket = service.socket(socket_dir);
    let failed = |reason: String| Error::StartFailed {
        service,
        reason,
        log: String::new(),
    };
    let deadline = Instant::now() + order.start_timeout;
    let given_up = || stop.load(Ordering::Relaxed) || !used(users);
    let mut attempt = 0;
    let mut process = loop {
        attempt += 1;
        let logged = fs::metadata(project.log()).map_or(0, |meta| meta.len());
        let mut process = Process::Child(spawn(project, binaries, data, socket_dir)?);
        let waited = wait_ready(
            service,
            socket_dir,
            deadline,
            || process.exited(&socket),
            given_up,
        );
        let Err(problem) = waited else { break process };
        process.end(service, &socket);
        match problem {
            NotReady::Exited(_) if attempt < START_ATTEMPTS && passes(&project.log(), logged, data) => {
                thread::sleep(Duration::from_millis(300));
            }
            NotReady::Exited(how) => {
                return Err(failed(format!("{} ended ({how})", binaries.server.display())));
            }
            NotReady::TimedOut => return Err(failed(format!("no answer within {:?}", order.start_timeout))),
            NotReady::Refused(message) => return Err(failed(message)),
            NotReady::GivenUp => return Err(failed("whoever wanted it is gone".to_owned())),
        }
    };
    if service == Service::Postgres
        && let Err(error) = postgres::ensure_database(socket_dir)
    {
        process.end(service, &socket);
        return Err(error);
    }
    let state = State {
        url: service.url(socket_dir)?,
        socket_dir: socket_dir.to_owned(),
        data_dir: data.to_owned(),
        program: binaries.server.clone(),
        version: binaries.version.clone(),
        server_pid: process.id(),
        supervisor_pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        uid: project.account.uid,
        started: now(),
    };
    Ok((process, state))
}

/// Whether the log since `from` shows a reason that passes: what is left of a killed server is still dying.
fn passes(log: &Path, from: u64, data: &Path) -> bool {
    let Ok(bytes) = fs::read(log) else { return false };
    let from = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let said = String::from_utf8_lossy(&bytes[from..]);
    // PostgreSQL takes a zombie, which `init` has not collected yet, for a living server.
    let dead = || {
        let pid = fs::read_to_string(data.join("postmaster.pid"))
            .ok()?
            .lines()
            .next()?
            .trim()
            .parse()
            .ok()?;
        Some(!process::is_alive(pid))
    };
    said.contains("is still in use") || (said.contains("already exists") && dead().unwrap_or(true))
}

fn spawn(project: &Project, binaries: &Binaries, data: &Path, socket_dir: &Path) -> Result<Child, Error> {
    let program = &binaries.server;
    let log = || {
        io::stderr()
            .as_fd()
            .try_clone_to_owned()
            .map_err(Error::io("share the log with", program))
    };
    let mut command = Command::new(program);
    postgres::clean(&mut command);
    command.args(project.service.arguments(data, socket_dir, Durability::Kept, &[]));
    command.stdin(Stdio::null()).stdout(log()?).stderr(log()?);
    project.account.apply(&mut command);
    command.spawn().map_err(Error::io("run", program))
}
