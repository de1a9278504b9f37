//! What a connection is doing, and since when: enough to tell an idle one from a slow one.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a connection may be in which state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until the first request, and from the first byte of each head to its last.
    pub(super) head: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// Without the client taking a byte of an answer.
    pub(super) write: Duration,
}

/// What a connection reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing, it waits for a request.
    Idle,
    /// A head.
    Head,
    /// A body.
    Body,
    /// Frames of HTTP/2.
    Raw,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again at that time at the latest.
    Fine(Instant),
    /// It has been idle for long enough.
    Idle,
    /// The client is too slow; there is nothing to be said to it.
    Slow(&'static str),
}

/// Notes of a connection's task and its requests. Times are milliseconds since its start, so that they fit into
/// an atomic; nobody locks, and a check that comes between two notes is only early.
#[derive(Debug)]
pub(super) struct Pulse {
    start: Instant,
    phase: AtomicU8,
    /// When the phase began.
    read: AtomicU32,
    /// Since when the client takes nothing; 0 if it does.
    blocked: AtomicU32,
    /// Requests in work.
    working: AtomicU32,
    /// When the last one was done.
    freed: AtomicU32,
    served: AtomicBool,
    /// A request has come of which not all of the answer is written; on HTTP/1.
    owing: AtomicBool,
    /// The client was slow to take it.
    late: AtomicBool,
    /// Who is to be told that nothing is owed any more: the reader of a client that has said all it has to say.
    debtor: Mutex<Option<Waker>>,
    /// Whether there is one: a lock for each answer would cost more than the rest of this.
    asked: AtomicBool,
    /// An answer ends where the connection does, and is not whole.
    broken: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Pulse {
        Pulse {
            start: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            read: AtomicU32::new(0),
            blocked: AtomicU32::new(0),
            working: AtomicU32::new(0),
            freed: AtomicU32::new(0),
            served: AtomicBool::new(false),
            owing: AtomicBool::new(false),
            late: AtomicBool::new(false),
            debtor: Mutex::new(None),
            asked: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u32 {
        // 49 days; a connection that lives longer stops being watched, and no earlier.
        u32::try_from(self.start.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Bytes have come and the connection is in `phase` now.
    pub(super) fn read(&self, phase: Phase) {
        // A head's time counts from its first byte, however many come after it.
        if self.phase.swap(phase as u8, Relaxed) != phase as u8 {
            self.read.store(self.now(), Relaxed);
        }
    }

    /// Bytes were given to the client, or it did not take them.
    pub(super) fn wrote(&self, blocked: bool) {
        if !blocked {
            if self.blocked.load(Relaxed) != 0 {
                self.blocked.store(0, Relaxed);
            }
        } else if self.blocked.load(Relaxed) == 0 {
            self.blocked.store(self.now().max(1), Relaxed);
            self.late.store(true, Relaxed);
        }
    }

    /// All that was written so far is in the system's hands.
    pub(super) fn flushed(&self) {
        if !self.owing.load(Relaxed) || self.working.load(Relaxed) > 0 {
            return;
        }
        self.owing.store(false, Relaxed);
        if self.late.load(Relaxed) {
            self.late.store(false, Relaxed);
            // The connection idles from now on, and not since the answer was made.
            self.freed.store(self.now(), Relaxed);
        }
        if self.asked.load(Relaxed)
            && let Some(waker) = self.debtor.lock().take()
        {
            self.asked.store(false, Relaxed);
            waker.wake();
        }
    }

    /// Whether an answer is not written yet.
    pub(super) fn is_owing(&self) -> bool {
        self.owing.load(Relaxed)
    }

    /// Whether an answer is not written yet; `waker` is told when it is.
    pub(super) fn owes(&self, waker: &Waker) -> bool {
        let owes = self.owing.load(Relaxed);
        if owes {
            *self.debtor.lock() = Some(waker.clone());
            self.asked.store(true, Relaxed);
        }
        owes
    }

    /// An answer has failed whose end the client knows by the connection's end.
    pub(super) fn break_off(&self) {
        self.broken.store(true, Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    pub(super) fn begin(&self) {
        self.working.fetch_add(1, Relaxed);
        self.owing.store(true, Relaxed);
    }

    pub(super) fn end(&self) {
        self.served.store(true, Relaxed);
        self.freed.store(self.now(), Relaxed);
        self.working.fetch_sub(1, Relaxed);
    }

    /// Whether it is a connection of HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Raw as u8
    }

    /// For how long nothing has been going on: no request in work, none half sent.
    pub(super) fn quiet(&self) -> Duration {
        if self.working.load(Relaxed) > 0 || self.phase.load(Relaxed) == Phase::Head as u8 {
            return Duration::ZERO;
        }
        let since = self.freed.load(Relaxed).max(self.read.load(Relaxed));
        Duration::from_millis(self.now().saturating_sub(since).into())
    }

    /// Whether it has been patient for long enough.
    pub(super) fn check(&self, patience: Patience) -> Verdict {
        let now = Instant::now();
        let at = |milliseconds: u32| self.start + Duration::from_millis(milliseconds.into());
        let blocked = self.blocked.load(Relaxed);
        let stalled = (blocked != 0).then(|| at(blocked) + patience.write);
        if stalled.is_some_and(|end| end <= now) {
            return Verdict::Slow("the client does not read its answer");
        }
        let mut next = now + patience.head.min(patience.idle).min(patience.write);
        next = stalled.map_or(next, |end| next.min(end));
        let raw = self.phase.load(Relaxed) == Phase::Raw as u8;
        if self.working.load(Relaxed) > 0 || (self.owing.load(Relaxed) && !raw) {
            return Verdict::Fine(next);
        }
        let since = at(self.freed.load(Relaxed));
        let phase = self.phase.load(Relaxed);
        let end = if !self.served.load(Relaxed) {
            self.start + patience.head
        } else if phase == Phase::Head as u8 {
            since.max(at(self.read.load(Relaxed))) + patience.head
        } else {
            since + patience.idle
        };
        if end > now {
            Verdict::Fine(next.min(end))
        } else if self.served.load(Relaxed) && phase != Phase::Head as u8 {
            Verdict::Idle
        } else {
            Verdict::Slow("the client took too long to send a request")
        }
    }
}
