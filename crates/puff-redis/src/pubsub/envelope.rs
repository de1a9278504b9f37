//! How a message and its sender travel through Redis.
//!
//! ```text
//! 00 'p' 'u' 'f' 'f'   magic
//! 01                   version
//! nn                   length of the sender's connection id, 0 for none
//! nn bytes             the id, UTF-8
//! the rest             the body, any bytes
//! ```
//!
//! Everything that does not start with the magic is a message of another program: its payload is the body and it
//! has no sender. A known magic with an unknown version, or one that is cut short, is [`Opened::Unreadable`];
//! the receiver turns it into a gap, because something was sent that this version cannot show.

use std::sync::Arc;

use bytes::Bytes;

const MAGIC: &[u8] = b"\0puff";
const VERSION: u8 = 1;

/// The longest connection id that fits, in bytes.
pub(super) const LONGEST_ID: usize = u8::MAX as usize;

/// An envelope's contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Message { from: Option<Arc<str>>, body: Bytes },
    Unreadable,
}

/// Wraps a body. `from` must not be longer than [`LONGEST_ID`], which every caller has checked.
pub(super) fn seal(from: Option<&str>, body: &[u8]) -> Vec<u8> {
    let id = from.unwrap_or_default().as_bytes();
    let id = &id[..id.len().min(LONGEST_ID)];
    let mut sealed = Vec::with_capacity(MAGIC.len() + 2 + id.len() + body.len());
    sealed.extend_from_slice(MAGIC);
    sealed.push(VERSION);
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
            body: payload,
        };
    };
    let [VERSION, length, rest @ ..] = rest else {
        return Opened::Unreadable;
    };
    let Some((id, body)) = rest.split_at_checked(usize::from(*length)) else {
        return Opened::Unreadable;
    };
    let Ok(id) = std::str::from_utf8(id) else {
        return Opened::Unreadable;
    };
    let from = (!id.is_empty()).then(|| Arc::from(id));
    Opened::Message {
        from,
        body: payload.slice_ref(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens(id in proptest::option::of("\\PC{1,60}"), body: Vec<u8>) {
            let sealed = seal(id.as_deref(), &body);
            prop_assert_eq!(open(sealed.into()), Opened::Message { from: id.map(Arc::from), body: body.into() });
        }

        #[test]
        fn any_payload_opens_without_panic(tail: Vec<u8>, magic: bool) {
            let payload = if magic { [MAGIC, &tail].concat() } else { tail };
            open(payload.into());
        }
    }

    #[test]
    fn foreign_payloads_are_bodies() {
        for foreign in [&b""[..], b"hello", b"\0", b"\0puf"] {
            let body = Bytes::copy_from_slice(foreign);
            assert_eq!(open(body.clone()), Opened::Message { from: None, body });
        }
    }

    #[test]
    fn other_versions_and_stumps_are_unreadable() {
        for payload in [
            &b"\0puff"[..],
            b"\0puff\x01",
            b"\0puff\x02\0hi",
            b"\0puff\x01\x05abc",
            b"\0puff\x01\x01\xff",
        ] {
            assert_eq!(
                open(Bytes::copy_from_slice(payload)),
                Opened::Unreadable,
                "{payload:?}"
            );
        }
    }
}
