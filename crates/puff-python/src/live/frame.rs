//! What a client receives of a message: its body alone, or an object of JSON around it.

use std::fmt::Write;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use puff_redis::{Change, Form, Gap, Member, Message, Position, Presence};
use serde::de::IgnoredAny;

/// What a client receives of each message of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Its body: as text if it is UTF-8, else as bytes.
    #[default]
    Body,
    /// `{"channel":…,"position":…,"from":…,"data":…}`, where `data` is the body, which is JSON. One that is not comes as
    /// a string called `text`, one that is not UTF-8 either as `base64`.
    Json,
    /// The same with the body as a string, whatever it says; `base64` if it is not UTF-8.
    Text,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads `body`, `json` or `text`.
    fn from_str(text: &str) -> Result<Format, UnknownFormat> {
        match text {
            "body" => Ok(Format::Body),
            "json" => Ok(Format::Json),
            "text" => Ok(Format::Text),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// A name of no [`Format`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format; there are \"body\", \"json\" and \"text\"")]
pub struct UnknownFormat(String);

/// What goes to a client for a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Text(Bytes),
    Binary(Bytes),
}

impl Format {
    /// What a client receives of `message`. It is encoded once and shared, or the body itself.
    pub(super) fn frame(self, message: &Message) -> Frame {
        match self {
            Format::Body if message.is_text() => Frame::Text(message.body.clone()),
            Format::Body => Frame::Binary(message.body.clone()),
            Format::Json => Frame::Text(message.encoded(Form::Json, |message| object(message, true))),
            Format::Text => Frame::Text(message.encoded(Form::Text, |message| object(message, false))),
        }
    }
}

/// A message as an object.
fn object(message: &Message, is_json: bool) -> Bytes {
    let mut out = String::with_capacity(message.body.len() + message.channel.len() + 128);
    begin(&mut out, &message.channel);
    out.push_str(",\"position\":");
    write_position(&mut out, message.position);
    out.push_str(",\"from\":");
    match &message.from_connection_id {
        Some(id) => quote(&mut out, id),
        None => out.push_str("null"),
    }
    match std::str::from_utf8(&message.body) {
        Ok(text) if is_json && is_valid(text) => {
            out.push_str(",\"data\":");
            // Line breaks are spaces between tokens, and would end a line of an event stream.
            match text.contains(['\n', '\r']) {
                true => out.extend(
                    text.chars()
                        .map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }),
                ),
                false => out.push_str(text),
            }
        }
        Ok(text) => {
            out.push_str(if is_json { ",\"text\":" } else { ",\"data\":" });
            quote(&mut out, text);
        }
        Err(_) => {
            out.push_str(",\"base64\":\"");
            STANDARD.encode_string(&message.body, &mut out);
            out.push('"');
        }
    }
    out.push('}');
    out.into()
}

/// A gap as an object: `{"channel":…,"gap":{"last":…,"next":…,"missed":…}}`.
pub(super) fn gap_object(gap: &Gap) -> Bytes {
    gap_of(&gap.channel, gap.last, gap.next)
}

/// As [`gap_object`], where there is no gap of pub-sub's.
pub(super) fn gap_of(channel: &str, last: Option<Position>, next: Option<Position>) -> Bytes {
    let mut out = String::with_capacity(160);
    begin(&mut out, channel);
    out.push_str(",\"gap\":{\"last\":");
    write_position(&mut out, last);
    out.push_str(",\"next\":");
    write_position(&mut out, next);
    out.push_str(",\"missed\":");
    match last.zip(next).and_then(|(last, next)| last.between(next)) {
        // Writing to a string does not fail.
        Some(missed) => drop(write!(out, "{missed}")),
        None => out.push_str("null"),
    }
    out.push_str("}}");
    out.into()
}

/// A change of who is on a channel as an object: `{"channel":…,"joined":{"id":…,"info":…}}`, the same with `left`, or
/// a gap with `"presence":true` when changes may have been missed. What a member told of itself is put in as JSON if it
/// is, else as a string.
pub(super) fn presence_object(presence: &Presence) -> Bytes {
    let mut out = String::with_capacity(160);
    begin(&mut out, &presence.channel);
    let (name, Member { id, info, .. }) = match &presence.change {
        Change::Joined(member) => (",\"joined\":{\"id\":", member),
        Change::Left(member) => (",\"left\":{\"id\":", member),
        Change::Unknown => {
            out.push_str(",\"gap\":{\"last\":null,\"next\":null,\"missed\":null,\"presence\":true}}");
            return out.into();
        }
    };
    out.push_str(name);
    quote(&mut out, id);
    out.push_str(",\"info\":");
    match String::from_utf8_lossy(info) {
        info if info.is_empty() => out.push_str("null"),
        info if is_valid(&info) => out.push_str(&info),
        info => quote(&mut out, &info),
    }
    out.push_str("}}");
    out.into()
}

fn begin(out: &mut String, channel: &str) {
    out.push_str("{\"channel\":");
    quote(out, channel);
}

fn write_position(out: &mut String, position: Option<Position>) {
    let _ = match position {
        Some(position) => write!(out, "\"{position}\""),
        None => write!(out, "null"),
    };
}

/// Whether a text is JSON, and not nested deeper than 128 levels.
fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A string of JSON.
fn quote(out: &mut String, text: &str) {
    // It does not fail for a string.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use puff_redis::{Event, PubSub};

    use super::*;

    /// A message as a connection receives it.
    async fn message(body: &[u8]) -> Arc<Message> {
        let pubsub = PubSub::in_process();
        let connection = pubsub.connection();
        connection.subscribe("a\"b").await.unwrap();
        pubsub
            .publish("a\"b", Bytes::copy_from_slice(body))
            .await
            .unwrap();
        match connection.receive().await.unwrap() {
            Event::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn objects_are_json_whatever_the_body_is() {
        for body in [
            &b""[..],
            b"1",
            b"{\"a\":\r\n1}",
            b"\"\n\"",
            b"nan",
            b"\xff",
            b"\x00",
        ] {
            let message = message(body).await;
            for format in [Format::Json, Format::Text] {
                let Frame::Text(object) = format.frame(&message) else {
                    panic!("{body:?}");
                };
                assert!(!object.contains(&b'\n') && !object.contains(&b'\r'), "{body:?}");
                let value: serde_json::Value = serde_json::from_slice(&object).unwrap();
                assert_eq!(value["channel"], "a\"b");
                let kinds = ["data", "text", "base64"].map(|name| value.get(name).is_some());
                assert_eq!(kinds.iter().filter(|there| **there).count(), 1, "{value}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_encoded_is_shared() {
        let message = message(b"x").await;
        let (Frame::Text(one), Frame::Text(two)) =
            (Format::Json.frame(&message), Format::Json.frame(&message))
        else {
            panic!("no texts");
        };
        assert_eq!(one.as_ptr(), two.as_ptr());
        let Frame::Text(body) = Format::Body.frame(&message) else {
            panic!("no text");
        };
        assert_eq!(body.as_ptr(), message.body.as_ptr());
    }

    #[test]
    fn formats_have_names() {
        for (name, format) in [
            ("body", Format::Body),
            ("json", Format::Json),
            ("text", Format::Text),
        ] {
            assert_eq!(name.parse(), Ok(format));
        }
        assert!("Body".parse::<Format>().is_err());
    }
}
