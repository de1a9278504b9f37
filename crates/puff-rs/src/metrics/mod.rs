//! Numbers for operators, in Prometheus' form: counted here, written by `page` when somebody asks.
//!
//! prometheus-client writes the text. Its own counters with labels take a lock and hash the labels at each
//! request; these are plain atomics in arrays.

mod page;
mod process;
mod pubsub;
mod redis;
mod server;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::{Method, StatusCode};

pub(crate) use server::{MetricsServer, serve_metrics};

/// The numbers of one server. Clones count together.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Numbers>,
}

/// Methods that are counted apart; the rest is `other`, as clients may make up any.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];
/// Classes of status codes; the last is for requests whose client went before there was an answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gone"];

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Default)]
struct Numbers {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len() + 1],
    durations: Histogram,
    /// How long those waited that had to.
    queue_times: Histogram,
    began: AtomicU64,
    ended: AtomicU64,
    queue_entered: AtomicU64,
    queue_left: AtomicU64,
    queue_refused: AtomicU64,
    connections_opened: AtomicU64,
    connections_closed: AtomicU64,
    websockets_opened: AtomicU64,
    websockets_closed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Default)]
struct Histogram {
    /// The last is for what is above all ends.
    counts: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let index = BUCKETS.partition_point(|end| *end < seconds);
        self.counts[index].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos() as u64, Relaxed);
    }
}

impl Metrics {
    pub(crate) fn request_began(&self) {
        self.inner.began.fetch_add(1, Relaxed);
    }

    /// `status` is `None` if the client went before there was an answer; `queued` is zero for most.
    pub(crate) fn request_ended(
        &self,
        method: &Method,
        status: Option<StatusCode>,
        duration: Duration,
        queued: Duration,
    ) {
        let numbers = &*self.inner;
        let method = METHODS
            .iter()
            .position(|known| known == method)
            .unwrap_or(METHODS.len());
        let class = match status {
            Some(status) => usize::from(status.as_u16() / 100).clamp(1, 5) - 1,
            None => CLASSES.len() - 1,
        };
        numbers.requests[method][class].fetch_add(1, Relaxed);
        numbers.durations.observe(duration);
        if !queued.is_zero() {
            numbers.queue_times.observe(queued);
        }
        numbers.ended.fetch_add(1, Relaxed);
    }

    /// A request has to wait for its turn, until what is returned is dropped.
    pub(crate) fn queued(&self) -> Between {
        self.inner.queue_entered.fetch_add(1, Relaxed);
        Between(self.clone(), |numbers| &numbers.queue_left)
    }

    /// A request had no turn in time.
    pub(crate) fn refused(&self) {
        self.inner.queue_refused.fetch_add(1, Relaxed);
    }

    /// A connection is open, until what is returned is dropped.
    pub(crate) fn connected(&self) -> Between {
        self.inner.connections_opened.fetch_add(1, Relaxed);
        Between(self.clone(), |numbers| &numbers.connections_closed)
    }

    /// A WebSocket to a Python function is open, until what is returned is dropped.
    pub(crate) fn websocket(&self) -> Between {
        self.inner.websockets_opened.fetch_add(1, Relaxed);
        Between(self.clone(), |numbers| &numbers.websockets_closed)
    }

    /// Bytes came from clients, of heads, bodies and frames.
    pub(crate) fn received(&self, bytes: usize) {
        self.inner.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes went to clients.
    pub(crate) fn sent(&self, bytes: usize) {
        self.inner.sent.fetch_add(bytes as u64, Relaxed);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What is counted once more at its end: beginnings less ends are what is under way.
pub(crate) struct Between(Metrics, fn(&Numbers) -> &AtomicU64);

impl Drop for Between {
    fn drop(&mut self) {
        (self.1)(&self.0.inner).fetch_add(1, Relaxed);
    }
}
