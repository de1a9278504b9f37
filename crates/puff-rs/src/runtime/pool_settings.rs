//! [`PostgresSettings`] and [`RedisSettings`]: what the code of a program says of a pool with a name.

use std::fmt;
use std::time::Duration;

/// Where a named PostgreSQL pool goes and how large it is, for [`set_postgres_named`].
///
/// What is `None` here is as for the program's own pool when nobody says anything.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::runtime::PostgresSettings;
///
/// let reports = PostgresSettings {
///     url: Some("postgres://reader@replica/shop".to_owned()),
///     pool_size: Some(3),
///     ..PostgresSettings::default()
/// };
/// let rc = RuntimeConfig::default().set_postgres(true).set_postgres_named("reports", reports);
/// # let _ = rc;
/// ```
///
/// [`set_postgres_named`]: super::RuntimeConfig::set_postgres_named
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PostgresSettings {
    /// The server and the database; a private server if nobody says.
    pub url: Option<String>,
    /// The most connections; 10.
    pub pool_size: Option<usize>,
    /// The connections that are kept open from the first use on; 0.
    pub min_size: Option<usize>,
    /// How long a statement waits for a connection; 10 s.
    pub acquire_timeout: Option<Duration>,
    /// The age at which a connection is replaced, zero for never; 30 min.
    pub max_lifetime: Option<Duration>,
    /// How long a connection may be without work, zero for ever; 10 min.
    pub idle_timeout: Option<Duration>,
}

impl PostgresSettings {
    /// The settings as the texts that the file would have, by their keys in the pool's table.
    pub(super) fn texts(self) -> impl Iterator<Item = (&'static str, String)> {
        let count = |number: Option<usize>| number.map(|number| number.to_string());
        let time = |time: Option<Duration>| time.map(|time| format!("{}s", time.as_secs_f64()));
        [
            ("url", self.url),
            ("pool_size", count(self.pool_size)),
            ("min_size", count(self.min_size)),
            ("acquire_timeout", time(self.acquire_timeout)),
            ("max_lifetime", time(self.max_lifetime)),
            ("idle_timeout", time(self.idle_timeout)),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((key, text?)))
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password.
        f.debug_struct("PostgresSettings")
            .field("url", &self.url.as_ref().map(|_| "..."))
            .field("pool_size", &self.pool_size)
            .field("min_size", &self.min_size)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("idle_timeout", &self.idle_timeout)
            .finish()
    }
}

/// Where a named Redis pool goes and how large it is, for [`set_redis_named`].
///
/// What is `None` here is as for the program's own pool when nobody says anything.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::runtime::RedisSettings;
///
/// let cache = RedisSettings {
///     url: Some("redis://cache.example/1".to_owned()),
///     ..RedisSettings::default()
/// };
/// let rc = RuntimeConfig::default().set_redis(true).set_redis_named("cache", cache);
/// # let _ = rc;
/// ```
///
/// [`set_redis_named`]: super::RuntimeConfig::set_redis_named
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server; a private one if nobody says.
    pub url: Option<String>,
    /// The connections that commands share; 2.
    pub connections: Option<usize>,
    /// The most connections beside them, each of which one caller has alone; 64.
    pub dedicated: Option<usize>,
    /// How long a connection may take to open; 5 s.
    pub connect_timeout: Option<Duration>,
    /// How long an answer may take, beyond what a command waits for by itself; 5 s.
    pub response_timeout: Option<Duration>,
}

impl RedisSettings {
    /// The settings as the texts that the file would have, by their keys in the pool's table.
    pub(super) fn texts(self) -> impl Iterator<Item = (&'static str, String)> {
        let count = |number: Option<usize>| number.map(|number| number.to_string());
        let time = |time: Option<Duration>| time.map(|time| format!("{}s", time.as_secs_f64()));
        [
            ("url", self.url),
            ("connections", count(self.connections)),
            ("dedicated", count(self.dedicated)),
            ("connect_timeout", time(self.connect_timeout)),
            ("response_timeout", time(self.response_timeout)),
        ]
        .into_iter()
        .filter_map(|(key, text)| Some((key, text?)))
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password.
        f.debug_struct("RedisSettings")
            .field("url", &self.url.as_ref().map(|_| "..."))
            .field("connections", &self.connections)
            .field("dedicated", &self.dedicated)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}
