//! The queue between the hub and one connection, for many threads.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::catchup::{Caught, Resume};
use super::queue::{Bounds, Delivered, Queue};
use super::{Event, Message, Position, presence};
use crate::Error;

/// A connection's id and its [`Queue`], with a bell for who waits.
pub(super) struct Mailbox {
    pub(super) id: Arc<str>,
    state: Mutex<Result<Queue, Error>>,
    ready: Notify,
}

impl Mailbox {
    pub(super) fn new(id: Arc<str>, bounds: Bounds) -> Self {
        Self {
            id,
            state: Mutex::new(Ok(Queue::new(bounds))),
            ready: Notify::new(),
        }
    }

    /// Does something with the queue if the connection is open, and wakes who waits.
    fn with<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let done = self.state.lock().as_mut().ok().map(change);
        self.ready.notify_one();
        done
    }

    pub(super) fn enter(&self, channel: &Arc<str>, echo: bool) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.as_mut().map_err(|why| why.clone())?.enter(channel, echo);
        Ok(())
    }

    /// Why it is closed, if it is.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        self.state.lock().as_ref().map(drop).map_err(Clone::clone)
    }

    pub(super) fn begin(&self, channel: &str, base: Option<Position>) {
        self.with(|queue| queue.begin(channel, base));
    }

    pub(super) fn leave(&self, channel: &str) -> bool {
        self.with(|queue| queue.leave(channel)).unwrap_or(false)
    }

    pub(super) fn channels(&self) -> Vec<Arc<str>> {
        let state = self.state.lock();
        let channels = state.as_ref().map(|queue| queue.channels().cloned().collect());
        channels.unwrap_or_default()
    }

    pub(super) fn deliver(&self, message: &Arc<Message>) -> Delivered {
        let mut state = self.state.lock();
        let Ok(queue) = state.as_mut() else {
            return Delivered::Unwanted;
        };
        let delivered = queue.deliver(message, &self.id);
        drop(state);
        if matches!(delivered, Delivered::Queued | Delivered::Dropped { .. }) {
            self.ready.notify_one();
        }
        delivered
    }

    pub(super) fn gap(&self, channel: &Arc<str>) -> bool {
        self.with(|queue| queue.gap(channel, None)).unwrap_or(false)
    }

    pub(super) fn hold(&self, channel: &str) {
        self.with(|queue| queue.hold(channel));
    }

    pub(super) fn settle(&self, channel: &Arc<str>) -> bool {
        self.with(|queue| queue.settle(channel)).unwrap_or(false)
    }

    pub(super) fn release(
        &self,
        channel: &str,
        after: Option<Position>,
        caught: &Caught,
        always_gap: bool,
    ) -> Option<(Resume, bool)> {
        self.with(|queue| queue.release(channel, after, caught, always_gap, &self.id))
    }

    /// The next event if there is one.
    pub(super) fn try_receive(&self) -> Result<Option<Event>, Error> {
        let event = self.take(Queue::take)?;
        Ok(event.map(presence::interpret))
    }

    /// Takes up to `most` events; returns how many.
    pub(super) fn try_receive_many(&self, events: &mut Vec<Event>, most: usize) -> Result<usize, Error> {
        let before = events.len();
        self.take(|queue| {
            events.extend(std::iter::from_fn(|| queue.take().map(presence::interpret)).take(most));
        })?;
        Ok(events.len() - before)
    }

    /// Takes something out. If there is more, another is woken: several that came at once have woken but one.
    fn take<T>(&self, take: impl FnOnce(&mut Queue) -> T) -> Result<T, Error> {
        let mut state = self.state.lock();
        let queue = state.as_mut().map_err(|why| why.clone())?;
        let taken = take(queue);
        if !queue.is_empty() {
            self.ready.notify_one();
        }
        Ok(taken)
    }

    /// Waits for the next event. Cancel safe: an event is taken only by a call that returns it.
    pub(super) async fn receive(&self) -> Result<Event, Error> {
        loop {
            // Created before looking, so that a close in between still wakes it.
            let ready = self.ready.notified();
            if let Some(event) = self.try_receive()? {
                return Ok(event);
            }
            ready.await;
        }
    }

    /// Waits for at least one event, and takes up to `most`. Cancel safe.
    pub(super) async fn receive_many(&self, events: &mut Vec<Event>, most: usize) -> Result<usize, Error> {
        loop {
            let ready = self.ready.notified();
            let count = self.try_receive_many(events, most)?;
            if count > 0 || most == 0 {
                return Ok(count);
            }
            ready.await;
        }
    }

    /// Drops what is queued and fails every call from now on with `why`, unless it was closed before.
    pub(super) fn close(&self, why: Error) {
        let mut state = self.state.lock();
        if state.is_ok() {
            *state = Err(why);
        }
        drop(state);
        self.ready.notify_waiters();
        self.ready.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::Overflow;

    #[tokio::test]
    async fn close_wakes_every_receiver_and_keeps_its_reason() {
        let bounds = Bounds {
            messages: 1,
            bytes: 1,
            overflow: Overflow::Gap,
        };
        let mailbox = Arc::new(Mailbox::new("me".into(), bounds));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let mailbox = mailbox.clone();
                tokio::spawn(async move { mailbox.receive().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let closed = |what| Error::Closed { what };
        mailbox.close(closed("one"));
        mailbox.close(closed("two"));
        for receiver in waiting {
            assert_eq!(receiver.await.unwrap(), Err(closed("one")));
        }
        assert_eq!(mailbox.enter(&"a".into(), true), Err(closed("one")));
    }
}
