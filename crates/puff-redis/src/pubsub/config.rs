//! Bounds, policies and what calls may ask for.

use std::str::FromStr;
use std::time::Duration;

use super::queue::Bounds;
use super::{Position, envelope, presence, scripts};
use crate::Error;

const LONGEST_CHANNEL: usize = 1024;
const MOST_HISTORY: usize = 10_000;
const LONGEST_HISTORY: Duration = Duration::from_secs(366 * 24 * 3600);

/// Bounds and intervals of a [`PubSub`](crate::PubSub) hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSubConfig {
    /// How many messages may wait for one connection, at least 1; 1,024 by default. What a replay brings is bounded
    /// by the same number, and does not count.
    pub queue_messages: usize,
    /// How many bytes of message bodies may wait for one connection; 16 MiB by default. A larger message passes
    /// when it is alone.
    pub queue_bytes: usize,
    /// What happens to a connection whose queue is full.
    pub overflow: Overflow,
    /// The largest body that is published, in bytes; 8 MiB by default. Redis cuts a subscriber off that is more than
    /// 8 MB behind for a minute, or 32 MB at all.
    pub max_message: usize,
    /// Which channels keep messages for those who come back, by the beginning of their names; the longest that fits
    /// counts. None by default.
    pub history: Vec<(String, History)>,
    /// How long a channel without messages keeps its number; 24 h by default. Afterwards it has a new epoch, which
    /// its receivers are told by a gap.
    pub sequence_ttl: Duration,
    /// How long a member of a channel stays that is not heard of any more; 30 s by default. Each process speaks for
    /// its members three times as often.
    pub presence_ttl: Duration,
    /// How many connections may be present on one channel; 10,000 by default.
    pub presence_max: usize,
    /// Whether channels are sharded (`SSUBSCRIBE`, `SPUBLISH`): in a cluster a message then stays on the node of its
    /// channel's slot instead of going to all. All processes have to say the same, and Redis 7 or Valkey is needed.
    /// Always true with the address of a cluster, else false by default.
    pub sharded: bool,
    /// How often the Redis connection is probed while nothing else is asked of it; 5 s by default. A connection
    /// that died without a word is noticed after this plus
    /// [`RedisConfig::response_timeout`](crate::RedisConfig::response_timeout).
    pub ping_interval: Duration,
}

impl Default for PubSubConfig {
    fn default() -> Self {
        Self {
            queue_messages: 1024,
            queue_bytes: 16 << 20,
            overflow: Overflow::Gap,
            max_message: 8 << 20,
            history: Vec::new(),
            sequence_ttl: Duration::from_secs(24 * 3600),
            presence_ttl: Duration::from_secs(30),
            presence_max: 10_000,
            sharded: false,
            ping_interval: Duration::from_secs(5),
        }
    }
}

impl PubSubConfig {
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            messages: self.queue_messages.max(1),
            bytes: self.queue_bytes,
            overflow: self.overflow,
        }
    }

    /// What a channel keeps by its name.
    pub(super) fn history_of(&self, channel: &str) -> Option<History> {
        let fitting = self
            .history
            .iter()
            .filter(|(prefix, _)| channel.starts_with(&**prefix));
        fitting
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(_, history)| *history)
    }
}

/// What happens to a connection whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The newest messages are dropped, and a gap stands in their place.
    #[default]
    Gap,
    /// The oldest messages are dropped, and a gap stands in their place.
    DropOldest,
    /// The connection is closed: receiving ends with [`Error::TooSlow`].
    Disconnect,
}

impl FromStr for Overflow {
    type Err = Error;

    /// Reads `gap`, `drop_oldest` or `disconnect`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "gap" => Ok(Overflow::Gap),
            "drop_oldest" => Ok(Overflow::DropOldest),
            "disconnect" => Ok(Overflow::Disconnect),
            _ => Err(invalid(
                "the policy for slow connections",
                format!("{text:?} is none; there are gap, drop_oldest and disconnect"),
            )),
        }
    }
}

/// What a channel keeps for those who come back: its last `messages`, until nothing has been published for `time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How many messages, 1 to 10,000.
    pub messages: usize,
    /// For how long after the last message, 1 ms to 366 days.
    pub time: Duration,
}

/// What a subscription may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Replay what came after this position. [`Position::START`] is everything there is.
    pub since: Option<Position>,
    /// Whether messages that were published in this connection's own name come back to it; true by default.
    pub echo: bool,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            since: None,
            echo: true,
        }
    }
}

impl SubscribeOptions {
    /// Replays what came after `position`.
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self
    }

    /// Leaves out what this connection publishes itself.
    pub fn without_echo(mut self) -> Self {
        self.echo = false;
        self
    }
}

/// What a publication may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishOptions<'a> {
    /// In whose name.
    pub from: Option<&'a str>,
    /// What the channel keeps, if the hub's configuration does not say it.
    pub history: Option<History>,
}

impl<'a> PublishOptions<'a> {
    /// Publishes in the name of a connection.
    pub fn from(mut self, id: &'a str) -> Self {
        self.from = Some(id);
        self
    }

    /// Lets the channel keep its last messages.
    pub fn keep(mut self, messages: usize, time: Duration) -> Self {
        self.history = Some(History { messages, time });
        self
    }
}

pub(super) fn check_channel(channel: &str, sharded: bool) -> Result<(), Error> {
    check("the channel", channel, LONGEST_CHANNEL)?;
    if sharded && !scripts::is_tagged(channel) && channel.contains('}') {
        // Its keys could not be put into its slot.
        let reason = "a sharded channel has a } only behind a {, with something between".to_owned();
        return Err(invalid("the channel", reason));
    }
    if presence::is_reserved(channel) {
        let reason = "its name begins as those that Puff uses for presence do".to_owned();
        return Err(invalid("the channel", reason));
    }
    Ok(())
}

pub(super) fn check_id(id: &str) -> Result<(), Error> {
    check("the connection id", id, envelope::LONGEST_ID)
}

pub(super) fn check_history(history: &History) -> Result<(), Error> {
    let reason = if !(1..=MOST_HISTORY).contains(&history.messages) {
        format!("{} messages, 1 to {MOST_HISTORY} are possible", history.messages)
    } else if history.time.as_millis() == 0 || history.time > LONGEST_HISTORY {
        format!("{:?}, 1 ms to 366 days are possible", history.time)
    } else {
        return Ok(());
    };
    Err(invalid("the history", reason))
}

pub(super) fn check_body(body: &[u8], longest: usize) -> Result<(), Error> {
    if body.len() <= longest {
        return Ok(());
    }
    let reason = format!("it has {} bytes, at most {longest} are allowed", body.len());
    Err(invalid("the message", reason))
}

pub(super) fn check(what: &str, text: &str, longest: usize) -> Result<(), Error> {
    match text.len() {
        0 => Err(invalid(what, "it is empty".to_owned())),
        length if length > longest => Err(invalid(
            what,
            format!("it has {length} bytes, at most {longest} are possible"),
        )),
        _ => Ok(()),
    }
}

pub(super) fn invalid(what: &str, reason: String) -> Error {
    Error::Invalid {
        what: what.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides_about_history() {
        let keep = |messages| History {
            messages,
            time: Duration::from_secs(1),
        };
        let config = PubSubConfig {
            history: vec![("chat:vip:".into(), keep(3)), ("chat:".into(), keep(2))],
            ..PubSubConfig::default()
        };
        let messages = |channel| config.history_of(channel).map(|history| history.messages);
        assert_eq!(messages("chat:vip:1"), Some(3));
        assert_eq!(messages("chat:1"), Some(2));
        assert_eq!(messages("chat"), None);
    }

    #[test]
    fn history_has_bounds() {
        let check = |messages, ms| {
            check_history(&History {
                messages,
                time: Duration::from_millis(ms),
            })
        };
        assert_eq!(check(10_000, 1), Ok(()));
        for (messages, ms) in [(0, 1), (10_001, 1), (1, 0), (1, u64::MAX)] {
            assert!(check(messages, ms).is_err(), "{messages} {ms}");
        }
    }
}
