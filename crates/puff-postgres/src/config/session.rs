//! Which of several servers will do, and how its socket is watched.

use std::time::Duration;

use super::tls::words;

words! {
    /// What a server must be for its session to be used; the others in the list are tried otherwise.
    TargetSession {
        /// Whichever answers.
        #[default]
        Any = "any",
        /// Sessions may write there.
        ReadWrite = "read-write",
        /// Sessions may not write there, by recovery or by `default_transaction_read_only`.
        ReadOnly = "read-only",
        /// Not in recovery.
        Primary = "primary",
        /// In recovery: a hot standby.
        Standby = "standby",
        /// A hot standby if there is one, else whichever answers.
        PreferStandby = "prefer-standby",
    }
}

/// How a peer that has vanished is noticed, on TCP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Probes without an answer before the connection counts as lost.
    pub count: u32,
}

impl Default for Keepalive {
    /// A peer that vanished without a word is noticed within two minutes, also while a query runs.
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            count: 4,
        }
    }
}
