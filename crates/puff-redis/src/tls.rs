//! Encryption of a connection, by rustls with ring's cryptography.

use std::sync::Arc;

use puff_core::tls::{self, TlsError, Trust, Verifier};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{TlsConfig, Verify};

/// Encrypts `stream` to the server called `host`. The files that `config` names are read for each connection, so
/// that a program that runs for months sees renewed certificates.
pub(crate) async fn encrypt(
    config: &TlsConfig,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is no name for a certificate"))?;
    let config = config.clone();
    let client = tokio::task::spawn_blocking(move || client(&config)).await;
    let client = client.map_err(|error| error.to_string())?.map_err(unable)?;
    let connector = TlsConnector::from(Arc::new(client));
    connector
        .connect(name, stream)
        .await
        .map_err(|error| explain(&error))
}

fn client(config: &TlsConfig) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match config.verify {
        Verify::Nothing => Verifier::trusting(&provider),
        Verify::Full | Verify::Authority => {
            let trust = Trust {
                authorities: match &config.ca_file {
                    Some(file) => tls::certificates(file)?,
                    None => tls::system_authorities()?,
                },
                check_name: config.verify == Verify::Full,
                ..Trust::default()
            };
            Verifier::checking(&provider, trust)?
        }
    };
    let identity = config
        .client
        .as_ref()
        .map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    tls::client_config(provider, rustls::DEFAULT_VERSIONS, verifier, identity)
}

/// Files of a client, as redis-rs wants them for a cluster.
pub(crate) fn pem(config: &TlsConfig) -> Result<redis::TlsCertificates, TlsError> {
    let client_tls = match &config.client {
        None => None,
        Some((certificate, key)) => Some(redis::ClientTlsConfig {
            client_cert: tls::read(certificate)?,
            client_key: tls::read(key)?,
        }),
    };
    let root_cert = config.ca_file.as_deref().map(tls::read).transpose()?;
    Ok(redis::TlsCertificates {
        client_tls,
        root_cert,
    })
}

/// The error before a handshake, with what helps.
fn unable(error: TlsError) -> String {
    match error {
        TlsError::NoAuthority => format!("{error}; name a file by ssl_ca_certs"),
        error => error.to_string(),
    }
}

/// One line about a failed handshake.
fn explain(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate comes from no authority that is trusted; name its file by ssl_ca_certs"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the server's certificate was made for another host: {problem}")
            }
            problem => format!("the server's certificate cannot be trusted: {problem}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            "what answers there does not speak TLS; without it the URL begins with redis://".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the server refuses the connection ({alert:?}); it may want a certificate, by ssl_certfile")
        }
        _ => format!("encryption could not be agreed upon: {error}"),
    }
}
