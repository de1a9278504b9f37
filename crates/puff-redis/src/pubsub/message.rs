//! What a connection receives.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Position, Presence};

/// What a connection receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A message on a channel that the connection listens to. All receivers in this process share it.
    Message(Arc<Message>),
    /// Here messages of a channel may be missing.
    Gap(Gap),
    /// A change of who is on a channel that the connection watches.
    Presence(Presence),
}

/// Stands where messages of a channel may be missing: the queue was full, the connection to Redis broke and is back,
/// a number was jumped over, the channel has a new epoch, or the history does not reach back far enough.
///
/// Whoever keeps state from messages reads it anew at its source.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Where messages may be missing.
    pub channel: Arc<str>,
    /// The last position before the gap that the connection received, or began from.
    pub last: Option<Position>,
    /// The position of the first message after the gap, where it is known already.
    pub next: Option<Position>,
}

impl Gap {
    /// How many messages are missing at most, where it is known. 0 means that no message of Puff's was missed; plain
    /// messages of other programs, which have no numbers, may have been.
    pub fn missed(&self) -> Option<u64> {
        self.last?.between(self.next?)
    }
}

/// One message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message {
    /// The channel that it was published on.
    pub channel: Arc<str>,
    /// The body as it was published; all receivers in this process share it.
    pub body: Bytes,
    /// Who published it; `None` for [`PubSub::publish`](crate::PubSub::publish) and for other programs' plain
    /// messages.
    pub from_connection_id: Option<Arc<str>>,
    /// Its place in the channel; `None` for other programs' plain messages.
    pub position: Option<Position>,
    encoded: [OnceLock<Bytes>; FORMS],
    is_text: OnceLock<bool>,
}

const FORMS: usize = 3;

/// Which encoding of a message it is; see [`Message::encoded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The message as an object of JSON, its body as JSON.
    Json,
    /// The message as an object of JSON, its body as a string.
    Text,
    /// One more, which the program chooses.
    Other,
}

impl Message {
    pub(super) fn new(
        channel: Arc<str>,
        body: Bytes,
        from_connection_id: Option<Arc<str>>,
        position: Option<Position>,
    ) -> Self {
        Self {
            channel,
            body,
            from_connection_id,
            position,
            encoded: Default::default(),
            is_text: OnceLock::new(),
        }
    }

    /// Whether the body is UTF-8; looked at once for all receivers.
    pub fn is_text(&self) -> bool {
        *self
            .is_text
            .get_or_init(|| std::str::from_utf8(&self.body).is_ok())
    }

    /// The message as its receivers send it on, encoded by the first of a form and shared by the others.
    ///
    /// All that call this with one form must bring the same encoder: only the first caller's runs.
    ///
    /// ```
    /// # async fn example() -> Result<(), puff_redis::Error> {
    /// use puff_redis::{Event, Form, PubSub};
    ///
    /// let pubsub = PubSub::in_process();
    /// let (one, two) = (pubsub.connection(), pubsub.connection());
    /// one.subscribe("news").await?;
    /// two.subscribe("news").await?;
    /// pubsub.publish("news", "hello").await?;
    /// for connection in [one, two] {
    ///     if let Event::Message(message) = connection.receive().await? {
    ///         let frame = message.encoded(Form::Other, |message| {
    ///             [b"data: ", &message.body[..]].concat().into()
    ///         });
    ///         assert_eq!(frame, "data: hello");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn encoded(&self, form: Form, encode: impl FnOnce(&Message) -> Bytes) -> Bytes {
        self.encoded[form as usize].get_or_init(|| encode(self)).clone()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.channel == other.channel
            && self.body == other.body
            && self.from_connection_id == other.from_connection_id
            && self.position == other.position
    }
}

impl Eq for Message {}
