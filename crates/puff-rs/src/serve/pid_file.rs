//! The file with the id of the process to send signals to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::errors::ProgramError;

/// A pid file that is ours. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl PidFile {
    /// Writes this process's id to `path`. What a server that has ended left there is replaced.
    ///
    /// # Errors
    /// [`ProgramError::Load`] if a server that runs has written it, or it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<PidFile, ProgramError> {
        let failed =
            |reason: String| ProgramError::Load(format!("the pid file {}: {reason}", path.display()));
        let system = |error: io::Error| failed(error.to_string());
        match written_by(path).map_err(system)? {
            Some(Writer::Alive(pid)) => {
                return Err(failed(format!(
                    "process {pid} has written it and still runs; stop that server first"
                )));
            }
            Some(Writer::Gone) => fs::remove_file(path).map_err(system)?,
            Some(Writer::Nobody) => return Err(failed("it holds something else than a process id".into())),
            None => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            // Two servers that start at once: one of them gets the file, the other this error.
            .create_new(true)
            .open(path)
            .map_err(system)?;
        writeln!(file, "{}", std::process::id()).map_err(system)?;
        let identity = identity(&file).map_err(system)?;
        Ok(PidFile {
            path: path.to_owned(),
            identity,
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else's file in its place stays. After a change of user ours may have to stay as well, and
        // the next server replaces it.
        if let Ok(file) = File::open(&self.path)
            && identity(&file).is_ok_and(|found| found == self.identity)
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|data| (data.dev(), data.ino()))
}

/// Who has written a pid file.
enum Writer {
    Alive(i32),
    Gone,
    /// No server: there is no id in it.
    Nobody,
}

fn written_by(path: &Path) -> io::Result<Option<Writer>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        // A server that was killed between making the file and writing it.
        return Ok(Some(Writer::Gone));
    }
    let Ok(pid) = text.trim().parse::<i32>() else {
        return Ok(Some(Writer::Nobody));
    };
    if pid <= 0 || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return Ok(Some(Writer::Gone));
    }
    let written = fs::metadata(path)?.modified()?;
    Ok(Some(match started(pid) {
        // Ids are used again: a process younger than the file has not written it.
        Some(started) if started > written + Duration::from_secs(2) => Writer::Gone,
        _ => Writer::Alive(pid),
    }))
}

/// When a process began; `None` where the system does not tell as Linux does.
fn started(pid: i32) -> Option<SystemTime> {
    // The directory of a process has the time of its first use, which may be now: not the one that is meant.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have blanks and parentheses of its own. Field 22 is the start.
    let ticks: u64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let boot: u64 = fs::read_to_string("/proc/stat")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    // A clock tick is a hundredth of a second in all of Linux' interfaces to programs.
    Some(UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_written_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.pid");
        let file = PidFile::create(&path).unwrap();
        let id = format!("{}\n", std::process::id());
        assert_eq!(fs::read_to_string(&path).unwrap(), id);
        // This process runs.
        let error = PidFile::create(&path).unwrap_err().to_string();
        assert!(error.contains("still runs"), "{error}");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_stale_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.pid");
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let stale = ended.id();
        ended.wait().unwrap();
        fs::write(&path, stale.to_string()).unwrap();
        drop(PidFile::create(&path).unwrap());
        // The id of a process that is younger than the file.
        fs::write(&path, std::process::id().to_string()).unwrap();
        let old = File::options().write(true).open(&path).unwrap();
        old.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .unwrap();
        drop(PidFile::create(&path).unwrap());
        // Somebody else's text is not deleted.
        fs::write(&path, "precious").unwrap();
        assert!(PidFile::create(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
