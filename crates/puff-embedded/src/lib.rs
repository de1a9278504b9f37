//! Puff's private PostgreSQL and Valkey: find the binaries, start, supervise, stop.

mod account;
mod binaries;
mod error;
mod place;
mod postgres;
mod server;
#[doc(hidden)]
pub mod testing;
mod throwaway;
mod valkey;
mod wire;

use std::fmt;

pub use error::Error;
pub use throwaway::{Throwaway, ThrowawayConfig};

/// A server that this crate can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// PostgreSQL.
    Postgres,
    /// Valkey, or the Redis that it comes from.
    Valkey,
}

impl Service {
    /// The name in file names and commands: `postgres`, `valkey`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Valkey => "valkey",
        }
    }

    /// The environment variable that names a server to use instead of a private one.
    pub fn url_variable(self) -> &'static str {
        match self {
            Self::Postgres => "PUFF_POSTGRES_URL",
            Self::Valkey => "PUFF_REDIS_URL",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Valkey => "Valkey",
        })
    }
}
