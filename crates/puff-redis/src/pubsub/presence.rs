//! Who is on a channel: members, and what is told of them.
//!
//! Events of a channel's presence are messages on a channel beside it, so that they have numbers, gaps and one
//! subscription in Redis as all messages do. A body is `j` or `l`, the length of the member's id in decimal digits,
//! `;`, the id, and what it told of itself.

use std::sync::Arc;

use bytes::Bytes;

use super::config::{check, invalid};
use super::scripts::in_slot;
use super::{Event, Gap, Message};
use crate::Error;

const PREFIX: &str = "puff:presence:";
const LONGEST_INFO: usize = 4096;
const LONGEST_MEMBER: usize = 255;

/// Somebody on a channel, by one connection or by several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who it is: what it was called when it entered.
    pub id: Arc<str>,
    /// What it told of itself when it entered last.
    pub info: Bytes,
}

/// What happened to a channel's members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// The channel.
    pub channel: Arc<str>,
    /// What happened.
    pub change: Change,
}

/// A change of who is on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first connection of a member entered.
    Joined(Member),
    /// The last connection of a member has left, or was not heard of any more.
    Left(Member),
    /// Changes may have been missed: ask [`PubSub::presence`](crate::PubSub::presence) who is there.
    Unknown,
}

/// The channel of a channel's presence.
pub(super) fn beside(channel: &str) -> String {
    in_slot(PREFIX, channel)
}

/// Whether a channel is one of ours.
pub(super) fn is_reserved(channel: &str) -> bool {
    channel.starts_with(PREFIX)
}

/// The channel that a channel of presence is beside.
fn channel_of(name: &str) -> Option<Arc<str>> {
    let rest = name.strip_prefix(PREFIX)?;
    let wrapped = || rest.strip_prefix('{')?.strip_suffix('}');
    rest.strip_prefix('-').or_else(wrapped).map(Arc::from)
}

/// An event as the connection receives it.
pub(super) fn interpret(event: Event) -> Event {
    let (name, change): (&Arc<str>, fn(&Message) -> Change) = match &event {
        Event::Message(message) => (&message.channel, |message| {
            read(&message.body).unwrap_or(Change::Unknown)
        }),
        Event::Gap(Gap { channel, .. }) => (channel, |_| Change::Unknown),
        Event::Presence(_) => return event,
    };
    let Some(channel) = channel_of(name) else {
        return event;
    };
    let change = match &event {
        Event::Message(message) => change(message),
        _ => Change::Unknown,
    };
    Event::Presence(Presence { channel, change })
}

fn read(body: &Bytes) -> Option<Change> {
    let (kind, rest) = body.split_first()?;
    let end = rest.iter().position(|byte| *byte == b';')?;
    let length: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    let (id, info) = rest[end + 1..].split_at_checked(length)?;
    let member = Member {
        id: Arc::from(std::str::from_utf8(id).ok()?),
        info: body.slice_ref(info),
    };
    match kind {
        b'j' => Some(Change::Joined(member)),
        b'l' => Some(Change::Left(member)),
        _ => None,
    }
}

/// The body of an event, as the script in Redis writes it too.
pub(super) fn write(joined: bool, member: &Member) -> Bytes {
    let kind = if joined { 'j' } else { 'l' };
    let head = format!("{kind}{};{}", member.id.len(), member.id);
    [head.as_bytes(), &member.info].concat().into()
}

pub(super) fn check_member(id: &str, info: &[u8]) -> Result<(), Error> {
    check("the member", id, LONGEST_MEMBER)?;
    if info.len() > LONGEST_INFO {
        let reason = format!("it has {} bytes, at most {LONGEST_INFO} are possible", info.len());
        return Err(invalid("what is told of the member", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_are_read_as_they_were_written(joined: bool, id in "\\PC{1,20}", info: Vec<u8>) {
            let member = Member { id: id.into(), info: info.into() };
            let expected = if joined { Change::Joined(member.clone()) } else { Change::Left(member.clone()) };
            prop_assert_eq!(read(&write(joined, &member)), Some(expected));
        }

        #[test]
        fn any_body_is_read_without_panic(body: Vec<u8>) {
            read(&body.into());
        }

        #[test]
        fn names_of_channels_come_back(channel in "[-{}a]{1,6}") {
            let found = channel_of(&beside(&channel));
            prop_assert_eq!(found.as_deref(), Some(&*channel));
        }
    }

    #[test]
    fn other_events_stay_as_they_are() {
        let message =
            |channel: &str| Event::Message(Arc::new(Message::new(channel.into(), "j1;a".into(), None, None)));
        assert_eq!(interpret(message("room")), message("room"));
        let gap = |channel: String| {
            Event::Gap(Gap {
                channel: channel.into(),
                last: None,
                next: None,
            })
        };
        let unknown = Event::Presence(Presence {
            channel: "room".into(),
            change: Change::Unknown,
        });
        assert_eq!(interpret(gap(beside("room"))), unknown);
        assert_eq!(interpret(gap("room".into())), gap("room".into()));
    }
}
