//! What the TLS of all clients has in common: whom to believe, and the files that say so.
//!
//! Which levels of checking there are, and what a failed handshake is called, is each service's own: users know them
//! from libpq and from redis-py.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};

/// No file with certificates is larger; whoever names another one has made a mistake.
const MAX_FILE: u64 = 16 << 20;

/// Why a client cannot even begin to encrypt.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file that was named is not there, or has not what is looked for.
    #[error("{} cannot be used: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The client's certificate was made for another key.
    #[error("{} does not fit its key: {reason}", certificate.display())]
    Mismatch {
        /// The file with the certificate.
        certificate: PathBuf,
        /// rustls' own words.
        reason: String,
    },
    /// No certificate of an authority can be used.
    #[error("there is no authority to trust")]
    NoAuthority,
    /// The lists of revoked certificates cannot be used.
    #[error(transparent)]
    Revocations(VerifierBuilderError),
    /// rustls refuses the settings.
    #[error(transparent)]
    Settings(#[from] rustls::Error),
}

/// Whom to believe, and how far.
#[derive(Debug, Default)]
pub struct Trust {
    /// The authorities' certificates.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Lists of certificates that were revoked.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Whether the certificate must have the name that the server was connected by.
    pub check_name: bool,
}

/// Checks a server's certificate as far as it is wanted. That the server has the certificate's key is checked in any
/// case.
#[derive(Debug)]
pub struct Verifier {
    /// `None` believes everybody.
    chain: Option<Arc<WebPkiServerVerifier>>,
    trusted: Vec<CertificateDer<'static>>,
    check_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// For servers that need to prove nothing.
    pub fn trusting(provider: &CryptoProvider) -> Self {
        Self {
            chain: None,
            trusted: Vec::new(),
            check_name: false,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// For servers that an authority knows.
    ///
    /// # Errors
    /// [`TlsError::NoAuthority`], [`TlsError::Revocations`].
    pub fn checking(provider: &Arc<CryptoProvider>, trust: Trust) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(trust.authorities.iter().cloned());
        if added == 0 {
            return Err(TlsError::NoAuthority);
        }
        let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        if !trust.revoked.is_empty() {
            builder = builder.with_crls(trust.revoked).allow_unknown_revocation_status();
        }
        Ok(Self {
            chain: Some(builder.build().map_err(TlsError::Revocations)?),
            trusted: trust.authorities,
            check_name: trust.check_name,
            algorithms: provider.signature_verification_algorithms,
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
            Ok(verified) => Ok(verified),
            // The name is checked last: all else is in order.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            // A certificate that signs itself is a common way to set up a server. If it is the very one that
            // the user trusts, it needs no authority above it; its dates have been checked before.
            Err(error)
                if is_authority(&error) && self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                if self.check_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether the only complaint is that an authority's certificate serves a host.
fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// Settings of a client that checks its servers with `verifier`, and shows them the certificate of the files
/// `identity` (certificate, key) if they ask.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::Mismatch`], [`TlsError::Settings`].
pub fn client_config(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Verifier,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    builder
        .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|error| TlsError::Mismatch {
            certificate: certificate.to_owned(),
            reason: error.to_string(),
        })
}

/// The authorities that the system trusts.
///
/// # Errors
/// [`TlsError::NoAuthority`] if it has no list of them.
pub fn system_authorities() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs().certs;
    match found.is_empty() {
        true => Err(TlsError::NoAuthority),
        false => Ok(found),
    }
}

/// The certificates in a file (PEM), at least one.
///
/// # Errors
/// [`TlsError::File`].
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(file, "there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(file, error)),
    }
}

/// The lists of revoked certificates in a file (PEM).
///
/// # Errors
/// [`TlsError::File`].
pub fn revocations(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let text = read(file)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    lists.map_err(|error| unusable(file, error))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable(file, "there is no private key in it that is not encrypted"),
        error => unusable(file, error),
    })
}

/// A file of this kind as it is.
///
/// # Errors
/// [`TlsError::File`].
pub fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(unusable(file, error)),
    }
}

/// The error of a file that cannot be used.
pub fn unusable(file: &Path, reason: impl std::fmt::Display) -> TlsError {
    TlsError::File {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
