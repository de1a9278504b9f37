//! One of the servers that a configuration may name.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The port of PostgreSQL.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name or IP address.
    Tcp(String),
    /// The directory of a Unix socket; with a leading `@` it is a name in Linux' abstract namespace.
    Unix(PathBuf),
}

impl Host {
    /// Reads a host as libpq does: what begins with a slash or `@` is a socket's directory.
    ///
    /// ```
    /// use puff_postgres::Host;
    ///
    /// assert_eq!(Host::new("db.example.com"), Host::Tcp("db.example.com".to_owned()));
    /// assert_eq!(Host::new("/run/postgresql"), Host::Unix("/run/postgresql".into()));
    /// ```
    pub fn new(text: &str) -> Self {
        match text.starts_with(['/', '@']) {
            true => Self::Unix(PathBuf::from(text)),
            false => Self::Tcp(text.to_owned()),
        }
    }
}

/// One server: a host and a port. `Display` prints its address for people: `host:port`, or the socket's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its name, address or socket. Certificates are checked against this.
    pub host: Host,
    /// The address to connect to, so that `host` need not be looked up; `hostaddr` in a connection string.
    pub address: Option<IpAddr>,
    /// The TCP port, or the number in the socket's name.
    pub port: u16,
}

impl Server {
    /// The server at a host and port.
    pub fn new(host: Host, port: u16) -> Self {
        Self {
            host,
            address: None,
            port,
        }
    }

    /// The socket's path as people write it; `None` for a TCP host.
    pub(crate) fn socket_path(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Unix(directory) => Some(directory.join(format!(".s.PGSQL.{}", self.port))),
            Host::Tcp(_) => None,
        }
    }

    /// The host as a connection string has it.
    pub(crate) fn host_text(&self) -> String {
        match &self.host {
            Host::Tcp(host) => host.clone(),
            Host::Unix(directory) => directory.to_string_lossy().into_owned(),
        }
    }
}

impl Default for Server {
    /// `localhost:5432`.
    fn default() -> Self {
        Self::new(Host::Tcp("localhost".to_owned()), DEFAULT_PORT)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.socket_path()) {
            (_, Some(path)) => path.display().fmt(f),
            (Host::Tcp(host), None) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            (Host::Tcp(host), None) => write!(f, "{host}:{}", self.port),
            (Host::Unix(directory), None) => directory.display().fmt(f),
        }
    }
}
