//! A worker as its supervisor sees it: a process, its channel, what becomes of it.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::crew::Id;
use super::seat::{Assignment, Message, VARIABLE};

/// What happens to workers.
#[derive(Debug)]
pub(super) enum Event {
    Said(Id, Message),
    Ended(Id, ExitStatus),
}

/// How workers are started.
#[derive(Debug)]
pub(super) struct Launcher {
    /// The command, first its program.
    pub(super) command: Vec<OsString>,
    /// Where it runs, if that is another place than this process's.
    pub(super) directory: Option<PathBuf>,
    pub(super) events: mpsc::Sender<Event>,
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: u32,
    pub(super) started: SystemTime,
    signals: mpsc::Sender<Signal>,
}

impl Launcher {
    /// Starts a worker. `assignment` needs no channel yet.
    ///
    /// # Errors
    /// If the system has no process or no descriptor left, or the command is gone.
    pub(super) fn start(&self, id: Id, mut assignment: Assignment) -> io::Result<Worker> {
        let (ours, theirs) = StdUnixStream::pair()?;
        SockRef::from(&theirs).set_cloexec(false)?;
        ours.set_nonblocking(true)?;
        assignment.channel = theirs.as_raw_fd();
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| io::Error::other("there is no command"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env(VARIABLE, serde_json::to_string(&assignment)?)
            // Meant for us: the sockets are the supervisor's now.
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES");
        if let Some(directory) = self.directory.as_ref().filter(|directory| directory.is_dir()) {
            command.current_dir(directory);
        }
        let started = SystemTime::now();
        let child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        let (signals, orders) = mpsc::channel(8);
        tokio::spawn(attend(id, child, orders, self.events.clone()));
        let channel = UnixStream::from_std(ours)?;
        tokio::spawn(listen(id, channel, self.events.clone()));
        Ok(Worker {
            pid,
            started,
            signals,
        })
    }
}

impl Worker {
    /// Sends a signal, unless the process has ended.
    pub(super) fn signal(&self, signal: Signal) {
        // Full: it has not even taken the last eight. Closed: it has ended.
        let _ = self.signals.try_send(signal);
    }

    /// Its resident memory in bytes; `None` where the system does not tell as Linux does.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }
}

/// Waits for the end of a worker. Signals go through here, so that none goes to a process that has been waited
/// for and whose id may be another's by now.
async fn attend(id: Id, mut child: Child, mut orders: mpsc::Receiver<Signal>, events: mpsc::Sender<Event>) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(signal) = orders.recv() => {
                if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
                    && let Err(error) = kill(Pid::from_raw(pid), signal)
                {
                    warn!("cannot send {signal} to process {pid}: {error}");
                }
            }
        }
    };
    let status = status.unwrap_or_else(|error| {
        warn!("cannot tell how a worker has ended: {error}");
        ExitStatus::from_raw(1 << 8)
    });
    // Closed: the supervisor has ended.
    let _ = events.send(Event::Ended(id, status)).await;
}

/// Most bytes of a message: the files of some ten thousand modules.
const LONGEST: u64 = 4 << 20;

/// Hears what a worker says, to its end. The channel closes when this process ends, and not before.
async fn listen(id: Id, channel: UnixStream, events: mpsc::Sender<Event>) {
    let mut reader = BufReader::new(channel);
    loop {
        let mut line = String::new();
        match (&mut reader).take(LONGEST).read_line(&mut line).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                debug!("the channel of a worker broke: {error}");
                return;
            }
        }
        match serde_json::from_str(&line) {
            Ok(message) => {
                if events.send(Event::Said(id, message)).await.is_err() {
                    return;
                }
            }
            Err(error) => warn!("a worker said what is no message: {error}"),
        }
    }
}

/// How a worker ended: the status that a shell would show, and words that complete "worker 1 ...".
pub(super) fn told(pid: u32, status: ExitStatus) -> (i32, String) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (code, format!("(process {pid}) ended with status {code}")),
        (None, Some(signal)) => {
            let name = Signal::try_from(signal).map_or("an unknown signal", Signal::as_str);
            (128 + signal, format!("(process {pid}) was ended by {name}"))
        }
        (None, None) => (1, format!("(process {pid}) ended")),
    }
}
