//! Why no session could be started.

use std::io;
use std::sync::Arc;

use crate::{Error, TargetSession};

/// What kept a connection from being made; see [`Error::Connect`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The system has no way to the address, or nobody listens there.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// The host's name has no address.
    #[error("the host's name is not known ({0})")]
    UnknownHost(Arc<io::Error>),
    /// The server does not encrypt, and `sslmode` demands it.
    #[error("the server does not offer encryption; sslmode=prefer or disable would go without")]
    TlsRefused,
    /// The encryption failed, or the server could not prove who it is.
    #[error("{0}")]
    Tls(String),
    /// Something else answers at the address.
    #[error("what answers there is not PostgreSQL{}", described(.0))]
    NotPostgres(String),
    /// The server is older than PostgreSQL 10.
    #[error("its version is {0}; PostgreSQL 10 is the oldest that is supported")]
    TooOld(String),
    /// The server is not what `target_session_attrs` says.
    #[error("it is not what target_session_attrs={} asks for", .0.as_str())]
    Target(TargetSession),
    /// The server behind a Unix socket runs as another user than `requirepeer` says.
    #[error("it runs as the user \"{found}\", and requirepeer names \"{wanted}\"")]
    Owner {
        /// The user that was asked for.
        wanted: String,
        /// The user it runs as.
        found: String,
    },
    /// None of several ways led to a session; never fewer than two, but none if no server is configured.
    #[error("{}", listed(.0))]
    Several(Arc<[Error]>),
}

impl ConnectFailure {
    /// Guesses from what somebody said who does not speak PostgreSQL.
    pub(crate) fn not_postgres(words: &[u8]) -> Self {
        let guess = match words {
            [b'H', b'T', b'T', b'P', b'/', ..] => "an HTTP server",
            [b'S', b'S', b'H', b'-', ..] => "an SSH server",
            [b'-', b'E', b'R', b'R', ..] | [b'-', b'D', b'E', b'N', ..] => "a Redis server",
            // A length of three bytes, number 0, and version 10 of the greeting.
            [_, _, _, 0, 10, ..] => "a MySQL or MariaDB server",
            [0x15 | 0x16, 3, ..] => "a server that speaks TLS only",
            _ => "",
        };
        Self::NotPostgres(guess.to_owned())
    }
}

impl From<io::Error> for ConnectFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

fn described(guess: &str) -> String {
    match guess {
        "" => String::new(),
        guess => format!(" but {guess}"),
    }
}

fn listed(failures: &[Error]) -> String {
    if failures.is_empty() {
        return "no server is configured".to_owned();
    }
    let lines: Vec<_> = failures.iter().map(ToString::to_string).collect();
    format!("all ways failed: {}", lines.join("; "))
}
