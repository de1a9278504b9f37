//! Where the hub sleeps: until another thread wakes it, a moment has come, or a socket of its own has news.
//!
//! Sockets that only the hub's greenlets use are watched here and not by Tokio: what arrives is read by the
//! thread that wants it, and no other has to be woken for it.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;

/// The token of the descriptor that other threads wake the hub with.
const WAKE: u64 = 0;
/// How many sockets with news are looked at in one go.
const BATCH: usize = 128;

/// A socket that the hub watches, and what is done with it.
pub(crate) trait Source: Send + Sync {
    /// There may be something to read or room to write. On the hub's thread, detached from Python; must not
    /// block.
    fn ready(self: Arc<Self>);
}

/// Which sockets have something to read, or room.
pub(crate) struct News<'p> {
    events: MutexGuard<'p, [EpollEvent; BATCH]>,
    count: usize,
}

/// What a hub sleeps on.
pub(crate) struct Poller {
    epoll: Epoll,
    wake: EventFd,
    sources: Mutex<Sources>,
    /// Where the system tells its news, to the one hub that asks. Not on the stack: most are about one socket,
    /// and the rest of the array need not be touched.
    events: Mutex<[EpollEvent; BATCH]>,
    /// How many answers are awaited from the sockets.
    expected: AtomicUsize,
}

#[derive(Default)]
struct Sources {
    by_token: FxHashMap<u64, Weak<dyn Source>>,
    last_token: u64,
}

impl Poller {
    /// # Errors
    /// When the process may open no more files.
    pub(crate) fn new() -> std::io::Result<Poller> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        // By edges: each write is news, and nobody has to read the counter back.
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, WAKE);
        epoll.add(&wake, event)?;
        Ok(Poller {
            epoll,
            wake,
            sources: Mutex::default(),
            events: Mutex::new([EpollEvent::empty(); BATCH]),
            expected: AtomicUsize::new(0),
        })
    }

    /// Ends the sleep, or the next one; from any thread.
    pub(crate) fn wake(&self) {
        // Fails only when the counter is full, and then the hub is being woken as it is.
        let _ = self.wake.write(1);
    }

    /// Watches `socket` for `source`, until it is [forgotten](Self::forget); the token to name it by.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn watch(&self, socket: impl AsFd, source: Weak<dyn Source>) -> std::io::Result<u64> {
        let mut sources = self.sources.lock();
        let token = sources.last_token + 1;
        // What has arrived before is reported too. Room to write is not watched: it comes up with every
        // statement, and is wanted at hardly any.
        self.epoll.add(&socket, interest(token, false))?;
        sources.last_token = token;
        sources.by_token.insert(token, source);
        Ok(token)
    }

    /// Whether room to write is watched as well.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn watch_writing(&self, socket: impl AsFd, token: u64, writing: bool) -> std::io::Result<()> {
        Ok(self.epoll.modify(&socket, &mut interest(token, writing))?)
    }

    /// Watches `socket` no longer.
    pub(crate) fn forget(&self, socket: impl AsFd, token: u64) {
        self.sources.lock().by_token.remove(&token);
        // It may be closed already, which forgets it as well.
        let _ = self.epoll.delete(&socket);
    }

    /// Somebody awaits an answer from a socket; until that is [over](Self::expect_no_more) a hub that never
    /// sleeps looks at its sockets now and then.
    pub(crate) fn expect(&self) {
        self.expected.fetch_add(1, Ordering::Relaxed);
    }

    /// One answer less is awaited.
    pub(crate) fn expect_no_more(&self) {
        self.expected.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many answers are awaited.
    pub(crate) fn expected(&self) -> usize {
        self.expected.load(Ordering::Relaxed)
    }

    /// Sleeps until something is up, `until` at most; what the sockets have.
    pub(crate) fn sleep(&self, until: Option<Instant>) -> News<'_> {
        let Some(until) = until else {
            return self.look(EpollTimeout::NONE);
        };
        // epoll counts milliseconds, which is coarse for a timer; ppoll on it counts nanoseconds.
        let left = until.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        let limit = TimeSpec::from_duration(left.min(Duration::from_secs(86_400)));
        match ppoll(&mut polled, Some(limit), None) {
            Ok(ready) if ready > 0 => self.look(EpollTimeout::ZERO),
            _ => News {
                events: self.events.lock(),
                count: 0,
            },
        }
    }

    /// What the sockets have now.
    pub(crate) fn glance(&self) -> News<'_> {
        self.look(EpollTimeout::ZERO)
    }

    fn look(&self, limit: EpollTimeout) -> News<'_> {
        let mut events = self.events.lock();
        let count = match self.epoll.wait(&mut *events, limit) {
            Ok(count) => count,
            // A signal: the hub looks at its flags and comes back.
            Err(Errno::EINTR) => 0,
            Err(error) => {
                tracing::error!("the hub cannot wait for its sockets: {error}");
                0
            }
        };
        News { events, count }
    }

    /// Lets the sockets with news do what they have to.
    pub(crate) fn attend(&self, news: &News<'_>) {
        for event in &news.events[..news.count] {
            // Without the lock: a source may watch or forget.
            let source = self.source(event.data());
            if let Some(source) = source {
                source.ready();
            }
        }
    }

    fn source(&self, token: u64) -> Option<Arc<dyn Source>> {
        self.sources.lock().by_token.get(&token).and_then(Weak::upgrade)
    }
}

fn interest(token: u64, writing: bool) -> EpollEvent {
    let mut flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
    flags.set(EpollFlags::EPOLLOUT, writing);
    EpollEvent::new(flags, token)
}
