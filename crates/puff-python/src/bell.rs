//! How an asyncio loop hears what Tokio has finished: by a file descriptor that it watches, on its own thread.
//!
//! The hub has no part in it: a greenlet may wait for that very loop, and the hub's thread with it
//! (`asgiref.sync.async_to_sync` does so).

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::reactor::Reactor;
use crate::waiter::Waiter;

/// Finished waiters of one loop, and what it is told by.
pub(crate) struct Finished {
    waiters: Mutex<Vec<Py<Waiter>>>,
    news: EventFd,
}

impl Finished {
    /// `waiter` has its result; from any thread, attached or not.
    pub(crate) fn push(&self, waiter: Py<Waiter>) {
        let first = {
            let mut waiters = self.waiters.lock();
            waiters.push(waiter);
            waiters.len() == 1
        };
        if first {
            // Fails only when the counter is full, and then the loop is being told as it is.
            let _ = self.news.write(1);
        }
    }
}

/// What one asyncio loop watches.
#[pyclass(frozen, module = "puff", name = "Bell")]
pub(crate) struct Bell {
    reactor: Arc<Reactor>,
    finished: Arc<Finished>,
}

impl Bell {
    /// # Errors
    /// When the process may open no more files.
    pub(crate) fn new(reactor: Arc<Reactor>) -> std::io::Result<Bell> {
        let news = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let waiters = Mutex::default();
        Ok(Bell {
            reactor,
            finished: Arc::new(Finished { waiters, news }),
        })
    }
}

#[pymethods]
impl Bell {
    /// The file descriptor that is readable when there is something to `take`. It is closed with the bell.
    fn fileno(&self) -> RawFd {
        self.finished.news.as_raw_fd()
    }

    /// A waiter that comes out of `take` when it has its result.
    fn waiter(&self) -> Waiter {
        Waiter::of_loop(self.reactor.clone(), self.finished.clone())
    }

    /// The waiters that have got their results since the last time.
    fn take(&self) -> Vec<Py<Waiter>> {
        // In this order: what is pushed in between rings once more than is needed.
        let _ = self.finished.news.read();
        std::mem::take(&mut *self.finished.waiters.lock())
    }
}
