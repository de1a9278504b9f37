//! Channels whose messages go to a WebSocket.

use std::sync::Arc;

use parking_lot::Mutex;
use puff_redis::{Error, Event, Position, PubSub, PubSubConnection, SubscribeOptions};
use rustc_hash::FxHashMap;

use super::frame::{Format, Frame, gap_object, presence_object};
use crate::websocket::{Closed, Message, Outgoing};

/// What a client receives where messages of a channel may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnGap {
    /// `{"channel":…,"gap":{"last":…,"next":…,"missed":…}}` with [`Format::Json`] and [`Format::Text`]; with
    /// [`Format::Body`], which has no place for it, the WebSocket's end: 1013, with a reason that says so.
    #[default]
    Tell,
    /// This frame.
    Send(Message),
}

/// How a channel goes to a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BindOptions {
    /// What the client receives of each message.
    pub format: Format,
    /// What the client receives of a gap.
    pub gap: OnGap,
    /// Where the messages begin, and whether the client's own come back to it.
    pub subscribe: SubscribeOptions,
    /// Whether the client also hears who joins and leaves.
    pub presence: bool,
}

impl BindOptions {
    /// In this format, from now on, with gaps as they are told in it.
    pub fn new(format: Format) -> BindOptions {
        BindOptions {
            format,
            ..BindOptions::default()
        }
    }
}

/// A pub-sub connection whose messages go to one client. Dropping it ends its subscriptions.
pub struct Bound {
    connection: PubSubConnection,
    ways: Mutex<FxHashMap<Arc<str>, Way>>,
}

/// How a channel's messages go to the client.
#[derive(Clone)]
struct Way {
    format: Format,
    gap: OnGap,
}

impl Bound {
    /// A connection of `pubsub` with no channels; others see `id` as the sender of what is published in its name.
    ///
    /// # Errors
    /// An id that is empty or longer than 255 bytes.
    pub fn new(pubsub: &PubSub, id: &str) -> Result<Bound, Error> {
        Ok(Bound {
            connection: pubsub.connection_with_id(id)?,
            ways: Mutex::default(),
        })
    }

    /// The pub-sub connection: its id, and who is on a channel by it.
    pub fn connection(&self) -> &PubSubConnection {
        &self.connection
    }

    /// Has the client receive what is published on `channel` from now on; returns when that is confirmed, with the
    /// position that messages follow. A channel that is bound already gets the new options.
    ///
    /// # Errors
    /// As [`PubSubConnection::subscribe_with`].
    pub async fn bind(&self, channel: &str, options: BindOptions) -> Result<Position, Error> {
        let BindOptions {
            format,
            gap,
            subscribe,
            presence,
        } = options;
        // Before the subscription: what comes with it has to find it.
        let before = self.ways.lock().insert(channel.into(), Way { format, gap });
        let undo = Undo {
            bound: self,
            channel,
            before: Some(before),
        };
        let position = self.connection.subscribe_with(channel, subscribe).await?;
        match presence {
            true => self.connection.watch(channel).await?,
            false => drop(self.connection.unwatch(channel)),
        }
        undo.not();
        Ok(position)
    }

    /// Sends nothing more of `channel`, also of what waits; returns whether it was bound.
    pub fn unbind(&self, channel: &str) -> bool {
        self.connection.unwatch(channel);
        let bound = self.connection.unsubscribe(channel);
        self.ways.lock().remove(channel);
        bound
    }

    /// What is to be sent next. Waits for ever once the connection is closed. Cancel safe.
    pub async fn next(&self) -> Said {
        loop {
            match self.connection.receive().await {
                Ok(event) => {
                    if let Some(said) = self.say(event) {
                        return said;
                    }
                }
                Err(error) => match last_word(&error) {
                    Some(said) => return said,
                    None => std::future::pending().await,
                },
            }
        }
    }

    /// What is to be sent next, if there is something.
    pub fn try_next(&self) -> Option<Said> {
        loop {
            match self.connection.try_receive() {
                Ok(Some(event)) => {
                    if let Some(said) = self.say(event) {
                        return Some(said);
                    }
                }
                Ok(None) => return None,
                Err(error) => return last_word(&error),
            }
        }
    }

    /// Ends all subscriptions.
    pub fn close(&self) {
        self.connection.close();
    }

    /// What the client is sent of an event; `None` for one of a channel that was unbound just now.
    fn say(&self, event: Event) -> Option<Said> {
        match event {
            Event::Message(message) => {
                let format = self.ways.lock().get(&*message.channel)?.format;
                Some(Said::Message(match format.frame(&message) {
                    Frame::Text(data) => Message::Text(data),
                    Frame::Binary(data) => Message::Binary(data),
                }))
            }
            Event::Gap(gap) => {
                let Way { format, gap: on_gap } = self.ways.lock().get(&*gap.channel)?.clone();
                Some(match (on_gap, format) {
                    (OnGap::Send(message), _) => Said::Message(message),
                    (OnGap::Tell, Format::Body) => Said::Last(missing(&gap.channel)),
                    (OnGap::Tell, Format::Json | Format::Text) => {
                        Said::Message(Message::Text(gap_object(&gap)))
                    }
                })
            }
            Event::Presence(presence) => {
                self.ways.lock().get(&*presence.channel)?;
                Some(Said::Message(Message::Text(presence_object(&presence))))
            }
            // One that this version does not know is none that was asked for.
            _ => None,
        }
    }
}

/// What goes to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A message.
    Message(Message),
    /// The end.
    Last(Closed),
}

impl From<Said> for Outgoing {
    fn from(said: Said) -> Outgoing {
        match said {
            Said::Message(message) => Outgoing::Message(message),
            Said::Last(closed) => Outgoing::Close(closed),
        }
    }
}

/// Takes a way back whose subscription did not come about.
struct Undo<'a> {
    bound: &'a Bound,
    channel: &'a str,
    /// The way before, if there was one.
    before: Option<Option<Way>>,
}

impl Undo<'_> {
    fn not(mut self) {
        self.before = None;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        match self.before.take() {
            None => {}
            Some(Some(way)) => drop(self.bound.ways.lock().insert(self.channel.into(), way)),
            Some(None) => drop(self.bound.unbind(self.channel)),
        }
    }
}

fn missing(channel: &str) -> Closed {
    // What a close frame has room for.
    const ROOM: usize = 80;
    let mut end = channel.len().min(ROOM);
    while !channel.is_char_boundary(end) {
        end -= 1;
    }
    Closed::new(
        Closed::TRY_AGAIN,
        format!("messages of {} were missed", &channel[..end]),
    )
}

fn last_word(error: &Error) -> Option<Said> {
    match error {
        Error::TooSlow { .. } => Some(Said::Last(Closed::new(
            Closed::TRY_AGAIN,
            "too slow: more messages waited than may",
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Said {
        Said::Message(Message::Text(text.to_owned().into()))
    }

    #[tokio::test]
    async fn what_is_bound_is_said_until_it_is_unbound() {
        let pubsub = PubSub::in_process();
        let bound = Bound::new(&pubsub, "me").unwrap();
        bound.bind("a", BindOptions::default()).await.unwrap();
        bound.bind("b", BindOptions::default()).await.unwrap();
        for (channel, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
            pubsub.publish(channel, body).await.unwrap();
        }
        assert_eq!(bound.next().await, text("1"));
        assert!(bound.unbind("a"));
        assert!(!bound.unbind("a"));
        assert_eq!(bound.try_next(), Some(text("2")));
        assert_eq!(bound.try_next(), None);
    }

    #[tokio::test]
    async fn a_refused_channel_leaves_nothing_behind() {
        let pubsub = PubSub::in_process();
        let bound = Bound::new(&pubsub, "me").unwrap();
        assert!(bound.bind("", BindOptions::default()).await.is_err());
        assert!(bound.ways.lock().is_empty());
        bound.bind("a", BindOptions::new(Format::Text)).await.unwrap();
        let mut again = BindOptions::default();
        again.subscribe.since = Some(Position::START);
        assert!(bound.bind("a", again).await.is_err());
        // It goes on as before.
        assert_eq!(bound.ways.lock()["a"].format, Format::Text);
        pubsub.publish("a", "x").await.unwrap();
        assert!(
            matches!(bound.try_next(), Some(Said::Message(Message::Text(data))) if data.starts_with(b"{"))
        );
    }

    #[test]
    fn a_close_has_room_for_any_channel() {
        for channel in ["a".repeat(1000), "\u{1F600}".repeat(100)] {
            assert!(missing(&channel).reason.len() <= 123);
        }
    }
}
