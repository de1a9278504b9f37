//! What the server answered.

use bytes::Bytes;
use redis::Value;

use crate::Error;

/// One reply of the server, in RESP3's types.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// No value: a missing key, an empty pop.
    Nil,
    /// A signed 64-bit number.
    Int(i64),
    /// A binary-safe string, also one that the server sent as verbatim text.
    Bulk(Bytes),
    /// A short status such as `OK`.
    Status(String),
    /// A list of replies.
    Array(Vec<Reply>),
    /// Keys and values in the server's order.
    Map(Vec<(Reply, Reply)>),
    /// Members without order.
    Set(Vec<Reply>),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// An integer beyond 64 bits, as decimal digits.
    BigNumber(Bytes),
    /// An error *inside* a reply, as scripts return them. A command that fails as a whole is an `Err` instead.
    Failed {
        /// First word, such as `WRONGTYPE`.
        code: String,
        /// The rest.
        message: String,
    },
}

impl Reply {
    /// Converts a whole reply; an error reply becomes the `Err`.
    pub(crate) fn from_value(value: Value) -> Result<Self, Error> {
        match value {
            Value::ServerError(error) => Err(Error::server(&error)),
            value => Ok(Self::nested(value)),
        }
    }

    /// Likewise, for one that is converted.
    pub(crate) fn whole(self) -> Result<Self, Error> {
        match self {
            Reply::Failed { code, message } => Err(Error::Command { code, message }),
            reply => Ok(reply),
        }
    }

    /// The type's name, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Reply::Nil => "nil",
            Reply::Int(_) => "an integer",
            Reply::Bulk(_) => "a string",
            Reply::Status(_) => "a status",
            Reply::Array(_) => "an array",
            Reply::Map(_) => "a map",
            Reply::Set(_) => "a set",
            Reply::Double(_) => "a double",
            Reply::Bool(_) => "a boolean",
            Reply::BigNumber(_) => "a big number",
            Reply::Failed { .. } => "an error",
        }
    }

    fn nested(value: Value) -> Self {
        let all = |values: Vec<Value>| values.into_iter().map(Self::nested).collect();
        match value {
            Value::Nil => Reply::Nil,
            Value::Int(number) => Reply::Int(number),
            Value::BulkString(bytes) => Reply::Bulk(bytes.into()),
            Value::VerbatimString { text, .. } => Reply::Bulk(text.into()),
            Value::SimpleString(text) => Reply::Status(text),
            Value::Okay => Reply::Status("OK".to_owned()),
            Value::Array(values) => Reply::Array(all(values)),
            Value::Set(values) => Reply::Set(all(values)),
            Value::Map(pairs) => Reply::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| (Self::nested(key), Self::nested(value)))
                    .collect(),
            ),
            Value::Double(number) => Reply::Double(number),
            Value::Boolean(flag) => Reply::Bool(flag),
            Value::BigNumber(digits) => Reply::BigNumber(digits.into()),
            // Attributes annotate a reply out of band; whoever asked wants the reply itself.
            Value::Attribute { data, .. } => Self::nested(*data),
            Value::Push { data, .. } => Reply::Array(all(data)),
            Value::ServerError(error) => Reply::Failed {
                code: error.code().to_owned(),
                message: error.details().unwrap_or_default().to_owned(),
            },
            // redis-rs may grow variants. Saying that one is unknown beats panicking or guessing.
            other => Reply::Failed {
                code: "UNSUPPORTED".to_owned(),
                message: format!("reply {other:?}"),
            },
        }
    }
}
