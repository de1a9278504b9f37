//! Publish and subscribe, within a process or across many.

mod envelope;
mod mailbox;
mod redis;
mod registry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use self::mailbox::Mailbox;
use self::redis::RedisBackend;
use self::registry::Registry;
use crate::{Error, RedisConfig};

const LONGEST_CHANNEL: usize = 1024;

/// Bounds and intervals of a [`PubSub`] hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubConfig {
    /// How many messages may wait for one connection, at least 1; 1,024 by default. Beyond it the newest are
    /// dropped and the connection receives an [`Event::Gap`].
    pub queue_messages: usize,
    /// How many bytes of message bodies may wait for one connection; 16 MiB by default. A larger message passes
    /// when it is alone.
    pub queue_bytes: usize,
    /// How often the Redis connection is probed while nothing else is asked of it; 5 s by default. A connection
    /// that died without a word is noticed after this plus [`RedisConfig::response_timeout`].
    pub ping_interval: Duration,
}

impl Default for PubSubConfig {
    fn default() -> Self {
        Self {
            queue_messages: 1024,
            queue_bytes: 16 << 20,
            ping_interval: Duration::from_secs(5),
        }
    }
}

/// A hub that hands messages on channels to connections.
///
/// Cloning is cheap and shares the hub. Delivery is at most once and in order per channel; wherever messages may
/// have been missed, each receiver of the channel gets [`Event::Gap`] in their place. With Redis, a process holds
/// one connection for all its subscriptions and subscribes to each channel once, however many connections listen.
///
/// All futures must run on a Tokio runtime.
#[derive(Clone)]
pub struct PubSub {
    hub: Arc<Hub>,
}

struct Hub {
    registry: Arc<Registry>,
    config: PubSubConfig,
    redis: Option<RedisBackend>,
}

impl PubSub {
    /// A hub across all processes that use the same Redis. Does no I/O until the first subscription or message.
    pub fn redis(config: RedisConfig) -> Self {
        Self::redis_with(config, PubSubConfig::default())
    }

    /// As [`redis`](Self::redis), with bounds and intervals of your own.
    pub fn redis_with(redis: RedisConfig, config: PubSubConfig) -> Self {
        let registry = Arc::new(Registry::new(false));
        let redis = RedisBackend::new(redis, config.ping_interval);
        Self {
            hub: Arc::new(Hub {
                registry,
                config,
                redis: Some(redis),
            }),
        }
    }

    /// A hub within this process.
    pub fn in_process() -> Self {
        Self::in_process_with(PubSubConfig::default())
    }

    /// As [`in_process`](Self::in_process), with bounds of your own.
    pub fn in_process_with(config: PubSubConfig) -> Self {
        Self {
            hub: Arc::new(Hub {
                registry: Arc::new(Registry::new(true)),
                config,
                redis: None,
            }),
        }
    }

    /// A connection id that no other has: a random UUID.
    pub fn new_connection_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    /// A connection with a new id and no subscriptions. Does no I/O.
    pub fn connection(&self) -> PubSubConnection {
        self.connect(self.new_connection_id().into())
    }

    /// A connection with an id that was handed out earlier. Several connections may carry the same id.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the id is empty or longer than 255 bytes.
    pub fn connection_with_id(&self, id: &str) -> Result<PubSubConnection, Error> {
        check_id(id)?;
        Ok(self.connect(id.into()))
    }

    fn connect(&self, id: Arc<str>) -> PubSubConnection {
        let mailbox = self.hub.registry.connect(id, &self.hub.config);
        PubSubConnection {
            hub: self.hub.clone(),
            mailbox,
        }
    }

    /// Sends a message without a sender to everyone on the channel.
    ///
    /// Returns how many receivers it was handed to, where **each process counts once**, however many of its
    /// connections listen (and so do other programs that subscribe in Redis); 0 means that nobody listens. In a
    /// Redis Cluster, only receivers on the node that was asked are counted.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty channel or one longer than 1,024 bytes, [`Error::Closed`] after
    /// [`close`](Self::close), and those of [`RedisPool::command`](crate::RedisPool::command).
    pub async fn publish(&self, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        self.hub.publish(None, channel, body.into()).await
    }

    /// Sends a message in the name of a connection: its receivers find `id` in
    /// [`Message::from_connection_id`], and so can pass over their own messages.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`Error::Invalid`] if the id is empty or longer than 255 bytes.
    pub async fn publish_as(&self, id: &str, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        check_id(id)?;
        self.hub.publish(Some(id), channel, body.into()).await
    }

    /// Closes the hub for all its clones and connections: receivers that wait, and every later call, get
    /// [`Error::Closed`].
    pub fn close(&self) {
        self.hub.registry.close();
        if let Some(redis) = &self.hub.redis {
            redis.close();
        }
    }
}

impl fmt::Debug for PubSub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSub")
            .field("redis", &self.hub.redis.is_some())
            .finish_non_exhaustive()
    }
}

impl Hub {
    async fn publish(&self, from: Option<&str>, channel: &str, body: Bytes) -> Result<usize, Error> {
        check_channel(channel)?;
        match &self.redis {
            Some(redis) => redis.publish(channel, &envelope::seal(from, &body)).await,
            None => self.registry.deliver(channel, from, body),
        }
    }
}

/// One party of a [`PubSub`] hub: an id, the channels it listens to and a bounded queue of events.
///
/// All methods take `&self`, so that one task can receive while another subscribes. Dropping the connection ends
/// its subscriptions.
pub struct PubSubConnection {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
}

impl PubSubConnection {
    /// The id that others see in [`Message::from_connection_id`].
    pub fn id(&self) -> &str {
        &self.mailbox.id
    }

    /// Starts to listen to a channel; returns when Redis has confirmed it, so that every message published from
    /// now on arrives or is covered by a gap. Listening already is fine.
    ///
    /// After an error, or when the future is dropped before its end, the connection does not listen to the
    /// channel; only if the confirmation came at that very moment it may, until [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty channel or one longer than 1,024 bytes; [`Error::Connect`],
    /// [`Error::Timeout`] if Redis cannot be reached within the connect plus the response time-out;
    /// [`Error::Command`] if it refuses; [`Error::Closed`] after a close, or when `unsubscribe` is called meanwhile.
    pub async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        check_channel(channel)?;
        let Some(confirmed) = self.hub.registry.join(channel, &self.mailbox)? else {
            return Ok(());
        };
        let Some(redis) = &self.hub.redis else {
            return Ok(());
        };
        // Declared before the receiver moves into the wait below: on drop the receiver goes first, and the
        // guard then sees that nobody waits.
        let _undo = Abandon {
            connection: self,
            channel,
        };
        redis.ensure_link(&self.hub.registry);
        match tokio::time::timeout(redis.patience(), confirmed).await {
            Ok(Ok(confirmation)) => confirmation,
            Ok(Err(_)) => Err(Error::Closed {
                what: "the subscription",
            }),
            Err(_) => Err(redis.no_confirmation()),
        }
    }

    /// Stops listening to a channel and drops what of it still waits; returns whether the connection listened.
    /// With the last listener of this process, the subscription in Redis ends shortly after.
    pub fn unsubscribe(&self, channel: &str) -> bool {
        self.hub.registry.leave(channel, &self.mailbox)
    }

    /// The channels that this connection listens to, in no order.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.mailbox.channels()
    }

    /// Waits for the next event.
    ///
    /// Cancel safe: an event is taken only by a call that returns it, so `tokio::time::timeout` around it loses
    /// nothing. With several receivers at once each event goes to one of them.
    ///
    /// # Errors
    /// [`Error::Closed`] once the connection or the hub is closed, also while waiting.
    pub async fn receive(&self) -> Result<Event, Error> {
        self.mailbox.receive().await
    }

    /// The next event if one waits already.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Option<Event>, Error> {
        self.mailbox.try_receive()
    }

    /// Sends a message in the name of this connection. See [`PubSub::publish_as`].
    ///
    /// # Errors
    /// As [`PubSub::publish`].
    pub async fn publish(&self, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        self.hub.publish(Some(self.id()), channel, body.into()).await
    }

    /// Ends all subscriptions and wakes the receivers, which get [`Error::Closed`]. Repeating it does nothing.
    pub fn close(&self) {
        self.hub.registry.disconnect(&self.mailbox);
    }
}

impl Drop for PubSubConnection {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for PubSubConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubConnection")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Takes a subscription back when its call ends without a confirmation.
struct Abandon<'a> {
    connection: &'a PubSubConnection,
    channel: &'a str,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.connection
            .hub
            .registry
            .abandon(self.channel, &self.connection.mailbox);
    }
}

/// What a connection receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message on a channel that the connection listens to.
    Message(Message),
    /// Here messages of the channel may be missing: the queue was full, or the connection to Redis broke and is
    /// back. Whoever keeps state from messages reads it anew at its source.
    Gap {
        /// Where messages may be missing.
        channel: Arc<str>,
    },
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The channel that it was published on.
    pub channel: Arc<str>,
    /// The body as it was published; all receivers in this process share it.
    pub body: Bytes,
    /// Who published it; `None` for [`PubSub::publish`] and for other programs' plain messages.
    pub from_connection_id: Option<Arc<str>>,
}

fn check_channel(channel: &str) -> Result<(), Error> {
    check("the channel", channel, LONGEST_CHANNEL)
}

fn check_id(id: &str) -> Result<(), Error> {
    check("the connection id", id, envelope::LONGEST_ID)
}

fn check(what: &str, text: &str, longest: usize) -> Result<(), Error> {
    let reason = match text.len() {
        0 => "it is empty".to_owned(),
        length if length > longest => format!("it has {length} bytes, at most {longest} are possible"),
        _ => return Ok(()),
    };
    Err(Error::Invalid {
        what: what.to_owned(),
        reason,
    })
}
