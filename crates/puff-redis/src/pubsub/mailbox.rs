//! The bounded queue between the hub and one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::{Event, Message, PubSubConfig};
use crate::Error;

/// Events that wait for one connection, and the channels that it wants.
///
/// The newest message is dropped when the queue is full, and the place where it is missing is marked by a gap.
/// Gaps do not count against the bound; there is at most one per channel after each accepted message, so their
/// number is bounded all the same.
pub(super) struct Mailbox {
    pub(super) id: Arc<str>,
    max_messages: usize,
    max_bytes: usize,
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Item>,
    /// The wanted channels. The value is the serial of a queued gap that no message of the channel follows:
    /// further losses of that channel are covered by it.
    channels: FxHashMap<Arc<str>, Option<u64>>,
    messages: usize,
    bytes: usize,
    serial: u64,
    closed: bool,
}

enum Item {
    Message(Message),
    Gap { channel: Arc<str>, serial: u64 },
}

impl Mailbox {
    pub(super) fn new(id: Arc<str>, config: &PubSubConfig) -> Self {
        Self {
            id,
            max_messages: config.queue_messages.max(1),
            max_bytes: config.queue_bytes,
            state: Mutex::default(),
            ready: Notify::new(),
        }
    }

    /// Notes that the connection wants a channel. Repeating it changes nothing.
    pub(super) fn enter(&self, channel: &Arc<str>) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(closed());
        }
        state.channels.entry(channel.clone()).or_insert(None);
        Ok(())
    }

    /// Forgets a channel and whatever of it is still queued; returns whether it was wanted.
    pub(super) fn leave(&self, channel: &str) -> bool {
        let state = &mut *self.state.lock();
        if state.channels.remove(channel).is_none() {
            return false;
        }
        state.queue.retain(|item| match item {
            Item::Message(message) if *message.channel == *channel => {
                state.messages -= 1;
                state.bytes -= message.body.len();
                false
            }
            Item::Gap { channel: gap, .. } => **gap != *channel,
            Item::Message(_) => true,
        });
        true
    }

    /// The wanted channels.
    pub(super) fn channels(&self) -> Vec<Arc<str>> {
        self.state.lock().channels.keys().cloned().collect()
    }

    /// Queues a message, or marks where it is missing.
    pub(super) fn deliver(&self, message: &Message) {
        let state = &mut *self.state.lock();
        let Some(open_gap) = state.channels.get_mut(&message.channel) else {
            return;
        };
        let size = message.body.len();
        // A message beyond the bound of bytes still passes alone, or it could never be received.
        let room = state.messages == 0
            || (state.messages < self.max_messages && state.bytes.saturating_add(size) <= self.max_bytes);
        if !room {
            return self.mark(state, &message.channel);
        }
        *open_gap = None;
        state.messages += 1;
        state.bytes += size;
        state.queue.push_back(Item::Message(message.clone()));
        self.ready.notify_one();
    }

    /// Marks that messages of a channel may be missing from here on.
    pub(super) fn gap(&self, channel: &Arc<str>) {
        self.mark(&mut self.state.lock(), channel);
    }

    fn mark(&self, state: &mut State, channel: &Arc<str>) {
        let Some(open_gap @ None) = state.channels.get_mut(channel) else {
            return;
        };
        state.serial += 1;
        *open_gap = Some(state.serial);
        state.queue.push_back(Item::Gap {
            channel: channel.clone(),
            serial: state.serial,
        });
        self.ready.notify_one();
    }

    /// The next event if there is one.
    pub(super) fn try_receive(&self) -> Result<Option<Event>, Error> {
        let state = &mut *self.state.lock();
        if state.closed {
            return Err(closed());
        }
        Ok(state.queue.pop_front().map(|item| match item {
            Item::Message(message) => {
                state.messages -= 1;
                state.bytes -= message.body.len();
                Event::Message(message)
            }
            Item::Gap { channel, serial } => {
                if let Some(open_gap) = state.channels.get_mut(&channel)
                    && *open_gap == Some(serial)
                {
                    *open_gap = None;
                }
                Event::Gap { channel }
            }
        }))
    }

    /// Waits for the next event. Cancel safe: an event is taken only by a call that returns it.
    pub(super) async fn receive(&self) -> Result<Event, Error> {
        loop {
            // Created before looking, so that a close in between still wakes it.
            let ready = self.ready.notified();
            if let Some(event) = self.try_receive()? {
                return Ok(event);
            }
            ready.await;
        }
    }

    /// Drops what is queued and fails every call from now on.
    pub(super) fn close(&self) {
        *self.state.lock() = State {
            closed: true,
            ..State::default()
        };
        self.ready.notify_waiters();
    }
}

fn closed() -> Error {
    Error::Closed {
        what: "the pub-sub connection",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(queue_messages: usize, queue_bytes: usize) -> Mailbox {
        let config = PubSubConfig {
            queue_messages,
            queue_bytes,
            ..PubSubConfig::default()
        };
        let mailbox = Mailbox::new("me".into(), &config);
        mailbox.enter(&"a".into()).unwrap();
        mailbox.enter(&"b".into()).unwrap();
        mailbox
    }

    fn send(mailbox: &Mailbox, channel: &str, body: &'static str) {
        mailbox.deliver(&Message {
            channel: channel.into(),
            body: body.into(),
            from_connection_id: None,
        });
    }

    /// All that is queued: a message as "channel:body", a gap as "channel?".
    fn drain(mailbox: &Mailbox) -> Vec<String> {
        std::iter::from_fn(|| mailbox.try_receive().unwrap())
            .map(|event| match event {
                Event::Message(message) => {
                    format!("{}:{}", message.channel, String::from_utf8_lossy(&message.body))
                }
                Event::Gap { channel } => format!("{channel}?"),
            })
            .collect()
    }

    #[test]
    fn overflow_marks_one_gap_per_channel_where_messages_are_missing() {
        let mailbox = mailbox(2, 100);
        for body in ["1", "2", "3", "4"] {
            send(&mailbox, "a", body);
        }
        send(&mailbox, "b", "5");
        assert_eq!(drain(&mailbox), ["a:1", "a:2", "a?", "b?"]);
        send(&mailbox, "a", "6");
        assert_eq!(drain(&mailbox), ["a:6"]);
    }

    #[test]
    fn a_loss_after_a_received_gap_is_marked_again() {
        let mailbox = mailbox(1, 100);
        send(&mailbox, "a", "1");
        send(&mailbox, "a", "lost");
        assert!(matches!(mailbox.try_receive(), Ok(Some(Event::Message(_)))));
        send(&mailbox, "b", "2");
        assert!(matches!(mailbox.try_receive(), Ok(Some(Event::Gap { .. }))));
        send(&mailbox, "a", "lost too");
        assert_eq!(drain(&mailbox), ["b:2", "a?"]);
    }

    #[test]
    fn bytes_are_bounded_but_a_large_message_passes_alone() {
        let mailbox = mailbox(10, 4);
        send(&mailbox, "a", "123456");
        send(&mailbox, "a", "7");
        assert_eq!(drain(&mailbox), ["a:123456", "a?"]);
        send(&mailbox, "a", "12");
        send(&mailbox, "a", "34");
        send(&mailbox, "a", "5");
        assert_eq!(drain(&mailbox), ["a:12", "a:34", "a?"]);
    }

    #[test]
    fn leaving_a_channel_purges_it_and_makes_room() {
        let mailbox = mailbox(2, 100);
        send(&mailbox, "a", "1");
        send(&mailbox, "b", "2");
        send(&mailbox, "a", "lost");
        assert!(mailbox.leave("a"));
        assert!(!mailbox.leave("a"));
        send(&mailbox, "a", "unwanted");
        send(&mailbox, "b", "3");
        assert_eq!(drain(&mailbox), ["b:2", "b:3"]);
    }

    #[test]
    fn gaps_without_messages_do_not_pile_up() {
        let mailbox = mailbox(1, 1);
        for _ in 0..100 {
            mailbox.gap(&"a".into());
        }
        assert_eq!(drain(&mailbox), ["a?"]);
    }

    #[tokio::test]
    async fn close_wakes_every_receiver() {
        let mailbox = Arc::new(mailbox(1, 1));
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let mailbox = mailbox.clone();
                tokio::spawn(async move { mailbox.receive().await })
            })
            .collect();
        tokio::task::yield_now().await;
        mailbox.close();
        for receiver in waiting {
            assert_eq!(receiver.await.unwrap(), Err(closed()));
        }
        assert_eq!(mailbox.enter(&"a".into()), Err(closed()));
    }
}
