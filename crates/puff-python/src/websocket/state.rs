//! What both ends of a line share.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::{Mutex, MutexGuard};
use puff_redis::{Error, Position, PubSub};
use pyo3::prelude::*;
use tokio::sync::{Notify, oneshot};

use super::handshake::Decision;
use super::message::{Closed, Message, Outgoing};
use crate::live::{BindOptions, Bound, Said};
use crate::waiter::Waiter;

/// How many messages a function may take or send in a row without letting other greenlets run.
const LONGEST_RUN: u8 = 32;

/// The state of a line, and who is told when it changes.
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to send.
    outgoing: Notify,
    /// There is room for messages of the client's.
    room: Notify,
    /// The function has ended.
    ended: Notify,
    /// Most bytes that wait in each direction; one message may go beyond.
    limit: usize,
}

struct State {
    /// Until the function has decided.
    decision: Option<oneshot::Sender<Decision>>,
    subprotocol: Option<String>,
    inbox: Queue,
    outbox: Queue,
    /// Channels whose messages are sent beside the outbox, until the conversation is over.
    bound: Option<Arc<Bound>>,
    /// Whether it is their turn.
    bound_is_next: bool,
    /// Greenlets that wait for a message.
    receivers: Vec<Py<Waiter>>,
    /// Greenlets that wait for room.
    senders: Vec<Py<Waiter>>,
    /// What the Tokio half shall send after the outbox.
    farewell: Option<Closed>,
    /// No more will come: the conversation is over when the function has taken what is there.
    last: Option<Closed>,
    /// The conversation is over, for the function.
    closed: Option<Closed>,
    /// Nothing can be sent any more.
    deaf: bool,
    /// The function has ended.
    ended: bool,
    /// Messages taken or sent since the function last waited.
    run: u8,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Queue {
    fn push(&mut self, message: Message) {
        self.bytes += message.weight();
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.weight();
        if self.messages.is_empty() {
            // A line that is idle keeps no buffers.
            self.messages = VecDeque::new();
        }
        Some(message)
    }
}

/// Who is to be told of a change, once the lock is gone.
#[must_use]
struct Wake {
    waiters: Vec<Py<Waiter>>,
    /// Channels that are to be left.
    bound: Option<Arc<Bound>>,
}

impl Wake {
    fn of(waiters: Vec<Py<Waiter>>) -> Wake {
        Wake { waiters, bound: None }
    }

    fn now(self) {
        for waiter in self.waiters {
            Waiter::complete(waiter, Box::new(|py| Ok(py.None())));
        }
        if let Some(bound) = self.bound {
            bound.close();
        }
    }
}

/// What a look for something to send has found.
enum Found {
    Outgoing(Outgoing, Wake),
    /// What is bound has something to say, if anything has.
    Bound(Arc<Bound>),
    Nothing,
}

impl Shared {
    pub(super) fn new(decision: oneshot::Sender<Decision>, limit: usize) -> Shared {
        Shared {
            state: Mutex::new(State {
                decision: Some(decision),
                subprotocol: None,
                inbox: Queue::default(),
                outbox: Queue::default(),
                bound: None,
                bound_is_next: false,
                receivers: Vec::new(),
                senders: Vec::new(),
                farewell: None,
                last: None,
                closed: None,
                deaf: false,
                ended: false,
                run: 0,
            }),
            outgoing: Notify::new(),
            room: Notify::new(),
            ended: Notify::new(),
            limit,
        }
    }

    // ------------------------------------------------------------------ the function's end

    /// Accepts the client, unless that was decided before; whether it was undecided.
    pub(super) fn accept(&self, subprotocol: Option<String>, headers: HeaderMap) -> bool {
        let mut state = self.state.lock();
        let Some(decision) = state.decision.take() else {
            return false;
        };
        state.subprotocol.clone_from(&subprotocol);
        // An error means that the client has gone; the line is closed then, or will be.
        let _ = decision.send(Decision::Accept { subprotocol, headers });
        true
    }

    /// Refuses the client; whether it was undecided.
    pub(super) fn reject(&self, status: StatusCode, headers: HeaderMap, body: Bytes) -> bool {
        let wake = {
            let mut state = self.state.lock();
            let Some(decision) = state.decision.take() else {
                return false;
            };
            let _ = decision.send(Decision::Reject {
                status,
                headers,
                body,
            });
            state.close(Closed::new(Closed::LOST, "the handshake was rejected"))
        };
        wake.now();
        true
    }

    /// Accepts the client if nobody has decided; cheap if somebody has.
    pub(super) fn ensure_accepted(&self) {
        if self.state.lock().decision.is_some() {
            self.accept(None, HeaderMap::new());
        }
    }

    pub(super) fn subprotocol(&self) -> Option<String> {
        self.state.lock().subprotocol.clone()
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        self.state.lock().closed.clone()
    }

    /// The next message. `None`: there is none now, or none any more.
    pub(super) fn take(&self) -> Option<Message> {
        let mut state = self.state.lock();
        if state.is_long_run() && state.closed.is_none() {
            return None;
        }
        let was_full = state.inbox.bytes >= self.limit;
        let Some(message) = state.inbox.pop() else {
            self.come_to_the_end(state);
            return None;
        };
        state.run += 1;
        if was_full && state.inbox.bytes < self.limit {
            self.room.notify_one();
        }
        Some(message)
    }

    /// Completes `waiter` when it is worth to `take` again.
    pub(super) fn readable(&self, waiter: Py<Waiter>) {
        let mut state = self.state.lock();
        state.run = 0;
        if state.inbox.messages.is_empty() && state.closed.is_none() {
            State::wait(&mut state.receivers, waiter);
            self.come_to_the_end(state);
        } else {
            drop(state);
            Wake::of(vec![waiter]).now();
        }
    }

    /// Queues a message. False: there is no room now, or the conversation is over.
    pub(super) fn send(&self, message: Message) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() || state.outbox.bytes >= self.limit || state.is_long_run() {
            return false;
        }
        state.run += 1;
        let first = state.outbox.messages.is_empty();
        state.outbox.push(message);
        drop(state);
        if first {
            self.outgoing.notify_one();
        }
        true
    }

    /// Completes `waiter` when it is worth to `send` again.
    pub(super) fn writable(&self, waiter: Py<Waiter>) {
        let mut state = self.state.lock();
        state.run = 0;
        if state.outbox.bytes >= self.limit && state.closed.is_none() {
            State::wait(&mut state.senders, waiter);
        } else {
            drop(state);
            Wake::of(vec![waiter]).now();
        }
    }

    /// The function has ended, and `last` is its last word if the conversation goes on.
    pub(super) fn end(&self, last: Closed) {
        let wake = {
            let mut state = self.state.lock();
            // Whoever waits for a decision learns by the drop that there is none.
            state.decision = None;
            state.ended = true;
            state.say_farewell(last)
        };
        wake.now();
        self.outgoing.notify_one();
        self.room.notify_one();
        self.ended.notify_one();
    }

    /// Has the client receive what is published on a channel, from when this returns; takes the client then. Returns
    /// the position that messages follow, or nothing if the conversation is over.
    pub(super) async fn bind(
        &self,
        pubsub: &PubSub,
        id: &str,
        channel: &str,
        options: BindOptions,
    ) -> Result<Option<Position>, Error> {
        let Some(bound) = self.ensure_bound(pubsub, id)? else {
            return Ok(None);
        };
        self.begun(bound.bind(channel, options).await)
    }

    /// Has the client be on a channel, as `member`; as [`bind`](Self::bind).
    pub(super) async fn enter(
        &self,
        pubsub: &PubSub,
        id: &str,
        channel: &str,
        member: &str,
        info: Bytes,
    ) -> Result<Option<()>, Error> {
        let Some(bound) = self.ensure_bound(pubsub, id)? else {
            return Ok(None);
        };
        self.begun(bound.connection().enter(channel, member, info).await)
    }

    /// What is bound, made if there is none; nothing if the conversation is over.
    fn ensure_bound(&self, pubsub: &PubSub, id: &str) -> Result<Option<Arc<Bound>>, Error> {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return Ok(None);
        }
        if let Some(bound) = &state.bound {
            return Ok(Some(bound.clone()));
        }
        let bound = Arc::new(Bound::new(pubsub, id)?);
        state.bound = Some(bound.clone());
        drop(state);
        // Whoever waits for something to send has one more place to look at.
        self.outgoing.notify_one();
        Ok(Some(bound))
    }

    /// Takes the client for which something was begun.
    fn begun<T>(&self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => {
                self.ensure_accepted();
                Ok(Some(value))
            }
            Err(Error::Closed { .. }) if self.closed().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is bound, if anything is.
    pub(super) fn bound(&self) -> Option<Arc<Bound>> {
        self.state.lock().bound.clone()
    }

    // ------------------------------------------------------------------ both ends

    /// Closes the conversation: what is queued is sent, then the close. Once; later ones are ignored.
    pub(super) fn shut(&self, last: Closed) {
        let wake = self.state.lock().say_farewell(last);
        wake.now();
        self.outgoing.notify_one();
        self.room.notify_one();
    }

    // ------------------------------------------------------------------ the connection's end

    pub(super) fn deliver(&self, message: Message) {
        let wake = {
            let mut state = self.state.lock();
            if state.closed.is_some() {
                return;
            }
            state.inbox.push(message);
            Wake::of(std::mem::take(&mut state.receivers))
        };
        wake.now();
    }

    /// Nothing comes any more, for the reason in `last`, which is also what is sent when the function has answered
    /// to what has come.
    pub(super) fn fail(&self, last: Closed) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.last = Some(last);
            if state.inbox.messages.is_empty() && !state.receivers.is_empty() {
                self.come_to_the_end(state);
            }
        }
    }

    /// The function has taken all there was, and wants more.
    fn come_to_the_end(&self, mut state: MutexGuard<'_, State>) {
        let Some(last) = state.last.take() else { return };
        let wake = state.say_farewell(last);
        drop(state);
        wake.now();
        self.outgoing.notify_one();
    }

    pub(super) async fn room(&self) {
        while !self.has_room() {
            self.room.notified().await;
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        // What comes after the close is not kept.
        state.inbox.bytes < self.limit || state.closed.is_some()
    }

    pub(super) async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.try_next() {
                return outgoing;
            }
            let bound = self.state.lock().bound.clone();
            match bound {
                None => self.outgoing.notified().await,
                Some(bound) => tokio::select! {
                    biased;
                    () = self.outgoing.notified() => {}
                    said = bound.next() => {
                        if let Some(outgoing) = self.pass(said) {
                            return outgoing;
                        }
                    }
                },
            }
        }
    }

    /// What is to be sent next, if there is something. What the function sends and what is bound take turns.
    pub(super) fn try_next(&self) -> Option<Outgoing> {
        loop {
            let found = self.state.lock().find(self.limit);
            let bound = match found {
                Found::Outgoing(outgoing, wake) => {
                    // Not under the lock.
                    wake.now();
                    return Some(outgoing);
                }
                Found::Bound(bound) => bound,
                Found::Nothing => return None,
            };
            match bound.try_next() {
                Some(said) => {
                    if let Some(outgoing) = self.pass(said) {
                        return Some(outgoing);
                    }
                }
                None => {
                    let mut state = self.state.lock();
                    state.bound_is_next = false;
                    if state.outbox.messages.is_empty() && state.farewell.is_none() {
                        return None;
                    }
                }
            }
        }
    }

    /// What is bound has something to say. Its last word is that of the conversation.
    fn pass(&self, said: Said) -> Option<Outgoing> {
        match said {
            Said::Message(message) => {
                let mut state = self.state.lock();
                state.bound_is_next = false;
                state.bound.is_some().then_some(Outgoing::Message(message))
            }
            Said::Last(closed) => {
                self.shut(closed);
                None
            }
        }
    }

    /// The conversation is over: what the client has sent may still be taken, nothing is sent.
    pub(super) fn lost(&self, closed: Closed) {
        let wake = {
            let mut state = self.state.lock();
            state.deaf = true;
            state.farewell = None;
            state.outbox = Queue::default();
            state.close(closed)
        };
        wake.now();
        self.room.notify_one();
    }

    pub(super) async fn ended(&self) {
        while !self.state.lock().ended {
            self.ended.notified().await;
        }
    }
}

impl State {
    /// Whether other greenlets are to run before this one goes on, though it need not wait.
    fn is_long_run(&self) -> bool {
        self.run >= LONGEST_RUN
    }

    /// Adds a waiter, in the place of those that have given up.
    fn wait(waiters: &mut Vec<Py<Waiter>>, waiter: Py<Waiter>) {
        waiters.retain(|other| !other.get().is_finished());
        waiters.push(waiter);
    }

    /// Ends the conversation for the function; the first end counts.
    fn close(&mut self, closed: Closed) -> Wake {
        self.closed.get_or_insert(closed);
        let mut waiters = std::mem::take(&mut self.receivers);
        waiters.append(&mut self.senders);
        Wake {
            waiters,
            bound: self.bound.take(),
        }
    }

    fn say_farewell(&mut self, last: Closed) -> Wake {
        if self.closed.is_none() {
            self.farewell = Some(last.clone());
        }
        if self.farewell.is_some() {
            self.inbox = Queue::default();
        }
        self.close(last)
    }

    fn find(&mut self, limit: usize) -> Found {
        if self.deaf {
            return Found::Nothing;
        }
        if let Some(bound) = self
            .bound
            .as_ref()
            .filter(|_| self.bound_is_next || self.outbox.messages.is_empty())
        {
            return Found::Bound(bound.clone());
        }
        let was_full = self.outbox.bytes >= limit;
        if let Some(message) = self.outbox.pop() {
            self.bound_is_next = true;
            let freed = was_full && self.outbox.bytes < limit;
            let woken = match freed {
                true => std::mem::take(&mut self.senders),
                false => Vec::new(),
            };
            return Found::Outgoing(Outgoing::Message(message), Wake::of(woken));
        }
        match self.farewell.take() {
            Some(farewell) => Found::Outgoing(Outgoing::Close(farewell), Wake::of(Vec::new())),
            None => Found::Nothing,
        }
    }
}
