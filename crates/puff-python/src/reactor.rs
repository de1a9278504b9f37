//! The queue between Tokio and the hub: plain Rust data in, drained in batches by one Python thread.
//!
//! Any thread pushes; only the hub's thread waits. A push wakes the hub only when it is parked, so under
//! load a whole batch costs one wake-up. Delivering results one by one instead, each from a Tokio thread
//! that attaches to Python, costs about ten times the CPU.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::poller::Poller;
use crate::quick::{Fresh, Kinds, poll_all};
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
    queue: Mutex<Queue>,
    timers: Mutex<Timers>,
    /// The hub sleeps, or is about to.
    parked: AtomicBool,
    /// Somebody wants the hub to return from `wait` though there may be no event (a signal, a stop).
    woken: AtomicBool,
    poller: Poller,
    /// The hub's last batch was one greenlet to resume or start: while that one runs, the hub has no other
    /// work at hand than what is in the queue.
    sole: AtomicBool,
    busy_since: Mutex<Option<Instant>>,
    /// Whether somebody wants to know `busy`.
    measured: AtomicBool,
    /// Nanoseconds for which the hub ran Python.
    busy: AtomicU64,
    kinds: Kinds,
    tokio: tokio::runtime::Handle,
}

#[derive(Default)]
struct Queue {
    events: Vec<Event>,
    /// Futures that the hub polls itself, before it looks at the events.
    fresh: Vec<Fresh>,
    /// The hub has ended: nobody will look at events any more.
    closed: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.fresh.is_empty()
    }
}

#[derive(Default)]
struct Timers {
    heap: BinaryHeap<Timer>,
    sequence: u64,
    /// How long the heap may grow before what was cancelled is swept out of it.
    sweep_at: usize,
}

impl Timers {
    /// Drops timers that nobody waits for any more; most time-outs never fire. Amortised constant time.
    fn sweep(&mut self) {
        if self.heap.len() >= self.sweep_at {
            self.heap.retain(|timer| !timer.action.is_finished());
            self.sweep_at = (self.heap.len() * 2).max(1024);
        }
    }
}

struct Timer {
    due: Instant,
    sequence: u64,
    action: Action,
}

/// What happens when a timer is due.
pub(crate) enum Action {
    /// A waiter is completed with `None`.
    Complete(Py<Waiter>),
    /// The hub calls a function.
    Call(Py<Alarm>),
}

impl Action {
    fn is_finished(&self) -> bool {
        match self {
            Action::Complete(waiter) => waiter.get().is_finished(),
            Action::Call(alarm) => alarm.get().done.load(Ordering::Relaxed),
        }
    }
}

/// A call that the hub makes later, unless it is cancelled before.
#[pyclass(frozen, module = "puff", name = "Alarm")]
pub(crate) struct Alarm {
    done: AtomicBool,
    function: Py<PyAny>,
    argument: Py<PyAny>,
}

#[pymethods]
impl Alarm {
    /// The call is not made; nothing happens if it was.
    fn cancel(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Alarm {
    pub(crate) fn new(function: Py<PyAny>, argument: Py<PyAny>) -> Alarm {
        Alarm {
            done: AtomicBool::new(false),
            function,
            argument,
        }
    }
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
    /// # Errors
    /// When the process may open no more files.
    pub(crate) fn new(tokio: tokio::runtime::Handle) -> std::io::Result<Reactor> {
        Ok(Reactor {
            queue: Mutex::default(),
            timers: Mutex::new(Timers::default()),
            parked: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            poller: Poller::new()?,
            sole: AtomicBool::new(false),
            busy_since: Mutex::new(None),
            measured: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            kinds: Kinds::default(),
            tokio,
        })
    }

    pub(crate) fn tokio(&self) -> &tokio::runtime::Handle {
        &self.tokio
    }

    /// What watches the sockets that the hub's greenlets use directly.
    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    pub(crate) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Hands an event to the hub, from any thread. After its end the event is dropped, and with a job the
    /// promise to do it, so that whoever waits for it learns.
    pub(crate) fn push(&self, event: Event) {
        self.enqueue(event, |queue| &mut queue.events);
    }

    /// Hands a future to the hub, which polls it before its next batch. Likewise.
    pub(crate) fn push_fresh(&self, fresh: Fresh) {
        self.enqueue(fresh, |queue| &mut queue.fresh);
    }

    fn enqueue<T>(&self, item: T, place: impl FnOnce(&mut Queue) -> &mut Vec<T>) {
        let mut queue = self.queue.lock();
        if queue.closed {
            drop(queue);
            drop(item);
            return;
        }
        place(&mut queue).push(item);
        drop(queue);
        self.unpark();
    }

    /// The hub has ended: drops what is queued and what will be.
    pub(crate) fn close(&self) {
        let left = std::mem::replace(
            &mut *self.queue.lock(),
            Queue {
                closed: true,
                ..Queue::default()
            },
        );
        // Without the lock: what is dropped may push.
        drop(left);
    }

    /// Makes the hub return from `wait` soon, with or without an event.
    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if self.parked.swap(false, Ordering::SeqCst) {
            self.poller.wake();
        }
    }

    /// Does `action` at `due`, unless what it is for is finished before.
    pub(crate) fn at(&self, due: Instant, action: Action) {
        let first = {
            let mut timers = self.timers.lock();
            timers.sweep();
            let sequence = timers.sequence;
            timers.sequence += 1;
            let first = timers.heap.peek().is_none_or(|next| due < next.due);
            timers.heap.push(Timer {
                due,
                sequence,
                action,
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
        self.rest();
        // The sockets are looked at in each turn, also when there is enough to do without them.
        if self.poller.expected() > 0 && !self.queue.lock().is_empty() {
            py.detach(|| self.poller.attend(&self.poller.glance()));
        }
        let events = self.next_batch(py);
        let sole = matches!(
            events.as_slice(),
            [Event::Resume(_) | Event::Call(..) | Event::Job(_)]
        );
        self.sole.store(sole, Ordering::Relaxed);
        *self.busy_since.lock() = Some(Instant::now());
        events
    }

    /// Takes what there is to do, without waiting for more.
    pub(crate) fn look(&self, py: Python<'_>) -> Vec<Event> {
        self.rest();
        if self.poller.expected() > 0 {
            py.detach(|| self.poller.attend(&self.poller.glance()));
        }
        // There is more, or nobody would look.
        self.sole.store(false, Ordering::Relaxed);
        let events = self.take(py);
        *self.busy_since.lock() = Some(Instant::now());
        events
    }

    /// Waits for the result of `waiter` in the hub's place, on the stack of the greenlet that wants it, as long
    /// as that is all there is to do; whether the result has come. If not, the greenlet has to park itself.
    ///
    /// Where one greenlet has the hub to itself this saves it the way to the hub and back.
    pub(crate) fn wait_alone(&self, py: Python<'_>, waiter: &Py<Waiter>) -> bool {
        // Where others await answers too, one of theirs is likely to come first.
        if !self.sole.load(Ordering::Relaxed) || self.poller.expected() > 1 {
            return false;
        }
        self.rest();
        let come = loop {
            self.fire_timers(py);
            let mut queue = self.queue.lock();
            match queue.events.as_slice() {
                [] if queue.fresh.is_empty() && !self.woken.load(Ordering::SeqCst) => {}
                [Event::Resume(other)] if queue.fresh.is_empty() && other.as_ptr() == waiter.as_ptr() => {
                    queue.events.clear();
                    break true;
                }
                _ => break false,
            }
            drop(queue);
            self.park(py);
        };
        *self.busy_since.lock() = Some(Instant::now());
        come
    }

    /// The hub has done what there was.
    fn rest(&self) {
        let since = self.busy_since.lock().take();
        if let Some(since) = since.filter(|_| self.measured.load(Ordering::Relaxed)) {
            let spent = since.elapsed().as_nanos() as u64;
            self.busy.fetch_add(spent, Ordering::Relaxed);
        }
    }

    fn next_batch(&self, py: Python<'_>) -> Vec<Event> {
        loop {
            let events = self.take(py);
            if !events.is_empty() || self.woken.swap(false, Ordering::SeqCst) {
                return events;
            }
            self.park(py);
        }
    }

    /// What is to be done now.
    fn take(&self, py: Python<'_>) -> Vec<Event> {
        self.fire_timers(py);
        let fresh = std::mem::take(&mut self.queue.lock().fresh);
        if !fresh.is_empty() {
            poll_all(py, fresh, self);
        }
        std::mem::take(&mut self.queue.lock().events)
    }

    /// Sleeps, detached, until something was pushed, a timer is due or a socket has news.
    fn park(&self, py: Python<'_>) {
        // Parked first, looked at second: who pushes in between sees `parked` and wakes the next sleep.
        self.parked.store(true, Ordering::SeqCst);
        let next = self.timers.lock().heap.peek().map(|timer| timer.due);
        if self.queue.lock().is_empty() && !self.woken.load(Ordering::SeqCst) {
            py.detach(|| {
                let news = self.poller.sleep(next);
                // Awake: what the sockets bring is pushed by this thread, and needs no waking.
                self.parked.store(false, Ordering::SeqCst);
                self.poller.attend(&news);
            });
        }
        self.parked.store(false, Ordering::SeqCst);
    }

    /// Does what is due.
    fn fire_timers(&self, py: Python<'_>) {
        let mut timers = self.timers.lock();
        let mut now = None;
        while let Some(next) = timers.heap.peek() {
            if !next.action.is_finished() && next.due > *now.get_or_insert_with(Instant::now) {
                return;
            }
            let Some(timer) = timers.heap.pop() else { return };
            match timer.action {
                Action::Complete(waiter) => {
                    Waiter::complete(waiter, Box::new(|py| Ok(py.None())));
                }
                Action::Call(alarm) => {
                    let alarm = alarm.get();
                    if !alarm.done.swap(true, Ordering::Relaxed) {
                        self.push(Event::InHub(
                            alarm.function.clone_ref(py),
                            alarm.argument.clone_ref(py),
                        ));
                    }
                }
            }
        }
    }

    /// Whether something waits for the hub.
    pub(crate) fn has_events(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    /// How many events wait for the hub.
    pub(crate) fn queued(&self) -> usize {
        let queue = self.queue.lock();
        queue.events.len() + queue.fresh.len()
    }

    /// From now on the time in which the hub runs Python is summed up.
    pub(crate) fn measure(&self) {
        self.measured.store(true, Ordering::Relaxed);
    }

    /// For how long the hub has run Python since `measure`. What it does right now counts once it is done.
    pub(crate) fn busy_time(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    /// Since when the hub has been running Python without looking at its queue; `None` while it waits.
    pub(crate) fn busy_since(&self) -> Option<Instant> {
        *self.busy_since.lock()
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
