//! Who listens to what: the state that connections and the Redis link share.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, oneshot};

use super::catchup::Caught;
use super::channel::{Channel, Listener, Stage};
use super::envelope::{self, Opened};
use super::local::Store;
use super::mailbox::Mailbox;
use super::queue::Bounds;
use super::status::{Counters, PubSubStatus};
use super::{History, Message, Position, Published, SubscribeOptions, config};
use crate::Error;

/// How a call to subscribe ends: with the position from which messages come.
pub(super) type Confirmation = Result<Position, Error>;

/// All channels and connections of one hub.
///
/// This is the wanted state; the Redis link (if any) brings the server into line with it and reports back. There
/// is no queue of requests between them, only the set of channels that changed, so nothing can pile up and quick
/// changes of mind collapse. Lock order: the registry, then a mailbox.
pub(super) struct Registry {
    state: Mutex<State>,
    changed: Notify,
    bounds: Bounds,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct State {
    /// The channels' numbers and histories, if no server keeps them. Then a channel needs nobody's confirmation.
    store: Option<Store>,
    channels: FxHashMap<Arc<str>, Channel>,
    /// Channels whose subscription on the server may differ from the wanted one.
    dirty: FxHashSet<Arc<str>>,
    /// What the server shall be asked for.
    catch_ups: FxHashSet<CatchUp>,
    connections: FxHashMap<usize, Arc<Mailbox>>,
    /// Counts the Redis links; what an older one still says is ignored.
    link: u64,
    connected: bool,
    /// Whether the server has ended a subscription by itself on the present link.
    withdrawn: bool,
    closed: bool,
}

/// What came on a channel after a position; without one, only where the channel stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CatchUp {
    pub(super) channel: Arc<str>,
    pub(super) after: Option<Position>,
}

/// What the link has to tell the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) subscribe: Vec<Arc<str>>,
    pub(super) unsubscribe: Vec<Arc<str>>,
}

/// What became of a call to subscribe.
pub(super) enum Joined {
    /// Messages come from this position on.
    Live(Position),
    /// The server has to confirm it first.
    Asked(oneshot::Receiver<Confirmation>),
}

impl Registry {
    /// With a store the hub is within this process.
    pub(super) fn new(bounds: Bounds, store: Option<Store>) -> Self {
        let state = State {
            connected: store.is_some(),
            store,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            bounds,
            counters: Counters::default(),
        }
    }

    /// Makes a connection's mailbox; closed from birth if the hub is closed.
    pub(super) fn connect(&self, id: Arc<str>, bounds: Bounds) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(id, bounds));
        let mut state = self.state.lock();
        if state.closed {
            mailbox.close(hub_closed());
        } else {
            state.connections.insert(key(&mailbox), mailbox.clone());
        }
        mailbox
    }

    /// Takes a connection out of all its channels and closes its mailbox.
    pub(super) fn disconnect(&self, mailbox: &Arc<Mailbox>) {
        self.state.lock().disconnect(
            mailbox,
            Error::Closed {
                what: "the pub-sub connection",
            },
        );
        self.changed.notify_one();
    }

    /// Adds a listener.
    pub(super) fn join(
        &self,
        channel: &str,
        mailbox: &Arc<Mailbox>,
        options: SubscribeOptions,
    ) -> Result<Joined, Error> {
        let state = &mut *self.state.lock();
        if state.closed {
            return Err(hub_closed());
        }
        let name = match state.channels.get_key_value(channel) {
            Some((name, _)) => name.clone(),
            None => Arc::from(channel),
        };
        mailbox.enter(&name, options.echo)?;
        let entry = state.channels.entry(name.clone()).or_default();
        if let Some(listener) = entry.listener(mailbox) {
            if options.since.is_some() {
                return Err(config::invalid(
                    "since",
                    "the connection listens to this channel already".to_owned(),
                ));
            }
            listener.echo = options.echo;
            if listener.stage == Stage::Live {
                return Ok(Joined::Live(entry.stands()));
            }
            return Ok(Joined::Asked(listener.call()));
        }
        let mut listener = Listener::new(mailbox.clone(), options);
        if let Some(store) = &state.store {
            let Bounds { messages, bytes, .. } = self.bounds;
            let caught = store.caught(channel, messages, bytes, Instant::now());
            entry.last = entry.last.or(caught.head);
            let base = listener.release(&name, options.since, &caught, false, &self.counters);
            entry.listeners.push(listener);
            return Ok(Joined::Live(base));
        }
        if entry.known && options.since.is_none() {
            let base = entry.stands();
            mailbox.begin(channel, Some(base));
            listener.stage = Stage::Live;
            entry.listeners.push(listener);
            return Ok(Joined::Live(base));
        }
        let confirmed = listener.call();
        if entry.confirmed {
            let after = listener.catch_up(&name, None);
            state.catch_ups.insert(CatchUp { channel: name, after });
        } else {
            state.dirty.insert(name);
        }
        entry.listeners.push(listener);
        self.changed.notify_one();
        Ok(Joined::Asked(confirmed))
    }

    /// Removes a listener and its queued events; returns whether it was one.
    pub(super) fn leave(&self, channel: &str, mailbox: &Arc<Mailbox>) -> bool {
        let left = self.state.lock().remove_listener(channel, mailbox);
        self.changed.notify_one();
        left
    }

    /// After a `join` that nobody waits for any more: removes the listener unless it is live or another call
    /// still waits for it.
    pub(super) fn abandon(&self, channel: &str, mailbox: &Arc<Mailbox>) {
        let mut state = self.state.lock();
        let Some(listener) = state
            .channels
            .get_mut(channel)
            .and_then(|entry| entry.listener(mailbox))
        else {
            return;
        };
        listener.calls.retain(|call| !call.is_closed());
        if listener.stage.is_new() && listener.calls.is_empty() {
            state.remove_listener(channel, mailbox);
            self.changed.notify_one();
        }
    }

    /// Publishes within this process. It counts once if anyone listens, as one process does in Redis too.
    pub(super) fn publish(
        &self,
        channel: &str,
        from: Option<&str>,
        body: Bytes,
        history: Option<History>,
    ) -> Result<Published, Error> {
        let state = &mut *self.state.lock();
        if state.closed {
            return Err(hub_closed());
        }
        let name = match state.channels.get_key_value(channel) {
            Some((name, _)) => name.clone(),
            None => Arc::from(channel),
        };
        let Some(store) = &mut state.store else {
            return Ok(Published::default());
        };
        let message = store.append(&name, body, from.map(Arc::from), history, Instant::now());
        Ok(Published {
            position: message.position,
            receivers: usize::from(self.deliver(state, &message)),
        })
    }

    /// What the hub is doing.
    pub(super) fn status(&self) -> PubSubStatus {
        let state = self.state.lock();
        PubSubStatus {
            connections: state.connections.len(),
            channels: state.channels.len(),
            subscriptions: state.channels.values().map(|entry| entry.listeners.len()).sum(),
            connected: state.connected,
            ..self.counters.status()
        }
    }

    /// Closes the hub: every connection, every waiting call.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        for (_, entry) in state.channels.drain() {
            for listener in entry.listeners {
                listener.answer(&Err(hub_closed()));
            }
        }
        for (_, mailbox) in state.connections.drain() {
            mailbox.close(hub_closed());
        }
        state.dirty.clear();
        state.catch_ups.clear();
        state.closed = true;
        state.connected = false;
    }

    /// Hands a message to all that listen; returns whether anybody does.
    fn deliver(&self, state: &mut State, message: &Arc<Message>) -> bool {
        self.counters.received();
        let Some(entry) = state.channels.get_mut(&message.channel) else {
            return false;
        };
        let jumped = entry.follow(message.position);
        let mut overflowed = Vec::new();
        let mut listened = false;
        for listener in entry
            .listeners
            .iter()
            .filter(|listener| listener.stage != Stage::Asked)
        {
            listened = true;
            if jumped {
                self.counters.gap(listener.mailbox.gap(&message.channel));
            }
            let outcome = listener.mailbox.deliver(message);
            self.counters.delivered(outcome);
            if outcome == super::queue::Delivered::Overflowed {
                overflowed.push(listener.mailbox.clone());
            }
        }
        for mailbox in overflowed {
            state.disconnect(
                &mailbox,
                Error::TooSlow {
                    connection: mailbox.id.to_string(),
                },
            );
            self.changed.notify_one();
        }
        listened
    }
}

/// The Redis link's side.
impl Registry {
    /// Waits until the registry has changed since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until someone wants a channel.
    pub(super) async fn wanted(&self) {
        while self.state.lock().channels.is_empty() {
            self.changed.notified().await;
        }
    }

    /// Ends the present link and returns the number of the next. Nothing is confirmed on it yet.
    pub(super) fn next_link(&self) -> u64 {
        let state = &mut *self.state.lock();
        state.link += 1;
        state.connected = false;
        state.withdrawn = false;
        state.dirty.clear();
        state.catch_ups.clear();
        for (name, entry) in &mut state.channels {
            entry.confirmed = false;
            entry.known = false;
            for listener in &mut entry.listeners {
                if let Stage::CatchingUp { after, live: true } = listener.stage {
                    entry.last = entry.last.or(after);
                }
                listener.interrupt(name, &self.counters);
            }
            state.dirty.insert(name.clone());
        }
        state.link
    }

    /// The present link is open; to another server than the one before, or to one that was restarted, or not.
    pub(super) fn linked(&self, link: u64, other_server: bool) {
        let state = &mut *self.state.lock();
        if link != state.link {
            return;
        }
        state.connected = true;
        if other_server {
            // What it tells is no continuation of what was live: a gap, and on from where it stands.
            for entry in state.channels.values_mut() {
                entry.last = None;
            }
        }
    }

    /// What to tell the server, given what it has been told; clears the set of changes.
    pub(super) fn plan(&self, on_server: &FxHashSet<Arc<str>>) -> Plan {
        let state = &mut *self.state.lock();
        let mut plan = Plan::default();
        for name in state.dirty.drain() {
            match state.channels.get(&name) {
                Some(entry) if !entry.confirmed => plan.subscribe.push(name),
                Some(_) => {}
                None if on_server.contains(&name) => plan.unsubscribe.push(name),
                None => {}
            }
        }
        plan
    }

    /// What to ask the server for; clears the set.
    pub(super) fn catch_ups(&self) -> Vec<CatchUp> {
        self.state.lock().catch_ups.drain().collect()
    }

    /// Puts channels back into the next plan.
    pub(super) fn retry(&self, channels: impl IntoIterator<Item = Arc<str>>) {
        self.state.lock().dirty.extend(channels);
    }

    /// The server has confirmed a subscription: what comes from now on is held until each listener has caught up.
    pub(super) fn confirm(&self, link: u64, channel: &str) {
        let state = &mut *self.state.lock();
        if link != state.link {
            return;
        }
        let Some((name, _)) = state.channels.get_key_value(channel) else {
            return;
        };
        let name = name.clone();
        let Some(entry) = state.channels.get_mut(channel).filter(|entry| !entry.confirmed) else {
            return;
        };
        entry.confirmed = true;
        let last = entry.last.take().filter(|last| *last != Position::UNKNOWN);
        for listener in &mut entry.listeners {
            let after = listener.catch_up(&name, last);
            state.catch_ups.insert(CatchUp {
                channel: name.clone(),
                after,
            });
        }
    }

    /// A sharded subscription has ended. If nobody asked for that, the channel's slot has moved to another node: the
    /// link is done with.
    pub(super) fn withdrawn(&self, link: u64, channel: &str) {
        let mut state = self.state.lock();
        let wanted = state.channels.get(channel).is_some_and(|entry| entry.confirmed);
        if link == state.link && wanted {
            state.withdrawn = true;
            self.changed.notify_one();
        }
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.state.lock().withdrawn
    }

    /// The server has told what came on a channel, or will not. Everything that it had sent before is dispatched.
    pub(super) fn caught_up(&self, link: u64, asked: &CatchUp, answer: &Result<Caught, Error>) {
        let state = &mut *self.state.lock();
        let CatchUp { channel, after } = asked;
        if link != state.link {
            return;
        }
        let Some(entry) = state.channels.get_mut(channel) else {
            return;
        };
        let head = match answer {
            Ok(caught) => caught.head.unwrap_or(Position::START),
            // The next message has a gap before it.
            Err(_) => Position::UNKNOWN,
        };
        // What was numbered before the answer has been dispatched: what has not was lost on its way, as a cluster may.
        let lost = entry.last.is_some_and(|last| last.between(head).is_some());
        if lost || entry.last.is_none() {
            entry.last = Some(head);
        }
        entry.known = true;
        // Nobody counts plain messages: those that were missed cannot be known.
        let whole = !entry.unnumbered;
        let mut failed = Vec::new();
        for listener in &mut entry.listeners {
            let Stage::CatchingUp { after: wanted, live } = listener.stage else {
                continue;
            };
            if wanted != *after {
                continue;
            }
            match answer {
                Ok(caught) => {
                    let always_gap = live && (after.is_none() || !whole || !caught.keeps);
                    let base = listener.release(channel, *after, caught, always_gap, &self.counters);
                    listener.answer_all(&Ok(base));
                }
                Err(error) if !live && after.is_some() => {
                    listener.answer_all(&Err(error.clone()));
                    failed.push(listener.mailbox.clone());
                }
                Err(_) => {
                    let always_gap = live;
                    let base =
                        listener.release(channel, None, &Caught::default(), always_gap, &self.counters);
                    listener.answer_all(&Ok(base));
                }
            }
        }
        if lost {
            for listener in entry
                .listeners
                .iter()
                .filter(|listener| listener.stage != Stage::Asked)
            {
                self.counters.gap(listener.mailbox.gap(channel));
            }
        }
        for mailbox in failed {
            state.remove_listener(channel, &mailbox);
        }
        self.changed.notify_one();
    }

    /// A message came from the server.
    pub(super) fn dispatch(&self, link: u64, channel: &str, payload: Bytes) {
        let state = &mut *self.state.lock();
        if link != state.link {
            return;
        }
        let Some((name, entry)) = state.channels.get_key_value(channel) else {
            return;
        };
        match envelope::open(payload) {
            Opened::Message { from, position, body } => {
                let message = Arc::new(Message::new(name.clone(), body, from, position));
                self.deliver(state, &message);
            }
            Opened::Unreadable => {
                tracing::warn!(%channel, "a message of an unknown version arrived; receivers get a gap");
                for listener in entry
                    .listeners
                    .iter()
                    .filter(|listener| listener.stage != Stage::Asked)
                {
                    self.counters.gap(listener.mailbox.gap(name));
                }
            }
        }
    }

    /// No link could be opened: fails the calls that wait. Listeners that were live before stay, they are owed a
    /// gap.
    pub(super) fn no_link(&self, error: &Error) {
        let mut state = self.state.lock();
        state.fail_new(None, error);
        // Remembering the channels of every failed attempt would grow without end.
        let State { channels, dirty, .. } = &mut *state;
        dirty.retain(|name| channels.contains_key(name));
    }

    /// The server refused one channel: fails the calls that wait for it. Returns whether other listeners still
    /// want it.
    pub(super) fn refuse(&self, channel: &str, error: &Error) -> bool {
        let mut state = self.state.lock();
        state.fail_new(Some(channel), error);
        state.channels.contains_key(channel)
    }
}

impl State {
    fn fail_new(&mut self, only: Option<&str>, error: &Error) {
        self.channels.retain(|name, entry| {
            if only.is_some_and(|only| *only != **name) {
                return true;
            }
            entry.listeners.retain_mut(|listener| {
                let fails = listener.stage.is_new();
                if fails {
                    listener.mailbox.leave(name);
                    listener.answer_all(&Err(error.clone()));
                }
                !fails
            });
            !entry.listeners.is_empty()
        });
    }

    fn remove_listener(&mut self, channel: &str, mailbox: &Arc<Mailbox>) -> bool {
        let left = mailbox.leave(channel);
        if let Some(entry) = self.channels.get_mut(channel) {
            entry
                .listeners
                .retain(|listener| !Arc::ptr_eq(&listener.mailbox, mailbox));
            if entry.listeners.is_empty()
                && let Some((name, _)) = self.channels.remove_entry(channel)
                && self.store.is_none()
            {
                self.dirty.insert(name);
            }
        }
        left
    }

    fn disconnect(&mut self, mailbox: &Arc<Mailbox>, why: Error) {
        self.connections.remove(&key(mailbox));
        for channel in mailbox.channels() {
            self.remove_listener(&channel, mailbox);
        }
        mailbox.close(why);
    }
}

fn key(mailbox: &Arc<Mailbox>) -> usize {
    Arc::as_ptr(mailbox).addr()
}

fn hub_closed() -> Error {
    Error::Closed { what: "pub-sub" }
}
