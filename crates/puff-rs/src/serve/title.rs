//! What `ps` and `top` show for a process.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use tracing::debug;

/// Names this process. Call it early: its arguments cannot be read any more.
///
/// Only Linux has names to change; a system that does not allow it is no reason to stop.
pub(super) fn set(title: &str) {
    // The name, of at most 15 bytes, for `top` and `ps -e`.
    let outcome = fs::write("/proc/self/comm", title).and_then(|()| overwrite_arguments(title));
    if let Err(error) = outcome {
        debug!("the process keeps its name: {error}");
    }
}

/// Writes over the memory of the arguments, which is what `ps` shows as the command line.
///
/// The way goes through the kernel (`/proc/self/mem`) and not through a pointer: the region is the C runtime's
/// strings, which no Rust value borrows, and what is left of them ends in NULs as before. `prctl` could only
/// point to another region, and for that wants a capability; a changed `argv[0]` of the new process would keep
/// Python from finding its virtual environment.
fn overwrite_arguments(title: &str) -> io::Result<()> {
    let missing = || io::Error::other("the kernel does not tell where the arguments are");
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .ok_or_else(missing)?
        .1
        .split_whitespace()
        .collect();
    // Fields 48 and 49 of proc_pid_stat(5); the first here is field 3.
    let address = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let (start, end) = address(48).zip(address(49)).ok_or_else(missing)?;
    let room = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    if start == 0 || room < 2 {
        return Err(missing());
    }
    let mut bytes = vec![0; room];
    let shown = title.len().min(room - 1);
    bytes[..shown].copy_from_slice(&title.as_bytes()[..shown]);
    OpenOptions::new()
        .write(true)
        .open("/proc/self/mem")?
        .write_all_at(&bytes, start)
}
