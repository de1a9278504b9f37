//! The limits of a pool.

use std::time::Duration;

/// How large a pool may grow, and how long things may take.
///
/// ```
/// use std::time::Duration;
/// use puff_postgres::PoolConfig;
///
/// let config = PoolConfig { max_size: 20, acquire_timeout: Duration::from_secs(3), ..PoolConfig::default() };
/// assert_eq!(config.max_lifetime, Some(Duration::from_secs(30 * 60)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// The most connections there may be at any moment; 0 counts as 1. Default 10.
    pub max_size: usize,
    /// The connections that are kept open, also when nobody needs them: from the beginning if the pool is made on
    /// a Tokio runtime, else from its first use. Default 0.
    pub min_size: usize,
    /// How long a caller waits for a connection. Default 10 s.
    pub acquire_timeout: Duration,
    /// The age at which a connection that is not in use is replaced, give or take a tenth, so that servers
    /// can free what sessions pile up and fail-overs are followed. Default 30 min.
    pub max_lifetime: Option<Duration>,
    /// How long a connection beyond `min_size` may wait for work before it is closed. Default 10 min.
    pub idle_timeout: Option<Duration>,
    /// A connection that has waited at least this long is tried before it is handed out. Default 30 s.
    pub check_after_idle: Duration,
    /// When a returned connection gets `DISCARD ALL`.
    pub reset: Reset,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_size: 10,
            min_size: 0,
            acquire_timeout: Duration::from_secs(10),
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            idle_timeout: Some(Duration::from_secs(10 * 60)),
            check_after_idle: Duration::from_secs(30),
            reset: Reset::WhenSeen,
        }
    }
}

/// When a returned connection gets `DISCARD ALL`, which forgets settings, listeners and prepared statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// After a command tag has shown such state (`SET`, `LISTEN`, `PREPARE`, `DECLARE`, `LOAD`), or a text has named
    /// it: `set_config` that is not for the transaction alone, `pg_advisory_lock`, `CREATE TEMP TABLE`.
    #[default]
    WhenSeen,
    /// After every use: for programs whose own functions change settings, which nothing shows.
    Always,
}
