//! What a caller asks of a connection, checked and encoded as far as the caller can.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::sync::oneshot;

use crate::actor::Channel;
use crate::error::Error;
use crate::param::Param;
use crate::rows::Rows;
use crate::session_state;
use crate::statement::{Statement, StatementKey};

/// PostgreSQL takes no message above 1 GiB; names and framing need a little of it.
const MAX_PAYLOAD: usize = 0x3fff_fe00;

/// An order to the task that owns the connection.
pub(crate) enum Request {
    /// Any number of statements in one text.
    Simple {
        sql: Box<str>,
        reply: oneshot::Sender<Result<Vec<Rows>, Error>>,
    },
    /// One statement with parameters.
    Query {
        query: Query,
        reply: oneshot::Sender<Result<Rows, Error>>,
        /// Whether it is cancelled when nobody waits for it any more; it is not pipelined then.
        alone: bool,
    },
    /// A `COPY`.
    Copy {
        sql: Box<str>,
        channel: Channel,
        /// Closed when the connection is needed for other things.
        revoked: oneshot::Receiver<()>,
        reply: CopyReply,
    },
    /// A statement that runs although nobody waits for it.
    Unattended { sql: Box<str> },
    /// Nothing: answered when all requests before it are.
    Sync {
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// Whom a copy answers, twice: when it begins and when it ends.
pub(crate) struct CopyReply {
    /// `None` when it has begun.
    pub(crate) begun: Option<oneshot::Sender<Result<(), Error>>>,
    pub(crate) done: oneshot::Sender<Result<u64, Error>>,
}

impl CopyReply {
    pub(crate) fn fail(self, error: Error) {
        // Whoever waits for neither needs no answer.
        let _ = match self.begun {
            Some(begun) => begun.send(Err(error)).is_ok(),
            None => self.done.send(Err(error)).is_ok(),
        };
    }
}

impl Request {
    /// Whether it must be sent with nothing before or behind it.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Query { alone: true, .. } | Self::Copy { .. })
    }

    /// Whether a text that is not to be prepared names what outlives it in the session; of a query its
    /// [`Statement`] knows.
    pub(crate) fn names_state(&self) -> bool {
        match self {
            Self::Simple { sql, .. } | Self::Copy { sql, .. } | Self::Unattended { sql } => {
                session_state::left_by_text(sql.as_bytes())
            }
            Self::Query { .. } | Self::Sync { .. } => false,
        }
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Simple { reply, .. } => reply.is_closed(),
            Self::Query { reply, .. } => reply.is_closed(),
            Self::Copy { reply, .. } => reply.done.is_closed(),
            Self::Unattended { .. } => false,
            Self::Sync { reply } => reply.is_closed(),
        }
    }

    pub(crate) fn fail(self, error: Error) {
        // An abandoned request needs no answer.
        match self {
            Self::Simple { reply, .. } => drop(reply.send(Err(error))),
            Self::Query { reply, .. } => drop(reply.send(Err(error))),
            Self::Copy { reply, .. } => reply.fail(error),
            Self::Unattended { .. } => {}
            Self::Sync { reply } => drop(reply.send(Err(error))),
        }
    }
}

/// A statement with its parameters; encoded once, also if it is sent twice.
pub(crate) struct Query {
    pub(crate) key: Arc<StatementKey>,
    /// The end of a Bind message: everything behind the statement's name.
    bind: Bytes,
}

impl Query {
    pub(crate) fn new(sql: &str, params: &[Param]) -> Result<Self, Error> {
        check_sql(sql)?;
        let count = u16::try_from(params.len()).map_err(|_| {
            let count = params.len();
            Error::InvalidInput(format!("a statement takes at most 65535 parameters, not {count}"))
        })?;
        let size: usize = params
            .iter()
            .map(|param| 4 + param.value.as_ref().map_or(0, Bytes::len))
            .sum();
        if size > MAX_PAYLOAD {
            let text = format!("the parameters take {size} bytes together; PostgreSQL's limit is 1 GiB");
            return Err(Error::InvalidInput(text));
        }
        let mut bind = BytesMut::with_capacity(6 + size);
        // No formats means text for all, for parameters here and for columns below.
        bind.put_u16(0);
        bind.put_u16(count);
        for (number, param) in (1..).zip(params) {
            match &param.value {
                None => bind.put_i32(-1),
                Some(value) => {
                    if memchr::memchr(0, value).is_some() {
                        let text =
                            format!("parameter ${number} contains a NUL, which PostgreSQL's text cannot");
                        return Err(Error::InvalidInput(text));
                    }
                    // Within `MAX_PAYLOAD`.
                    bind.put_u32(value.len() as u32);
                    bind.put_slice(value);
                }
            }
        }
        bind.put_u16(0);
        let oids = params.iter().map(|param| param.oid).collect();
        Ok(Self {
            key: Arc::new(StatementKey {
                sql: sql.into(),
                oids,
            }),
            bind: bind.freeze(),
        })
    }

    /// Writes what the server needs to run the statement, up to the Sync.
    ///
    /// `prepare` says that the server does not know `statement` yet.
    pub(crate) fn encode(
        &self,
        statement: &Statement,
        prepare: bool,
        buffer: &mut BytesMut,
    ) -> std::io::Result<()> {
        if prepare {
            let oids = self.key.oids.iter().copied();
            frontend::parse(&statement.name, &self.key.sql, oids, buffer)?;
            frontend::describe(b'S', &statement.name, buffer)?;
        }
        let name = statement.name.as_bytes();
        buffer.reserve(5 + 2 + name.len() + self.bind.len() + 10 + 5);
        buffer.put_u8(b'B');
        // Length, empty portal name, statement name; within `MAX_PAYLOAD` and a short name.
        buffer.put_u32((4 + 1 + name.len() + 1 + self.bind.len()) as u32);
        buffer.put_u8(0);
        buffer.put_slice(name);
        buffer.put_u8(0);
        buffer.put_slice(&self.bind);
        frontend::execute("", 0, buffer)?;
        frontend::sync(buffer);
        Ok(())
    }
}

/// Refuses what the protocol cannot carry.
pub(crate) fn check_sql(sql: &str) -> Result<(), Error> {
    if memchr::memchr(0, sql.as_bytes()).is_some() {
        return Err(Error::InvalidInput(
            "the statement contains a NUL character".to_owned(),
        ));
    }
    if sql.len() > MAX_PAYLOAD {
        let text = format!(
            "the statement has {} bytes; PostgreSQL's limit is 1 GiB",
            sql.len()
        );
        return Err(Error::InvalidInput(text));
    }
    Ok(())
}
