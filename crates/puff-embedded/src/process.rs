//! The server's process, ours or an orphan: is it alive, end it.

use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Service, wire};

/// How long each kind of signal has to work before a harder one follows.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server's process: our child, or the orphan of a supervisor that was killed.
#[derive(Debug)]
pub(crate) enum Process {
    Child(Child),
    Adopted { pid: i32, asked: Instant },
}

impl Process {
    /// Its process id.
    pub(crate) fn id(&self) -> i32 {
        match self {
            Self::Child(child) => i32::try_from(child.id()).unwrap_or(i32::MAX),
            Self::Adopted { pid, .. } => *pid,
        }
    }

    /// How it ended, or `None` while it lives.
    pub(crate) fn exited(&mut self, socket: &Path) -> Option<String> {
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

    /// Ends it, with force if needed; returns whether it is gone.
    pub(crate) fn end(&mut self, service: Service, socket: &Path) -> bool {
        match self {
            Self::Child(child) => {
                let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
                end(service, pid, || !matches!(child.try_wait(), Ok(None)))
            }
            Self::Adopted { pid, .. } => end_orphan(service, socket, *pid),
        }
    }
}

/// The signals that end a server, the kindest first.
fn signals(service: Service) -> &'static [Signal] {
    match service {
        // Fast: abort transactions, write a checkpoint. Immediate: recover at the next start.
        Service::Postgres => &[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL],
        Service::Valkey => &[Signal::SIGTERM, Signal::SIGKILL],
    }
}

/// Sends signals until `gone`, each harder than the last; returns whether it worked.
pub(crate) fn end(service: Service, pid: i32, mut gone: impl FnMut() -> bool) -> bool {
    for signal in signals(service) {
        if gone() {
            return true;
        }
        if kill(Pid::from_raw(pid), *signal) == Err(Errno::ESRCH) {
            return true;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if gone() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    gone()
}

/// Ends a server that is nobody's child any more. Its socket proves that the process is the server: process ids are
/// used again.
pub(crate) fn end_orphan(service: Service, socket: &Path, pid: i32) -> bool {
    if wire::listener_pid(socket) != Some(pid) {
        return true;
    }
    // The socket closes before the last page is written, so it is the process that has to be gone.
    end(service, pid, || !is_alive(pid))
}

/// Whether a process exists and is not a zombie, which an `init` that does not reap keeps forever.
pub(crate) fn is_alive(pid: i32) -> bool {
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    #[cfg(target_os = "linux")]
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the name in parentheses, which may itself contain any character.
        return !stat
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    }
    true
}
