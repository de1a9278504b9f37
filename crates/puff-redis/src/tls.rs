//! Encryption of a connection, by rustls with ring's cryptography.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{TlsConfig, Verify};

/// No file with certificates is larger; whoever names another one has made a mistake.
const MAX_FILE: u64 = 16 << 20;

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
    let client = client.map_err(|error| error.to_string())??;
    let connector = TlsConnector::from(Arc::new(client));
    connector
        .connect(name, stream)
        .await
        .map_err(|error| explain(&error))
}

fn client(config: &TlsConfig) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(config, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match &config.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| format!("{} does not fit its key: {error}", certificate.display())),
    }
}

/// Files of a client, as redis-rs wants them for a cluster.
pub(crate) fn pem(config: &TlsConfig) -> Result<redis::TlsCertificates, String> {
    let client_tls = match &config.client {
        None => None,
        Some((certificate, key)) => Some(redis::ClientTlsConfig {
            client_cert: read(certificate)?,
            client_key: read(key)?,
        }),
    };
    let root_cert = config.ca_file.as_deref().map(read).transpose()?;
    Ok(redis::TlsCertificates {
        client_tls,
        root_cert,
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(file, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(file, error)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| unusable(file, error))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(unusable(file, error)),
    }
}

fn unusable(file: &Path, reason: impl std::fmt::Display) -> String {
    format!("{} cannot be used: {reason}", file.display())
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

/// Checks a server's certificate as far as it is wanted. That the server has its key is checked in any case.
#[derive(Debug)]
struct Verifier {
    /// `None` believes everybody.
    chain: Option<Arc<WebPkiServerVerifier>>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let chain = match config.verify {
            Verify::Nothing => None,
            Verify::Full | Verify::Authority => {
                let trusted = match &config.ca_file {
                    Some(file) => certificates(file)?,
                    None => rustls_native_certs::load_native_certs().certs,
                };
                let mut store = RootCertStore::empty();
                if store.add_parsable_certificates(trusted).0 == 0 {
                    return Err("there is no authority to trust; name a file by ssl_ca_certs".to_owned());
                }
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
                Some(builder.build().map_err(|error| error.to_string())?)
            }
        };
        Ok(Self {
            chain,
            check_name: config.verify == Verify::Full,
            provider: provider.clone(),
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last: all else is in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
