//! What both servers have in common: arguments, readiness, the tail of a log.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Error, Service, postgres, valkey};

/// How often a starting server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(4);

/// What happens to the data when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is kept, as a database should.
    Kept,
    /// It may be lost, which makes the server faster.
    Throwaway,
}

impl Service {
    pub(crate) fn arguments(
        self,
        data: &Path,
        socket_dir: &Path,
        durability: Durability,
        settings: &[(String, String)],
    ) -> Vec<OsString> {
        match self {
            Self::Postgres => postgres::arguments(data, socket_dir, durability, settings),
            Self::Valkey => valkey::arguments(data, socket_dir, durability, settings),
        }
    }

    pub(crate) fn socket(self, socket_dir: &Path) -> PathBuf {
        match self {
            Self::Postgres => postgres::socket(socket_dir),
            Self::Valkey => valkey::socket(socket_dir),
        }
    }

    pub(crate) fn url(self, socket_dir: &Path) -> Result<String, Error> {
        match self {
            Self::Postgres => postgres::url(socket_dir, postgres::NAME),
            Self::Valkey => valkey::url(socket_dir),
        }
    }

    /// Asks once, by really connecting.
    pub(crate) fn is_ready(self, socket_dir: &Path) -> io::Result<bool> {
        match self {
            Self::Postgres => postgres::is_ready(socket_dir),
            Self::Valkey => valkey::is_ready(socket_dir),
        }
    }
}

/// Why waiting for a server ended without one.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// The process ended; the text says how.
    Exited(String),
    /// The time is over.
    TimedOut,
    /// It answers, and the answer is an error.
    Refused(String),
    /// The caller's `given_up` said so.
    GivenUp,
}

/// Asks the server until it is ready, it exits (`exited` returns how), `given_up`, or the deadline passes.
pub(crate) fn wait_ready(
    service: Service,
    socket_dir: &Path,
    deadline: Instant,
    mut exited: impl FnMut() -> Option<String>,
    mut given_up: impl FnMut() -> bool,
) -> Result<(), NotReady> {
    loop {
        // Before the question: a server that exits right after the answer is the next one's trouble.
        let exit = exited();
        match service.is_ready(socket_dir) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::Other => {
                return Err(NotReady::Refused(error.to_string()));
            }
            // Not listening yet, or hanging up while it starts.
            Err(_) => {}
        }
        if let Some(how) = exit {
            return Err(NotReady::Exited(how));
        }
        if given_up() {
            return Err(NotReady::GivenUp);
        }
        if Instant::now() >= deadline {
            return Err(NotReady::TimedOut);
        }
        thread::sleep(ASK_EVERY);
    }
}

/// The last lines of a log, at most `lines` of them and 64 KiB.
pub(crate) fn tail(log: &mut File, lines: usize) -> io::Result<String> {
    const WINDOW: u64 = 64 * 1024;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut bytes = Vec::new();
    log.take(WINDOW).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// One line of ours in the service's log, which is the supervisor's standard error.
pub(crate) fn log_line(text: &str) {
    // A log that cannot be written must not end the supervisor.
    let _ = writeln!(io::stderr(), "puff[{}]: {text}", now());
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
