//! Where lines go: a thread of their own writes them, so that no thread of Tokio's waits for a disk or a pipe.
//!
//! tracing-appender has such a thread as well, but knows no files that are moved away.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tracing::{error, warn};

/// Most bytes that wait to be written; lines beyond are dropped, and counted.
const MOST_PENDING: usize = 4 << 20;
/// How long lines are collected for one write, once there is a first.
const COLLECT: Duration = Duration::from_millis(50);
/// How often a file is looked for at its path.
const LOOK: Duration = Duration::from_secs(1);
/// How often trouble is told.
const TELL: Duration = Duration::from_secs(10);
/// How long the last lines may take at the end.
const LAST: Duration = Duration::from_secs(2);

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    Stdout,
    Stderr,
    File(PathBuf),
}

/// The queue before the thread that writes. Dropping it lets the thread finish what is there.
pub(super) struct Sink {
    shared: Arc<Shared>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    pending: Vec<u8>,
    /// The thread sleeps until there is a line.
    asleep: bool,
    closed: bool,
}

impl Sink {
    /// Opens the destination and starts the thread.
    ///
    /// # Errors
    /// A file that cannot be opened; no thread to be had.
    pub(super) fn open(destination: Destination) -> io::Result<Sink> {
        let mut output = Output::open(destination)?;
        let shared = Arc::<Shared>::default();
        let (done, ended) = oneshot::channel();
        let of_thread = shared.clone();
        std::thread::Builder::new()
            .name("puff-access-log".to_owned())
            .spawn(move || {
                write_all(&of_thread, &mut output);
                drop(done);
            })?;
        Ok(Sink {
            shared,
            ended: Mutex::new(Some(ended)),
        })
    }

    /// Queues a line, which ends with its line feed. Never waits for the destination.
    pub(super) fn push(&self, line: &[u8]) {
        let mut queue = self.shared.queue.lock();
        if queue.closed || queue.pending.len() + line.len() > MOST_PENDING {
            drop(queue);
            self.shared.dropped.fetch_add(1, Relaxed);
            return;
        }
        queue.pending.extend_from_slice(line);
        if std::mem::take(&mut queue.asleep) {
            self.shared.news.notify_one();
        }
    }

    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Takes no more lines, and waits a moment until those that are there have been written.
    pub(super) async fn close(&self) {
        self.shared.close();
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            // Nothing is ever sent: the error is the thread's end.
            let _ = tokio::time::timeout(LAST, ended).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        self.queue.lock().closed = true;
        self.news.notify_one();
    }

    /// Waits for lines and takes all of them; `None` at the end.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        batch.clear();
        let mut queue = self.queue.lock();
        while queue.pending.is_empty() {
            if queue.closed {
                return false;
            }
            queue.asleep = true;
            self.news.wait(&mut queue);
        }
        std::mem::swap(&mut queue.pending, batch);
        true
    }

    /// Lets lines collect. Without it a busy server would wake this thread for each of them.
    fn collect(&self) {
        let mut queue = self.queue.lock();
        if !queue.closed {
            self.news.wait_for(&mut queue, COLLECT);
        }
    }
}

/// The thread's work.
fn write_all(shared: &Shared, output: &mut Output) {
    let mut batch = Vec::new();
    let (mut told, mut known) = (None::<Instant>, 0);
    while shared.take(&mut batch) {
        let failed = output.write(&batch).err();
        let dropped = shared.dropped.load(Relaxed);
        if (failed.is_some() || dropped > known) && told.is_none_or(|told| told.elapsed() >= TELL) {
            told = Some(Instant::now());
            if let Some(failed) = failed {
                error!("the access log cannot be written: {failed}");
            }
            if dropped > known {
                let lines = dropped - known;
                warn!(lines, "the access log is written too slowly, lines were dropped");
                known = dropped;
            }
        }
        shared.collect();
    }
}

enum Output {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File {
        path: PathBuf,
        file: File,
        looked: Instant,
    },
}

impl Output {
    fn open(destination: Destination) -> io::Result<Output> {
        Ok(match destination {
            Destination::Stdout => Output::Stdout(io::stdout()),
            Destination::Stderr => Output::Stderr(io::stderr()),
            Destination::File(path) => Output::File {
                file: append_to(&path)?,
                path,
                looked: Instant::now(),
            },
        })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => stdout.write_all(lines).and_then(|()| stdout.flush()),
            Output::Stderr(stderr) => stderr.write_all(lines),
            Output::File { path, file, looked } => {
                if looked.elapsed() >= LOOK {
                    *looked = Instant::now();
                    // logrotate and its like move the file away; no signal has to tell us.
                    if !is_at(file, path) {
                        *file = append_to(path)?;
                    }
                }
                file.write_all(lines)
            }
        }
    }
}

/// Opened to append, so that one who cuts the file off in place leaves no hole in it.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |data: std::fs::Metadata| (data.dev(), data.ino());
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(found)) => identity(open) == identity(found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_arrive_and_a_moved_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        let sink = Sink::open(Destination::File(path.clone())).unwrap();
        sink.push(b"one\n");
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::read(&path).unwrap() != b"one\n" {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::rename(&path, &moved).unwrap();
        while !path.exists() {
            assert!(Instant::now() < deadline);
            sink.push(b"more\n");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        sink.push(b"last\n");
        sink.close().await;
        assert!(std::fs::read(&path).unwrap().ends_with(b"last\n"));
        assert!(std::fs::read(&moved).unwrap().starts_with(b"one\n"));
        assert_eq!(sink.dropped(), 0);
        sink.push(b"too late\n");
        assert_eq!(sink.dropped(), 1);
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_costs_lines_and_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        // Held open and never read from.
        let _reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let sink = Sink::open(Destination::File(path)).unwrap();
        let line = vec![b'x'; 64 << 10];
        for _ in 0..200 {
            sink.push(&line);
        }
        // The pipe holds one line, the thread may have taken some, and the queue holds 64.
        assert!(sink.dropped() > 0 && sink.dropped() < 200);
        assert!(sink.shared.queue.lock().pending.len() <= MOST_PENDING);
    }
}
