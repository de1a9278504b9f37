//! The links' side of the registry: which of them carries which channel, and what the servers say.

use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashSet;
use tokio::sync::Notify;

use super::{Registry, State};
use crate::Error;
use crate::pubsub::catchup::Caught;
use crate::pubsub::channel::{Keeper, Stage};
use crate::pubsub::envelope::{self, Opened};
use crate::pubsub::{Message, Position};

/// A connection to a server that carries subscriptions.
#[derive(Default)]
pub(super) struct Link {
    pub(super) open: bool,
    keeper: Option<Keeper>,
    /// Channels whose subscription on the server may differ from the wanted one.
    dirty: FxHashSet<Arc<str>>,
    /// What the server shall be asked for.
    catch_ups: FxHashSet<CatchUp>,
    /// Channels that the server has ended by itself.
    withdrawn: FxHashSet<Arc<str>>,
    changed: Arc<Notify>,
}

impl Link {
    /// A channel has changed.
    pub(super) fn look_at(&mut self, channel: Arc<str>) {
        self.dirty.insert(channel);
        self.changed.notify_one();
    }

    pub(super) fn ask(&mut self, question: CatchUp) {
        self.catch_ups.insert(question);
        self.changed.notify_one();
    }
}

/// What came on a channel after a position; without one, only where the channel stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pubsub) struct CatchUp {
    pub(in crate::pubsub) channel: Arc<str>,
    pub(in crate::pubsub) after: Option<Position>,
}

/// What a link has to tell its server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::pubsub) struct Plan {
    pub(in crate::pubsub) subscribe: Vec<Arc<str>>,
    pub(in crate::pubsub) unsubscribe: Vec<Arc<str>>,
    /// Channels that the server does not have any more. If it is still the keeper that it was, it has handed them over,
    /// and the link [gives them up](Registry::give_up); else the link is lost.
    pub(in crate::pubsub) withdrawn: Vec<Arc<str>>,
}

/// Who places channels.
impl Registry {
    /// Waits for channels that no link carries. Returns them, and whether a node has sent some of them on to another
    /// since the last call.
    pub(in crate::pubsub) async fn adrift(&self) -> (Vec<Arc<str>>, bool) {
        loop {
            {
                let mut state = self.state.lock();
                if !state.adrift.is_empty() {
                    let channels = state.adrift.iter().cloned().collect();
                    return (channels, std::mem::take(&mut state.sent_on));
                }
            }
            self.adrift.notified().await;
        }
    }

    /// A new link, and the bell of its changes.
    pub(in crate::pubsub) fn new_link(&self) -> (u64, Arc<Notify>) {
        let state = &mut *self.state.lock();
        state.last_link += 1;
        let link = Link::default();
        let changed = link.changed.clone();
        if !state.closed {
            state.links.insert(state.last_link, link);
        }
        (state.last_link, changed)
    }

    /// Gives channels to a link; returns false if it has ended meanwhile.
    pub(in crate::pubsub) fn place(&self, link: u64, channels: impl IntoIterator<Item = Arc<str>>) -> bool {
        let state = &mut *self.state.lock();
        let Some(carrier) = state.links.get_mut(&link) else {
            return false;
        };
        for name in channels {
            // Nobody may want it any more.
            if state.adrift.remove(&name)
                && let Some(entry) = state.channels.get_mut(&name)
            {
                entry.link = Some(link);
                carrier.look_at(name);
            }
        }
        true
    }

    /// Nobody can tell who has these channels: fails the calls that wait for them. Listeners that were live before
    /// stay, they are owed a gap.
    pub(in crate::pubsub) fn nowhere(&self, channels: &[Arc<str>], error: &Error) {
        let mut state = self.state.lock();
        for channel in channels {
            if state.adrift.contains(channel) {
                state.fail_new(channel, error);
            }
        }
    }

    /// Ends all links, of somebody who is not there any more.
    pub(in crate::pubsub) fn lose_all(&self) {
        let links: Vec<_> = self.state.lock().links.keys().copied().collect();
        links.into_iter().for_each(|link| self.lost(link));
    }
}

/// Who holds a link.
impl Registry {
    /// The link is open, to this keeper.
    pub(in crate::pubsub) fn linked(&self, link: u64, keeper: Option<Keeper>) {
        if let Some(link) = self.state.lock().links.get_mut(&link) {
            (link.open, link.keeper) = (true, keeper);
        }
    }

    /// The link could not be opened: fails the calls that wait for it, and ends it.
    pub(in crate::pubsub) fn no_link(&self, link: u64, error: &Error) {
        {
            let mut state = self.state.lock();
            for channel in state.carried_by(link) {
                state.fail_new(&channel, error);
            }
        }
        self.lost(link);
    }

    /// The link has ended: its channels are adrift.
    pub(in crate::pubsub) fn lost(&self, link: u64) {
        let state = &mut *self.state.lock();
        let channels = state.carried_by(link);
        state.links.remove(&link);
        state.rests = false;
        for channel in channels {
            self.cast_off(state, &channel, false);
        }
    }

    /// Ends a link that carries nothing. Returns whether it has.
    pub(in crate::pubsub) fn retire(&self, link: u64) -> bool {
        let mut state = self.state.lock();
        let idle = state.carried_by(link).is_empty();
        if idle {
            state.links.remove(&link);
            state.rests = true;
        }
        idle
    }

    /// What to tell the server, given what it has been told; clears the set of changes.
    pub(in crate::pubsub) fn plan(&self, link: u64, on_server: &FxHashSet<Arc<str>>) -> Plan {
        let state = &mut *self.state.lock();
        let mut plan = Plan::default();
        let Some(carrier) = state.links.get_mut(&link) else {
            return plan;
        };
        for name in carrier.dirty.drain() {
            match state.channels.get(&name) {
                Some(entry) if entry.link != Some(link) || carrier.withdrawn.contains(&name) => {}
                Some(entry) if !entry.confirmed => plan.subscribe.push(name),
                Some(_) => {}
                None if on_server.contains(&name) => plan.unsubscribe.push(name),
                None => {}
            }
        }
        plan.withdrawn.extend(carrier.withdrawn.drain());
        plan
    }

    /// What to ask the server for; clears the set.
    pub(in crate::pubsub) fn catch_ups(&self, link: u64) -> Vec<CatchUp> {
        let mut state = self.state.lock();
        let link = state.links.get_mut(&link);
        link.map(|link| link.catch_ups.drain().collect())
            .unwrap_or_default()
    }

    /// Puts channels back into the next plan.
    pub(in crate::pubsub) fn retry(&self, link: u64, channels: impl IntoIterator<Item = Arc<str>>) {
        if let Some(link) = self.state.lock().links.get_mut(&link) {
            link.dirty.extend(channels);
        }
    }

    /// Asks again for what could not be told. Who does not wait any more is not asked for.
    pub(in crate::pubsub) fn ask_again(&self, link: u64, questions: impl IntoIterator<Item = CatchUp>) {
        let state = &mut *self.state.lock();
        let Some(carrier) = state.links.get_mut(&link) else {
            return;
        };
        for question in questions {
            let entry = state.channels.get(&question.channel);
            let waits = entry.is_some_and(|entry| {
                let stages = entry.listeners.iter().map(|listener| listener.stage);
                let mut catching_up = stages.filter_map(|stage| match stage {
                    Stage::CatchingUp { after, .. } => Some(after),
                    _ => None,
                });
                entry.link == Some(link) && catching_up.any(|after| after == question.after)
            });
            if waits {
                carrier.catch_ups.insert(question);
            }
        }
    }

    /// The server has confirmed a subscription: what comes from now on is held until each listener has caught up.
    pub(in crate::pubsub) fn confirm(&self, link: u64, channel: &str) {
        let state = &mut *self.state.lock();
        let (Some(carrier), Some((name, _))) =
            (state.links.get_mut(&link), state.channels.get_key_value(channel))
        else {
            return;
        };
        let name = name.clone();
        let Some(entry) = state.channels.get_mut(channel) else {
            return;
        };
        if entry.link != Some(link) || entry.confirmed {
            return;
        }
        let last = entry.confirm(carrier.keeper.as_ref());
        for listener in &mut entry.listeners {
            let after = listener.catch_up(&name, last);
            let channel = name.clone();
            carrier.ask(CatchUp { channel, after });
        }
    }

    /// The server has ended a subscription, or tells nothing of a channel, for it is not there any more. If nobody asked
    /// for that, its slot has moved to another node.
    pub(in crate::pubsub) fn withdrawn(&self, link: u64, channel: &str) {
        let state = &mut *self.state.lock();
        let (Some(carrier), Some((name, entry))) =
            (state.links.get_mut(&link), state.channels.get_key_value(channel))
        else {
            return;
        };
        if entry.link == Some(link) && entry.confirmed {
            carrier.withdrawn.insert(name.clone());
            carrier.changed.notify_one();
        }
        if let Some(entry) = state
            .channels
            .get_mut(channel)
            .filter(|entry| entry.link == Some(link))
        {
            (entry.confirmed, entry.known) = (false, false);
        }
    }

    /// Channels that the server has handed over to another.
    pub(in crate::pubsub) fn give_up(&self, link: u64, channels: &[Arc<str>]) {
        let state = &mut *self.state.lock();
        for channel in channels {
            let entry = state.channels.get(channel);
            if entry.is_some_and(|entry| entry.link == Some(link) && !entry.confirmed) {
                self.cast_off(state, channel, true);
            }
        }
    }

    /// The server would not subscribe to a channel, for another has it.
    pub(in crate::pubsub) fn sent_on(&self, link: u64, channel: &str) {
        let state = &mut *self.state.lock();
        if let Some(entry) = state
            .channels
            .get(channel)
            .filter(|entry| entry.link == Some(link))
        {
            let handed_over = entry.handed_over;
            state.sent_on = true;
            self.cast_off(state, channel, handed_over);
        }
    }

    /// The server has told what came on a channel, or will not. Everything that it had sent before is dispatched.
    pub(in crate::pubsub) fn caught_up(&self, link: u64, asked: &CatchUp, answer: &Result<Caught, Error>) {
        let state = &mut *self.state.lock();
        let CatchUp { channel, after } = asked;
        let entry = state.channels.get_mut(channel);
        let Some(entry) = entry.filter(|entry| entry.link == Some(link)) else {
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
    }

    /// A message came from the server.
    pub(in crate::pubsub) fn dispatch(&self, link: u64, channel: &str, payload: Bytes) {
        let state = &mut *self.state.lock();
        let Some((name, entry)) = state.channels.get_key_value(channel) else {
            return;
        };
        if entry.link != Some(link) {
            return;
        }
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

    /// The server refused one channel: fails the calls that wait for it. Returns whether other listeners still
    /// want it.
    pub(in crate::pubsub) fn refuse(&self, link: u64, channel: &str, error: &Error) -> bool {
        let mut state = self.state.lock();
        let entry = state.channels.get(channel);
        entry.is_some_and(|entry| entry.link == Some(link)) && state.fail_new(channel, error)
    }

    fn cast_off(&self, state: &mut State, channel: &str, handed_over: bool) {
        let Some((name, _)) = state.channels.get_key_value(channel) else {
            return;
        };
        let name = name.clone();
        if let Some(entry) = state.channels.get_mut(channel) {
            entry.cast_off(&name, &self.counters);
            entry.handed_over = handed_over;
            state.adrift.insert(name);
            self.adrift.notify_one();
        }
    }
}

impl State {
    fn carried_by(&self, link: u64) -> Vec<Arc<str>> {
        let carried = self.channels.iter().filter(|(_, entry)| entry.link == Some(link));
        carried.map(|(name, _)| name.clone()).collect()
    }
}
