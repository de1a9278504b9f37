//! The Redis side of a hub: connections that carry its subscriptions, one to each server, and others for what it
//! publishes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::members::Entry;
use super::registry::Registry;
use super::scripts::{self, Call};
use super::served::{Ended, Served, explain};
use super::servers::{Place, Servers};
use super::{History, Member, PubSubConfig, Published};
use crate::{Error, RedisConfig, Reply};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a hub needs of Redis.
pub(super) struct RedisBackend {
    servers: Arc<Servers>,
    pubsub: PubSubConfig,
    /// The task that keeps the servers in line with the registry, from the first subscription on.
    task: Mutex<Task>,
}

#[derive(Default)]
struct Task {
    handle: Option<JoinHandle<()>>,
    closed: bool,
}

impl RedisBackend {
    /// Does no I/O.
    pub(super) fn new(config: RedisConfig, pubsub: PubSubConfig) -> Self {
        Self {
            servers: Arc::new(Servers::new(config)),
            pubsub,
            task: Mutex::default(),
        }
    }

    /// Publishes a sealed message.
    pub(super) async fn publish(
        &self,
        channel: &str,
        sealed: Vec<u8>,
        history: Option<History>,
    ) -> Result<Published, Error> {
        let call = scripts::publish(channel, sealed, history, &self.pubsub);
        let reply = self.call(&call).await?;
        scripts::published(&reply).ok_or(Error::Unexpected {
            command: call.name(),
            reply: reply.kind(),
        })
    }

    /// Lets entries enter a channel, or stay on it; those that have expired leave.
    pub(super) async fn enter(&self, channel: &str, entries: &[Entry]) -> Result<(), Error> {
        let call = scripts::presence(channel, "enter", entries, &self.pubsub);
        self.call(&call).await.map(drop)
    }

    pub(super) async fn leave(&self, channel: &str, entries: &[Entry]) -> Result<(), Error> {
        let call = scripts::presence(channel, "leave", entries, &self.pubsub);
        self.call(&call).await.map(drop)
    }

    /// Who is on a channel.
    pub(super) async fn members(&self, channel: &str) -> Result<Vec<Member>, Error> {
        let call = scripts::presence(channel, "read", &[], &self.pubsub);
        let reply = self.call(&call).await?;
        let kind = reply.kind();
        scripts::members(reply).ok_or(Error::Unexpected {
            command: call.name(),
            reply: kind,
        })
    }

    async fn call(&self, call: &Call) -> Result<Reply, Error> {
        let answer = self.servers.call(call).await;
        answer.map_err(|error| explain(error, self.servers.is_cluster()))
    }

    /// Starts the task if it does not run (or ran on a runtime that has ended).
    pub(super) fn ensure_links(&self, registry: &Arc<Registry>) {
        let mut task = self.task.lock();
        if !task.closed && task.handle.as_ref().is_none_or(JoinHandle::is_finished) {
            let keeping = Keeping {
                registry: registry.clone(),
                servers: self.servers.clone(),
                pubsub: self.pubsub.clone(),
                links: FxHashMap::default(),
                pauses: FxHashMap::default(),
                tasks: JoinSet::new(),
                in_a_row: 0,
                lost: false,
            };
            task.handle = Some(tokio::spawn(keeping.run()));
        }
    }

    /// How long a subscription waits for its confirmation.
    pub(super) fn patience(&self) -> Duration {
        let config = self.servers.config();
        // In a cluster one also finds out where it is.
        let connections = if self.servers.is_cluster() { 2 } else { 1 };
        connections * config.connect_timeout + 2 * config.response_timeout
    }

    /// The error of a subscription that ran out of patience.
    pub(super) fn no_confirmation(&self) -> Error {
        let address = self.servers.config().address.to_string();
        Error::Timeout {
            address,
            what: "SUBSCRIBE".to_owned(),
            after: self.patience(),
        }
    }

    /// Ends the task and the connections.
    pub(super) fn close(&self) {
        let mut task = self.task.lock();
        task.closed = true;
        if let Some(handle) = task.handle.take() {
            handle.abort();
        }
        self.servers.close();
    }
}

impl Drop for RedisBackend {
    fn drop(&mut self) {
        self.close();
    }
}

/// Holds links while anyone listens: places channels, and comes back after each loss, with pauses that grow.
struct Keeping {
    registry: Arc<Registry>,
    servers: Arc<Servers>,
    pubsub: PubSubConfig,
    /// The links, by where they lead.
    links: FxHashMap<Place, u64>,
    /// How long to wait before the next attempt.
    pauses: FxHashMap<Place, Duration>,
    tasks: JoinSet<(Place, u64, Ended)>,
    /// How often in a row some channels were sent on to another node.
    in_a_row: u32,
    /// Whether nobody tells who has which channels.
    lost: bool,
}

impl Keeping {
    async fn run(mut self) {
        // Those of a runtime that has ended.
        self.registry.lose_all();
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                (adrift, sent_on) = self.registry.adrift() => {
                    // Two nodes may send a channel to each other until they agree.
                    self.in_a_row = if sent_on { self.in_a_row + 1 } else { 0 };
                    if sent_on {
                        tokio::time::sleep(pause(self.in_a_row - 1)).await;
                    }
                    self.place(adrift).await;
                }
            }
        }
    }

    async fn place(&mut self, adrift: Vec<Arc<str>>) {
        if let Err(error) = self.servers.refresh().await {
            if !std::mem::replace(&mut self.lost, true) {
                tracing::warn!(%error, "pub-sub cannot find out who has which channels; it keeps trying");
            }
            self.registry.nowhere(&adrift, &error);
            return tokio::time::sleep(LONGEST_PAUSE).await;
        }
        self.lost = false;
        let mut by_place: FxHashMap<Place, Vec<Arc<str>>> = FxHashMap::default();
        let mut nowhere = false;
        for channel in adrift {
            match self.servers.place(&channel) {
                Ok(place) => by_place.entry(place).or_default().push(channel),
                Err(error) => {
                    nowhere = true;
                    self.registry.nowhere(&[channel], &error);
                }
            }
        }
        for (place, channels) in by_place {
            let link = match self.links.get(&place) {
                Some(link) => *link,
                None => self.open(place.clone()),
            };
            if !self.registry.place(link, channels) {
                // It has just ended; the next one is another.
                self.links.remove(&place);
            }
        }
        if nowhere {
            tokio::time::sleep(FIRST_PAUSE * 5).await;
        }
    }

    fn open(&mut self, place: Place) -> u64 {
        let (number, changed) = self.registry.new_link();
        self.links.insert(place.clone(), number);
        let pause = self.pauses.get(&place).copied().unwrap_or_default();
        let (registry, servers, pubsub) = (self.registry.clone(), self.servers.clone(), self.pubsub.clone());
        self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            let link = Served {
                registry: &registry,
                servers: &servers,
                pubsub: &pubsub,
                place: &place,
                number,
                changed: &changed,
            };
            let ended = link.hold().await;
            (place, number, ended)
        });
        number
    }

    fn ended(&mut self, ended: Result<(Place, u64, Ended), JoinError>) {
        let (place, number, ended) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => return,
            Err(_) => {
                // A task of ours has panicked, and said so. Its link is not known here.
                self.links.clear();
                self.tasks.abort_all();
                return self.registry.lose_all();
            }
        };
        if self.links.get(&place) == Some(&number) {
            self.links.remove(&place);
        }
        let before = self.pauses.remove(&place);
        match ended {
            Ended::Idle => return,
            Ended::Lost(error) => {
                tracing::warn!(%error, "pub-sub lost its Redis connection; receivers get a gap once it is back");
                self.pauses.insert(place, FIRST_PAUSE);
            }
            Ended::Unreached(error) => {
                // Once per outage is enough for a human; the rest is for whoever looks closer.
                match before {
                    Some(pause) if pause > FIRST_PAUSE => {
                        tracing::debug!(%error, "pub-sub still has no Redis connection");
                    }
                    _ => tracing::warn!(%error, "pub-sub has no Redis connection; it keeps trying"),
                }
                let pause = before.map_or(FIRST_PAUSE, |pause| pause * 2);
                self.pauses.insert(place, pause.min(LONGEST_PAUSE));
            }
        }
        self.servers.suspect();
    }
}

/// Grows with the number of attempts before.
fn pause(before: u32) -> Duration {
    (FIRST_PAUSE * (1 << before.min(8))).min(LONGEST_PAUSE)
}
