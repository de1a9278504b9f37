//! Who listens to what: the state that connections and the Redis link share.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::{Notify, oneshot};

use super::envelope::{self, Opened};
use super::mailbox::Mailbox;
use super::{Message, PubSubConfig};
use crate::Error;

type Confirmation = Result<(), Error>;

/// All channels and connections of one hub.
///
/// This is the wanted state; the Redis link (if any) brings the server into line with it and reports back. There
/// is no queue of requests between them, only the set of channels that changed, so nothing can pile up and quick
/// changes of mind collapse. Lock order: the registry, then a mailbox.
pub(super) struct Registry {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Without a server a channel needs nobody's confirmation, and no change need be remembered.
    in_process: bool,
    channels: FxHashMap<Arc<str>, Channel>,
    /// Channels whose subscription on the server may differ from the wanted one.
    dirty: FxHashSet<Arc<str>>,
    connections: FxHashMap<usize, Arc<Mailbox>>,
    /// Counts the Redis links; what an older one still says is ignored.
    link: u64,
    closed: bool,
}

#[derive(Default)]
struct Channel {
    /// Whether the server has confirmed the subscription on the present link.
    confirmed: bool,
    listeners: Vec<Listener>,
}

struct Listener {
    mailbox: Arc<Mailbox>,
    /// The calls that wait for the first confirmation; `None` once it has come.
    waiting: Option<Vec<oneshot::Sender<Confirmation>>>,
}

/// What the link has to tell the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) subscribe: Vec<Arc<str>>,
    pub(super) unsubscribe: Vec<Arc<str>>,
}

impl Registry {
    pub(super) fn new(in_process: bool) -> Self {
        let state = State {
            in_process,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Makes a connection's mailbox; closed from birth if the hub is closed.
    pub(super) fn connect(&self, id: Arc<str>, config: &PubSubConfig) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::new(id, config));
        let mut state = self.state.lock();
        if state.closed {
            mailbox.close();
        } else {
            state.connections.insert(key(&mailbox), mailbox.clone());
        }
        mailbox
    }

    /// Takes a connection out of all its channels and closes its mailbox.
    pub(super) fn disconnect(&self, mailbox: &Arc<Mailbox>) {
        let mut state = self.state.lock();
        state.connections.remove(&key(mailbox));
        for channel in mailbox.channels() {
            state.remove_listener(&channel, mailbox);
        }
        mailbox.close();
        drop(state);
        self.changed.notify_one();
    }

    /// Adds a listener. `None`: it is live at once. Otherwise the receiver tells when the server has confirmed.
    pub(super) fn join(
        &self,
        channel: &str,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Option<oneshot::Receiver<Confirmation>>, Error> {
        let state = &mut *self.state.lock();
        if state.closed {
            return Err(hub_closed());
        }
        let name = match state.channels.get_key_value(channel) {
            Some((name, _)) => name.clone(),
            None => Arc::from(channel),
        };
        mailbox.enter(&name)?;
        let entry = state.channels.entry(name.clone()).or_default();
        entry.confirmed |= state.in_process;
        let at = entry
            .listeners
            .iter()
            .position(|listener| Arc::ptr_eq(&listener.mailbox, mailbox));
        let listener = match at {
            Some(at) => &mut entry.listeners[at],
            None => {
                let waiting = (!entry.confirmed).then(Vec::new);
                entry.listeners.push(Listener {
                    mailbox: mailbox.clone(),
                    waiting,
                });
                let last = entry.listeners.len() - 1;
                &mut entry.listeners[last]
            }
        };
        let Some(waiting) = &mut listener.waiting else {
            return Ok(None);
        };
        let (confirm, confirmed) = oneshot::channel();
        waiting.push(confirm);
        state.dirty.insert(name);
        self.changed.notify_one();
        Ok(Some(confirmed))
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
        let Some(entry) = state.channels.get_mut(channel) else {
            return;
        };
        let listener = entry
            .listeners
            .iter_mut()
            .find(|listener| Arc::ptr_eq(&listener.mailbox, mailbox));
        let Some(waiting) = listener.and_then(|listener| listener.waiting.as_mut()) else {
            return;
        };
        waiting.retain(|call| !call.is_closed());
        if waiting.is_empty() {
            state.remove_listener(channel, mailbox);
            self.changed.notify_one();
        }
    }

    /// Delivers within this process; returns 1 if anyone listens, as one process counts once in Redis too.
    pub(super) fn deliver(&self, channel: &str, from: Option<&str>, body: Bytes) -> Result<usize, Error> {
        let state = self.state.lock();
        if state.closed {
            return Err(hub_closed());
        }
        let Some((name, entry)) = state.channels.get_key_value(channel) else {
            return Ok(0);
        };
        let message = Message {
            channel: name.clone(),
            body,
            from_connection_id: from.map(Arc::from),
        };
        Ok(usize::from(entry.deliver(&message) > 0))
    }

    /// Closes the hub: every connection, every waiting call.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        for (_, entry) in state.channels.drain() {
            for call in entry
                .listeners
                .into_iter()
                .filter_map(|listener| listener.waiting)
                .flatten()
            {
                // A call that is gone by now needs no answer.
                let _ = call.send(Err(hub_closed()));
            }
        }
        for (_, mailbox) in state.connections.drain() {
            mailbox.close();
        }
        state.dirty.clear();
        state.closed = true;
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
        state.dirty.clear();
        for (name, entry) in &mut state.channels {
            entry.confirmed = false;
            state.dirty.insert(name.clone());
        }
        state.link
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

    /// Puts channels back into the next plan.
    pub(super) fn retry(&self, channels: impl IntoIterator<Item = Arc<str>>) {
        self.state.lock().dirty.extend(channels);
    }

    /// The server has confirmed a subscription: new listeners begin, the others have a gap behind them.
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
        for listener in &mut entry.listeners {
            match listener.waiting.take() {
                None => listener.mailbox.gap(&name),
                Some(calls) => {
                    for call in calls {
                        // A call given up just now leaves the listener live, as `subscribe` documents.
                        let _ = call.send(Ok(()));
                    }
                }
            }
        }
    }

    /// A message came from the server.
    pub(super) fn dispatch(&self, link: u64, channel: &str, payload: Bytes) {
        let state = self.state.lock();
        if link != state.link {
            return;
        }
        let Some((name, entry)) = state.channels.get_key_value(channel) else {
            return;
        };
        match envelope::open(payload) {
            Opened::Message { from, body } => {
                entry.deliver(&Message {
                    channel: name.clone(),
                    body,
                    from_connection_id: from,
                });
            }
            Opened::Unreadable => {
                tracing::warn!(%channel, "a message of an unknown version arrived; receivers get a gap");
                for listener in entry.live() {
                    listener.mailbox.gap(name);
                }
            }
        }
    }

    /// No link could be opened: fails the calls that wait. Listeners that were live before stay, they are owed a
    /// gap.
    pub(super) fn no_link(&self, error: &Error) {
        let mut state = self.state.lock();
        state.fail_waiting(None, error);
        // Remembering the channels of every failed attempt would grow without end.
        let State { channels, dirty, .. } = &mut *state;
        dirty.retain(|name| channels.contains_key(name));
    }

    /// The server refused one channel: fails the calls that wait for it. Returns whether other listeners still
    /// want it.
    pub(super) fn refuse(&self, channel: &str, error: &Error) -> bool {
        let mut state = self.state.lock();
        state.fail_waiting(Some(channel), error);
        state.channels.contains_key(channel)
    }
}

impl State {
    fn fail_waiting(&mut self, only: Option<&str>, error: &Error) {
        self.channels.retain(|name, entry| {
            if only.is_some_and(|only| *only != **name) {
                return true;
            }
            entry.listeners.retain_mut(|listener| {
                let Some(calls) = listener.waiting.take() else {
                    return true;
                };
                listener.mailbox.leave(name);
                for call in calls {
                    // A call that is gone by now needs no answer.
                    let _ = call.send(Err(error.clone()));
                }
                false
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
                && !self.in_process
            {
                self.dirty.insert(name);
            }
        }
        left
    }
}

impl Channel {
    fn live(&self) -> impl Iterator<Item = &Listener> {
        self.listeners
            .iter()
            .filter(|listener| listener.waiting.is_none())
    }

    fn deliver(&self, message: &Message) -> usize {
        self.live()
            .map(|listener| listener.mailbox.deliver(message))
            .count()
    }
}

fn key(mailbox: &Arc<Mailbox>) -> usize {
    Arc::as_ptr(mailbox).addr()
}

fn hub_closed() -> Error {
    Error::Closed { what: "pub-sub" }
}
