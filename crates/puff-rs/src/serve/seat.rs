//! A worker's half of what goes on between it and its supervisor.
//!
//! The supervisor starts a worker with its sockets open and a variable that names them. On one more socket, the
//! channel, the worker tells when it serves and when it has served enough; that the supervisor's end of it
//! closes tells that the supervisor is gone. Signals say the rest.

use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{getpid, getppid};
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::title;
use crate::errors::{ConfigError, ProgramError};
use crate::settings::Settings;
use crate::web::{Bind, Listener, listen};

/// The variable with a worker's [`Assignment`].
pub(crate) const VARIABLE: &str = "PUFF_WORKER";

/// What a supervisor gives to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// The supervisor's process id: the variable means nothing to the worker's own children.
    pub(super) supervisor: i32,
    pub(super) number: usize,
    /// How many workers there are.
    pub(super) workers: usize,
    /// The descriptors to accept from.
    pub(super) sockets: Vec<RawFd>,
    pub(super) channel: RawFd,
    /// After how many requests to say so.
    pub(super) requests: Option<u64>,
    /// Whether to tell which modules have been imported.
    pub(super) watched: bool,
    /// How many milliseconds the worker may take to end when the supervisor has gone.
    pub(super) patience: u64,
}

/// What a worker says, one line of JSON each.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// Its sockets are accepted from.
    Ready,
    /// It has answered as many requests as it should.
    Spent,
    /// The files of the modules that it has imported.
    Modules(Vec<String>),
}

/// A worker's place under its supervisor.
#[derive(Debug)]
pub(crate) struct Seat {
    assignment: Assignment,
    channel: UnixStream,
    served: AtomicU64,
}

impl Seat {
    /// The place that `settings` give to this process; `None` if it is no worker.
    ///
    /// # Errors
    /// A variable that no supervisor has written, or a channel that is not open.
    pub(crate) fn take(settings: &Settings) -> Result<Option<Arc<Seat>>, ConfigError> {
        let Some(text) = settings.variable(VARIABLE) else {
            return Ok(None);
        };
        let wrong = |reason: String| ConfigError::Rejected {
            source_name: VARIABLE.to_owned(),
            reason: format!("{reason} (supervisors set it for their workers; nobody else should)"),
        };
        let assignment: Assignment = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if assignment.supervisor != getppid().as_raw() {
            // Inherited: this is a process that a worker has started.
            return Ok(None);
        }
        let channel = adopt_channel(assignment.channel).map_err(|error| wrong(error.to_string()))?;
        title::set(&format!("puff: worker {}", assignment.number));
        Ok(Some(Arc::new(Seat {
            assignment,
            channel,
            served: AtomicU64::new(0),
        })))
    }

    /// The sockets to accept from. Call it once: the descriptors belong to what it returns.
    ///
    /// # Errors
    /// A descriptor that is no listening socket.
    pub(crate) fn listeners(&self) -> Result<Vec<Listener>, ProgramError> {
        let sockets = self.assignment.sockets.iter();
        sockets
            .map(|descriptor| listen(&Bind::Passed(*descriptor)))
            .collect()
    }

    /// The worker's number, from 1 on. While workers are replaced, two of them have the same one.
    pub(crate) fn number(&self) -> usize {
        self.assignment.number
    }

    /// How many workers share the machine.
    pub(crate) fn workers(&self) -> usize {
        self.assignment.workers
    }

    /// Whether the supervisor wants to know which modules have been imported.
    pub(crate) fn is_watched(&self) -> bool {
        self.assignment.watched
    }

    /// Says that the server accepts connections.
    pub(crate) fn ready(&self) {
        self.say(&Message::Ready);
    }

    /// Says which files the imported modules are.
    pub(crate) fn modules(&self, files: Vec<String>) {
        self.say(&Message::Modules(files));
    }

    /// Counts a request; at the limit it says so, once.
    pub(crate) fn count_request(&self) {
        if let Some(limit) = self.assignment.requests
            && self.served.fetch_add(1, Relaxed) + 1 == limit
        {
            self.say(&Message::Spent);
        }
    }

    fn say(&self, message: &Message) {
        let text = serde_json::to_string(message).map_err(io::Error::other);
        let said = text.and_then(|text| (&self.channel).write_all(format!("{text}\n").as_bytes()));
        if let Err(error) = said {
            debug!("the supervisor does not listen: {error}");
        }
    }

    /// Ends the program when the supervisor has gone without a word, so that no worker is left alone: as a
    /// signal would, and by force if that takes too long.
    pub(crate) fn follow_supervisor(self: &Arc<Seat>, stop: CancellationToken) {
        let seat = self.clone();
        // A thread, and not a task: it must see the end even if Tokio's threads are stuck.
        let started = std::thread::Builder::new()
            .name("puff-supervisor-watch".into())
            .stack_size(128 * 1024)
            .spawn(move || {
                let mut nothing = [0; 64];
                loop {
                    match (&seat.channel).read(&mut nothing) {
                        Ok(0) => break,
                        Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                        _ => {}
                    }
                }
                warn!("the supervisor has ended; this worker ends as well");
                stop.cancel();
                std::thread::sleep(Duration::from_millis(seat.assignment.patience));
                error!("the worker does not end by itself");
                // An error is not to be had: it is our own process.
                let _ = kill(getpid(), Signal::SIGKILL);
            });
        if let Err(error) = started {
            warn!("this worker will not notice the end of its supervisor: {error}");
        }
    }
}

/// How long a supervisor that is busy may leave a message unread.
const PATIENCE: Duration = Duration::from_secs(5);

fn adopt_channel(descriptor: RawFd) -> io::Result<UnixStream> {
    if descriptor < 3 {
        return Err(io::Error::other("the channel is no descriptor of ours"));
    }
    #[expect(
        unsafe_code,
        reason = "there is no other way to take over a descriptor by its number"
    )]
    // SAFETY: our parent has opened it for us and written its number into the variable; that it is our parent
    // has been checked. Nothing else in this process knows of it, and a worker takes its seat once.
    let channel = UnixStream::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    SockRef::from(&channel).set_cloexec(true)?;
    channel.set_write_timeout(Some(PATIENCE))?;
    Ok(channel)
}
