//! Publish and subscribe, within a process or across many.

mod catchup;
mod channel;
mod config;
mod envelope;
mod feed;
mod local;
mod mailbox;
mod members;
mod message;
#[cfg(test)]
mod model;
mod position;
mod presence;
mod queue;
mod redis;
mod registry;
mod scripts;
mod served;
mod servers;
mod status;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

pub use self::config::{History, Overflow, PubSubConfig, PublishOptions, SubscribeOptions};
use self::config::{check_body, check_channel, check_history, check_id};
use self::local::Store;
use self::mailbox::Mailbox;
use self::members::{Entry, Members};
pub use self::message::{Event, Form, Gap, Message};
pub use self::position::Position;
pub use self::presence::{Change, Member, Presence};
use self::queue::Bounds;
use self::redis::RedisBackend;
use self::registry::{Joined, Registry};
pub use self::status::PubSubStatus;
use crate::{Address, Error, RedisConfig};

/// What became of a publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// How many receivers it was handed to, where each process counts once; see [`PubSub::publish`].
    pub receivers: usize,
    /// Where it stands in its channel.
    pub position: Option<Position>,
}

/// A hub that hands messages on channels to connections.
///
/// Cloning is cheap and shares the hub. Delivery is at most once and in order per channel; wherever messages may
/// have been missed, each receiver of the channel gets [`Event::Gap`] in their place. With Redis, a process holds
/// one connection for all its subscriptions (to each node of a cluster that is needed) and subscribes to each channel
/// once, however many connections listen.
///
/// Each message has a [`Position`] in its channel. A channel with a [`History`] keeps its last messages: a
/// subscription may begin [`since`](SubscribeOptions::since) a position, and what was missed while Redis was
/// unreachable is delivered late instead of being a gap.
///
/// All futures must run on a Tokio runtime.
#[derive(Clone)]
pub struct PubSub {
    hub: Arc<Hub>,
}

struct Hub {
    registry: Arc<Registry>,
    config: PubSubConfig,
    redis: Option<Arc<RedisBackend>>,
    members: Arc<Members>,
}

impl PubSub {
    /// A hub across all processes that use the same Redis. Does no I/O until the first subscription or message.
    pub fn redis(config: RedisConfig) -> Self {
        Self::redis_with(config, PubSubConfig::default())
    }

    /// As [`redis`](Self::redis), with bounds and intervals of your own.
    pub fn redis_with(redis: RedisConfig, mut config: PubSubConfig) -> Self {
        // A channel's number is at one node; its messages have to come from there, too.
        config.sharded |= matches!(redis.address, Address::Cluster(_));
        let registry = Arc::new(Registry::new(config.bounds(), None));
        let redis = RedisBackend::new(redis, config.clone());
        Self {
            hub: Arc::new(Hub {
                registry,
                config,
                redis: Some(Arc::new(redis)),
                members: Arc::new(Members::new()),
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
                registry: Arc::new(Registry::new(
                    config.bounds(),
                    Some(Store::new(config.sequence_ttl)),
                )),
                config,
                redis: None,
                members: Arc::new(Members::new()),
            }),
        }
    }

    /// A connection id that no other has: a random UUID.
    pub fn new_connection_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    /// A connection with a new id and no subscriptions. Does no I/O.
    pub fn connection(&self) -> PubSubConnection {
        self.connect(self.new_connection_id().into(), self.hub.config.overflow)
    }

    /// A connection with a policy of its own for the case that it is too slow.
    ///
    /// # Errors
    /// As [`connection_with_id`](Self::connection_with_id).
    pub fn connection_with(&self, id: &str, overflow: Overflow) -> Result<PubSubConnection, Error> {
        check_id(id)?;
        Ok(self.connect(id.into(), overflow))
    }

    /// A connection with an id that was handed out earlier. Several connections may carry the same id.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the id is empty or longer than 255 bytes.
    pub fn connection_with_id(&self, id: &str) -> Result<PubSubConnection, Error> {
        self.connection_with(id, self.hub.config.overflow)
    }

    fn connect(&self, id: Arc<str>, overflow: Overflow) -> PubSubConnection {
        let bounds = Bounds {
            overflow,
            ..self.hub.config.bounds()
        };
        let mailbox = self.hub.registry.connect(id, bounds);
        PubSubConnection {
            hub: self.hub.clone(),
            mailbox,
        }
    }

    /// Sends a message without a sender to everyone on the channel.
    ///
    /// Returns how many receivers it was handed to, where **each process counts once**, however many of its
    /// connections listen (and so do other programs that subscribe in Redis); 0 means that nobody listens. In a
    /// Redis Cluster those are not counted that other programs have at replicas.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty channel or one longer than 1,024 bytes, and for a body longer than
    /// [`PubSubConfig::max_message`]; [`Error::Closed`] after [`close`](Self::close), and those of [`RedisPool::command`](crate::RedisPool::command);
    /// [`Error::Config`] if the server turns out to be a node of a cluster that is not named as one.
    pub async fn publish(&self, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        self.publish_with(channel, body, PublishOptions::default())
            .await
            .map(|published| published.receivers)
    }

    /// Sends a message as `options` have it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`Error::Invalid`] if the options are none that are possible.
    pub async fn publish_with(
        &self,
        channel: &str,
        body: impl Into<Bytes>,
        options: PublishOptions<'_>,
    ) -> Result<Published, Error> {
        self.hub.publish(channel, body.into(), options).await
    }

    /// Sends a message in the name of a connection: its receivers find `id` in
    /// [`Message::from_connection_id`], and so can pass over their own messages.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`Error::Invalid`] if the id is empty or longer than 255 bytes.
    pub async fn publish_as(&self, id: &str, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        self.publish_with(channel, body, PublishOptions::default().from(id))
            .await
            .map(|published| published.receivers)
    }

    /// Who is on a channel: each member once, however many of its connections [entered](PubSubConnection::enter),
    /// in no order.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn presence(&self, channel: &str) -> Result<Vec<Member>, Error> {
        check_channel(channel, self.hub.config.sharded)?;
        match &self.hub.redis {
            Some(redis) => redis.members(channel).await,
            None => Ok(self.hub.members.local(channel)),
        }
    }

    /// What the hub is doing at this moment, and how much it has done.
    pub fn status(&self) -> PubSubStatus {
        self.hub.registry.status()
    }

    /// Closes the hub for all its clones and connections: receivers that wait, and every later call, get
    /// [`Error::Closed`].
    pub fn close(&self) {
        self.hub.registry.close();
        self.hub.members.close();
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
    async fn publish(
        &self,
        channel: &str,
        body: Bytes,
        options: PublishOptions<'_>,
    ) -> Result<Published, Error> {
        check_channel(channel, self.config.sharded)?;
        check_body(&body, self.config.max_message)?;
        options.from.map_or(Ok(()), check_id)?;
        let history = self.config.history_of(channel).or(options.history);
        history.as_ref().map_or(Ok(()), check_history)?;
        let published = match &self.redis {
            Some(redis) => {
                redis
                    .publish(channel, envelope::seal(options.from, &body), history)
                    .await
            }
            None => self.registry.publish(channel, options.from, body, history),
        }?;
        self.registry.counters.published();
        Ok(published)
    }
}

impl Hub {
    fn beat(&self) {
        if let Some(redis) = &self.redis {
            self.members.ensure_heart(redis, &self.config);
        }
    }

    /// Entries of connections have left: Redis is told a moment later, this process at once.
    fn left(&self, entries: Vec<(Arc<str>, Entry, bool)>) {
        if entries.is_empty() {
            return;
        }
        if self.redis.is_some() {
            let entries = entries.into_iter().map(|(channel, entry, _)| (channel, entry));
            return self.members.leave_soon(entries);
        }
        for (channel, entry, last) in entries {
            if last {
                // It fails if the hub is closed, and then there is nobody to tell.
                let _ = members::announce(&self.registry, &channel, false, &entry.member);
            }
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.members.close();
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
    /// now on arrives or is covered by a gap. Listening already is fine. Returns the position that messages follow.
    ///
    /// After an error, or when the future is dropped before its end, the connection does not listen to the
    /// channel; only if the confirmation came at that very moment it may, until [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty channel or one longer than 1,024 bytes; [`Error::Connect`],
    /// [`Error::Timeout`] if Redis cannot be reached within the connect plus the response time-out;
    /// [`Error::Command`] if it refuses; [`Error::Closed`] after a close, or when `unsubscribe` is called meanwhile.
    pub async fn subscribe(&self, channel: &str) -> Result<Position, Error> {
        self.subscribe_with(channel, SubscribeOptions::default()).await
    }

    /// Starts to listen to a channel as `options` have it. What came since a position is queued before this returns;
    /// it is bounded by [`PubSubConfig::queue_messages`] and `queue_bytes`, and where the history does not reach back
    /// that far it begins with a gap.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), and [`Error::Invalid`] for a `since` on a channel that the connection
    /// listens to already.
    pub async fn subscribe_with(&self, channel: &str, options: SubscribeOptions) -> Result<Position, Error> {
        check_channel(channel, self.hub.config.sharded)?;
        self.listen(channel, options).await
    }

    async fn listen(&self, channel: &str, options: SubscribeOptions) -> Result<Position, Error> {
        let confirmed = match self.hub.registry.join(channel, &self.mailbox, options)? {
            Joined::Live(position) => return Ok(position),
            Joined::Asked(confirmed) => confirmed,
        };
        let closed = Error::Closed {
            what: "the subscription",
        };
        let Some(redis) = &self.hub.redis else {
            return Err(closed);
        };
        // Declared before the receiver moves into the wait below: on drop the receiver goes first, and the
        // guard then sees that nobody waits.
        let _undo = Abandon {
            connection: self,
            channel,
        };
        redis.ensure_links(&self.hub.registry);
        match tokio::time::timeout(redis.patience(), confirmed).await {
            Ok(Ok(confirmation)) => confirmation,
            Ok(Err(_)) => Err(closed),
            Err(_) => Err(redis.no_confirmation()),
        }
    }

    /// Stops listening to a channel and drops what of it still waits; returns whether the connection listened.
    /// With the last listener of this process, the subscription in Redis ends shortly after.
    pub fn unsubscribe(&self, channel: &str) -> bool {
        self.hub.registry.leave(channel, &self.mailbox)
    }

    /// Is on a channel from now on, as `member`, and tells `info` of itself, at most 4 KiB; others see it by
    /// [`PubSub::presence`] and [`watch`](Self::watch). It stays until [`leave`](Self::leave), until the connection is
    /// closed, or until nothing is heard of this process for [`PubSubConfig::presence_ttl`]. A connection is on a
    /// channel as one member: entering again changes what it tells, or who it is.
    ///
    /// # Errors
    /// As [`PubSub::publish`]; [`Error::Invalid`] for an empty member or one longer than 255 bytes, and for too much
    /// information; [`Error::Command`] with the code `FULL` if there are [`PubSubConfig::presence_max`] connections.
    pub async fn enter(&self, channel: &str, member: &str, info: impl Into<Bytes>) -> Result<(), Error> {
        let info = info.into();
        check_channel(channel, self.hub.config.sharded)?;
        presence::check_member(member, &info)?;
        let Hub { members, redis, .. } = &*self.hub;
        let member = Member {
            id: member.into(),
            info,
        };
        let (entry, before) = members.entry(channel, self.key(), member);
        if before.is_some() {
            self.leave(channel).await?;
        }
        let mut entering = Entering {
            connection: self,
            channel,
            done: false,
        };
        let first = members.insert(channel, self.key(), entry.clone());
        // After the insertion: who closes from here on takes the entry out.
        self.mailbox.check_open()?;
        match redis {
            Some(redis) => {
                redis.enter(channel, &[entry]).await?;
                self.hub.beat();
            }
            None if first => members::announce(&self.hub.registry, channel, true, &entry.member)?,
            None => {}
        }
        entering.done = true;
        Ok(())
    }

    /// Is on a channel no more; returns whether it was.
    ///
    /// # Errors
    /// As [`PubSub::publish`]. The connection has left all the same; others see it when it has expired.
    pub async fn leave(&self, channel: &str) -> Result<bool, Error> {
        let Hub { members, redis, .. } = &*self.hub;
        let Some((entry, last)) = members.remove(channel, self.key()) else {
            return Ok(false);
        };
        match redis {
            Some(redis) => members.leave(redis, channel, &[entry]).await?,
            None => self.hub.left(vec![(channel.into(), entry, last)]),
        }
        Ok(true)
    }

    /// Receives an [`Event::Presence`] whenever a member joins or leaves a channel, until
    /// [`unwatch`](Self::unwatch).
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn watch(&self, channel: &str) -> Result<(), Error> {
        check_channel(channel, self.hub.config.sharded)?;
        self.listen(&presence::beside(channel), SubscribeOptions::default())
            .await?;
        self.hub.members.watch(channel, self.key());
        self.hub.beat();
        Ok(())
    }

    /// Receives no more of who is on a channel; returns whether it did.
    pub fn unwatch(&self, channel: &str) -> bool {
        self.hub.members.unwatch(channel, self.key());
        self.unsubscribe(&presence::beside(channel))
    }

    fn key(&self) -> usize {
        Arc::as_ptr(&self.mailbox).addr()
    }

    /// The channels that this connection listens to, in no order.
    pub fn channels(&self) -> Vec<Arc<str>> {
        let mut channels = self.mailbox.channels();
        channels.retain(|channel| !presence::is_reserved(channel));
        channels
    }

    /// Waits for the next event.
    ///
    /// Cancel safe: an event is taken only by a call that returns it, so `tokio::time::timeout` around it loses
    /// nothing. With several receivers at once each event goes to one of them.
    ///
    /// # Errors
    /// [`Error::Closed`] once the connection or the hub is closed, also while waiting; [`Error::TooSlow`] if it was
    /// closed because its queue was full.
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

    /// Waits until there are events and appends up to `most` of them to `events`; returns how many. For those who write
    /// several at a time. Cancel safe, as [`receive`](Self::receive) is.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_many(&self, events: &mut Vec<Event>, most: usize) -> Result<usize, Error> {
        self.mailbox.receive_many(events, most).await
    }

    /// Sends a message in the name of this connection. See [`PubSub::publish_as`].
    ///
    /// # Errors
    /// As [`PubSub::publish`].
    pub async fn publish(&self, channel: &str, body: impl Into<Bytes>) -> Result<usize, Error> {
        let options = PublishOptions::default().from(self.id());
        let published = self.hub.publish(channel, body.into(), options).await?;
        Ok(published.receivers)
    }

    /// Ends all subscriptions and wakes the receivers, which get [`Error::Closed`]. Repeating it does nothing.
    pub fn close(&self) {
        self.hub.registry.disconnect(&self.mailbox);
        self.hub.left(self.hub.members.disconnect(self.key()));
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

/// Takes an entry back whose call ends before it is there.
struct Entering<'a> {
    connection: &'a PubSubConnection,
    channel: &'a str,
    done: bool,
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        let Entering {
            connection,
            channel,
            done,
        } = self;
        if !*done && let Some((entry, last)) = connection.hub.members.remove(channel, connection.key()) {
            connection.hub.left(vec![((*channel).into(), entry, last)]);
        }
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
