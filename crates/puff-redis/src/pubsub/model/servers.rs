//! The model's servers, and how the links are held that lead to them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use rustc_hash::FxHashSet;

use super::{CHANNELS, World, known};
use crate::Error;
use crate::pubsub::catchup::Caught;
use crate::pubsub::channel::Keeper;
use crate::pubsub::local::Store;
use crate::pubsub::registry::CatchUp;

/// By what each server has in common with those that copy it.
pub(super) const SERVERS: [&str; 3] = ["first", "first", "second"];

/// How a server does not tell what came on a channel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Never,
    ForTheMoment,
}

/// What a server has sent and the link has not brought yet.
pub(super) enum Sent {
    Message(&'static str, Bytes),
    /// The channel is not there any more.
    Withdrawn(Arc<str>),
    /// Answers.
    Confirmed(Arc<str>),
    Elsewhere(Arc<str>),
    Told(CatchUp, Result<Caught, Error>),
    Untold(CatchUp),
    GivenUp(Vec<Arc<str>>),
    /// It is not who it was.
    Replaced,
}

pub(super) struct Server {
    pub(super) reign: usize,
    pub(super) store: Store,
    pub(super) remembered: Store,
    pub(super) stream: VecDeque<Sent>,
    pub(super) on_server: FxHashSet<Arc<str>>,
    /// With its reign when the link was opened.
    pub(super) link: Option<(u64, usize)>,
}

impl Server {
    pub(super) fn new(reign: usize) -> Self {
        Self {
            reign,
            store: empty(),
            remembered: empty(),
            stream: VecDeque::new(),
            on_server: FxHashSet::default(),
            link: None,
        }
    }
}

impl World {
    /// As the task does that holds the links.
    pub(super) fn place(&mut self, fails: bool) {
        let Some((adrift, _)) = self.registry.adrift().now_or_never() else {
            return;
        };
        for name in adrift {
            let at = self.route[known(&name)];
            let server = &mut self.servers[at];
            let open = server.link.is_none();
            let reign = server.reign;
            let (link, _) = *server
                .link
                .get_or_insert_with(|| (self.registry.new_link().0, reign));
            assert!(self.registry.place(link, [name]));
            if open && fails {
                self.registry.no_link(link, &failed("CONNECT"));
                self.servers[at].link = None;
                self.ask_around();
            } else if open {
                self.registry.linked(link, Some(self.keeper(at)));
            }
        }
        self.settle_calls();
    }

    pub(super) fn keeper(&self, at: usize) -> Keeper {
        Keeper {
            reign: self.servers[at].reign.to_string(),
            shard: Some(SERVERS[at].to_owned()),
        }
    }

    /// Finds out who has which channels.
    pub(super) fn ask_around(&mut self) {
        self.route = self.owner.clone();
    }

    pub(super) fn work(&mut self, at: usize, fails: Option<Failure>) {
        let Server {
            stream,
            on_server,
            store,
            reign,
            link: Some((link, reign_then)),
            ..
        } = &mut self.servers[at]
        else {
            return;
        };
        // The link's task waits for the answers to what it has asked.
        let unasked = |sent: &Sent| matches!(sent, Sent::Message(..) | Sent::Withdrawn(_));
        if !stream.iter().all(unasked) {
            return;
        }
        let plan = self.registry.plan(*link, on_server);
        if !plan.withdrawn.is_empty() && reign != reign_then {
            return stream.push_back(Sent::Replaced);
        }
        if !plan.withdrawn.is_empty() {
            stream.push_back(Sent::GivenUp(plan.withdrawn));
        }
        for channel in plan.unsubscribe {
            on_server.remove(&channel);
        }
        for channel in plan.subscribe {
            if self.owner[known(&channel)] == at {
                on_server.insert(channel.clone());
                stream.push_back(Sent::Confirmed(channel));
            } else {
                stream.push_back(Sent::Elsewhere(channel));
            }
        }
        for asked in self.registry.catch_ups(*link) {
            stream.push_back(match fails {
                _ if self.owner[known(&asked.channel)] != at => Sent::Withdrawn(asked.channel),
                Some(Failure::ForTheMoment) => Sent::Untold(asked),
                Some(Failure::Never) => Sent::Told(asked, Err(failed("NOPERM"))),
                None => {
                    let caught = store.caught(&asked.channel, 64, 1 << 20, self.now);
                    Sent::Told(asked, Ok(caught))
                }
            });
        }
    }

    pub(super) fn arrive(&mut self, at: usize, count: usize) {
        let Some((link, _)) = self.servers[at].link else {
            return;
        };
        for _ in 0..count {
            match self.servers[at].stream.pop_front() {
                Some(Sent::Message(channel, payload)) => self.registry.dispatch(link, channel, payload),
                Some(Sent::Withdrawn(channel)) => self.registry.withdrawn(link, &channel),
                Some(Sent::Confirmed(channel)) => {
                    self.confirmed_by.insert(known(&channel), at);
                    self.registry.confirm(link, &channel);
                }
                Some(Sent::Elsewhere(channel)) => {
                    let name = known(&channel);
                    self.route.insert(name, self.owner[name]);
                    self.registry.sent_on(link, &channel);
                }
                Some(Sent::Told(asked, answer)) => self.registry.caught_up(link, &asked, &answer),
                Some(Sent::Untold(asked)) => self.registry.ask_again(link, [asked]),
                Some(Sent::GivenUp(channels)) => self.registry.give_up(link, &channels),
                Some(Sent::Replaced) => return self.cut(at),
                None => return,
            }
            self.settle_calls();
        }
    }

    pub(super) fn cut(&mut self, at: usize) {
        let server = &mut self.servers[at];
        server.stream.clear();
        server.on_server.clear();
        if let Some((link, _)) = server.link.take() {
            self.registry.lost(link);
        }
        self.ask_around();
    }

    /// The server is not who it was from now on.
    pub(super) fn begin_again(&mut self, at: usize) {
        self.servers[at].reign = self.reigns;
        self.reigns += 1;
    }

    pub(super) fn channels_of(&self, at: usize) -> Vec<&'static str> {
        let of = |channel: &&str| self.owner[channel] == at;
        CHANNELS.into_iter().filter(of).collect()
    }

    /// Whether it has channels that another has given to it, and nobody knows that it has them.
    pub(super) fn is_taking_over(&self, at: usize) -> bool {
        let taken = |channel: &&str| self.confirmed_by.get(channel).is_some_and(|by| *by != at);
        self.channels_of(at).iter().any(taken)
    }

    /// These channels are as they were once: who comes back to a position of later cannot be helped.
    pub(super) fn went_back(&mut self, channels: &[&'static str]) {
        for channel in channels {
            let length = self.log.get(channel).map_or(0, Vec::len);
            self.valid_from.insert(channel, length);
        }
        let views = self.views.iter_mut();
        views
            .filter(|((_, channel), _)| channels.contains(channel))
            .for_each(|(_, view)| view.position = None);
        for (connection, channel, since, call) in std::mem::take(&mut self.calls) {
            match since {
                Some(_) if channels.contains(&channel) => self.leave(connection, channel),
                _ => self.calls.push((connection, channel, since, call)),
            }
        }
    }

    pub(super) fn fail_over(&mut self) {
        let from = usize::from(!self.channels_of(1).is_empty());
        let to = 1 - from;
        if self.is_taking_over(from) {
            return;
        }
        let channels = self.channels_of(from);
        self.went_back(&channels);
        let remembered = self.servers[from].remembered.clone();
        for channel in channels {
            self.servers[to].store.copy(channel, &remembered);
            self.give_up(from, channel);
            self.owner.insert(channel, to);
        }
        // What its replica has is not what it had.
        self.servers[to].remembered = empty();
        self.begin_again(from);
        self.begin_again(to);
    }

    pub(super) fn change_shard(&mut self, channel: &'static str) {
        let from = self.owner[channel];
        let to = match from {
            2 => usize::from(!self.channels_of(1).is_empty()),
            _ => 2,
        };
        let store = self.servers[from].store.clone();
        self.servers[to].store.copy(channel, &store);
        self.give_up(from, channel);
        self.owner.insert(channel, to);
    }

    pub(super) fn give_up(&mut self, at: usize, channel: &'static str) {
        let server = &mut self.servers[at];
        server.store.forget(channel);
        server.remembered.forget(channel);
        if let Some(name) = server.on_server.take(channel) {
            server.stream.push_back(Sent::Withdrawn(name));
        }
    }
}

pub(super) fn empty() -> Store {
    Store::new(Duration::from_secs(60))
}

pub(super) fn failed(code: &str) -> Error {
    Error::Command {
        code: code.to_owned(),
        message: String::new(),
    }
}
