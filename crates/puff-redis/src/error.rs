//! What can go wrong, as data.

use std::fmt;
use std::time::Duration;

use crate::RedisConfig;

/// Everything that this crate reports as a failure.
///
/// Errors are cheap to clone, because one failed connection attempt answers everyone who waited for it. No
/// message contains a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL or a setting cannot be used; nothing was sent.
    #[error("invalid Redis configuration: {reason}")]
    Config {
        /// What is wrong and what would be right.
        reason: String,
    },
    /// An argument cannot be sent over a shared connection; nothing was sent.
    #[error("{what}: {reason}")]
    Invalid {
        /// The argument: a command, a channel, a connection id.
        what: String,
        /// Why it is refused.
        reason: String,
    },
    /// No connection could be opened, or the server refused it (wrong password, unknown database).
    #[error("cannot connect to Redis at {address}: {reason}")]
    Connect {
        /// Where, without the password.
        address: String,
        /// The first word of the server's refusal, such as `WRONGPASS`; `None` if it was not the server who refused.
        code: Option<String>,
        /// The system's or the server's own words.
        reason: String,
    },
    /// The server could not be reached several times in a row, and is not tried for a moment; nothing was sent.
    #[error("Redis at {address} cannot be reached, and is not tried again for {retry_in:?}: {reason}")]
    CircuitOpen {
        /// Where, without the password.
        address: String,
        /// Why the latest attempt failed.
        reason: String,
        /// How long until the next attempt; zero if one is under way.
        retry_in: Duration,
    },
    /// All dedicated connections of the pool are in use, and none has become free in time; nothing was sent.
    #[error("none of the pool's {max_size} dedicated connections to Redis has become free within {after:?}")]
    PoolTimeout {
        /// How many there may be.
        max_size: usize,
        /// How long it waited.
        after: Duration,
    },
    /// The connection broke after the command was sent: the server may or may not have carried it out.
    #[error("lost the connection to Redis at {address}: {reason}")]
    Disconnected {
        /// Where, without the password.
        address: String,
        /// The system's own words.
        reason: String,
    },
    /// No answer came in time: the server may or may not have carried the command out.
    #[error("Redis at {address} did not answer {what} within {after:?}")]
    Timeout {
        /// Where, without the password.
        address: String,
        /// The command or step that waited.
        what: String,
        /// How long it waited.
        after: Duration,
    },
    /// The server carried out the command and answered with an error.
    #[error("{code} {message}")]
    Command {
        /// The first word of the server's error, such as `WRONGTYPE` or `ERR`.
        code: String,
        /// The rest of it.
        message: String,
    },
    /// The server would not take a command of a transaction, and so has carried out none of it.
    #[error("command {} of the transaction: {code} {message}", .index + 1)]
    Aborted {
        /// Which of the commands, from 0.
        index: usize,
        /// The first word of the server's error, such as `ERR` or `NOPERM`.
        code: String,
        /// The rest of it.
        message: String,
    },
    /// The server's reply is of a type that the command never has.
    #[error("Redis answered {command} with {reply}")]
    Unexpected {
        /// The command.
        command: &'static str,
        /// The type of the reply.
        reply: &'static str,
    },
    /// A pub-sub connection was closed because its queue was full and its policy is
    /// [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    #[error("the pub-sub connection {connection} was closed: its queue was full")]
    TooSlow {
        /// The connection's id.
        connection: String,
    },
    /// The pool, the pub-sub hub or the connection was closed by this program.
    #[error("{what} is closed")]
    Closed {
        /// Which of them.
        what: &'static str,
    },
}

impl Error {
    /// The code of a server error (`WRONGTYPE`, `NOPERM`, `WRONGPASS`, ...), `None` for every other kind.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Command { code, .. } | Error::Aborted { code, .. } => Some(code),
            Error::Connect { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn config(reason: impl Into<String>) -> Self {
        Error::Config {
            reason: reason.into(),
        }
    }

    /// No connection; why, in somebody's words.
    pub(crate) fn connect(config: &RedisConfig, reason: impl fmt::Display) -> Self {
        Error::Connect {
            address: config.address.to_string(),
            code: None,
            reason: reason.to_string(),
        }
    }

    /// No connection, for the server has answered the log-in with `error`.
    pub(crate) fn refused(config: &RedisConfig, error: &Error) -> Self {
        Error::Connect {
            address: config.address.to_string(),
            code: error.code().map(str::to_owned),
            reason: error.to_string(),
        }
    }

    /// The server's error in redis-rs' clothes.
    pub(crate) fn answer(error: &redis::RedisError) -> Self {
        Error::Command {
            code: error.code().unwrap_or_default().to_owned(),
            message: error.detail().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn server(error: &redis::ServerError) -> Self {
        Error::Command {
            code: error.code().to_owned(),
            message: error.details().unwrap_or_default().to_owned(),
        }
    }
}
