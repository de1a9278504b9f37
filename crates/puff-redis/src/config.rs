//! Where Redis is and how long to wait for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::Error;

const FORMS: &str =
    "expected redis://[user:password@]host[:port][/database] or unix:///path/to/socket[?db=0]";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// Host name or IP address, and port.
    Tcp {
        /// Host name, IPv4 address or IPv6 address without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Settings of a [`RedisPool`](crate::RedisPool) or of a Redis-backed [`PubSub`](crate::PubSub).
///
/// Made from a URL, then adjusted field by field. `Debug` does not show the password.
///
/// ```
/// use std::time::Duration;
/// use puff_redis::RedisConfig;
///
/// let mut config = RedisConfig::from_url("redis://app:secret@cache.example:6380/2")?;
/// config.response_timeout = Duration::from_secs(1);
/// assert_eq!(config.address.to_string(), "cache.example:6380");
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), puff_redis::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// Where the server listens.
    pub address: Address,
    /// Number of the logical database that each connection selects; 0 by default.
    pub database: u32,
    /// ACL user; `None` logs in as the default user.
    pub username: Option<String>,
    /// Password; `None` sends no authentication at all.
    pub password: Option<String>,
    /// How many connections the pool shares among all commands, at least 1; 2 by default. One carries some
    /// 100,000 commands per second, so more only help against head-of-line blocking by large values.
    pub connections: usize,
    /// How many connections there may be beside them, each of which one task has alone: for commands that wait, for
    /// `WATCH`, `MONITOR` and subscriptions of redis-py's; 64 by default. They are opened as they are needed.
    pub dedicated_connections: usize,
    /// Longest wait for one of these to become free; 5 s by default.
    pub dedicated_timeout: Duration,
    /// Longest time for opening a connection, including log-in; 5 s by default.
    pub connect_timeout: Duration,
    /// Longest time from sending a command to its reply; 5 s by default.
    pub response_timeout: Duration,
}

impl RedisConfig {
    /// Reads a `redis://`, `valkey://` or `unix://` URL.
    ///
    /// `redis://[user:password@]host[:port][/database]` with port 6379 and database 0 by default;
    /// `unix:///path[?db=0&username=..&password=..]`. Percent escapes are decoded.
    ///
    /// # Errors
    /// [`Error::Config`] for any other scheme (TLS's `rediss://` among them), a missing host or path, a database
    /// that is not a number, or an unknown parameter. The message never repeats the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|error| Error::config(format!("not a URL ({error}); {FORMS}")))?;
        let mut config = match url.scheme() {
            "redis" | "valkey" => Self::tcp(&url)?,
            "unix" | "redis+unix" | "valkey+unix" => Self::unix(&url)?,
            scheme @ ("rediss" | "valkeys") => {
                return Err(Error::config(format!(
                    "{scheme}:// (TLS) is not supported; {FORMS}"
                )));
            }
            scheme => return Err(Error::config(format!("unknown scheme {scheme:?}; {FORMS}"))),
        };
        if !url.username().is_empty() {
            config.username = Some(decode(url.username(), "user name")?);
        }
        if let Some(password) = url.password() {
            config.password = Some(decode(password, "password")?);
        }
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => config.database = database(&value)?,
                "username" => config.username = Some(value.into_owned()),
                "password" => config.password = Some(value.into_owned()),
                _ => {
                    return Err(Error::config(format!(
                        "unknown parameter {name:?}; known are db, username and password"
                    )));
                }
            }
        }
        if config.username.is_some() && config.password.is_none() {
            return Err(Error::config(
                "a user name needs a password (redis://user:password@host)",
            ));
        }
        Ok(config)
    }

    fn at(address: Address) -> Self {
        Self {
            address,
            database: 0,
            username: None,
            password: None,
            connections: 2,
            dedicated_connections: 64,
            dedicated_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
        }
    }

    fn tcp(url: &Url) -> Result<Self, Error> {
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::config(format!("no host; {FORMS}")))?;
        let host = decode(host.trim_start_matches('[').trim_end_matches(']'), "host")?;
        let mut config = Self::at(Address::Tcp {
            host,
            port: url.port().unwrap_or(6379),
        });
        let path = url.path().trim_matches('/');
        if !path.is_empty() {
            config.database = database(path)?;
        }
        Ok(config)
    }

    fn unix(url: &Url) -> Result<Self, Error> {
        if url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(Error::config(
                "a unix:// URL needs an absolute path, with three slashes: unix:///path",
            ));
        }
        let path = decode(url.path(), "path")?;
        if path.is_empty() || path == "/" {
            return Err(Error::config(format!("no socket path; {FORMS}")));
        }
        Ok(Self::at(Address::Unix(PathBuf::from(path))))
    }

    pub(crate) fn login(&self) -> redis::RedisConnectionInfo {
        let mut login = redis::RedisConnectionInfo::default()
            .set_db(i64::from(self.database))
            .set_protocol(redis::ProtocolVersion::RESP3);
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        login
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("address", &self.address)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("connections", &self.connections)
            .field("dedicated_connections", &self.dedicated_connections)
            .field("dedicated_timeout", &self.dedicated_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}

fn decode(text: &str, what: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded
        .map_err(|_| Error::config(format!("the {what} is not UTF-8")))?
        .into_owned())
}

fn database(text: &str) -> Result<u32, Error> {
    text.parse()
        .map_err(|_| Error::config(format!("the database must be a number, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        RedisConfig::from_url(url).unwrap_err().to_string()
    }

    #[test]
    fn defaults_of_a_bare_host() {
        let config = RedisConfig::from_url("redis://localhost").unwrap();
        assert_eq!(
            config.address,
            Address::Tcp {
                host: "localhost".into(),
                port: 6379
            }
        );
        assert_eq!(
            (config.database, config.username, config.password),
            (0, None, None)
        );
    }

    #[test]
    fn every_part_is_read_and_decoded() {
        let config = RedisConfig::from_url("valkey://me:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!(config.address.to_string(), "[::1]:7000");
        assert_eq!(config.database, 3);
        assert_eq!(config.username.as_deref(), Some("me"));
        assert_eq!(config.password.as_deref(), Some("p@ss"));
        let config = RedisConfig::from_url("redis://:only@h").unwrap();
        assert_eq!(
            (config.username, config.password.as_deref()),
            (None, Some("only"))
        );
    }

    #[test]
    fn unix_socket() {
        let config = RedisConfig::from_url("unix:///run/my%20redis.sock?db=2&password=x").unwrap();
        assert_eq!(config.address, Address::Unix("/run/my redis.sock".into()));
        assert_eq!((config.database, config.password.as_deref()), (2, Some("x")));
    }

    #[test]
    fn refusals_say_what_to_write_and_hide_the_password() {
        assert!(refused("nonsense").contains("expected redis://"));
        assert!(refused("http://h").contains("unknown scheme \"http\""));
        assert!(refused("rediss://h").contains("TLS"));
        assert!(refused("unix://run/x.sock").contains("three slashes"));
        assert!(refused("unix://").contains("no socket path"));
        assert!(refused("redis:///1").contains("no host"));
        assert!(refused("redis://h/one").contains("must be a number"));
        assert!(refused("redis://h/-1").contains("must be a number"));
        assert!(refused("redis://h?max=3").contains("unknown parameter \"max\""));
        assert!(refused("redis://me@h").contains("needs a password"));
        assert!(!refused("redis://u:secret@h:99999").contains("secret"));
    }
}
