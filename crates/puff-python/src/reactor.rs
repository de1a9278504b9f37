//! The queue between Tokio and the hub: plain Rust data in, drained in batches by one Python thread.
//!
//! Any thread pushes; only the hub's thread waits. A push wakes the hub only when it is parked, so under
//! load a whole batch costs one wake-up. Delivering results one by one instead, each from a Tokio thread
//! that attaches to Python, costs about ten times the CPU.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::waiter::Waiter;

/// Work for the hub.
pub(crate) enum Event {
    /// A waiter was completed: resume its greenlet.
    Resume(Py<Waiter>),
    /// Rust data that becomes a call in a greenlet of its own.
    Job(Box<dyn Job>),
    /// A Python callable and its one argument, for a greenlet of its own.
    Call(Py<PyAny>, Py<PyAny>),
    /// The same, to be called by the hub itself: it may switch to greenlets, but never waits.
    InHub(Py<PyAny>, Py<PyAny>),
}

/// Work that enters Python: turned into a call once the hub is attached.
pub(crate) trait Job: Send {
    /// The function to call and its one argument. Runs on the hub's thread and must not wait.
    ///
    /// # Errors
    /// An error is logged; whoever waits for the job learns of it by the drop of `self`.
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)>;
}

/// Queue, timers and parking of one hub.
pub(crate) struct Reactor {
    queue: Mutex<Vec<Event>>,
    timers: Mutex<Timers>,
    /// The hub sleeps, or is about to.
    parked: AtomicBool,
    /// Somebody wants the hub to return from `wait` though there may be no event (a signal, a stop).
    woken: AtomicBool,
    thread: OnceLock<Thread>,
    tokio: tokio::runtime::Handle,
}

#[derive(Default)]
struct Timers {
    heap: BinaryHeap<Timer>,
    sequence: u64,
}

struct Timer {
    due: Instant,
    sequence: u64,
    waiter: Py<Waiter>,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    /// The earliest is the greatest: `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Order {
        other.due.cmp(&self.due).then(other.sequence.cmp(&self.sequence))
    }
}

impl Reactor {
    pub(crate) fn new(tokio: tokio::runtime::Handle) -> Reactor {
        Reactor {
            queue: Mutex::new(Vec::with_capacity(64)),
            timers: Mutex::new(Timers::default()),
            parked: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            thread: OnceLock::new(),
            tokio,
        }
    }

    pub(crate) fn tokio(&self) -> &tokio::runtime::Handle {
        &self.tokio
    }

    /// Hands an event to the hub, from any thread.
    pub(crate) fn push(&self, event: Event) {
        self.queue.lock().push(event);
        self.unpark();
    }

    /// Makes the hub return from `wait` soon, with or without an event.
    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if self.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Completes `waiter` with `None` at `due`, unless something else completes it before.
    pub(crate) fn wake_at(&self, due: Instant, waiter: Py<Waiter>) {
        let first = {
            let mut timers = self.timers.lock();
            let sequence = timers.sequence;
            timers.sequence += 1;
            let first = timers.heap.peek().is_none_or(|next| due < next.due);
            timers.heap.push(Timer {
                due,
                sequence,
                waiter,
            });
            first
        };
        if first {
            self.unpark();
        }
    }

    /// Waits, detached from Python, until there is something to do, and takes all of it.
    ///
    /// An empty batch means that the hub was woken without an event.
    pub(crate) fn wait(&self, py: Python<'_>) -> Vec<Event> {
        self.thread.get_or_init(std::thread::current);
        loop {
            self.fire_timers();
            let events = std::mem::take(&mut *self.queue.lock());
            if !events.is_empty() || self.woken.swap(false, Ordering::SeqCst) {
                return events;
            }
            // Parked first, looked at second: who pushes in between sees `parked` and leaves a token.
            self.parked.store(true, Ordering::SeqCst);
            let next = self.timers.lock().heap.peek().map(|timer| timer.due);
            if self.queue.lock().is_empty() && !self.woken.load(Ordering::SeqCst) {
                py.detach(|| park(next));
            }
            self.parked.store(false, Ordering::SeqCst);
        }
    }

    /// Completes the waiters whose time has come.
    fn fire_timers(&self) {
        let mut timers = self.timers.lock();
        let mut now = None;
        while let Some(next) = timers.heap.peek() {
            if next.waiter.get().is_finished() {
                timers.heap.pop();
                continue;
            }
            let now = *now.get_or_insert_with(Instant::now);
            if next.due > now {
                return;
            }
            if let Some(timer) = timers.heap.pop() {
                Waiter::complete(timer.waiter, Box::new(|py| Ok(py.None())));
            }
        }
    }
}

fn park(until: Option<Instant>) {
    match until {
        None => std::thread::park(),
        Some(due) => std::thread::park_timeout(due.saturating_duration_since(Instant::now())),
    }
}

/// The instant `seconds` from now; a negative or absurdly long wait is brought into range.
pub(crate) fn deadline(seconds: f64) -> Instant {
    const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    let wait = Duration::try_from_secs_f64(seconds.max(0.0))
        .unwrap_or(FOREVER)
        .min(FOREVER);
    Instant::now() + wait
}
