//! Channels within this process: what Redis keeps otherwise.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::catchup::Caught;
use super::{History, Message, Position};

/// The counters and histories of all channels of a process. The same rules as those of the scripts in Redis.
#[cfg_attr(test, derive(Clone))]
pub(super) struct Store {
    channels: FxHashMap<Arc<str>, Stored>,
    /// How long a channel without messages keeps its counter.
    ttl: Duration,
    /// At this number of channels those that have expired are looked for.
    sweep_at: usize,
}

#[cfg_attr(test, derive(Clone))]
struct Stored {
    position: Position,
    until: Instant,
    history: VecDeque<Arc<Message>>,
    history_until: Instant,
}

const FIRST_SWEEP: usize = 1024;

impl Store {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            channels: FxHashMap::default(),
            ttl,
            sweep_at: FIRST_SWEEP,
        }
    }

    /// Numbers a message and keeps it if it shall be kept.
    pub(super) fn append(
        &mut self,
        channel: &Arc<str>,
        body: Bytes,
        from: Option<Arc<str>>,
        history: Option<History>,
        now: Instant,
    ) -> Arc<Message> {
        if self.channels.len() >= self.sweep_at {
            self.channels.retain(|_, stored| stored.until > now);
            self.sweep_at = FIRST_SWEEP.max(self.channels.len() * 2);
        }
        let kept = history.map_or(Duration::ZERO, |history| history.time);
        let stored = self
            .channels
            .entry(channel.clone())
            .and_modify(|stored| {
                if stored.until <= now {
                    *stored = Stored::new(now);
                }
            })
            .or_insert_with(|| Stored::new(now));
        stored.position = stored.position.next();
        stored.until = stored.until.max(now + self.ttl.max(kept));
        if stored.history_until <= now {
            stored.history.clear();
        }
        let message = Arc::new(Message::new(channel.clone(), body, from, Some(stored.position)));
        if let Some(history) = history {
            stored.history.push_back(message.clone());
            let excess = stored.history.len().saturating_sub(history.messages);
            stored.history.drain(..excess);
            stored.history_until = now + history.time;
        }
        message
    }

    /// What is known of a channel; at most the newest `messages` with `bytes` in all.
    pub(super) fn caught(&self, channel: &str, messages: usize, bytes: usize, now: Instant) -> Caught {
        let Some(stored) = self.channels.get(channel).filter(|stored| stored.until > now) else {
            return Caught::default();
        };
        let mut room = bytes;
        let kept = stored.history.iter().rev().take(messages);
        let kept = kept.take_while(|message| {
            let left = room.checked_sub(message.body.len());
            room = left.unwrap_or(0);
            left.is_some()
        });
        let mut kept: Vec<_> = kept.filter(|_| stored.history_until > now).cloned().collect();
        kept.reverse();
        Caught {
            head: Some(stored.position),
            keeps: stored.history_until > now && !stored.history.is_empty(),
            messages: kept,
        }
    }
}

impl Stored {
    fn new(now: Instant) -> Self {
        Self {
            position: Position::new(new_epoch(), 0),
            until: now,
            history: VecDeque::new(),
            history_until: now,
        }
    }
}

/// An epoch that no channel had.
pub(super) fn new_epoch() -> u64 {
    Uuid::new_v4().as_u64_pair().0
}

/// What becomes of a channel in the model.
#[cfg(test)]
impl Store {
    pub(super) fn forget(&mut self, channel: &str) {
        self.channels.remove(channel);
    }

    /// Takes a channel over as another has it.
    pub(super) fn copy(&mut self, channel: &str, other: &Store) {
        self.forget(channel);
        if let Some((name, stored)) = other.channels.get_key_value(channel) {
            self.channels.insert(name.clone(), stored.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn append(store: &mut Store, channel: &str, keep: Option<usize>, now: Instant) -> Position {
        let history = keep.map(|messages| History {
            messages,
            time: 2 * SECOND,
        });
        let message = store.append(&channel.into(), "1234".into(), None, history, now);
        message.position.unwrap()
    }

    fn kept(store: &Store, messages: usize, bytes: usize, now: Instant) -> Vec<u64> {
        let caught = store.caught("c", messages, bytes, now);
        let positions = caught.messages.iter().filter_map(|message| message.position);
        positions.map(Position::sequence).collect()
    }

    #[test]
    fn history_is_bounded_by_number_time_and_what_is_asked() {
        let (mut store, now) = (Store::new(10 * SECOND), Instant::now());
        for _ in 0..7 {
            append(&mut store, "c", Some(4), now);
        }
        assert_eq!(kept(&store, 10, 100, now), [4, 5, 6, 7]);
        assert_eq!(kept(&store, 2, 100, now), [6, 7]);
        assert_eq!(kept(&store, 10, 11, now), [6, 7]);
        assert_eq!(kept(&store, 10, 100, now + 2 * SECOND), [0u64; 0]);
        append(&mut store, "c", Some(4), now + 3 * SECOND);
        assert_eq!(kept(&store, 10, 100, now + 3 * SECOND), [8]);
    }

    #[test]
    fn an_expired_channel_has_a_new_epoch() {
        let (mut store, now) = (Store::new(SECOND), Instant::now());
        let first = append(&mut store, "c", None, now);
        let second = append(&mut store, "c", None, now + SECOND / 2);
        assert_eq!((first.next(), first.sequence()), (second, 1));
        let later = now + 2 * SECOND;
        assert_eq!(store.caught("c", 1, 1, later), Caught::default());
        let third = append(&mut store, "c", None, later);
        assert_eq!((third.sequence(), third.same_epoch(first)), (1, false));
    }

    #[test]
    fn channels_that_expired_do_not_stay() {
        let (mut store, now) = (Store::new(SECOND), Instant::now());
        for number in 0..20 * FIRST_SWEEP as u32 {
            append(&mut store, &number.to_string(), None, now + number * SECOND / 100);
        }
        assert!(
            store.channels.len() <= 2 * FIRST_SWEEP,
            "{}",
            store.channels.len()
        );
    }
}
