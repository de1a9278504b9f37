//! The Rust work that a program started and does not wait for: what of it still runs when the program ends.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Rust work that had not ended when its program did; see [`Runtime::settle`](crate::Runtime::settle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// The name that [`Runtime::spawn`](crate::Runtime::spawn) was given, or "blocking work".
    pub name: &'static str,
    /// Where in the program it was started.
    pub started: &'static Location<'static>,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.started.file(), self.started.line());
        write!(f, "{:?} (started at {file}:{line})", self.name)
    }
}

/// What runs, in the order in which it was started.
#[derive(Default)]
pub(crate) struct Tasks {
    running: Mutex<Running>,
    changed: Condvar,
}

#[derive(Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, Unfinished>,
}

impl Tasks {
    /// Notes that something runs, until the entry is dropped.
    pub(crate) fn enter(self: &Arc<Tasks>, name: &'static str, started: &'static Location<'static>) -> Entry {
        let mut running = self.running.lock();
        let id = running.next;
        running.next += 1;
        running.tasks.insert(id, Unfinished { name, started });
        Entry {
            tasks: self.clone(),
            id,
        }
    }

    /// Blocks this thread until nothing runs any more, `patience` at the most; what still runs.
    ///
    /// Not a future with a time-out of Tokio's: its timers stand still while all its threads are blocked, which
    /// is one of the things that a program's end has to cope with.
    pub(crate) fn wait(&self, patience: Duration) -> Vec<Unfinished> {
        let deadline = Instant::now() + patience;
        let mut running = self.running.lock();
        while !running.tasks.is_empty() && !self.changed.wait_until(&mut running, deadline).timed_out() {}
        running.tasks.values().copied().collect()
    }
}

/// One thing that runs.
pub(crate) struct Entry {
    tasks: Arc<Tasks>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tasks.running.lock().tasks.remove(&self.id);
        self.tasks.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_what_ends_and_names_what_does_not() {
        let tasks = Arc::new(Tasks::default());
        let quick = tasks.enter("quick", Location::caller());
        let slow = tasks.enter("slow", Location::caller());
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(quick);
        });
        let left = tasks.wait(Duration::from_secs(2));
        assert_eq!(left.iter().map(|each| each.name).collect::<Vec<_>>(), ["slow"]);
        assert!(
            left[0].to_string().starts_with("\"slow\" (started at "),
            "{}",
            left[0]
        );
        ending.join().unwrap();
        drop(slow);
        let begun = Instant::now();
        assert_eq!(tasks.wait(Duration::from_secs(60)), []);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
