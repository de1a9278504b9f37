//! The Redis side of a hub: one connection that carries its subscriptions, another for what it publishes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use rustc_hash::FxHashSet;
use tokio::task::JoinHandle;

use super::registry::Registry;
use crate::link::Link;
use crate::{Error, RedisConfig, RedisPool, Reply};

/// Channels per SUBSCRIBE, so that one request stays small against the time-out of its answer.
const BATCH: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a hub needs of Redis.
pub(super) struct RedisBackend {
    config: RedisConfig,
    ping_interval: Duration,
    publisher: RedisPool,
    /// The task that keeps the server in line with the registry, from the first subscription on.
    task: Mutex<Task>,
}

#[derive(Default)]
struct Task {
    handle: Option<JoinHandle<()>>,
    closed: bool,
}

impl RedisBackend {
    /// Does no I/O.
    pub(super) fn new(config: RedisConfig, ping_interval: Duration) -> Self {
        // One connection, so that what one process publishes arrives in the order in which it was sent.
        let publisher = RedisPool::new(RedisConfig {
            connections: 1,
            ..config.clone()
        });
        Self {
            config,
            ping_interval,
            publisher,
            task: Mutex::default(),
        }
    }

    /// Publishes a sealed message; returns the number of Redis clients that it was handed to.
    pub(super) async fn publish(&self, channel: &str, sealed: &[u8]) -> Result<usize, Error> {
        match self
            .publisher
            .send(redis::cmd("PUBLISH").arg(channel).arg(sealed), "PUBLISH")
            .await?
        {
            Reply::Int(count) => Ok(usize::try_from(count).unwrap_or(0)),
            other => Err(Error::Unexpected {
                command: "PUBLISH",
                reply: other.kind(),
            }),
        }
    }

    /// Starts the task if it does not run (or ran on a runtime that has ended).
    pub(super) fn ensure_link(&self, registry: &Arc<Registry>) {
        let mut task = self.task.lock();
        if !task.closed && task.handle.as_ref().is_none_or(JoinHandle::is_finished) {
            let (registry, config, ping_interval) =
                (registry.clone(), self.config.clone(), self.ping_interval);
            task.handle = Some(tokio::spawn(async move {
                keep_link(&registry, &config, ping_interval).await
            }));
        }
    }

    /// How long a subscription waits for its confirmation.
    pub(super) fn patience(&self) -> Duration {
        self.config.connect_timeout + self.config.response_timeout
    }

    /// The error of a subscription that ran out of patience.
    pub(super) fn no_confirmation(&self) -> Error {
        let address = self.config.address.to_string();
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
        self.publisher.close();
    }
}

impl Drop for RedisBackend {
    fn drop(&mut self) {
        self.close();
    }
}

/// Holds a link while anyone listens; comes back after each loss, with pauses that grow.
async fn keep_link(registry: &Arc<Registry>, config: &RedisConfig, ping_interval: Duration) {
    let mut pause = FIRST_PAUSE;
    let mut number = registry.next_link();
    loop {
        registry.wanted().await;
        let sink = registry.clone();
        let on_push = move |push: PushInfo| {
            on_push(&sink, number, push);
            Ok::<(), Error>(())
        };
        match Link::open(config, Some(on_push)).await {
            Ok(link) => {
                let mut served = Served {
                    registry,
                    link: &link,
                    number,
                    config,
                    on_server: FxHashSet::default(),
                };
                let error = served.serve(ping_interval, &mut pause).await;
                number = registry.next_link();
                tracing::warn!(%error, "pub-sub lost its Redis connection; receivers get a gap once it is back");
            }
            Err(error) => {
                // Once per outage is enough for a human; the rest is for whoever looks closer.
                if pause == FIRST_PAUSE {
                    tracing::warn!(%error, "pub-sub has no Redis connection; it keeps trying");
                } else {
                    tracing::debug!(%error, "pub-sub still has no Redis connection");
                }
                registry.no_link(&error);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs on the link's driver task, in the order of arrival: a confirmation (and with it the gap) always comes
/// before the messages that follow it.
fn on_push(registry: &Registry, link: u64, push: PushInfo) {
    let mut data = push.data.into_iter();
    let (Some(Value::BulkString(channel)), second) = (data.next(), data.next()) else {
        return;
    };
    // Channels are subscribed by text, so nothing else can come.
    let Ok(channel) = std::str::from_utf8(&channel) else {
        return;
    };
    match (push.kind, second) {
        (PushKind::Message, Some(Value::BulkString(payload))) => {
            registry.dispatch(link, channel, Bytes::from(payload));
        }
        (PushKind::Subscribe, _) => registry.confirm(link, channel),
        _ => {}
    }
}

/// One link in use.
struct Served<'a> {
    registry: &'a Registry,
    link: &'a Link,
    number: u64,
    config: &'a RedisConfig,
    /// What the server has been told to send.
    on_server: FxHashSet<Arc<str>>,
}

impl Served<'_> {
    /// Carries out the registry's plans until the link fails; returns why it failed.
    async fn serve(&mut self, ping_interval: Duration, pause: &mut Duration) -> Error {
        let mut refused = Vec::new();
        loop {
            if let Err(error) = self.carry_out_plan(&mut refused).await {
                return error;
            }
            *pause = FIRST_PAUSE;
            let answer = tokio::select! {
                () = self.registry.changed() => Ok(()),
                () = self.link.gone() => return self.gone(),
                () = tokio::time::sleep(ping_interval) => {
                    self.registry.retry(refused.drain(..));
                    self.link.send(&redis::cmd("PING"), "PING", self.config.response_timeout).await.map(drop)
                }
            };
            if let Err(error) = answer {
                return error;
            }
        }
    }

    /// Brings the server into line. Channels that it refuses although some listen to them go into `refused`.
    async fn carry_out_plan(&mut self, refused: &mut Vec<Arc<str>>) -> Result<(), Error> {
        let within = self.config.response_timeout;
        let plan = self.registry.plan(&self.on_server);
        for batch in plan.unsubscribe.chunks(BATCH) {
            self.link.unsubscribe(&names(batch), within).await?;
            for channel in batch {
                self.on_server.remove(channel);
            }
        }
        for batch in plan.subscribe.chunks(BATCH) {
            match self.link.subscribe(&names(batch), within).await {
                Ok(()) => self.on_server.extend(batch.iter().cloned()),
                // One forbidden channel fails the whole request: find out which.
                Err(Error::Command { .. }) => {
                    for channel in batch {
                        self.subscribe_alone(channel, refused).await?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn subscribe_alone(
        &mut self,
        channel: &Arc<str>,
        refused: &mut Vec<Arc<str>>,
    ) -> Result<(), Error> {
        match self
            .link
            .subscribe(&[channel], self.config.response_timeout)
            .await
        {
            Ok(()) => {
                self.on_server.insert(channel.clone());
            }
            Err(error @ Error::Command { .. }) => {
                if self.registry.refuse(channel, &error) {
                    tracing::error!(%channel, %error, "Redis refuses a channel that was open before");
                    refused.push(channel.clone());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn gone(&self) -> Error {
        Error::Disconnected {
            address: self.config.address.to_string(),
            reason: format!("connection {} was closed", self.number),
        }
    }
}

fn names(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}
