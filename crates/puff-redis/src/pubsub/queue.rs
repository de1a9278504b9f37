//! What waits for one connection: events in order, within bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::catchup::{Caught, Resume};
use super::{Event, Gap, Message, Overflow, Position};

/// Events that wait for one connection, and the channels that it wants. No waiting and no locks in here.
///
/// Where a message is dropped a gap stands in its place. Gaps do not count against the bound; there is at most one per
/// channel after each queued message, and one per channel in front, so their number is bounded all the same. What a
/// replay brings does not count either; whoever gives it bounds it.
pub(super) struct Queue {
    bounds: Bounds,
    /// Channels whose oldest messages were dropped: their gaps stand before everything else.
    front: VecDeque<Arc<str>>,
    items: VecDeque<Item>,
    channels: FxHashMap<Arc<str>, Channel>,
    messages: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) overflow: Overflow,
}

struct Channel {
    echo: bool,
    /// The last position that was taken out; where the connection stands.
    taken: Option<Position>,
    /// Whether a gap is in front.
    front: bool,
    /// Items in the queue.
    queued: usize,
    /// Whether the newest of them is a gap, or there are none and a gap is in front: further losses are covered by it.
    open: bool,
    /// What has come while the channel catches up, to be queued behind that.
    held: Option<Held>,
}

#[derive(Default)]
struct Held {
    items: VecDeque<Item>,
    open: bool,
}

enum Item {
    Message {
        message: Arc<Message>,
        /// Whether it counts against the bounds.
        counts: bool,
    },
    Gap {
        channel: Arc<str>,
        /// The position after it, if nothing queued tells it.
        next: Option<Position>,
    },
}

impl Item {
    fn channel(&self) -> &Arc<str> {
        match self {
            Item::Message { message, .. } => &message.channel,
            Item::Gap { channel, .. } => channel,
        }
    }

    fn position(&self) -> Option<Position> {
        match self {
            Item::Message { message, .. } => message.position,
            Item::Gap { .. } => None,
        }
    }

    /// How many messages and bytes it counts for.
    fn weight(&self) -> (usize, usize) {
        match self {
            Item::Message {
                message,
                counts: true,
            } => (1, message.body.len()),
            _ => (0, 0),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Queued,
    /// The connection does not want it.
    Unwanted,
    /// This one, or as many older ones, had no room. `gap` tells whether a gap is new.
    Dropped {
        messages: usize,
        gap: bool,
    },
    /// There was no room, and the policy is to end the connection.
    Overflowed,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            front: VecDeque::new(),
            items: VecDeque::new(),
            channels: FxHashMap::default(),
            messages: 0,
            bytes: 0,
        }
    }

    /// Notes that the connection wants a channel. Repeating it changes only whether there is an echo.
    pub(super) fn enter(&mut self, channel: &Arc<str>, echo: bool) {
        let entry = self.channels.entry(channel.clone()).or_insert(Channel {
            echo,
            taken: None,
            front: false,
            queued: 0,
            open: false,
            held: None,
        });
        entry.echo = echo;
    }

    /// The connection begins with what follows `base`.
    pub(super) fn begin(&mut self, channel: &str, base: Option<Position>) {
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.taken = base;
        }
    }

    /// Forgets a channel and whatever of it is still queued; returns whether it was wanted.
    pub(super) fn leave(&mut self, channel: &str) -> bool {
        let Some(entry) = self.channels.remove(channel) else {
            return false;
        };
        let (mut messages, mut bytes) = (0, 0);
        let mut weigh = |item: &Item| {
            let (count, size) = item.weight();
            messages += count;
            bytes += size;
        };
        entry
            .held
            .iter()
            .flat_map(|held| &held.items)
            .for_each(&mut weigh);
        if entry.queued > 0 {
            self.items.retain(|item| {
                let stays = **item.channel() != *channel;
                if !stays {
                    weigh(item);
                }
                stays
            });
        }
        if entry.front {
            self.front.retain(|gap| **gap != *channel);
        }
        self.messages -= messages;
        self.bytes -= bytes;
        true
    }

    pub(super) fn channels(&self) -> impl Iterator<Item = &Arc<str>> {
        self.channels.keys()
    }

    /// Messages that count against the bound.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// Queues a message, or marks where one is missing. `me` is the connection's id.
    pub(super) fn deliver(&mut self, message: &Arc<Message>, me: &str) -> Delivered {
        let Some(entry) = self.channels.get_mut(&message.channel) else {
            return Delivered::Unwanted;
        };
        // The epoch of a channel that had none is known now.
        if entry.taken == Some(Position::START)
            && let Some(position) = message.position.filter(|position| position.sequence() == 1)
        {
            entry.taken = Some(position.beginning());
        }
        if !entry.echo && message.from_connection_id.as_deref() == Some(me) {
            return Delivered::Unwanted;
        }
        let size = message.body.len();
        let mut outcome = Delivered::Queued;
        while !self.has_room(size) {
            let gap = match self.bounds.overflow {
                Overflow::Disconnect => return Delivered::Overflowed,
                Overflow::DropOldest => self.drop_oldest(),
                Overflow::Gap => None,
            };
            let Some(gap) = gap else {
                let gap = self.gap(&message.channel, None);
                return Delivered::Dropped { messages: 1, gap };
            };
            outcome = match outcome {
                Delivered::Dropped {
                    messages,
                    gap: before,
                } => Delivered::Dropped {
                    messages: messages + 1,
                    gap: gap || before,
                },
                _ => Delivered::Dropped { messages: 1, gap },
            };
        }
        self.messages += 1;
        self.bytes += size;
        self.push(Item::Message {
            message: message.clone(),
            counts: true,
        });
        outcome
    }

    /// A message beyond the bound of bytes still passes alone, or it could never be received.
    fn has_room(&self, size: usize) -> bool {
        self.messages == 0
            || (self.messages < self.bounds.messages && self.bytes.saturating_add(size) <= self.bounds.bytes)
    }

    /// Puts an item at the end, or behind what is held.
    fn push(&mut self, item: Item) {
        let Some(entry) = self.channels.get_mut(item.channel()) else {
            return;
        };
        let open = matches!(item, Item::Gap { .. });
        match &mut entry.held {
            Some(held) => {
                held.open = open;
                held.items.push_back(item);
            }
            None => {
                entry.open = open;
                entry.queued += 1;
                self.items.push_back(item);
            }
        }
    }

    /// Marks that messages of a channel may be missing from here on; returns whether that is news.
    pub(super) fn gap(&mut self, channel: &Arc<str>, next: Option<Position>) -> bool {
        let Some(entry) = self.channels.get(channel) else {
            return false;
        };
        let open = entry.held.as_ref().map_or(entry.open, |held| held.open);
        if !open {
            self.push(Item::Gap {
                channel: channel.clone(),
                next,
            });
        }
        !open
    }

    /// Drops the oldest message and leaves a gap in front; `None` if there is none to drop, else whether the gap is
    /// new.
    fn drop_oldest(&mut self) -> Option<bool> {
        let mut new = false;
        while let Some(item) = self.items.pop_front() {
            let (messages, bytes) = item.weight();
            self.messages -= messages;
            self.bytes -= bytes;
            let Some(entry) = self.channels.get_mut(item.channel()) else {
                continue;
            };
            entry.queued -= 1;
            entry.open |= entry.queued == 0;
            if !entry.front {
                entry.front = true;
                self.front.push_back(item.channel().clone());
                new = matches!(item, Item::Message { .. });
            }
            if matches!(item, Item::Message { .. }) {
                return Some(new);
            }
        }
        None
    }

    /// From now on what comes of a channel is held, until [`release`](Self::release) or [`settle`](Self::settle).
    pub(super) fn hold(&mut self, channel: &str) {
        if let Some(entry) = self.channels.get_mut(channel) {
            entry.held.get_or_insert_default();
        }
    }

    /// Ends holding: what is missing after `after` is replayed or marked, then comes what was held. Without `after` the
    /// connection begins with what was held. Returns how many messages were replayed, and whether there is a new gap.
    pub(super) fn release(
        &mut self,
        channel: &str,
        after: Option<Position>,
        caught: &Caught,
        always_gap: bool,
        me: &str,
    ) -> (Resume, bool) {
        let mut held = self.take_held(channel);
        if let Some(after) = after
            && caught.knows(after)
        {
            // The connection has these from another node, which was ahead of this one.
            held.retain(|item| {
                let news = item.position().is_none_or(|position| {
                    !position.same_epoch(after) || position.sequence() > after.sequence()
                });
                if !news {
                    let (messages, bytes) = item.weight();
                    self.messages -= messages;
                    self.bytes -= bytes;
                }
                news
            });
        }
        let live = held.iter().find_map(Item::position);
        let resume = match after {
            Some(after) => caught.resume(after, live),
            None => caught.begin(live),
        };
        let Some((name, entry)) = self.channels.get_key_value(channel) else {
            return (resume, false);
        };
        let (name, echo) = (name.clone(), entry.echo);
        if entry.taken.is_none() {
            self.begin(channel, Some(resume.base));
        }
        let new = (resume.gap || always_gap) && self.gap(&name, resume.next);
        for message in &resume.replay {
            if echo || message.from_connection_id.as_deref() != Some(me) {
                self.push(Item::Message {
                    message: message.clone(),
                    counts: false,
                });
            }
        }
        self.append(held);
        (resume, new)
    }

    /// Ends holding without having caught up: a gap, then what was held. Returns whether the gap is new.
    pub(super) fn settle(&mut self, channel: &Arc<str>) -> bool {
        let held = self.take_held(channel);
        let new = self.gap(channel, None);
        self.append(held);
        new
    }

    fn take_held(&mut self, channel: &str) -> VecDeque<Item> {
        let entry = self.channels.get_mut(channel);
        let held = entry.and_then(|entry| entry.held.take());
        held.unwrap_or_default().items
    }

    /// Queues what was held; a gap in it may be covered by one before it.
    fn append(&mut self, held: VecDeque<Item>) {
        for item in held {
            match item {
                Item::Gap { channel, next } => {
                    self.gap(&channel, next);
                }
                message => self.push(message),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.items.is_empty()
    }

    /// Takes the next event out.
    pub(super) fn take(&mut self) -> Option<Event> {
        if let Some(channel) = self.front.pop_front() {
            if let Some(entry) = self.channels.get_mut(&channel) {
                entry.front = false;
                entry.open &= entry.queued > 0;
            }
            return Some(self.gap_event(channel, None));
        }
        let item = self.items.pop_front()?;
        let (messages, bytes) = item.weight();
        self.messages -= messages;
        self.bytes -= bytes;
        if let Some(entry) = self.channels.get_mut(item.channel()) {
            entry.queued -= 1;
            match &item {
                Item::Message { message, .. } => entry.taken = message.position.or(entry.taken),
                // The last item of the channel: a loss after this is news again.
                Item::Gap { .. } => entry.open &= entry.queued > 0,
            }
        }
        Some(match item {
            Item::Message { message, .. } => Event::Message(message),
            Item::Gap { channel, next } => self.gap_event(channel, next),
        })
    }

    fn gap_event(&self, channel: Arc<str>, next: Option<Position>) -> Event {
        // A search through the queue, once for each gap that is received.
        let queued = self.items.iter().filter(|item| *item.channel() == channel);
        let next = queued.filter_map(Item::position).next().or(next);
        let last = self.channels.get(&channel).and_then(|entry| entry.taken);
        Event::Gap(Gap { channel, last, next })
    }
}

#[cfg(test)]
mod tests;
