//! Event streams of a process, as bodies of answers.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::events::EventStream;

/// What event streams of a process share: their number, and when they end.
#[derive(Clone)]
pub struct EventStreams {
    places: Arc<Semaphore>,
    keep_alive: Duration,
    stop: CancellationToken,
}

/// What somebody reads for whom [`EventStreams::body`] has no place.
pub const TOO_MANY_STREAMS: &str = "the server has too many event streams, try again later";

/// A comment, which clients ignore and proxies do not.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

impl EventStreams {
    /// At most `most` at a time, which end at `stop`; each says something at least every `keep_alive`.
    pub fn new(most: usize, keep_alive: Duration, stop: CancellationToken) -> EventStreams {
        EventStreams {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            // What is sent all the time keeps nobody alive.
            keep_alive: keep_alive.max(Duration::from_millis(10)),
            stop,
        }
    }

    /// The body that sends `stream`, until its client goes; `None` if there are too many.
    pub fn body(&self, stream: EventStream) -> Option<EventBody> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let running = (self.reading(stream), place);
        let pieces = stream::unfold(running, |(mut reading, place)| async move {
            let piece = reading.next().await?;
            Some((piece, (reading, place)))
        });
        Some(EventBody(Box::pin(pieces)))
    }

    /// `stream`, kept alive, until they all end. It takes no place: who reads it in Python has one of the requests'.
    pub(super) fn reading(&self, stream: EventStream) -> Reading {
        Reading {
            stream,
            stopped: Box::pin(self.stop.clone().cancelled_owned()),
            idle: Idle::new(self.keep_alive),
        }
    }
}

/// An event stream on its way: give it out piece by piece.
pub struct EventBody(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl Stream for EventBody {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody").finish_non_exhaustive()
    }
}

/// An event stream that is read, and what is said in its pauses.
pub(super) struct Reading {
    stream: EventStream,
    // These are made once, and not for each wait: they register with what all streams share.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    idle: Idle,
}

impl Reading {
    /// What is to be sent next; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let Reading {
            stream,
            stopped,
            idle,
        } = self;
        let piece = tokio::select! {
            biased;
            () = stopped => None,
            piece = stream.next() => piece,
            () = idle.long() => Some(KEEP_ALIVE),
        };
        idle.over();
        piece
    }

    /// The stream, for somebody else to read.
    pub(super) fn into_stream(self) -> EventStream {
        self.stream
    }
}

/// Tells when nothing has been sent for a while.
struct Idle {
    every: Duration,
    since: Instant,
    /// Made at the first wait, which is on Tokio.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    fn new(every: Duration) -> Idle {
        Idle {
            every,
            since: Instant::now(),
            alarm: None,
        }
    }

    /// Something is sent.
    fn over(&mut self) {
        self.since = Instant::now();
    }

    /// Waits until nothing has been sent for so long. The alarm is set anew when it rings, not at each event.
    async fn long(&mut self) {
        let Idle { every, since, alarm } = self;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(*since + *every)));
        loop {
            alarm.as_mut().await;
            let (now, due) = (Instant::now(), *since + *every);
            let next = if now < due { due } else { now + *every };
            alarm.as_mut().reset(next);
            if now >= due {
                return;
            }
        }
    }
}
