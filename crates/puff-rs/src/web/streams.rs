//! The streams of HTTP/2, each a task: one whose client makes no room for its answer is reset.
//!
//! hyper polls a body only when there is room for what it gave last, so neither the body nor the connection, on
//! which other streams may go on, can tell a client that is slow from one that never comes back. On HTTP/1 a
//! socket that takes nothing says so ([`Pulse`](super::pulse::Pulse)).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// hyper hands the executor a future and the service a request, and nothing that says which belong together.
    static STALL: Arc<Stall>;
}

/// Spawns the tasks of streams.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    patience: Duration,
}

impl Streams {
    /// `patience`: how long a client may make no room for a piece of an answer.
    pub(super) fn new(patience: Duration) -> Streams {
        Streams { patience }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(watched(future, self.patience));
    }
}

/// Since when a piece of the stream's answer waits for its client.
#[derive(Debug, Default)]
pub(super) struct Stall(Mutex<Option<Instant>>);

impl Stall {
    /// The body was asked for more: so there is room for all it gave before. It gave something again, or not.
    pub(super) fn note(&self, gave: bool) {
        *self.0.lock() = gave.then(Instant::now);
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock()
    }
}

/// That of the stream whose task this is; `None` on HTTP/1.
pub(super) fn current() -> Option<Arc<Stall>> {
    STALL.try_with(Arc::clone).ok()
}

/// Drops `future`, which resets its stream, if its client is not heard of for too long.
async fn watched(future: impl Future<Output = ()>, patience: Duration) {
    let stall = Arc::new(Stall::default());
    let mut future = pin!(STALL.scope(stall.clone(), future));
    let mut limit: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        // The timer may have been set for an earlier piece.
        while let Some(end) = stall.since().map(|since| since + patience) {
            let limit = limit.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if limit.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if limit.deadline() >= end {
                tracing::debug!("stream reset: the client does not read its answer");
                return Poll::Ready(());
            }
            limit.as_mut().reset(end);
        }
        Poll::Pending
    })
    .await;
}
