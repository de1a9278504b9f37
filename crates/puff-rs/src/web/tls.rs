//! TLS of a server, by rustls: the certificate, the clients' certificates, and new ones without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::errors::ConfigError;
use crate::settings::Settings;

/// How often the files are looked at; renewals come days before the end of the old certificate.
const INTERVAL: Duration = Duration::from_secs(5);
/// No file with certificates is larger; whoever names another one has made a mistake.
const MAX_FILE: u64 = 4 << 20;

/// The files that a server's TLS needs, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Authorities; if given, only clients with a certificate of theirs get in (mutual TLS).
    pub client_ca: Option<PathBuf>,
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read or does not have what it should.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Files that do not go together.
    #[error("the certificate {} and the key {} do not go together: {reason}", cert.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        reason: String,
    },
}

impl TlsFiles {
    /// The files that `settings` name; `None` for a server without TLS.
    pub(super) fn from_settings(settings: &Settings) -> Result<Option<TlsFiles>, ConfigError> {
        let path = |name| -> Result<Option<PathBuf>, ConfigError> {
            Ok(settings.get::<String>(name)?.map(PathBuf::from))
        };
        match (path("tls_cert")?, path("tls_key")?, path("tls_client_ca")?) {
            (Some(cert), Some(key), client_ca) => Ok(Some(TlsFiles { cert, key, client_ca })),
            (None, None, None) => Ok(None),
            _ => Err(ConfigError::Missing(
                "TLS needs both a certificate and its key: --tls-cert FILE --tls-key FILE".into(),
            )),
        }
    }

    /// Whether a server can be started with the files as they are.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(drop)
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        let certificates = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|_| problem(&self.key, "there is no private key in it (PEM)"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| problem(&self.cert, error))?;
        let builder = match &self.client_ca {
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(file)? {
                    roots.add(certificate).map_err(|error| problem(file, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| problem(file, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|error| TlsError::Mismatch {
                cert: self.cert.clone(),
                key: self.key.clone(),
                reason: error.to_string(),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// When the files were last changed; `None` for one that is missing at the moment.
    fn changed(&self) -> Vec<Option<SystemTime>> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(|file| std::fs::metadata(file).and_then(|found| found.modified()).ok())
            .collect()
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(problem(file, "there is no certificate in it (PEM)")),
        Err(error) => Err(problem(file, error)),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let size = std::fs::metadata(file)
        .map_err(|error| problem(file, error))?
        .len();
    if size > MAX_FILE {
        return Err(problem(file, "it is too large for a certificate or a key"));
    }
    std::fs::read(file).map_err(|error| problem(file, error))
}

fn problem(file: &Path, reason: impl ToString) -> TlsError {
    TlsError::File {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}

/// The TLS of a running server.
#[derive(Clone)]
pub(super) struct Tls {
    files: TlsFiles,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// # Errors
    /// [`TlsError`], which names the file.
    pub(super) fn open(files: TlsFiles) -> Result<Tls, TlsError> {
        let config = files.load()?;
        Ok(Tls {
            files,
            current: Arc::new(RwLock::new(Arc::new(config))),
        })
    }

    /// For one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().clone().into()
    }

    /// Takes up files that change, until `stop`. Connections that are there go on with what they have; files
    /// that are wrong are logged, and the old ones go on.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let mut seen = self.files.changed();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            let now = self.files.changed();
            // Both files are written one after the other; what is half done is read at the next look.
            if now == seen {
                continue;
            }
            match self.files.load() {
                Ok(config) => {
                    *self.current.write() = Arc::new(config);
                    info!("new TLS certificate from {}", self.files.cert.display());
                    seen = now;
                }
                Err(problem) => {
                    error!("the TLS certificate stays as it is: {problem}");
                    seen = now;
                }
            }
        }
    }
}
