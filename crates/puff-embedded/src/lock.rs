//! Locks between processes: `flock` on files of `.puff/run`, which the kernel releases however a process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

/// How often a lock that someone holds is tried again. A blocking `flock` has no time-out.
const RETRY: Duration = Duration::from_millis(5);

/// Opens a lock's file, which is never removed: two files of one name would be two locks.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    // Only the owner: a lock that strangers can open is a lock that strangers can hold.
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(path);
    file.map_err(Error::io("open", path))
}

/// Waits for the sole possession of a lock; the lock lives as long as the file.
pub(crate) fn exclusive(path: &Path, deadline: Instant) -> Result<File, Error> {
    wait(path, deadline, File::try_lock)
}

/// Waits for a share of a lock; the share lives as long as the file.
pub(crate) fn shared(path: &Path, deadline: Instant) -> Result<File, Error> {
    wait(path, deadline, File::try_lock_shared)
}

/// Whether somebody else holds `file`'s lock. The answer takes the lock for a moment, so everyone who wants it retries.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn wait(
    path: &Path,
    deadline: Instant,
    take: impl Fn(&File) -> Result<(), TryLockError>,
) -> Result<File, Error> {
    let begin = Instant::now();
    let file = open(path)?;
    loop {
        match take(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another process holds {}", path.display());
                return Err(Error::TimedOut {
                    what,
                    waited: begin.elapsed(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Io {
                    action: "lock",
                    path: path.to_owned(),
                    source,
                });
            }
        }
    }
}
