//! The Redis side of a hub: one connection that carries its subscriptions, another for what it publishes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::{Cmd, PushInfo, PushKind, Value};
use rustc_hash::FxHashSet;
use tokio::task::JoinHandle;

use super::members::Entry;
use super::registry::{CatchUp, Registry};
use super::scripts::{self, Call};
use super::{History, Member, PubSubConfig, Published};
use crate::link::Link;
use crate::{Error, RedisConfig, RedisPool, Reply};

/// Channels per SUBSCRIBE, so that one request stays small against the time-out of its answer.
const BATCH: usize = 256;
/// Channels that catch up at a time, so that their histories do not all wait in memory.
const CATCH_UPS: usize = 32;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a hub needs of Redis.
pub(super) struct RedisBackend {
    config: RedisConfig,
    pubsub: PubSubConfig,
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
    pub(super) fn new(config: RedisConfig, pubsub: PubSubConfig) -> Self {
        // One connection, so that what one process publishes arrives in the order in which it was sent.
        let publisher = RedisPool::new(RedisConfig {
            connections: 1,
            ..config.clone()
        });
        Self {
            config,
            pubsub,
            publisher,
            task: Mutex::default(),
        }
    }

    /// Publishes a sealed message.
    pub(super) async fn publish(
        &self,
        channel: &str,
        sealed: Vec<u8>,
        history: Option<History>,
    ) -> Result<Published, Error> {
        let call = scripts::publish(channel, sealed, history, &self.pubsub);
        let reply = self.call(&call).await?;
        scripts::published(&reply).ok_or(Error::Unexpected {
            command: call.name(),
            reply: reply.kind(),
        })
    }

    /// Lets entries enter a channel, or stay on it; those that have expired leave.
    pub(super) async fn enter(&self, channel: &str, entries: &[Entry]) -> Result<(), Error> {
        let call = scripts::presence(channel, "enter", entries, &self.pubsub);
        self.call(&call).await.map(drop)
    }

    pub(super) async fn leave(&self, channel: &str, entries: &[Entry]) -> Result<(), Error> {
        let call = scripts::presence(channel, "leave", entries, &self.pubsub);
        self.call(&call).await.map(drop)
    }

    /// Who is on a channel.
    pub(super) async fn members(&self, channel: &str) -> Result<Vec<Member>, Error> {
        let call = scripts::presence(channel, "read", &[], &self.pubsub);
        let reply = self.call(&call).await?;
        let kind = reply.kind();
        scripts::members(reply).ok_or(Error::Unexpected {
            command: call.name(),
            reply: kind,
        })
    }

    async fn call(&self, call: &Call) -> Result<Reply, Error> {
        let answer = match self.publisher.send(&call.by_hash(), call.name()).await {
            Err(error) if scripts::is_unknown(&error) => {
                self.publisher.send(&call.by_text(), call.name()).await
            }
            answer => answer,
        };
        answer.map_err(|error| {
            if self.pubsub.sharded {
                not_sharded(error)
            } else {
                error
            }
        })
    }

    /// Starts the task if it does not run (or ran on a runtime that has ended).
    pub(super) fn ensure_link(&self, registry: &Arc<Registry>) {
        let mut task = self.task.lock();
        if !task.closed && task.handle.as_ref().is_none_or(JoinHandle::is_finished) {
            let (registry, config, pubsub) = (registry.clone(), self.config.clone(), self.pubsub.clone());
            task.handle = Some(tokio::spawn(async move {
                keep_link(&registry, &config, &pubsub).await
            }));
        }
    }

    /// How long a subscription waits for its confirmation.
    pub(super) fn patience(&self) -> Duration {
        self.config.connect_timeout + 2 * self.config.response_timeout
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
async fn keep_link(registry: &Arc<Registry>, config: &RedisConfig, pubsub: &PubSubConfig) {
    let mut pause = FIRST_PAUSE;
    let mut server = None;
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
                    pubsub,
                    on_server: FxHashSet::default(),
                };
                let error = served.serve(&mut server, &mut pause).await;
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
        (PushKind::Message | PushKind::SMessage, Some(Value::BulkString(payload))) => {
            registry.dispatch(link, channel, Bytes::from(payload));
        }
        (PushKind::Subscribe | PushKind::SSubscribe, _) => registry.confirm(link, channel),
        (PushKind::SUnsubscribe, _) => registry.withdrawn(link, channel),
        _ => {}
    }
}

/// One link in use.
struct Served<'a> {
    registry: &'a Registry,
    link: &'a Link,
    number: u64,
    config: &'a RedisConfig,
    pubsub: &'a PubSubConfig,
    /// What the server has been told to send.
    on_server: FxHashSet<Arc<str>>,
}

impl Served<'_> {
    /// Carries out the registry's plans until the link fails; returns why it failed. `server` is the run of the
    /// server that the link before this one led to.
    async fn serve(&mut self, server: &mut Option<String>, pause: &mut Duration) -> Error {
        let run = match self.run_of_server().await {
            Ok(run) => run,
            Err(error) => return error,
        };
        self.registry.linked(self.number, run.is_none() || *server != run);
        *server = run;
        let mut refused = Vec::new();
        loop {
            if let Err(error) = self.carry_out_plan(&mut refused).await {
                return error;
            }
            if let Err(error) = self.catch_up().await {
                return error;
            }
            if self.registry.is_withdrawn() {
                return self.gone();
            }
            *pause = FIRST_PAUSE;
            let answer = tokio::select! {
                () = self.registry.changed() => Ok(()),
                () = self.link.gone() => return self.gone(),
                () = tokio::time::sleep(self.pubsub.ping_interval) => {
                    self.registry.retry(refused.drain(..));
                    self.link.send(&redis::cmd("PING"), "PING", self.config.response_timeout).await.map(drop)
                }
            };
            if let Err(error) = answer {
                return error;
            }
        }
    }

    /// What the server calls this run of its program; `None` if it does not say. A server that was restarted, or one
    /// in its place, may have lost what it had numbered.
    async fn run_of_server(&self) -> Result<Option<String>, Error> {
        let info = redis::cmd("INFO").arg("server").to_owned();
        let text = match self
            .link
            .send(&info, "INFO", self.config.response_timeout)
            .await?
        {
            Value::BulkString(text) => String::from_utf8_lossy(&text).into_owned(),
            Value::VerbatimString { text, .. } => text,
            _ => return Ok(None),
        };
        let run = text.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run.map(str::to_owned))
    }

    /// Asks what came on channels. The link's own messages are dispatched before the answer is seen.
    async fn catch_up(&self) -> Result<(), Error> {
        loop {
            let asked = self.registry.catch_ups();
            if asked.is_empty() {
                return Ok(());
            }
            for some in asked.chunks(CATCH_UPS) {
                let answers = some.iter().map(|asked| self.catch_up_one(asked));
                for answer in join_all(answers).await {
                    answer?;
                }
            }
        }
    }

    async fn catch_up_one(&self, asked: &CatchUp) -> Result<(), Error> {
        let PubSubConfig {
            queue_messages,
            queue_bytes,
            ..
        } = *self.pubsub;
        let call = scripts::catch_up(&asked.channel, asked.after, queue_messages, queue_bytes);
        let mut answer = self.ask(&call.by_hash(), call.name()).await;
        if answer.as_ref().is_err_and(scripts::is_unknown) {
            answer = self.ask(&call.by_text(), call.name()).await;
        }
        let answer = match answer {
            Ok(value) => scripts::caught(&asked.channel, value).ok_or(Error::Unexpected {
                command: call.name(),
                reply: "something else",
            }),
            Err(error @ Error::Command { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        if let Err(error) = &answer {
            tracing::error!(channel = %asked.channel, %error, "Redis does not tell what came on a channel");
        }
        self.registry.caught_up(self.number, asked, &answer);
        Ok(())
    }

    async fn ask(&self, command: &Cmd, name: &str) -> Result<Value, Error> {
        match self
            .link
            .send(command, name, self.config.response_timeout)
            .await?
        {
            Value::ServerError(error) => Err(Error::server(&error)),
            value => Ok(value),
        }
    }

    /// Brings the server into line. Channels that it refuses although some listen to them go into `refused`.
    async fn carry_out_plan(&mut self, refused: &mut Vec<Arc<str>>) -> Result<(), Error> {
        let within = self.config.response_timeout;
        let plan = self.registry.plan(&self.on_server);
        for batch in plan.unsubscribe.chunks(BATCH) {
            if self.pubsub.sharded {
                for answer in join_all(batch.iter().map(|channel| self.shard("SUNSUBSCRIBE", channel))).await
                {
                    answer?;
                }
            } else {
                self.link.unsubscribe(&names(batch), within).await?;
            }
            for channel in batch {
                self.on_server.remove(channel);
            }
        }
        for batch in plan.subscribe.chunks(BATCH) {
            if self.pubsub.sharded {
                let answers = join_all(batch.iter().map(|channel| self.shard("SSUBSCRIBE", channel))).await;
                for (channel, answer) in batch.iter().zip(answers) {
                    self.subscribed(channel, answer, refused)?;
                }
                continue;
            }
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
        let answer = self
            .link
            .subscribe(&[channel], self.config.response_timeout)
            .await;
        self.subscribed(channel, answer, refused)
    }

    /// Notes what became of one channel's subscription.
    fn subscribed(
        &mut self,
        channel: &Arc<str>,
        answer: Result<(), Error>,
        refused: &mut Vec<Arc<str>>,
    ) -> Result<(), Error> {
        match answer {
            Ok(()) => {
                self.on_server.insert(channel.clone());
            }
            Err(error @ (Error::Command { .. } | Error::Invalid { .. })) => {
                if self.registry.refuse(channel, &error) {
                    tracing::error!(%channel, %error, "Redis refuses a channel that was open before");
                    refused.push(channel.clone());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// One command for one sharded channel: the channels of a single command would have to be of one slot.
    async fn shard(&self, command: &'static str, channel: &Arc<str>) -> Result<(), Error> {
        let answer = self.ask(redis::cmd(command).arg(&**channel), command).await;
        answer.map(drop).map_err(not_sharded)
    }

    fn gone(&self) -> Error {
        Error::Disconnected {
            address: self.config.address.to_string(),
            reason: format!("connection {} was closed", self.number),
        }
    }
}

/// A server without sharded pub-sub says that it does not know a command; say which one would.
fn not_sharded(error: Error) -> Error {
    match &error {
        Error::Command { message, .. } if message.to_ascii_lowercase().starts_with("unknown") => {
            Error::Invalid {
                what: "sharded pub-sub".to_owned(),
                reason: "this server has none; Redis 7 or Valkey does".to_owned(),
            }
        }
        _ => error,
    }
}

fn names(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}
