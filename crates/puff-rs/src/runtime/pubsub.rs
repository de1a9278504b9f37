//! From settings to pub-sub: over Redis, or within the process.

use std::sync::Arc;
use std::time::Duration;

use puff_python::Opener;
use puff_redis::{History, Overflow, PubSub, PubSubConfig, RedisConfig, RedisPool};

use super::private::Private;
use crate::errors::{ConfigError, ProgramError};
use crate::settings::{ByteSize, SettingValue, Settings};

/// The URL that keeps messages within the process.
const MEMORY: &str = "memory:";

/// Where messages go, and within what bounds.
#[derive(Clone)]
pub(super) struct PubSubPlan {
    place: Place,
    config: PubSubConfig,
}

#[derive(Clone)]
enum Place {
    Memory,
    /// Without a configuration, a private server.
    Redis(Option<Box<RedisConfig>>),
}

impl PubSubPlan {
    /// The plan of `settings`; `redis` is where commands go.
    ///
    /// # Errors
    /// A URL or a bound that is not right.
    pub(super) fn new(settings: &Settings, redis: Option<&RedisConfig>) -> Result<PubSubPlan, ConfigError> {
        let place = settings.get_with("pubsub_url", |url| match url {
            MEMORY => Ok(Place::Memory),
            url => RedisConfig::from_url(url).map(|config| Place::Redis(Some(Box::new(config)))),
        })?;
        let mut config = PubSubConfig::default();
        config.queue_messages = settings.get_or("pubsub_queue", config.queue_messages)?;
        config.queue_bytes = settings
            .get_or("pubsub_queue_bytes", ByteSize(config.queue_bytes))?
            .0;
        config.max_message = settings
            .get_or("pubsub_max_message", ByteSize(config.max_message))?
            .0;
        config.sequence_ttl = settings.get_or("pubsub_sequence_ttl", config.sequence_ttl)?;
        config.sharded = settings.get_or("pubsub_sharded", config.sharded)?;
        config.presence_ttl = settings.get_or("pubsub_presence_ttl", config.presence_ttl)?;
        if let Some(overflow) = settings.get_with("pubsub_overflow", str::parse::<Overflow>)? {
            config.overflow = overflow;
        }
        config.history = settings.get_or("pubsub_history", Histories(Vec::new()))?.0;
        Ok(PubSubPlan {
            place: place.unwrap_or_else(|| Place::Redis(redis.cloned().map(Box::new))),
            config,
        })
    }

    /// Opens it.
    pub(super) fn opener(&self, private: &Private) -> Opener<PubSub> {
        let (plan, private) = (self.clone(), private.clone());
        Arc::new(move || {
            let (PubSubPlan { place, config }, private) = (plan.clone(), private.clone());
            Box::pin(async move {
                Ok(match place {
                    Place::Memory => PubSub::in_process_with(config),
                    Place::Redis(url) => {
                        PubSub::redis_with(private.redis("pub-sub", url.map(|url| *url)).await?, config)
                    }
                })
            })
        })
    }

    /// Sees that the Redis that somebody named answers.
    ///
    /// # Errors
    /// [`ProgramError::Service`] if it does not.
    pub(super) async fn probe(&self) -> Result<(), ProgramError> {
        let Place::Redis(Some(url)) = &self.place else {
            return Ok(());
        };
        let probe = RedisPool::new((**url).clone());
        let answer = probe.ping().await;
        probe.close();
        answer.map_err(|error| ProgramError::Service(format!("pub-sub is not available: {error}")))
    }
}

/// Channels that keep messages: `chat:=100/5m, feed:=10/1h`.
struct Histories(Vec<(String, History)>);

impl SettingValue for Histories {
    const EXPECTED: &'static str = "beginnings of channels' names, each with a number of messages (1 to 10000) and a time, as chat:=100/5m";

    fn parse(text: &str) -> Option<Self> {
        let one = |text: &str| {
            let (prefix, rest) = text.trim().rsplit_once('=')?;
            let (messages, time) = rest.split_once('/')?;
            let history = History {
                messages: usize::parse(messages)?,
                time: Duration::parse(time)?,
            };
            let possible = history.messages <= 10_000 && history.time.as_millis() > 0;
            possible.then(|| (prefix.trim().to_owned(), history))
        };
        text.split(',').map(one).collect::<Option<_>>().map(Histories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(variables: &[(&str, &str)]) -> Result<PubSubPlan, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        PubSubPlan::new(&Settings::load(variables, None, folder.path())?, None)
    }

    #[test]
    fn settings_are_read() {
        let found = plan(&[
            ("PUFF_PUBSUB_URL", "memory:"),
            ("PUFF_PUBSUB_QUEUE", "7"),
            ("PUFF_PUBSUB_OVERFLOW", "drop_oldest"),
            ("PUFF_PUBSUB_MAX_MESSAGE", "1KiB"),
            ("PUFF_PUBSUB_HISTORY", "chat:=100/5m, a=b=1/10s"),
        ])
        .unwrap();
        assert!(matches!(found.place, Place::Memory));
        let PubSubConfig {
            queue_messages,
            overflow,
            max_message,
            history,
            ..
        } = found.config;
        assert_eq!(
            (queue_messages, overflow, max_message),
            (7, Overflow::DropOldest, 1024)
        );
        let keep = |messages, seconds| History {
            messages,
            time: Duration::from_secs(seconds),
        };
        assert_eq!(
            history,
            [
                ("chat:".to_owned(), keep(100, 300)),
                ("a=b".to_owned(), keep(1, 10))
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_source() {
        for (name, value, part) in [
            ("PUFF_PUBSUB_OVERFLOW", "newest", "drop_oldest"),
            ("PUFF_PUBSUB_HISTORY", "chat:=100", "chat:=100/5m"),
            ("PUFF_PUBSUB_HISTORY", "chat:=10001/5m", "1 to 10000"),
            ("PUFF_PUBSUB_HISTORY", "chat:=1/0s", "a time"),
            ("PUFF_PUBSUB_URL", "memory", "redis://"),
        ] {
            let error = plan(&[(name, value)]).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(part), "{error}");
        }
    }
}
