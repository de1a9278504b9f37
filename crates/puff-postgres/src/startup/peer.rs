//! The server that a connection was opened with.

use std::fmt;
use std::net::IpAddr;

use crate::config::{Config, Server};
use crate::stream::{Endpoint, Stream};
use crate::tls::Tls;

/// The server at the other end of a connection: which of several it is, and how it is reached.
///
/// `Display` prints its address as [`Server`] does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The server, as the configuration names it.
    pub server: Server,
    /// The IP address that was connected to; `None` behind a Unix socket.
    pub address: Option<IpAddr>,
    /// The encryption; `None` without.
    pub tls: Option<TlsInfo>,
}

/// What a connection is encrypted with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of TLS, such as `TLSv1.3`.
    pub protocol: String,
    /// The cipher suite, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl Peer {
    pub(super) fn new(server: &Server, endpoint: &Endpoint, stream: &Stream) -> Self {
        let tls = match stream {
            Stream::Tls(stream) => {
                let session = stream.get_ref().1;
                let protocol = match session.protocol_version() {
                    Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                    _ => "TLSv1.2",
                };
                let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
                Some(TlsInfo {
                    protocol: protocol.to_owned(),
                    // rustls marks suites of TLS 1.3 by a number that the registry does not have.
                    cipher: suite
                        .and_then(|suite| suite.as_str())
                        .unwrap_or("unknown")
                        .replace("TLS13_", "TLS_"),
                })
            }
            _ => None,
        };
        let address = match endpoint {
            Endpoint::Tcp(address) => Some(address.ip()),
            Endpoint::Unix(_) => None,
        };
        Self {
            server: server.clone(),
            address,
            tls,
        }
    }

    /// Whether what is sent cannot be read by a third machine.
    pub(super) fn is_private(&self) -> bool {
        self.tls.is_some() || self.address.is_none_or(|address| address.is_loopback())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// What leads to the same server again, for cancel requests.
pub(crate) struct Route {
    pub(crate) peer: Peer,
    pub(crate) endpoint: Endpoint,
    /// How the connection was encrypted; requests to cancel must not say less.
    pub(crate) tls: Option<Tls>,
    pub(crate) config: Config,
}
