//! Which server, which database, as whom.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

mod ambient;
mod display;
mod error;
mod parameter;
mod parse;
pub(crate) mod passfile;
mod server;
mod session;
mod settings;
mod tls;

pub use ambient::Ambient;
pub use error::ConfigError;
pub use parameter::Parameter;
pub use server::{Host, Server};
pub use session::{Keepalive, TargetSession};
pub use tls::{ChannelBinding, ClientCert, RootCerts, SslMode, SslNegotiation, TlsConfig, TlsVersion};

/// How to reach a database: parsed from a URL or a key-value string, then read-only by convention.
///
/// Both forms of libpq are understood, with several hosts if there are any:
///
/// ```
/// use puff_postgres::Config;
///
/// let url: Config = "postgres://ada:secret@db.example.com:5433/shop?application_name=till".parse()?;
/// let pairs: Config = "host=/var/run/postgresql user=ada dbname='my shop' connect_timeout=3".parse()?;
/// let several: Config = "postgres://ada@a:5433,b/shop?target_session_attrs=primary".parse()?;
/// assert_eq!(url.to_string(), "postgres://ada@db.example.com:5433/shop?application_name=till");
/// assert_eq!(pairs.database, "my shop");
/// assert_eq!(several.address(), "a:5433, b:5432");
/// # Ok::<(), puff_postgres::ConfigError>(())
/// ```
///
/// The keys are those of libpq, listed by [`Parameter::all`], and `timezone`, `statement_cache_size` and
/// `pgbouncer`.
/// What differs: `connect_timeout` is 5 seconds without one, the only `client_encoding` is UTF8, Kerberos is
/// not spoken, and names in a certificate's common name do not count. `FromStr` reads nothing but the text
/// and the files it names; see [`Config::from_env_and`]. `Display` prints the URL without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens; more than one are tried in this order, or in a random one with
    /// [`load_balance`](Self::load_balance).
    pub servers: Vec<Server>,
    /// The database user.
    pub user: String,
    /// The password, if one is needed.
    pub password: Option<String>,
    /// A file of passwords as libpq's `.pgpass`, read when a server wants a password and
    /// [`password`](Self::password) has none.
    pub passfile: Option<PathBuf>,
    /// The database.
    pub database: String,
    /// The name that `pg_stat_activity` shows.
    pub application_name: Option<String>,
    /// Command-line options for the server's session, such as `-c statement_timeout=5s`.
    pub options: Option<String>,
    /// The session's time zone, such as `Europe/Berlin`; the server's own if `None`.
    pub time_zone: Option<String>,
    /// The limit for connecting to one address of one server, authentication included.
    pub connect_timeout: Duration,
    /// How many prepared statements a connection keeps; 0 prepares none by name, as some poolers between
    /// client and server demand.
    pub statement_cache_size: usize,
    /// Whether PgBouncer, or a pooler like it, stands between and lends a session for a transaction at a time.
    /// Then no statement has a name, each request waits for the end of the one before, and nothing that needs a
    /// session of one's own is offered or cleaned up: no `LISTEN`, no `DISCARD ALL`.
    pub pgbouncer: bool,
    /// What a server must be to be used.
    pub target: TargetSession,
    /// Whether servers, and the addresses of each, are tried in a random order.
    pub load_balance: bool,
    /// Encryption.
    pub tls: TlsConfig,
    /// Whether the password's proof is tied to the encryption.
    pub channel_binding: ChannelBinding,
    /// The system's user that a server behind a Unix socket must run as.
    pub require_peer: Option<String>,
    /// Probes on silent TCP connections; none if `None`.
    pub keepalive: Option<Keepalive>,
    /// How long sent data may stay without an acknowledgement before a TCP connection counts as lost; the
    /// system's limit if `None`. Linux only.
    pub tcp_user_timeout: Option<Duration>,
}

impl Config {
    /// A configuration with defaults for all but the user: database of the user's name at `localhost:5432`,
    /// 5 seconds to connect, 256 prepared statements, encrypted if the server can.
    pub fn new(user: impl Into<String>) -> Self {
        let user = user.into();
        Self {
            servers: vec![Server::default()],
            database: user.clone(),
            user,
            password: None,
            passfile: None,
            application_name: None,
            options: None,
            time_zone: None,
            connect_timeout: Duration::from_secs(5),
            statement_cache_size: 256,
            pgbouncer: false,
            target: TargetSession::default(),
            load_balance: false,
            tls: TlsConfig::default(),
            channel_binding: ChannelBinding::default(),
            require_peer: None,
            keepalive: Some(Keepalive::default()),
            tcp_user_timeout: None,
        }
    }

    /// Reads a connection string as libpq would in this process: what it leaves open comes from its service,
    /// from variables such as `PGHOST`, from `.pgpass` and `.postgresql/` in the home directory; a host that
    /// nobody names is the socket of a server on this machine if there is one.
    ///
    /// The text may be empty. It reads files: do it once, at the start.
    ///
    /// # Errors
    /// [`ConfigError`]; what is wrong in a variable is named with the variable.
    pub fn from_env_and(text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(text, &Ambient::from_env())
    }

    /// Reads a connection string in the given surroundings; see [`Ambient`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse_in(text: &str, ambient: &Ambient) -> Result<Self, ConfigError> {
        settings::Settings::gather(parse::pairs(text)?, ambient)?.finish()
    }

    /// What other clients of PostgreSQL connect with: a key-value string of libpq's keys, with the password.
    /// Without `timezone`, `statement_cache_size` and `pgbouncer`, which are this client's own.
    ///
    /// ```
    /// let config: puff_postgres::Config = "postgres://ada:it's%20me@a,b:2/shop?timezone=UTC".parse()?;
    /// assert_eq!(config.dsn(), r"user=ada host=a,b port=5432,2 dbname=shop password='it\'s me'");
    /// # Ok::<(), puff_postgres::ConfigError>(())
    /// ```
    pub fn dsn(&self) -> String {
        let mut pairs = parse::pairs(&self.to_string()).expect("what is printed can be read");
        pairs.retain(|(key, _)| !parameter::OURS.contains(&key.as_str()));
        pairs.extend(
            self.password
                .clone()
                .map(|password| ("password".to_owned(), password)),
        );
        parse::write(&pairs)
    }

    /// The addresses for people, separated by commas: `host:port`, or the path of the socket.
    pub fn address(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
        servers.join(", ")
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(text, &Ambient::default())
    }
}

#[cfg(test)]
mod tests;
