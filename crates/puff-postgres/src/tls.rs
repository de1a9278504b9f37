//! Encryption of a connection, by rustls.
//!
//! The cryptography is ring's: it needs a C compiler and nothing else, where aws-lc-rs may ask for cmake.

use std::io;
use std::path::Path;
use std::sync::Arc;

use puff_core::tls::{self, TlsError, Trust, Verifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{ClientCert, RootCerts, Server, SslMode, SslNegotiation, TlsConfig, TlsVersion};
use crate::error::ConnectFailure;

mod binding;
mod explain;

pub(crate) use binding::server_end_point;

/// The name under which PostgreSQL speaks in TLS.
const PROTOCOL: &[u8] = b"postgresql";
/// The code of the request for encryption, in the place of a protocol version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Everything that is needed to encrypt a connection to one server.
#[derive(Clone)]
pub(crate) struct Tls {
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
    negotiation: SslNegotiation,
}

/// What came of the question whether a server encrypts.
pub(crate) enum Negotiated {
    Encrypted(Box<TlsStream<TcpStream>>),
    /// The server does not; the socket can be used as it is.
    Plain(TcpStream),
}

impl Tls {
    /// Reads the files that `config` names. They are read for each connection, so that a program that runs
    /// for months sees renewed certificates.
    pub(crate) async fn prepare(config: &TlsConfig, server: &Server) -> Result<Self, ConnectFailure> {
        let name = server.host_text();
        let name = match ServerName::try_from(name.clone()) {
            Ok(name) => name,
            Err(_) => {
                return Err(ConnectFailure::Tls(format!(
                    "\"{name}\" is no name for a certificate"
                )));
            }
        };
        let negotiation = config.negotiation;
        let config = config.clone();
        let client = tokio::task::spawn_blocking(move || client_config(&config)).await;
        match client {
            Ok(client) => Ok(Self {
                client: Arc::new(client?),
                name,
                negotiation,
            }),
            Err(error) => Err(ConnectFailure::Tls(error.to_string())),
        }
    }

    /// Asks for encryption and begins it.
    pub(crate) async fn negotiate(&self, mut stream: TcpStream) -> Result<Negotiated, ConnectFailure> {
        if self.negotiation == SslNegotiation::Postgres {
            stream.write_all(&SSL_REQUEST).await?;
            let mut answer = [0];
            // One byte and no more: what follows must not be read before it is encrypted, or a man in the
            // middle could slip something in.
            if stream.read(&mut answer).await? == 0 {
                return Err(ended());
            }
            match answer[0] {
                b'S' => {}
                b'N' => return Ok(Negotiated::Plain(stream)),
                // An error text is not shown: nobody has proved to be the server yet.
                b'E' => return Err(ConnectFailure::TlsRefused),
                first => {
                    let mut words = vec![first];
                    let _ = (&mut stream).take(63).read_buf(&mut words).await;
                    return Err(ConnectFailure::not_postgres(&words));
                }
            }
        }
        let connector = TlsConnector::from(self.client.clone());
        let encrypted = connector.connect(self.name.clone(), stream).await;
        let encrypted = encrypted.map_err(|error| ConnectFailure::Tls(explain::explain(&error)))?;
        let protocol = encrypted.get_ref().1.alpn_protocol();
        if self.negotiation == SslNegotiation::Direct && protocol != Some(PROTOCOL) {
            let reason = "the server does not answer to sslnegotiation=direct; leave it out".to_owned();
            return Err(ConnectFailure::Tls(reason));
        }
        Ok(Negotiated::Encrypted(Box::new(encrypted)))
    }
}

fn ended() -> ConnectFailure {
    let reason = "the server closed the connection when it was asked for encryption";
    io::Error::new(io::ErrorKind::UnexpectedEof, reason).into()
}

fn client_config(config: &TlsConfig) -> Result<ClientConfig, ConnectFailure> {
    let provider = Arc::new(ring::default_provider());
    let verifier = verifier(config, &provider)?;
    let all: [(TlsVersion, &'static SupportedProtocolVersion); 2] = [
        (TlsVersion::Tls12, &version::TLS12),
        (TlsVersion::Tls13, &version::TLS13),
    ];
    let versions: Vec<_> = all
        .into_iter()
        .filter(|(version, _)| (config.min_version..=config.max_version).contains(version))
        .map(|(_, version)| version)
        .collect();
    let identity = match &config.client {
        None => None,
        Some(ClientCert { cert, key }) => {
            check_secrecy(key)?;
            Some((cert.as_path(), key.as_path()))
        }
    };
    let mut client = tls::client_config(provider, &versions, verifier, identity).map_err(failed)?;
    client.enable_sni = config.sni;
    if config.negotiation == SslNegotiation::Direct {
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
    }
    Ok(client)
}

fn verifier(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Verifier, ConnectFailure> {
    // As with libpq, root certificates raise `require`, and nothing weaker, to `verify-ca`.
    let Some(roots) = config.roots.as_ref().filter(|_| config.mode >= SslMode::Require) else {
        return Ok(Verifier::trusting(provider));
    };
    let authorities = match roots {
        RootCerts::File(file) => tls::certificates(file).map_err(failed)?,
        RootCerts::System => tls::system_authorities().map_err(|_| {
            let reason = "the system has no list of trusted authorities; name a file by sslrootcert";
            ConnectFailure::Tls(reason.to_owned())
        })?,
    };
    let revoked = match &config.revoked {
        Some(file) => tls::revocations(file).map_err(failed)?,
        None => Vec::new(),
    };
    let trust = Trust {
        authorities,
        revoked,
        check_name: config.mode == SslMode::VerifyFull,
    };
    Verifier::checking(provider, trust).map_err(|error| match error {
        TlsError::NoAuthority => ConnectFailure::Tls("none of the root certificates can be used".to_owned()),
        error => failed(error),
    })
}

/// libpq's rule for private keys: nobody else may read them, but one of root's may be readable for a group.
fn check_secrecy(key: &Path) -> Result<(), ConnectFailure> {
    use std::os::unix::fs::MetadataExt;

    let metadata = std::fs::metadata(key).map_err(|error| failed(tls::unusable(key, error)))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    match metadata.mode() & forbidden {
        0 => Ok(()),
        _ => Err(failed(tls::unusable(key, "others may read it; chmod 600 helps"))),
    }
}

fn failed(error: TlsError) -> ConnectFailure {
    ConnectFailure::Tls(error.to_string())
}
