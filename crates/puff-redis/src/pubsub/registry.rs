//! Who listens to what: the state that connections and the Redis links share.

mod links;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, oneshot};

use self::links::Link;
pub(super) use self::links::{CatchUp, Plan};
use super::channel::{Channel, Listener, Stage};
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
/// This is the wanted state; links bring the servers into line with it and report back. There is one link to a server,
/// or one to each node of a cluster that is needed. There is no queue of requests between them, only the sets of
/// channels that changed, so nothing can pile up and quick changes of mind collapse. Lock order: the registry, then a
/// mailbox.
pub(super) struct Registry {
    state: Mutex<State>,
    /// There are channels that no link carries.
    adrift: Notify,
    bounds: Bounds,
    pub(super) counters: Counters,
}

#[derive(Default)]
struct State {
    /// The channels' numbers and histories, if no server keeps them. Then a channel needs nobody's confirmation.
    store: Option<Store>,
    channels: FxHashMap<Arc<str>, Channel>,
    /// Channels that no link carries.
    adrift: FxHashSet<Arc<str>>,
    /// Whether some of them are because a node has sent them on to another.
    sent_on: bool,
    connections: FxHashMap<usize, Arc<Mailbox>>,
    /// By number; what one that is not here still says is ignored.
    links: FxHashMap<u64, Link>,
    /// Whether there is none because none is needed.
    rests: bool,
    last_link: u64,
    closed: bool,
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
            store,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            adrift: Notify::new(),
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
        let listens = |entry: &mut Channel| entry.listener(mailbox).is_some();
        if options.since.is_some() && state.channels.get_mut(channel).is_some_and(listens) {
            return Err(config::invalid(
                "since",
                "the connection listens to this channel already".to_owned(),
            ));
        }
        mailbox.enter(&name, options.echo)?;
        let entry = state.channels.entry(name.clone()).or_default();
        if let Some(listener) = entry.listener(mailbox) {
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
        match entry.link.and_then(|link| state.links.get_mut(&link)) {
            Some(link) if entry.confirmed => {
                let after = listener.catch_up(&name, None);
                link.ask(CatchUp { channel: name, after });
            }
            Some(link) => link.look_at(name),
            None => {
                state.adrift.insert(name);
                self.adrift.notify_one();
            }
        }
        entry.listeners.push(listener);
        Ok(Joined::Asked(confirmed))
    }

    /// Removes a listener and its queued events; returns whether it was one.
    pub(super) fn leave(&self, channel: &str, mailbox: &Arc<Mailbox>) -> bool {
        self.state.lock().remove_listener(channel, mailbox)
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
            connected: state.is_connected(),
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
        state.adrift.clear();
        state.links.clear();
        state.closed = true;
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
        }
        listened
    }
}

impl State {
    fn is_connected(&self) -> bool {
        let open = self.links.values().all(|link| link.open) && self.adrift.is_empty();
        !self.closed && (self.store.is_some() || (open && (self.rests || !self.links.is_empty())))
    }

    /// Fails the calls that wait for a channel. Returns whether other listeners still want it.
    fn fail_new(&mut self, channel: &str, error: &Error) -> bool {
        let Some(entry) = self.channels.get_mut(channel) else {
            return false;
        };
        entry.listeners.retain_mut(|listener| {
            let fails = listener.stage.is_new();
            if fails {
                listener.mailbox.leave(channel);
                listener.answer_all(&Err(error.clone()));
            }
            !fails
        });
        let wanted = !entry.listeners.is_empty();
        if !wanted {
            self.remove(channel);
        }
        wanted
    }

    fn remove_listener(&mut self, channel: &str, mailbox: &Arc<Mailbox>) -> bool {
        let left = mailbox.leave(channel);
        if let Some(entry) = self.channels.get_mut(channel) {
            entry
                .listeners
                .retain(|listener| !Arc::ptr_eq(&listener.mailbox, mailbox));
            if entry.listeners.is_empty() {
                self.remove(channel);
            }
        }
        left
    }

    /// Forgets a channel; whoever carries it tells the server.
    fn remove(&mut self, channel: &str) {
        if let Some((name, entry)) = self.channels.remove_entry(channel) {
            self.adrift.remove(channel);
            if let Some(link) = entry.link.and_then(|link| self.links.get_mut(&link)) {
                link.look_at(name);
            }
        }
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
