//! A pool at one moment.

use std::fmt;

/// What a pool is doing at a moment; prints as a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The most connections there may be.
    pub max_size: usize,
    /// Connections there are, those being opened or closed included.
    pub size: usize,
    /// Connections that wait for work.
    pub idle: usize,
    /// Connections that are handed out, being cleaned or being closed.
    pub in_use: usize,
    /// Connections being opened.
    pub connecting: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            max_size,
            size,
            idle,
            in_use,
            connecting,
            waiting,
        } = self;
        write!(f, "{size} of at most {max_size} connections ")?;
        write!(
            f,
            "({in_use} in use, {idle} idle, {connecting} connecting), {waiting} waiting"
        )
    }
}
