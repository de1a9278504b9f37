//! What the two sides say: JSON objects with a `type`.

use crate::request::Request;
use crate::value::Value;
use crate::write::string::json_string;
use bytes::Bytes;

/// The longest id that an operation may have, in bytes.
const MAX_ID: usize = 1024;

/// The two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `graphql-transport-ws`, of the library graphql-ws.
    Current,
    /// `graphql-ws`, of the library subscriptions-transport-ws, which is no longer maintained.
    Legacy,
}

impl Dialect {
    /// The name of the protocol in the handshake.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Dialect::Current => "graphql-transport-ws",
            Dialect::Legacy => "graphql-ws",
        }
    }

    /// The best of the protocols that a client offers; the legacy one only if it is allowed.
    pub fn choose<'o>(offered: impl Iterator<Item = &'o str> + Clone, legacy: bool) -> Option<Dialect> {
        let offers = |dialect: Dialect| offered.clone().any(|name| name == dialect.subprotocol());
        if offers(Dialect::Current) {
            return Some(Dialect::Current);
        }
        (legacy && offers(Dialect::Legacy)).then_some(Dialect::Legacy)
    }
}

/// What a client says.
#[derive(Debug)]
pub(super) enum Said {
    Init(Option<Value>),
    Ping(Option<Value>),
    Pong,
    Start { id: String, request: Box<Request> },
    Stop { id: String },
    Terminate,
}

/// Reads a client's message.
///
/// # Errors
/// What is wrong with it, for the reason of the close.
pub(super) fn parse(dialect: Dialect, text: &[u8]) -> Result<Said, String> {
    let json = Value::from_json(text).map_err(|_| "the message is not JSON".to_owned())?;
    let Value::Object(fields) = json else {
        return Err("the message is not an object".into());
    };
    let mut message = Message(fields);
    let Some(Value::Str(kind)) = message.take("type") else {
        return Err("the message has no type".into());
    };
    match (dialect, &*kind) {
        (_, "connection_init") => Ok(Said::Init(payload(&mut message, &kind)?)),
        (Dialect::Current, "ping") => Ok(Said::Ping(payload(&mut message, &kind)?)),
        (Dialect::Current, "pong") => payload(&mut message, &kind).map(|_| Said::Pong),
        (Dialect::Current, "subscribe") | (Dialect::Legacy, "start") => {
            let id = id(&mut message, &kind)?;
            let request = message
                .take("payload")
                .ok_or_else(|| format!("{kind} without a payload"))?;
            let request = Request::from_value(request).map_err(|error| format!("{kind}: {error}"))?;
            Ok(Said::Start {
                id,
                request: request.into(),
            })
        }
        (Dialect::Current, "complete") | (Dialect::Legacy, "stop") => Ok(Said::Stop {
            id: id(&mut message, &kind)?,
        }),
        (Dialect::Legacy, "connection_terminate") => Ok(Said::Terminate),
        _ => Err("the message is of no known type".into()),
    }
}

/// The fields of a message.
struct Message(Vec<(Box<str>, Value)>);

impl Message {
    fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(known, _)| &**known == name)?;
        Some(self.0.swap_remove(place).1)
    }
}

fn id(message: &mut Message, kind: &str) -> Result<String, String> {
    match message.take("id") {
        Some(Value::Str(id)) if !id.is_empty() && id.len() <= MAX_ID => Ok(id.into()),
        Some(Value::Str(id)) if id.is_empty() => Err(format!("{kind} with an empty id")),
        Some(Value::Str(_)) => Err(format!("{kind} with an id of more than {MAX_ID} bytes")),
        Some(_) => Err(format!("{kind} with an id that is no string")),
        None => Err(format!("{kind} without an id")),
    }
}

fn payload(message: &mut Message, kind: &str) -> Result<Option<Value>, String> {
    match message.take("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(payload @ Value::Object(_)) => Ok(Some(payload)),
        Some(_) => Err(format!("{kind} with a payload that is no object")),
    }
}

/// A message without an id.
pub(super) fn bare(kind: &str, payload: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(b"{\"type\":");
    json_string(&mut out, kind.as_bytes());
    close(out, payload)
}

/// A message about an operation.
pub(super) fn about(id: &str, kind: &str, payload: Option<&[u8]>) -> Bytes {
    let mut out = Vec::with_capacity(64 + id.len() + payload.map_or(0, <[u8]>::len));
    begin(&mut out, id, kind);
    close(out, payload)
}

fn begin(out: &mut Vec<u8>, id: &str, kind: &str) {
    out.extend_from_slice(b"{\"id\":");
    json_string(out, id.as_bytes());
    out.extend_from_slice(b",\"type\":");
    json_string(out, kind.as_bytes());
}

fn close(mut out: Vec<u8>, payload: Option<&[u8]>) -> Bytes {
    if let Some(payload) = payload {
        out.extend_from_slice(b",\"payload\":");
        out.extend_from_slice(payload);
    }
    out.push(b'}');
    Bytes::from(out)
}

/// The message around each answer of one operation, encoded but for the answer.
#[derive(Debug, Clone)]
pub struct Frame {
    head: Box<[u8]>,
}

impl Frame {
    pub(super) fn new(dialect: Dialect, id: &str) -> Frame {
        let mut head = Vec::with_capacity(48 + id.len());
        let kind = match dialect {
            Dialect::Current => "next",
            Dialect::Legacy => "data",
        };
        begin(&mut head, id, kind);
        head.extend_from_slice(b",\"payload\":");
        Frame { head: head.into() }
    }

    /// The message for one answer, which is JSON.
    pub fn around(&self, answer: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(self.head.len() + answer.len() + 1);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(answer);
        out.push(b'}');
        Bytes::from(out)
    }
}
