//! One link in use: it brings its server into line with the registry.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rustc_hash::FxHashSet;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::PubSubConfig;
use super::channel::Keeper;
use super::feed::{Feed, Push};
use super::registry::{CatchUp, Plan, Registry};
use super::scripts;
use super::servers::{Place, Redirected, Servers};
use crate::wire::Wire;
use crate::{Command, Error, RedisConfig, Reply};

/// Channels per SUBSCRIBE, so that one request stays small against the time-out of its answer.
const BATCH: usize = 256;
/// Channels that catch up at a time, so that their histories do not all wait in memory.
const CATCH_UPS: usize = 32;
/// When to ask again for what a server could not tell for the moment.
const AGAIN: Duration = Duration::from_millis(100);
/// It is so for the moment: a slot moves, a cluster is without a master, a server reads its data or runs a script.
const FOR_THE_MOMENT: [&str; 5] = ["TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "BUSY"];

/// One link.
pub(super) struct Served<'a> {
    pub(super) registry: &'a Arc<Registry>,
    pub(super) servers: &'a Servers,
    pub(super) pubsub: &'a PubSubConfig,
    pub(super) place: &'a Place,
    pub(super) number: u64,
    pub(super) changed: &'a Notify,
}

/// What a server is behind with.
#[derive(Default)]
struct Behind {
    /// What it has been told to send.
    on_server: FxHashSet<Arc<str>>,
    /// Channels that it refuses although some listen to them, and what it could not tell.
    refused: Vec<Arc<str>>,
    untold: Vec<CatchUp>,
    /// Whether it is so for the moment.
    soon: bool,
}

/// Why a link has ended.
pub(super) enum Ended {
    /// It could not be opened.
    Unreached(Error),
    Lost(Error),
    /// Nobody needs it.
    Idle,
}

impl Served<'_> {
    /// Opens the link and holds it for as long as it lasts.
    pub(super) async fn hold(&self) -> Ended {
        let config = self.servers.config_of(self.place);
        let (feed, keeper) = match self.open(&config).await {
            Ok(open) => open,
            Err(error) => {
                self.registry.no_link(self.number, &error);
                return Ended::Unreached(error);
            }
        };
        self.registry.linked(self.number, keeper.clone());
        match self.serve(&feed, keeper.as_ref()).await {
            Ok(()) => Ended::Idle,
            Err(error) => {
                self.registry.lost(self.number);
                Ended::Lost(error)
            }
        }
    }

    async fn open(&self, config: &RedisConfig) -> Result<(Feed, Option<Keeper>), Error> {
        let wire = Wire::open(config).await?;
        let (registry, number) = (self.registry.clone(), self.number);
        // In the order of arrival: a confirmation (and with it the gap) comes before the messages that follow it.
        let on_push = move |push: Push<'_>| match push {
            Push::Message { channel, payload } => registry.dispatch(number, channel, payload),
            Push::Subscribed(channel) => registry.confirm(number, channel),
            Push::Withdrawn(channel) => registry.withdrawn(number, channel),
        };
        let feed = Feed::new(wire, config, on_push);
        let keeper = keeper(&feed, self.servers.is_cluster()).await?;
        Ok((feed, keeper))
    }

    /// Carries out the registry's plans until the link fails, or nobody needs it.
    async fn serve(&self, feed: &Feed, keeper: Option<&Keeper>) -> Result<(), Error> {
        let mut behind = Behind::default();
        let mut looked = Instant::now();
        loop {
            let plan = self.registry.plan(self.number, &behind.on_server);
            if !plan.withdrawn.is_empty() {
                self.give_up(feed, keeper, &plan.withdrawn).await?;
            }
            self.carry_out(feed, plan, &mut behind).await?;
            self.catch_up(feed, &mut behind).await?;
            let pause = match behind.soon {
                true => self.pubsub.ping_interval.min(AGAIN),
                false => self.pubsub.ping_interval,
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = feed.gone() => return Err(feed.lost("the server closed it")),
                // Since the last look, and not since the last change: there may be one each moment.
                () = tokio::time::sleep_until(looked + pause) => {
                    looked = Instant::now();
                    behind.soon = false;
                    self.registry.retry(self.number, behind.refused.drain(..));
                    let is_master = feed.probe().await?;
                    if self.servers.changes_masters() && !is_master {
                        return Err(feed.lost("it is no master any more"));
                    }
                    if self.servers.is_cluster() && self.registry.retire(self.number) {
                        return Ok(());
                    }
                }
            }
            self.registry.ask_again(self.number, behind.untold.drain(..));
        }
    }

    /// The server does not have channels any more: it has handed them over, or has lost them with its place.
    async fn give_up(
        &self,
        feed: &Feed,
        before: Option<&Keeper>,
        channels: &[Arc<str>],
    ) -> Result<(), Error> {
        let now = keeper(feed, self.servers.is_cluster()).await?;
        if now.as_ref() != before {
            return Err(feed.lost("another has taken its place"));
        }
        self.registry.give_up(self.number, channels);
        Ok(())
    }

    /// Brings the server into line.
    async fn carry_out(&self, feed: &Feed, plan: Plan, behind: &mut Behind) -> Result<(), Error> {
        let sharded = self.pubsub.sharded;
        for batch in plan.unsubscribe.chunks(BATCH) {
            match sharded {
                true => {
                    let each = batch.iter().map(|channel| one(feed, "SUNSUBSCRIBE", channel));
                    for answer in join_all(each).await {
                        // A node that gives a slot away has ended the subscription itself.
                        unless_fatal(answer)?;
                    }
                }
                false => unless_fatal(all(feed, "UNSUBSCRIBE", batch).await)?,
            }
            for channel in batch {
                behind.on_server.remove(channel);
            }
        }
        for batch in plan.subscribe.chunks(BATCH) {
            // One command for one sharded channel: those of a single command would have to be of one slot.
            let command = if sharded { "SSUBSCRIBE" } else { "SUBSCRIBE" };
            let whole = match sharded {
                true => None,
                false => Some(all(feed, command, batch).await),
            };
            match whole {
                Some(Ok(())) => behind.on_server.extend(batch.iter().cloned()),
                Some(Err(error)) if !matches!(error, Error::Command { .. }) => return Err(error),
                // One forbidden channel fails the whole request: find out which.
                _ => {
                    let each = batch.iter().map(|channel| one(feed, command, channel));
                    for (channel, answer) in batch.iter().zip(join_all(each).await) {
                        self.subscribed(channel, answer, behind)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes what became of one channel's subscription.
    fn subscribed(
        &self,
        channel: &Arc<str>,
        answer: Result<(), Error>,
        behind: &mut Behind,
    ) -> Result<(), Error> {
        let error = match answer {
            Ok(()) => {
                behind.on_server.insert(channel.clone());
                return Ok(());
            }
            Err(error @ Error::Command { .. }) => error,
            Err(error) => return Err(error),
        };
        if let Some(Redirected::Moved) = self.servers.redirect(self.place, &error) {
            self.registry.sent_on(self.number, channel);
            return Ok(());
        }
        let for_the_moment = is_for_the_moment(&error);
        let error = explain(error, self.servers.is_cluster());
        if self.registry.refuse(self.number, channel, &error) {
            if !for_the_moment {
                tracing::error!(%channel, %error, "Redis refuses a channel that was open before");
            }
            behind.refused.push(channel.clone());
            behind.soon |= for_the_moment;
        }
        Ok(())
    }

    /// Asks what came on channels. The link's own messages are dispatched before the answer is seen.
    async fn catch_up(&self, feed: &Feed, behind: &mut Behind) -> Result<(), Error> {
        loop {
            let asked = self.registry.catch_ups(self.number);
            if asked.is_empty() {
                return Ok(());
            }
            for some in asked.chunks(CATCH_UPS) {
                let answers = some.iter().map(|asked| self.catch_up_one(feed, asked));
                for (asked, told) in some.iter().zip(join_all(answers).await) {
                    if !told? {
                        behind.untold.push(asked.clone());
                        behind.soon = true;
                    }
                }
            }
        }
    }

    /// Returns false if it cannot be told for the moment.
    async fn catch_up_one(&self, feed: &Feed, asked: &CatchUp) -> Result<bool, Error> {
        let PubSubConfig {
            queue_messages,
            queue_bytes,
            ..
        } = *self.pubsub;
        let call = scripts::catch_up(&asked.channel, asked.after, queue_messages, queue_bytes);
        let mut answer = feed.ask(&call.by_hash(), call.name()).await;
        if answer.as_ref().is_err_and(scripts::is_unknown) {
            answer = feed.ask(&call.by_text(), call.name()).await;
        }
        if let Err(error) = &answer {
            match self.servers.redirect(self.place, error) {
                Some(Redirected::Moved) => {
                    self.registry.withdrawn(self.number, &asked.channel);
                    return Ok(true);
                }
                // The slot moves, and the channel's number has gone ahead of the subscription. What this node has sent
                // before that is handled first.
                Some(Redirected::Ask(node)) => {
                    answer = self.servers.ask(node, &call).await;
                    feed.probe().await?;
                    if answer.as_ref().is_err_and(|error| error.code() != Some("NOPERM")) {
                        return Ok(false);
                    }
                }
                None => {}
            }
        }
        let answer = match answer {
            Ok(reply) => {
                let kind = reply.kind();
                scripts::caught(&asked.channel, reply).ok_or(Error::Unexpected {
                    command: call.name(),
                    reply: kind,
                })
            }
            Err(error) if is_for_the_moment(&error) => return Ok(false),
            Err(error @ Error::Command { .. }) => match explain(error, self.servers.is_cluster()) {
                error @ Error::Command { .. } => Err(error),
                // It is the wrong server.
                error => return Ok(!self.registry.refuse(self.number, &asked.channel, &error)),
            },
            Err(error) => return Err(error),
        };
        if let Err(error) = &answer {
            tracing::error!(channel = %asked.channel, %error, "Redis does not tell what came on a channel");
        }
        self.registry.caught_up(self.number, asked, &answer);
        Ok(true)
    }
}

/// Who keeps the numbers there; none if it does not tell. A server that was restarted, or one in its place, may have
/// lost what it had numbered. The first name is that of the program's run; the second changes whenever another is master.
async fn keeper(feed: &Feed, cluster: bool) -> Result<Option<Keeper>, Error> {
    let info = async |section: &str| {
        let question = Command::new("INFO").arg(section);
        told(feed.ask(&question, "INFO").await)
    };
    let shard_id = async {
        match cluster {
            true => {
                let question = Command::new("CLUSTER").arg("MYSHARDID");
                told(feed.ask(&question, "CLUSTER MYSHARDID").await)
            }
            false => Ok(None),
        }
    };
    let (server, replication, shard) = tokio::join!(info("server"), info("replication"), shard_id);
    let (Some(server), Some(replication), shard) = (server?, replication?, shard?) else {
        return Ok(None);
    };
    let (run, replication) = (line(&server, "run_id:"), line(&replication, "master_replid:"));
    let reign = run.zip(replication);
    Ok(reign.map(|(run, replication)| Keeper {
        reign: format!("{run} {replication}"),
        shard,
    }))
}

fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name))
}

/// None if the server does not tell.
fn told(answer: Result<Reply, Error>) -> Result<Option<String>, Error> {
    match answer {
        Ok(Reply::Bulk(text)) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Ok(_) | Err(Error::Command { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn one(feed: &Feed, command: &str, channel: &Arc<str>) -> Result<(), Error> {
    all(feed, command, std::slice::from_ref(channel)).await
}

async fn all(feed: &Feed, name: &str, channels: &[Arc<str>]) -> Result<(), Error> {
    let mut command = Command::new(name);
    channels.iter().for_each(|channel| command.push(&**channel));
    feed.confirm(&command, name).await
}

fn unless_fatal(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(Error::Command { .. }) => Ok(()),
        answer => answer,
    }
}

fn is_for_the_moment(error: &Error) -> bool {
    error.code().is_some_and(|code| FOR_THE_MOMENT.contains(&code))
}

/// The server's error in words that say what to do, where it has none.
pub(super) fn explain(error: Error, cluster: bool) -> Error {
    let Error::Command { code, message } = &error else {
        return error;
    };
    let message = message.to_ascii_lowercase();
    // The second is what a script says.
    if message.contains("unknown command") || message.contains("unknown redis command") {
        let who = match cluster {
            true => "in a cluster channels need it, and this one has none",
            false => "this server has none",
        };
        return Error::Invalid {
            what: "sharded pub-sub".to_owned(),
            reason: format!("{who}; Redis 7 or Valkey does"),
        };
    }
    if !cluster && (code == "MOVED" || code == "ASK") {
        return Error::config(
            "this server is a node of a cluster and has some channels only; name the cluster: redis+cluster://HOST:PORT",
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let error = |code: &str, message: &str, cluster| {
            let (code, message) = (code.to_owned(), message.to_owned());
            explain(Error::Command { code, message }, cluster).to_string()
        };
        for message in [
            "unknown command 'SSUBSCRIBE', with args beginning with: 'c' ",
            "Unknown Redis command called from script script: 1f, on @user_script:15.",
            // Redis 6.
            "Error running script (call to f_1f): @user_script:15: @user_script: 15: Unknown Redis command called from Lua script ",
        ] {
            assert_eq!(
                error("ERR", message, false),
                "sharded pub-sub: this server has none; Redis 7 or Valkey does"
            );
            assert!(error("ERR", message, true).contains("in a cluster channels need it"));
        }
        assert!(error("MOVED", "5 here:1", false).contains("redis+cluster://"));
        assert_eq!(error("MOVED", "5 here:1", true), "MOVED 5 here:1");
        assert_eq!(error("NOPERM", "no", false), "NOPERM no");
    }

    #[test]
    fn some_errors_pass() {
        let error = |code: &str| Error::Command {
            code: code.to_owned(),
            message: String::new(),
        };
        assert!(is_for_the_moment(&error("CLUSTERDOWN")));
        assert!(!is_for_the_moment(&error("NOPERM")));
        assert!(!is_for_the_moment(&Error::Closed { what: "it" }));
    }
}
