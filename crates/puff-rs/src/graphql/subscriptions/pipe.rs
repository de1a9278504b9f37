//! Between a connection and its session: messages in both directions, with a bound on their bytes.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;
use puff_python::websocket::{Closed, Message, Outgoing};
use tokio::sync::Notify;

use crate::web::websocket::Peer;

/// What a message weighs on top of its bytes, so that empty ones are bounded as well.
const OVERHEAD: usize = 64;

/// The two queues of one WebSocket, and how it ends. One task uses both ends.
pub(super) struct Pipe {
    state: Mutex<State>,
    /// There is something for the session, or it may say something again.
    incoming: Notify,
    /// There is something to send.
    outgoing: Notify,
    /// There is room for messages of the client's.
    room: Notify,
    /// There is room for answers of operations.
    free: Notify,
    /// The session has ended.
    finished: Notify,
    limit: usize,
}

#[derive(Default)]
struct State {
    inbox: Queue<Message>,
    outbox: Queue<Bytes>,
    farewell: Option<Closed>,
    /// Nothing comes and nothing is sent any more, but what is in the outbox.
    over: bool,
    /// Nothing can be sent any more.
    deaf: bool,
    finished: bool,
}

struct Queue<T> {
    messages: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue {
            messages: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Queue<T> {
    fn push(&mut self, message: T, length: usize) {
        self.bytes += length + OVERHEAD;
        self.messages.push_back((message, length));
    }

    fn pop(&mut self) -> Option<T> {
        let (message, length) = self.messages.pop_front()?;
        self.bytes -= length + OVERHEAD;
        if self.messages.is_empty() {
            // A WebSocket that is idle keeps no buffers.
            self.messages = VecDeque::new();
        }
        Some(message)
    }
}

impl Pipe {
    /// Whoever sends is held back when `limit` bytes wait; one message may go beyond.
    pub(super) fn new(limit: usize) -> Pipe {
        Pipe {
            state: Mutex::default(),
            incoming: Notify::new(),
            outgoing: Notify::new(),
            room: Notify::new(),
            free: Notify::new(),
            finished: Notify::new(),
            limit,
        }
    }

    // ------------------------------------------------------------------ the session's end

    /// The client's next message; `None` when none comes any more.
    ///
    /// A client that says much and hears nothing is not listened to until it does.
    pub(super) async fn receive(&self) -> Option<Message> {
        loop {
            {
                let mut state = self.state.lock();
                if state.over {
                    return None;
                }
                if state.outbox.bytes < 2 * self.limit
                    && let Some(message) = state.inbox.pop()
                {
                    self.room.notify_one();
                    return Some(message);
                }
            }
            self.incoming.notified().await;
        }
    }

    /// Sends an answer of an operation, once there is room.
    pub(super) async fn send(&self, message: Bytes) {
        loop {
            {
                let state = self.state.lock();
                if state.over || state.outbox.bytes < self.limit {
                    break;
                }
            }
            self.free.notified().await;
        }
        self.push(message);
    }

    /// Sends a message of the session's own, which are few: whether there is room or not.
    pub(super) fn push(&self, message: Bytes) {
        let mut state = self.state.lock();
        if !state.over {
            let length = message.len();
            state.outbox.push(message, length);
            self.outgoing.notify_one();
        }
    }

    /// The session has ended.
    pub(super) fn finish(&self) {
        self.state.lock().finished = true;
        self.finished.notify_one();
    }

    fn end(&self, farewell: Option<Closed>) {
        let mut state = self.state.lock();
        if !state.over {
            state.over = true;
            state.farewell = farewell;
        }
        state.inbox = Queue::default();
        drop(state);
        self.incoming.notify_one();
        self.outgoing.notify_one();
        self.room.notify_one();
        self.free.notify_waiters();
    }

    fn take(&self) -> Option<Outgoing> {
        let mut state = self.state.lock();
        if state.deaf {
            return None;
        }
        let Some(message) = state.outbox.pop() else {
            return state.farewell.take().map(Outgoing::Close);
        };
        let left = state.outbox.bytes;
        drop(state);
        if left < self.limit {
            self.free.notify_waiters();
        }
        if left < 2 * self.limit {
            self.incoming.notify_one();
        }
        Some(Outgoing::Message(Message::Text(message)))
    }
}

impl Peer for std::sync::Arc<Pipe> {
    async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.take() {
                return outgoing;
            }
            self.outgoing.notified().await;
        }
    }

    fn try_next(&self) -> Option<Outgoing> {
        self.take()
    }

    async fn room(&self) {
        while !self.has_room() {
            self.room.notified().await;
        }
    }

    fn has_room(&self) -> bool {
        let state = self.state.lock();
        // What comes after the close is not kept.
        state.inbox.bytes < self.limit || state.over
    }

    fn deliver(&self, message: Message) {
        let mut state = self.state.lock();
        if !state.over {
            let length = message.data().len();
            state.inbox.push(message, length);
            self.incoming.notify_one();
        }
    }

    fn shut(&self, last: Closed) {
        self.end(Some(last));
    }

    fn fail(&self, last: Closed) {
        self.end(Some(last));
    }

    fn lost(&self, _: Closed) {
        {
            let mut state = self.state.lock();
            state.deaf = true;
            state.outbox = Queue::default();
        }
        self.end(None);
    }

    async fn ended(&self) {
        while !self.state.lock().finished {
            self.finished.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn text(length: usize) -> Bytes {
        Bytes::from(vec![b'x'; length])
    }

    async fn is_stuck<F: Future>(future: F) -> bool {
        timeout(Duration::from_millis(20), future).await.is_err()
    }

    #[tokio::test]
    async fn answers_wait_for_room() {
        let pipe = Arc::new(Pipe::new(1000));
        pipe.send(text(2000)).await;
        assert!(is_stuck(pipe.send(text(1))).await);
        // Also the client's messages, once the session has said too much.
        pipe.deliver(Message::Text(text(1)));
        assert!(is_stuck(pipe.receive()).await);
        let waiting = tokio::spawn({
            let pipe = pipe.clone();
            async move {
                pipe.send(text(1)).await;
                pipe.receive().await.is_some()
            }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(matches!(pipe.next().await, Outgoing::Message(_)));
        assert!(waiting.await.unwrap());
        assert!(matches!(pipe.next().await, Outgoing::Message(_)));
        assert!(is_stuck(pipe.next()).await);
    }

    #[tokio::test]
    async fn the_farewell_comes_last_and_once() {
        let pipe = Arc::new(Pipe::new(1000));
        pipe.push(text(1));
        pipe.shut(Closed::new(4400, "bad"));
        pipe.shut(Closed::new(1001, "late"));
        pipe.push(text(1));
        assert!(matches!(pipe.next().await, Outgoing::Message(_)));
        assert!(matches!(pipe.next().await, Outgoing::Close(closed) if closed.code == 4400));
        assert!(is_stuck(pipe.next()).await);
        assert!(pipe.receive().await.is_none());
        assert!(pipe.has_room());
    }

    #[tokio::test]
    async fn a_lost_connection_frees_everybody() {
        let pipe = Arc::new(Pipe::new(10));
        pipe.push(text(100));
        let sender = tokio::spawn({
            let pipe = pipe.clone();
            async move { pipe.send(text(1)).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        pipe.lost(Closed::new(1006, ""));
        sender.await.unwrap();
        assert!(pipe.receive().await.is_none());
        assert!(is_stuck(pipe.next()).await);
        assert!(is_stuck(pipe.ended()).await);
        pipe.finish();
        pipe.ended().await;
    }
}
