//! Where Redis is and how long to wait for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Error;

mod url;

/// Where a server listens, or who knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// Host name or IP address, and port.
    Tcp(Node),
    /// Path of a Unix socket.
    Unix(PathBuf),
    /// Sentinels, who know the server that is master at the moment.
    Sentinel {
        /// What the Sentinels call the master.
        master: String,
        /// The Sentinels, any of which may answer.
        sentinels: Vec<Node>,
    },
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<Node>),
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Host name, IPv4 address or IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Address::Tcp(node) => node.fmt(f),
            Address::Unix(path) => write!(f, "{}", path.display()),
            Address::Sentinel { master, sentinels } => {
                write!(f, "{master} (Sentinels {})", list(sentinels))
            }
            Address::Cluster(nodes) => write!(f, "the cluster of {}", list(nodes)),
        }
    }
}

/// Encryption of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsConfig {
    /// File with the certificates (PEM) of the authorities to trust; `None` trusts those of the system.
    pub ca_file: Option<PathBuf>,
    /// Files with the client's certificate, with all that lead to an authority, and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// What the server's certificate has to prove.
    pub verify: Verify,
}

/// What a server's certificate has to prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// That an authority knows the server, by the name that it was connected by.
    #[default]
    Full,
    /// That an authority knows it, whatever its name.
    Authority,
    /// Nothing: whoever is between here and there can read and change everything.
    Nothing,
}

/// Settings of a [`RedisPool`](crate::RedisPool) or of a Redis-backed [`PubSub`](crate::PubSub).
///
/// Made from a URL, then adjusted field by field. `Debug` does not show the passwords.
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
    /// Where the server listens, or who knows it.
    pub address: Address,
    /// Encryption; `None` sends everything as it is. It is for Sentinels as well.
    pub tls: Option<TlsConfig>,
    /// Number of the logical database that each connection selects; 0 by default.
    pub database: u32,
    /// ACL user; `None` logs in as the default user.
    pub username: Option<String>,
    /// Password; `None` sends no authentication at all.
    pub password: Option<String>,
    /// ACL user for the Sentinels, likewise.
    pub sentinel_username: Option<String>,
    /// Password for the Sentinels, likewise.
    pub sentinel_password: Option<String>,
    /// How many connections the pool shares among all commands, at least 1; 2 by default. One carries some
    /// 100,000 commands per second, so more only help against head-of-line blocking by large values. A cluster has
    /// one to each node.
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
    /// After so many attempts to connect that failed in a row, commands fail at once for a while; 5 by default, 0
    /// never does that.
    pub breaker_threshold: u32,
    /// The longest such while; 5 s by default. It begins with a tenth of a second, and doubles with each attempt
    /// that fails.
    pub breaker_pause: Duration,
}

impl RedisConfig {
    /// Reads a URL.
    ///
    /// * `redis://[user:password@]host[:port][/database]` with port 6379 and database 0 by default; `valkey://` is
    ///   the same.
    /// * `rediss://` (`valkeys://`) likewise, with TLS.
    /// * `unix:///path[?db=0&username=..&password=..]`.
    /// * `redis+sentinel://[user:password@]host[:port][,host[:port]...]/master[/database]`, port 26379 by default,
    ///   with the parameters `sentinel_username` and `sentinel_password` if the Sentinels want their own; with
    ///   TLS `rediss+sentinel://`.
    /// * `redis+cluster://[user:password@]host[:port][,host[:port]...]`; with TLS `rediss+cluster://`.
    ///
    /// Parameters of TLS are redis-py's: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile` (paths), `ssl_cert_reqs`
    /// (`required` or `none`), `ssl_check_hostname`. So are `socket_timeout` and `socket_connect_timeout` (seconds)
    /// and `max_connections` (dedicated ones). Percent escapes are decoded.
    ///
    /// # Errors
    /// [`Error::Config`] for any other scheme, a missing host or path, a database that is not a number, or a
    /// parameter that is unknown or makes no sense. The message never repeats the URL, which may hold a password.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        url::parse(url)
    }

    pub(crate) fn at(address: Address) -> Self {
        Self {
            address,
            tls: None,
            database: 0,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            connections: 2,
            dedicated_connections: 64,
            dedicated_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            breaker_threshold: 5,
            breaker_pause: Duration::from_secs(5),
        }
    }

    /// The same for one node of many, or for a Sentinel.
    pub(crate) fn for_node(&self, node: Node) -> Self {
        Self {
            address: Address::Tcp(node),
            ..self.clone()
        }
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
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("connections", &self.connections)
            .field("dedicated_connections", &self.dedicated_connections)
            .field("dedicated_timeout", &self.dedicated_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}
