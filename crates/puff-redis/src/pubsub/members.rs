//! The members that this process stands for, and the heart that beats for them.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::PubSubConfig;
use super::presence::{self, Member};
use super::redis::RedisBackend;
use super::registry::Registry;
use crate::Error;

/// Entries of one call to Redis, so that none takes long.
const BATCH: usize = 500;

/// One connection's entry on one channel.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) member: Member,
    /// Unique among all entries of all processes.
    pub(super) token: String,
    /// Counts this hub's entries: what a member has told last is true.
    serial: u64,
}

/// The entries of all connections of a hub.
pub(super) struct Members {
    state: Mutex<State>,
    /// Held while Redis is told of entries, so that a beat does not bring one back that has just left.
    turn: tokio::sync::Mutex<()>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// By channel, then by connection.
    channels: FxHashMap<Arc<str>, FxHashMap<usize, Entry>>,
    /// Channels whose changes somebody watches, with how many do: the heart also looks for who has died there.
    watched: FxHashMap<Arc<str>, FxHashSet<usize>>,
    /// Entries whose connections are closed.
    leaving: Vec<(Arc<str>, Entry)>,
    serial: u64,
    heart: Option<JoinHandle<()>>,
    closed: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// An entry for a connection; the same as before if it is on the channel already in the same name.
    pub(super) fn entry(&self, channel: &str, connection: usize, member: Member) -> (Entry, Option<Entry>) {
        let state = self.state.lock();
        let before = state
            .channels
            .get(channel)
            .and_then(|entries| entries.get(&connection))
            .cloned();
        match before {
            Some(before) if before.member.id == member.id => {
                let token = before.token;
                (
                    Entry {
                        member,
                        token,
                        serial: 0,
                    },
                    None,
                )
            }
            before => {
                let token = Uuid::new_v4().simple().to_string();
                (
                    Entry {
                        member,
                        token,
                        serial: 0,
                    },
                    before,
                )
            }
        }
    }

    /// The connection is on the channel. Returns whether it is the first of its member here.
    pub(super) fn insert(&self, channel: &str, connection: usize, mut entry: Entry) -> bool {
        let state = &mut *self.state.lock();
        state.serial += 1;
        entry.serial = state.serial;
        let entries = state.channels.entry(channel.into()).or_default();
        let id = entry.member.id.clone();
        entries.insert(connection, entry);
        entries.values().filter(|entry| entry.member.id == id).count() == 1
    }

    /// The connection leaves the channel. Returns its entry, and whether it was the last of its member here.
    pub(super) fn remove(&self, channel: &str, connection: usize) -> Option<(Entry, bool)> {
        let mut state = self.state.lock();
        state.remove(channel, connection)
    }

    pub(super) fn watch(&self, channel: &str, connection: usize) {
        let mut state = self.state.lock();
        state
            .watched
            .entry(channel.into())
            .or_default()
            .insert(connection);
    }

    pub(super) fn unwatch(&self, channel: &str, connection: usize) {
        let mut state = self.state.lock();
        if let Some(watchers) = state.watched.get_mut(channel) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                state.watched.remove(channel);
            }
        }
    }

    /// The connection is closed. Returns the entries that it had, and whether each was the last of its member here.
    pub(super) fn disconnect(&self, connection: usize) -> Vec<(Arc<str>, Entry, bool)> {
        let mut state = self.state.lock();
        state.watched.retain(|_, watchers| {
            watchers.remove(&connection);
            !watchers.is_empty()
        });
        let entered = state.channels.iter();
        let entered = entered.filter(|(_, entries)| entries.contains_key(&connection));
        let channels: Vec<_> = entered.map(|(channel, _)| channel.clone()).collect();
        let left = channels.into_iter().filter_map(|channel| {
            let (entry, last) = state.remove(&channel, connection)?;
            Some((channel, entry, last))
        });
        left.collect()
    }

    /// Lets the heart tell Redis of entries that have left.
    pub(super) fn leave_soon(&self, left: impl IntoIterator<Item = (Arc<str>, Entry)>) {
        self.state.lock().leaving.extend(left);
        self.changed.notify_one();
    }

    /// Who is on a channel, within this process; each member once.
    pub(super) fn local(&self, channel: &str) -> Vec<Member> {
        let state = self.state.lock();
        let entries = state
            .channels
            .get(channel)
            .into_iter()
            .flat_map(FxHashMap::values);
        let mut members: FxHashMap<&str, &Entry> = FxHashMap::default();
        for entry in entries {
            let known = members.entry(&entry.member.id).or_insert(entry);
            if known.serial < entry.serial {
                *known = entry;
            }
        }
        members.values().map(|entry| entry.member.clone()).collect()
    }

    /// Starts the heart if it does not beat.
    pub(super) fn ensure_heart(self: &Arc<Self>, redis: &Arc<RedisBackend>, config: &PubSubConfig) {
        let mut state = self.state.lock();
        if !state.closed && state.heart.as_ref().is_none_or(JoinHandle::is_finished) {
            let (members, redis) = (Arc::downgrade(self), redis.clone());
            let pause = config.presence_ttl / 3;
            state.heart = Some(tokio::spawn(async move {
                loop {
                    let Some(members) = members.upgrade() else { return };
                    let beat = tokio::select! {
                        () = tokio::time::sleep(pause) => true,
                        () = members.changed.notified() => false,
                    };
                    members.flush(&redis).await;
                    if beat {
                        members.beat(&redis).await;
                    }
                }
            }));
        }
    }

    /// Tells Redis who has left. If it cannot be reached they expire.
    async fn flush(&self, redis: &RedisBackend) {
        let leaving = std::mem::take(&mut self.state.lock().leaving);
        let mut by_channel: FxHashMap<Arc<str>, Vec<Entry>> = FxHashMap::default();
        for (channel, entry) in leaving {
            by_channel.entry(channel).or_default().push(entry);
        }
        for (channel, entries) in by_channel {
            for some in entries.chunks(BATCH) {
                if let Err(error) = self.leave(redis, &channel, some).await {
                    tracing::debug!(%channel, %error, "members that have left will expire");
                    return;
                }
            }
        }
    }

    /// Tells Redis who has left.
    pub(super) async fn leave(
        &self,
        redis: &RedisBackend,
        channel: &str,
        entries: &[Entry],
    ) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        redis.leave(channel, entries).await
    }

    /// Tells Redis who is still there, and lets it look for who is not.
    async fn beat(&self, redis: &RedisBackend) {
        let channels: FxHashSet<_> = {
            let state = self.state.lock();
            state
                .channels
                .keys()
                .chain(state.watched.keys())
                .cloned()
                .collect()
        };
        for channel in channels {
            let _turn = self.turn.lock().await;
            let entries: Vec<_> = {
                let state = self.state.lock();
                let entries = state.channels.get(&channel).into_iter();
                entries.flat_map(FxHashMap::values).cloned().collect()
            };
            // One call at least, also without entries of our own.
            for some in entries.chunks(BATCH).chain(entries.is_empty().then_some(&[][..])) {
                if let Err(error) = redis.enter(&channel, some).await {
                    tracing::warn!(%channel, %error, "presence could not be kept up");
                    return;
                }
            }
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.channels.clear();
        state.watched.clear();
        if let Some(heart) = state.heart.take() {
            heart.abort();
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn remove(&mut self, channel: &str, connection: usize) -> Option<(Entry, bool)> {
        let entries = self.channels.get_mut(channel)?;
        let entry = entries.remove(&connection)?;
        let last = entries.values().all(|other| other.member.id != entry.member.id);
        if entries.is_empty() {
            self.channels.remove(channel);
        }
        Some((entry, last))
    }
}

/// Publishes a change within this process.
pub(super) fn announce(
    registry: &Registry,
    channel: &str,
    joined: bool,
    member: &Member,
) -> Result<(), Error> {
    registry
        .publish(
            &presence::beside(channel),
            None,
            presence::write(joined, member),
            None,
        )
        .map(drop)
}
