//! What can go wrong, as data.

use std::time::Duration;

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
        /// The system's or the server's own words.
        reason: String,
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
    /// The server's reply is of a type that the command never has.
    #[error("Redis answered {command} with {reply}")]
    Unexpected {
        /// The command.
        command: &'static str,
        /// The type of the reply.
        reply: &'static str,
    },
    /// The pool, the pub-sub hub or the connection was closed by this program.
    #[error("{what} is closed")]
    Closed {
        /// Which of them.
        what: &'static str,
    },
}

impl Error {
    /// The code of a server error (`WRONGTYPE`, `NOPERM`, ...), `None` for every other kind.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Command { code, .. } => Some(code),
            _ => None,
        }
    }

    pub(crate) fn config(reason: impl Into<String>) -> Self {
        Error::Config {
            reason: reason.into(),
        }
    }

    pub(crate) fn server(error: &redis::ServerError) -> Self {
        Error::Command {
            code: error.code().to_owned(),
            message: error.details().unwrap_or_default().to_owned(),
        }
    }
}
