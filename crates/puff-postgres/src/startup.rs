//! From a configuration to a session: which server, which of its addresses, encrypted or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::seq::SliceRandom;
use rustc_hash::FxHashMap;
use tokio::time::timeout;

use crate::codec::Decoder;
use crate::config::{Config, Host, Server, SslMode, TargetSession};
use crate::error::{ConnectFailure, Error};
use crate::stream::{Endpoint, Stream};
use crate::tls::{Negotiated, Tls};
use crate::{SqlState, TransactionStatus};

mod handshake;
mod peer;
mod target;

use handshake::Handshake;
pub(crate) use peer::Route;
pub use peer::{Peer, TlsInfo};

/// A session that is ready for its first query.
pub(crate) struct Session {
    pub(crate) stream: Stream,
    pub(crate) decoder: Decoder,
    pub(crate) parameters: FxHashMap<String, String>,
    pub(crate) key: BackendKey,
    pub(crate) status: TransactionStatus,
}

/// What a cancel request must show, and where it goes.
#[derive(Clone)]
pub(crate) struct BackendKey {
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
    pub(crate) route: Arc<Route>,
}

/// Opens a session with the first server that will do. Each address of each server gets the configuration's
/// `connect_timeout`.
///
/// As with libpq, a server that refuses the user ends the search: the others would be asked with the same
/// password.
pub(crate) async fn open(config: &Config) -> Result<Session, Error> {
    let mut servers: Vec<&Server> = config.servers.iter().collect();
    if config.load_balance {
        servers.shuffle(&mut rand::rng());
    }
    let passes: &[TargetSession] = match config.target {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        TargetSession::Any => &[TargetSession::Any],
        TargetSession::ReadWrite => &[TargetSession::ReadWrite],
        TargetSession::ReadOnly => &[TargetSession::ReadOnly],
        TargetSession::Primary => &[TargetSession::Primary],
        TargetSession::Standby => &[TargetSession::Standby],
    };
    let mut failures = Vec::new();
    'search: for &target in passes {
        failures.clear();
        for server in &servers {
            match open_server(config, server, target).await {
                Ok(session) => return Ok(session),
                Err(error) => {
                    let last = refuses_the_user(&error);
                    failures.push(error);
                    if last {
                        break 'search;
                    }
                }
            }
        }
    }
    Err(one_of(config.address(), failures))
}

/// Whether other servers would say the same.
fn refuses_the_user(error: &Error) -> bool {
    match error {
        Error::Auth { .. } => true,
        error => error
            .code()
            .is_some_and(|code| code != SqlState::CANNOT_CONNECT_NOW),
    }
}

/// The only failure, or all of them as one.
fn one_of(address: String, mut failures: Vec<Error>) -> Error {
    match failures.pop() {
        Some(only) if failures.is_empty() => only,
        last => {
            failures.extend(last);
            Error::Connect {
                address,
                failure: ConnectFailure::Several(failures.into()),
            }
        }
    }
}

async fn open_server(config: &Config, server: &Server, target: TargetSession) -> Result<Session, Error> {
    let mut last = None;
    for endpoint in look_up(config, server).await? {
        // What a time-out shall say.
        let connected = AtomicBool::new(false);
        let attempt = open_endpoint(config, server, &endpoint, target, &connected);
        let error = match timeout(config.connect_timeout, attempt).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error,
            Err(_) => Error::Timeout {
                operation: match connected.load(Ordering::Relaxed) {
                    false => format!("connecting to PostgreSQL at {server}"),
                    true => format!(
                        "starting a session with PostgreSQL at {server}, which takes connections and does \
                         not answer (is it PostgreSQL?),"
                    ),
                },
                after: config.connect_timeout,
            },
        };
        // Another address of the same server helps if this one leads nowhere, and with nothing else.
        let nowhere = matches!(
            &error,
            Error::Timeout { .. }
                | Error::Connect {
                    failure: ConnectFailure::Io(_),
                    ..
                }
        );
        if !nowhere {
            return Err(error);
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| {
        let nothing = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        Error::Connect {
            address: server.to_string(),
            failure: ConnectFailure::UnknownHost(Arc::new(nothing)),
        }
    }))
}

/// Where a server may be found.
async fn look_up(config: &Config, server: &Server) -> Result<Vec<Endpoint>, Error> {
    let host = match (&server.host, server.socket_path()) {
        (_, Some(path)) => return Ok(vec![Endpoint::Unix(path)]),
        (Host::Tcp(host), _) => host.as_str(),
        (Host::Unix(_), None) => return Ok(Vec::new()),
    };
    if let Some(address) = server.address {
        return Ok(vec![Endpoint::Tcp((address, server.port).into())]);
    }
    let found = match timeout(
        config.connect_timeout,
        tokio::net::lookup_host((host, server.port)),
    )
    .await
    {
        Ok(found) => found,
        Err(_) => {
            return Err(Error::Timeout {
                operation: format!("looking up the name of the PostgreSQL server {server}"),
                after: config.connect_timeout,
            });
        }
    };
    let mut endpoints: Vec<_> = match found {
        Ok(addresses) => addresses.map(Endpoint::Tcp).collect(),
        Err(error) => {
            return Err(Error::Connect {
                address: server.to_string(),
                failure: ConnectFailure::UnknownHost(Arc::new(error)),
            });
        }
    };
    if config.load_balance {
        endpoints.shuffle(&mut rand::rng());
    }
    Ok(endpoints)
}

/// Opens a session at one address, with and without encryption as `sslmode` wants it.
async fn open_endpoint(
    config: &Config,
    server: &Server,
    endpoint: &Endpoint,
    target: TargetSession,
    connected: &AtomicBool,
) -> Result<Session, Error> {
    let attempt = |encrypt| Attempt {
        config,
        server,
        endpoint,
        target,
        connected,
        encrypt,
    };
    let mode = match endpoint {
        Endpoint::Unix(_) => SslMode::Disable,
        Endpoint::Tcp(_) => config.tls.mode,
    };
    let (first, second) = match mode {
        SslMode::Disable => return attempt(false).run().await,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => return attempt(true).run().await,
        SslMode::Allow => (false, true),
        SslMode::Prefer => (true, false),
    };
    let error = match attempt(first).run().await {
        Ok(session) => return Ok(session),
        Err(error) => error,
    };
    // libpq begins anew after any refusal, a wrong password included. Here only what the other way may change:
    // a failed handshake, or a rule of pg_hba.conf. A password that was refused is not sent once more, in
    // clear.
    let by_rule = error.code() == Some(SqlState::INVALID_AUTHORIZATION);
    let by_tls = matches!(
        &error,
        Error::Connect {
            failure: ConnectFailure::Tls(_) | ConnectFailure::TlsRefused,
            ..
        }
    );
    if !by_rule && !by_tls {
        return Err(error);
    }
    match attempt(second).run().await {
        Ok(session) => Ok(session),
        // Two rules that refuse say the same; the first is the one that was preferred.
        Err(again) if by_rule && (by_rule == (again.code() == error.code())) => Err(error),
        Err(again) => Err(one_of(server.to_string(), vec![error, again])),
    }
}

/// One socket's way to a session.
struct Attempt<'a> {
    config: &'a Config,
    server: &'a Server,
    endpoint: &'a Endpoint,
    target: TargetSession,
    connected: &'a AtomicBool,
    encrypt: bool,
}

impl Attempt<'_> {
    async fn run(self) -> Result<Session, Error> {
        let failed = |failure: ConnectFailure| Error::Connect {
            address: self.server.to_string(),
            failure,
        };
        let tls = match self.encrypt {
            true => Some(
                Tls::prepare(&self.config.tls, self.server)
                    .await
                    .map_err(failed)?,
            ),
            false => None,
        };
        let stream = Stream::connect(self.endpoint, self.config).await;
        let stream = stream.map_err(|error| failed(error.into()))?;
        self.connected.store(true, Ordering::Relaxed);
        self.check_owner(&stream).map_err(failed)?;
        let (stream, tls) = match (stream, tls) {
            (Stream::Tcp(stream), Some(tls)) => match tls.negotiate(stream).await.map_err(failed)? {
                Negotiated::Encrypted(stream) => (Stream::Tls(stream), Some(tls)),
                Negotiated::Plain(_) if self.config.tls.mode != SslMode::Prefer => {
                    return Err(failed(ConnectFailure::TlsRefused));
                }
                Negotiated::Plain(stream) => (Stream::Tcp(stream), None),
            },
            (stream, _) => (stream, None),
        };
        let route = Route {
            peer: Peer::new(self.server, self.endpoint, &stream),
            endpoint: self.endpoint.clone(),
            tls,
            config: self.config.clone(),
        };
        Handshake::new(self.config, route, stream).run(self.target).await
    }

    /// Whether the server behind a Unix socket runs as the user that `requirepeer` names.
    fn check_owner(&self, stream: &Stream) -> Result<(), ConnectFailure> {
        let (Stream::Unix(stream), Some(wanted)) = (stream, &self.config.require_peer) else {
            return Ok(());
        };
        let uid = nix::unistd::Uid::from_raw(stream.peer_cred()?.uid());
        let found = match nix::unistd::User::from_uid(uid) {
            Ok(Some(user)) => user.name,
            _ => uid.to_string(),
        };
        if found == *wanted {
            return Ok(());
        }
        Err(ConnectFailure::Owner {
            wanted: wanted.clone(),
            found,
        })
    }
}
