//! What runs inside Redis: numbering, keeping and publishing in one step, and reading from a position.
//!
//! A channel's counter is one string, its epoch's 16 digits and the last number; its history is a list of envelopes,
//! newest first, as they were published. Both keys are in the channel's own hash slot. A script is told of the history
//! only if it needs it: while a slot moves, a cluster carries out what has all of its keys on one node, or one key only.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use redis::Script;

use super::catchup::Caught;
use super::envelope::{self, Opened};
use super::members::Entry;
use super::position::{EPOCH_DIGITS, Position};
use super::{History, Member, Message, PubSubConfig, Published, local, presence};
use crate::{Command, Error, Reply, slots};

const PUBLISH: &str = r"
-- counter, perhaps history; channel, head, rest, new epoch, counter's ms, messages, history's ms, PUBLISH or SPUBLISH
local now = redis.call('GET', KEYS[1])
local epoch, number = ARGV[4], 1
if now then
    epoch, number = string.sub(now, 1, 16), tonumber(string.sub(now, 17)) + 1
elseif KEYS[2] then
    redis.call('DEL', KEYS[2])
end
local digits = string.format('%.0f', number)
redis.call('SET', KEYS[1], epoch .. digits, 'PX', ARGV[5])
local payload = table.concat({ARGV[2], epoch, digits, ';', ARGV[3]})
if ARGV[6] ~= '0' then
    redis.call('LPUSH', KEYS[2], payload)
    redis.call('LTRIM', KEYS[2], 0, ARGV[6] - 1)
    redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return {redis.call(ARGV[8], ARGV[1], payload), epoch .. digits}
";

/// Reads in pieces, so that what is more than was asked for is not read at all.
const CATCH_UP: &str = r"
-- counter, perhaps history; epoch of the position or an empty text, its number, messages, bytes
local now = redis.call('GET', KEYS[1])
if not KEYS[2] then
    return {now, 0}
end
local result = {now, redis.call('LLEN', KEYS[2])}
if not now then
    return result
end
local want, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
if ARGV[1] == string.sub(now, 1, 16) then
    want = math.min(want, tonumber(string.sub(now, 17)) - tonumber(ARGV[2]))
end
local from = 0
while from < want do
    local piece = redis.call('LRANGE', KEYS[2], from, math.min(from + 63, want - 1))
    for _, payload in ipairs(piece) do
        bytes = bytes - #payload
        if bytes < 0 then
            return result
        end
        result[#result + 1] = payload
    end
    if #piece == 0 then
        return result
    end
    from = from + #piece
end
return result
";

/// Entries are members of a sorted set by the time at which they expire, `token\0member`; a hash has for each member
/// how many entries it has (`n`) and what it tells (`i`).
const PRESENCE: &str = r"
-- entries, members, counter; ms to live, most entries, channel, head, new epoch, counter's ms, PUBLISH or SPUBLISH,
-- enter or leave or read; then token, member, info of each
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function tell(kind, member, info)
    local counter = redis.call('GET', KEYS[3])
    local epoch, number = ARGV[5], 1
    if counter then
        epoch, number = string.sub(counter, 1, 16), tonumber(string.sub(counter, 17)) + 1
    end
    local digits = string.format('%.0f', number)
    redis.call('SET', KEYS[3], epoch .. digits, 'PX', ARGV[6])
    redis.call(ARGV[7], ARGV[3], table.concat({ARGV[4], epoch, digits, ';\0', kind, #member, ';', member, info}))
end

local function remove(entry)
    if redis.call('ZREM', KEYS[1], entry) == 0 then
        return
    end
    local member = string.sub(entry, string.find(entry, '\0', 1, true) + 1)
    if redis.call('HINCRBY', KEYS[2], 'n' .. member, -1) <= 0 then
        local info = redis.call('HGET', KEYS[2], 'i' .. member) or ''
        redis.call('HDEL', KEYS[2], 'n' .. member, 'i' .. member)
        tell('l', member, info)
    end
end

for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)) do
    remove(entry)
end
for at = 9, #ARGV, 3 do
    local token, member, info = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local entry = token .. '\0' .. member
    if ARGV[8] == 'leave' then
        remove(entry)
    else
        local known = redis.call('ZSCORE', KEYS[1], entry)
        if not known and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
            return redis.error_reply('FULL the channel has ' .. ARGV[2] .. ' members')
        end
        redis.call('ZADD', KEYS[1], now + ARGV[1], entry)
        redis.call('HSET', KEYS[2], 'i' .. member, info)
        if not known and redis.call('HINCRBY', KEYS[2], 'n' .. member, 1) == 1 then
            tell('j', member, info)
        end
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
if ARGV[8] == 'read' then
    local members = {}
    local all = redis.call('HGETALL', KEYS[2])
    for at = 1, #all, 2 do
        if string.sub(all[at], 1, 1) == 'i' then
            members[#members + 1] = string.sub(all[at], 2)
            members[#members + 1] = all[at + 1]
        end
    end
    return members
end
return {}
";

/// What the key of a channel's counter begins with.
const COUNTER: &str = "puff:counter:";

static PRESENCE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PRESENCE));
static PUBLISH_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUBLISH));
static CATCH_UP_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CATCH_UP));

/// The two commands that run a script: by its hash, and with its text for a server that does not know it.
pub(super) struct Call {
    name: &'static str,
    script: &'static Script,
    text: &'static str,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// The command for a server that has run the script before.
    pub(super) fn by_hash(&self) -> Command {
        self.command("EVALSHA", self.script.get_hash())
    }

    /// The command for any server.
    pub(super) fn by_text(&self) -> Command {
        self.command("EVAL", self.text)
    }

    /// What it is called in errors.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// A key that the script is told of; they are all in one slot.
    pub(super) fn key(&self) -> &str {
        &self.keys[0]
    }

    fn command(&self, name: &str, script: &str) -> Command {
        let mut command = Command::new(name).arg(script).arg(self.keys.len().to_string());
        self.keys.iter().for_each(|key| command.push(key));
        self.arguments.iter().for_each(|argument| command.push(argument));
        command
    }
}

/// Whether the server has to be sent the script's text.
pub(super) fn is_unknown(error: &Error) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Publishes a sealed message.
pub(super) fn publish(
    channel: &str,
    sealed: Vec<u8>,
    history: Option<History>,
    config: &PubSubConfig,
) -> Call {
    let history_ms = history.map_or(0, |history| history.time.as_millis());
    let counter_ms = config.sequence_ttl.as_millis().max(history_ms).max(1);
    Call {
        name: "PUBLISH",
        script: &PUBLISH_SCRIPT,
        text: PUBLISH,
        keys: keys(channel, history.is_some()),
        arguments: vec![
            channel.into(),
            envelope::HEAD.to_vec(),
            sealed,
            format!("{:016x}", local::new_epoch()).into(),
            counter_ms.to_string().into(),
            history.map_or(0, |history| history.messages).to_string().into(),
            history_ms.to_string().into(),
            verb(config),
        ],
    }
}

/// Asks what came after a position, or only where the channel stands.
pub(super) fn catch_up(channel: &str, after: Option<Position>, messages: usize, bytes: usize) -> Call {
    let (epoch, number) = after.map(|after| after.parts()).unwrap_or_default();
    Call {
        name: "SUBSCRIBE",
        script: &CATCH_UP_SCRIPT,
        text: CATCH_UP,
        keys: keys(channel, after.is_some()),
        arguments: vec![
            epoch.into(),
            number.to_string().into(),
            messages.to_string().into(),
            bytes.to_string().into(),
        ],
    }
}

/// Lets entries enter a channel or leave it, or reads who is there.
pub(super) fn presence(channel: &str, what: &'static str, entries: &[Entry], config: &PubSubConfig) -> Call {
    let beside = presence::beside(channel);
    let counter = in_slot(COUNTER, &beside);
    let mut arguments: Vec<Vec<u8>> = vec![
        config.presence_ttl.as_millis().to_string().into(),
        config.presence_max.to_string().into(),
        beside.into(),
        envelope::HEAD.to_vec(),
        format!("{:016x}", local::new_epoch()).into(),
        config.sequence_ttl.as_millis().max(1).to_string().into(),
        verb(config),
        what.into(),
    ];
    for Entry { member, token, .. } in entries {
        arguments.extend([
            token.clone().into(),
            member.id.as_bytes().to_vec(),
            member.info.to_vec(),
        ]);
    }
    Call {
        name: "presence",
        script: &PRESENCE_SCRIPT,
        text: PRESENCE,
        keys: vec![
            in_slot("puff:entries:", channel),
            in_slot("puff:members:", channel),
            counter,
        ],
        arguments,
    }
}

/// Reads the answer of [`presence`] to `read`.
pub(super) fn members(reply: Reply) -> Option<Vec<Member>> {
    let Reply::Array(parts) = reply else { return None };
    let member = |pair: &[Reply]| match pair {
        [Reply::Bulk(id), Reply::Bulk(info)] => Some(Member {
            id: Arc::from(std::str::from_utf8(id).ok()?),
            info: info.clone(),
        }),
        _ => None,
    };
    parts.chunks(2).map(member).collect()
}

/// Reads the answer of [`publish`].
pub(super) fn published(reply: &Reply) -> Option<Published> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Int(receivers), Reply::Bulk(position)] = &parts[..] else {
        return None;
    };
    Some(Published {
        receivers: usize::try_from(*receivers).unwrap_or(0),
        position: Some(read_counter(position)?),
    })
}

/// Reads the answer of [`catch_up`].
pub(super) fn caught(channel: &Arc<str>, reply: Reply) -> Option<Caught> {
    let Reply::Array(parts) = reply else { return None };
    let mut parts = parts.into_iter();
    let head = match parts.next()? {
        Reply::Bulk(counter) => Some(read_counter(&counter)?),
        _ => None,
    };
    let keeps = matches!(parts.next()?, Reply::Int(length) if length > 0);
    let mut messages = Vec::with_capacity(parts.len());
    for payload in parts.rev() {
        let Reply::Bulk(payload) = payload else {
            return None;
        };
        // A copy: one message that waits for long must not keep the whole answer. One that cannot be read is a hole,
        // which is not jumped.
        if let Opened::Message { from, position, body } = envelope::open(Bytes::copy_from_slice(&payload)) {
            messages.push(Arc::new(Message::new(channel.clone(), body, from, position)));
        }
    }
    Some(Caught {
        head,
        messages,
        keeps,
    })
}

fn read_counter(counter: &[u8]) -> Option<Position> {
    let (epoch, number) = std::str::from_utf8(counter)
        .ok()?
        .split_at_checked(EPOCH_DIGITS)?;
    Position::read(epoch, number)
}

/// The keys of a channel's counter and, if it is needed, of its history.
fn keys(channel: &str, history: bool) -> Vec<String> {
    let history = history.then_some("puff:history:");
    let prefixes = [COUNTER].into_iter().chain(history);
    prefixes.map(|prefix| in_slot(prefix, channel)).collect()
}

/// A name in the same hash slot as `channel`: Redis hashes what is between the first braces, else the whole.
///
/// Two channels never have the same: what is wrapped begins with a brace, the other with a dash.
pub(super) fn in_slot(prefix: &str, channel: &str) -> String {
    if is_tagged(channel) {
        format!("{prefix}-{channel}")
    } else {
        format!("{prefix}{{{channel}}}")
    }
}

/// Whether Redis hashes a part of the name.
pub(super) fn is_tagged(channel: &str) -> bool {
    slots::tag(channel).is_some()
}

/// The command that publishes.
fn verb(config: &PubSubConfig) -> Vec<u8> {
    if config.sharded { "SPUBLISH" } else { "PUBLISH" }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lie_in_the_slot_of_their_channel() {
        assert_eq!(in_slot("p:", "room"), "p:{room}");
        assert_eq!(in_slot("p:", "{room}:1"), "p:-{room}:1");
        assert_eq!(in_slot("p:", "a{room}"), "p:-a{room}");
        assert_eq!(in_slot("p:", "a{}b"), "p:{a{}b}");
    }

    #[test]
    fn counters_are_read_strictly() {
        assert_eq!(read_counter(b"00000000000000ff17"), Some(Position::new(255, 17)));
        for counter in [
            &b""[..],
            b"ff17",
            b"00000000000000ff",
            b"00000000000000ff-1",
            b"\xff",
        ] {
            assert_eq!(read_counter(counter), None, "{counter:?}");
        }
    }
}
