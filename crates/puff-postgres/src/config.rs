//! Which server, which database, as whom.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

mod parse;

/// What a printed URL escapes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name or IP address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// How to reach a database: parsed from a URL or a key-value string, then read-only by convention.
///
/// Both forms of libpq are understood:
///
/// ```
/// use puff_postgres::Config;
///
/// let url: Config = "postgres://ada:secret@db.example.com:5433/shop?application_name=till".parse()?;
/// let pairs: Config = "host=/var/run/postgresql user=ada dbname='my shop' connect_timeout=3".parse()?;
/// assert_eq!(url.to_string(), "postgres://ada@db.example.com:5433/shop?application_name=till");
/// assert_eq!(pairs.database, "my shop");
/// # Ok::<(), puff_postgres::ConfigError>(())
/// ```
///
/// The keys are `host` (a name, an address, or the directory of a socket), `port`, `user`, `password`,
/// `dbname`, `application_name`, `options`, `timezone`, `connect_timeout` (seconds), `sslmode`
/// (`disable`, `allow` or `prefer`: connections are not encrypted yet) and `statement_cache_size`.
/// `Display` prints the URL without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens.
    pub host: Host,
    /// The TCP port, or the number in the socket's name.
    pub port: u16,
    /// The database user.
    pub user: String,
    /// The password, if one is needed.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// The name that `pg_stat_activity` shows.
    pub application_name: Option<String>,
    /// Command-line options for the server's session, such as `-c statement_timeout=5s`.
    pub options: Option<String>,
    /// The session's time zone, such as `Europe/Berlin`; the server's own if `None`.
    pub time_zone: Option<String>,
    /// The limit for connecting, authentication included.
    pub connect_timeout: Duration,
    /// How many prepared statements a connection keeps; 0 prepares none by name, as some poolers between
    /// client and server demand.
    pub statement_cache_size: usize,
}

impl Config {
    /// A configuration with defaults for all but the user: database of the user's name at `localhost:5432`,
    /// 5 seconds to connect, 256 prepared statements.
    pub fn new(user: impl Into<String>) -> Self {
        let user = user.into();
        Self {
            host: Host::Tcp("localhost".to_owned()),
            port: 5432,
            database: user.clone(),
            user,
            password: None,
            application_name: None,
            options: None,
            time_zone: None,
            connect_timeout: Duration::from_secs(5),
            statement_cache_size: 256,
        }
    }

    /// The address for people: `host:port`, or the path of the socket.
    pub fn address(&self) -> String {
        match &self.host {
            Host::Tcp(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            Host::Tcp(host) => format!("{host}:{}", self.port),
            Host::Unix(_) => self.socket_path().display().to_string(),
        }
    }

    /// The path of the Unix socket; meaningless for a TCP host.
    pub(crate) fn socket_path(&self) -> PathBuf {
        match &self.host {
            Host::Unix(directory) => directory.join(format!(".s.PGSQL.{}", self.port)),
            Host::Tcp(host) => PathBuf::from(host),
        }
    }

    /// Whether what is sent cannot be read by a third machine.
    pub(crate) fn is_local(&self) -> bool {
        match &self.host {
            Host::Unix(_) => true,
            Host::Tcp(host) => {
                host == "localhost"
                    || host
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        parse::parse(text)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |text| utf8_percent_encode(text, ENCODED).to_string();
        write!(f, "postgres://{}@", encode(&self.user))?;
        let mut separator = '?';
        let mut pair = |f: &mut fmt::Formatter<'_>, key: &str, value: &str| {
            write!(
                f,
                "{}{key}={}",
                std::mem::replace(&mut separator, '&'),
                utf8_percent_encode(value, ENCODED)
            )
        };
        match &self.host {
            Host::Tcp(_) => write!(f, "{}/{}", self.address(), encode(&self.database))?,
            Host::Unix(directory) => {
                write!(f, "/{}", encode(&self.database))?;
                pair(f, "host", &directory.to_string_lossy())?;
                if self.port != 5432 {
                    pair(f, "port", &self.port.to_string())?;
                }
            }
        }
        for (key, value) in [
            ("application_name", &self.application_name),
            ("options", &self.options),
            ("timezone", &self.time_zone),
        ] {
            if let Some(value) = value {
                pair(f, key, value)?;
            }
        }
        Ok(())
    }
}

/// Like `Display`, so that no log shows the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({self})")
    }
}

/// What is wrong with a URL or key-value string. No message contains a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text cannot be read as a URL.
    #[error("not a PostgreSQL URL: {0}; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url(String),
    /// The text cannot be read as key-value pairs.
    #[error("not a PostgreSQL connection string: {0}; expected a URL or pairs such as host=... user=...")]
    Pairs(String),
    /// A key that has no meaning here.
    #[error("unknown connection parameter \"{0}\"")]
    UnknownKey(String),
    /// A value that its key cannot have.
    #[error("{key} cannot be \"{value}\": {reason}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// No user is given, and the system does not know who runs the program.
    #[error("no user is given: write postgres://USER@... or user=...")]
    NoUser,
    /// Something this client does not do.
    #[error("{key}={value} is not supported yet{advice}")]
    Unsupported {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What to do instead; begins with a separator, or is empty.
        advice: &'static str,
    },
}

#[cfg(test)]
mod tests;
