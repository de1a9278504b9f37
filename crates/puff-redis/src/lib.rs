//! Puff's Redis pool and pub-sub, on redis-rs.
//!
//! Two doors:
//!
//! * [`RedisPool`] sends commands over a few shared connections that open themselves on first use and again
//!   after a failure, and leases [`DedicatedConnection`]s for what one must have alone. It speaks [`Command`] in
//!   and [`Reply`] out; no redis-rs type crosses this border, so that the client below can change without its
//!   users noticing.
//! * [`PubSub`] delivers messages between connections of one process (`PubSub::in_process`) or of many
//!   (`PubSub::redis`), and **never loses silently**: wherever a message may have been missed, the receiver
//!   finds an [`Event::Gap`] in its stream.
//!
//! Everything here runs on Tokio and never touches Python. Constructors do no I/O, every wait has a time-out and
//! every queue a bound. Redis 6 or Valkey is needed: the connections speak RESP3.
//!
//! ```no_run
//! # async fn example() -> Result<(), puff_redis::Error> {
//! use puff_redis::{Event, PubSub, RedisConfig, RedisPool};
//!
//! let config = RedisConfig::from_url("redis://localhost:6379/0")?;
//! let pool = RedisPool::new(config.clone());
//! pool.set("greeting", "hello").await?;
//!
//! let pubsub = PubSub::redis(config);
//! let connection = pubsub.connection();
//! connection.subscribe("news").await?;
//! pubsub.publish("news", "it works").await?;
//! if let Event::Message(message) = connection.receive().await? {
//!     assert_eq!(message.body, "it works");
//! }
//! # Ok(())
//! # }
//! ```

mod breaker;
mod cluster;
mod command;
mod config;
mod dedicated;
mod dial;
mod error;
mod exclusive;
mod link;
mod pool;
mod pubsub;
mod reply;
mod resp;
mod sentinel;
mod slots;
mod tls;
mod wire;

pub use breaker::CircuitStatus;
pub use command::Command;
pub use config::{Address, Node, RedisConfig, TlsConfig, Verify};
pub use dedicated::{DedicatedConnection, DedicatedStatus};
pub use error::Error;
pub use pool::{RedisPool, RedisStatus};
pub use pubsub::{
    Change, Event, Form, Gap, History, Member, Message, Overflow, Position, Presence, PubSub, PubSubConfig,
    PubSubConnection, PubSubStatus, PublishOptions, Published, SubscribeOptions,
};
pub use reply::Reply;
pub use resp::Incoming;
