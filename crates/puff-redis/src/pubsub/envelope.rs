//! How a message, its sender and its position travel through Redis.
//!
//! ```text
//! 00 'p' 'u' 'f' 'f'   magic
//! 02                   version
//! 16 hex digits        the channel's epoch   } written by the script that publishes,
//! decimal digits ';'   the message's number  } see `scripts`
//! nn                   length of the sender's connection id, 0 for none
//! nn bytes             the id, UTF-8
//! the rest             the body, any bytes
//! ```
//!
//! Everything that does not start with the magic is a message of another program: its payload is the body, it has no
//! sender and no position. A known magic with an unknown version, or one that is cut short, is
//! [`Opened::Unreadable`]; the receiver turns it into a gap, because something was sent that this version cannot show.

use std::sync::Arc;

use bytes::Bytes;

use super::position::{EPOCH_DIGITS, Position};

/// What every envelope starts with.
pub(super) const HEAD: &[u8] = b"\0puff\x02";
const MAGIC: &[u8] = b"\0puff";
const VERSION: u8 = 2;

/// The longest connection id that fits, in bytes.
pub(super) const LONGEST_ID: usize = u8::MAX as usize;

/// An envelope's contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Message {
        from: Option<Arc<str>>,
        position: Option<Position>,
        body: Bytes,
    },
    Unreadable,
}

/// What follows the position. `from` must not be longer than [`LONGEST_ID`], which every caller has checked.
pub(super) fn seal(from: Option<&str>, body: &[u8]) -> Vec<u8> {
    let id = from.unwrap_or_default().as_bytes();
    let id = &id[..id.len().min(LONGEST_ID)];
    let mut sealed = Vec::with_capacity(1 + id.len() + body.len());
    sealed.push(id.len() as u8);
    sealed.extend_from_slice(id);
    sealed.extend_from_slice(body);
    sealed
}

/// Unwraps a payload; the body shares its memory.
pub(super) fn open(payload: Bytes) -> Opened {
    let Some(rest) = payload.strip_prefix(MAGIC) else {
        return Opened::Message {
            from: None,
            position: None,
            body: payload,
        };
    };
    match read(rest) {
        Some((position, from, body)) => Opened::Message {
            from: (!from.is_empty()).then(|| Arc::from(from)),
            position: Some(position),
            body: payload.slice_ref(body),
        },
        None => Opened::Unreadable,
    }
}

fn read(rest: &[u8]) -> Option<(Position, &str, &[u8])> {
    let (&VERSION, rest) = rest.split_first()? else {
        return None;
    };
    let (epoch, rest) = rest.split_at_checked(EPOCH_DIGITS)?;
    // A number has at most 20 digits: no need to look further.
    let end = rest.iter().take(21).position(|byte| *byte == b';')?;
    let position = Position::read(
        std::str::from_utf8(epoch).ok()?,
        std::str::from_utf8(&rest[..end]).ok()?,
    )?;
    let (length, rest) = rest[end + 1..].split_first()?;
    let (id, body) = rest.split_at_checked(usize::from(*length))?;
    Some((position, std::str::from_utf8(id).ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the script makes of a sealed message.
    fn stamp(epoch: u64, sequence: u64, sealed: &[u8]) -> Bytes {
        [HEAD, format!("{epoch:016x}{sequence};").as_bytes(), sealed]
            .concat()
            .into()
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(
            id in proptest::option::of("\\PC{1,60}"), body: Vec<u8>, epoch: u64, sequence in 0u64..1 << 53,
        ) {
            let stamped = stamp(epoch, sequence, &seal(id.as_deref(), &body));
            prop_assert_eq!(open(stamped), Opened::Message {
                from: id.map(Arc::from),
                position: Some(Position::new(epoch, sequence)),
                body: body.into(),
            });
        }

        #[test]
        fn any_payload_opens_without_panic(tail: Vec<u8>, magic: bool, version: bool) {
            let head: &[u8] = match (magic, version) {
                (true, true) => HEAD,
                (true, false) => MAGIC,
                _ => b"",
            };
            open([head, &tail].concat().into());
        }
    }

    #[test]
    fn foreign_payloads_are_bodies() {
        for foreign in [&b""[..], b"hello", b"\0", b"\0puf"] {
            let body = Bytes::copy_from_slice(foreign);
            let expected = Opened::Message {
                from: None,
                position: None,
                body: body.clone(),
            };
            assert_eq!(open(body), expected);
        }
    }

    #[test]
    fn other_versions_and_stumps_are_unreadable() {
        for payload in [
            &b"\0puff"[..],
            b"\0puff\x01\0hi",
            b"\0puff\x03\0hi",
            b"\0puff\x02",
            b"\0puff\x0200000000000000ff",
            b"\0puff\x0200000000000000ff1",
            b"\0puff\x0200000000000000ff1;",
            b"\0puff\x0200000000000000ffx;\0",
            b"\0puff\x0200000000000000ff1;\x05abc",
            b"\0puff\x0200000000000000ff1;\x01\xff",
        ] {
            assert_eq!(
                open(Bytes::copy_from_slice(payload)),
                Opened::Unreadable,
                "{payload:?}"
            );
        }
    }
}
