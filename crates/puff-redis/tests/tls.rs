//! TLS, with certificates of the test's own, to a real Valkey behind a terminator.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use common::{Server, run};
use puff_redis::{Error, PubSub, RedisConfig, RedisPool, Reply};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes NAME.pem and NAME.key.
    fn issue(&self, name: &str, hosts: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let certificate = CertificateParams::new(hosts)
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        fs::write(self.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// Listens with the certificate `name` and passes everything on; the port.
    async fn terminate(&self, server: &Server, name: &str, wants_client: bool) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match wants_client {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                let ca = fs::read(self.file("ca.pem")).unwrap();
                roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = fs::read(self.file(&format!("{name}.pem"))).unwrap();
        let key = fs::read(self.file(&format!("{name}.key"))).unwrap();
        let config = builder
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(&chain).unwrap()],
                PrivateKeyDer::from_pem_slice(&key).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = server.url();
        let socket = url.trim_start_matches("unix://").to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, socket) = (acceptor.clone(), socket.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut inner = UnixStream::connect(socket).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
                });
            }
        });
        port
    }
}

fn pool(url: &str) -> RedisPool {
    RedisPool::new(RedisConfig::from_url(url).unwrap())
}

#[tokio::test]
async fn everything_goes_encrypted() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.issue("server", &["localhost"]);
    let port = authority.terminate(&server, "server", false).await;
    let ca = authority.file("ca.pem").display().to_string();
    let url = format!("rediss://localhost:{port}/1?ssl_ca_certs={ca}");
    let pool = pool(&url);
    pool.set("k", vec![7u8; 1 << 20]).await.unwrap();
    assert_eq!(pool.get("k").await.unwrap().unwrap().len(), 1 << 20);
    assert_eq!(run(&pool, "BLPOP none 0.05").await, Ok(Reply::Nil));
    let pubsub = PubSub::redis(RedisConfig::from_url(&url).unwrap());
    let connection = pubsub.connection();
    connection.subscribe("c").await.unwrap();
    pubsub.publish("c", "hello").await.unwrap();
    assert_eq!(common::next(&connection).await, "c:hello");
}

#[tokio::test]
async fn the_servers_certificate_is_checked_as_far_as_is_wanted() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.issue("other", &["other.example"]);
    let port = authority.terminate(&server, "other", false).await;
    let ca = authority.file("ca.pem").display().to_string();
    let stranger = Authority::new();
    let foreign = stranger.file("ca.pem").display().to_string();
    let ask = async |parameters: &str| {
        let answer = pool(&format!("rediss://localhost:{port}?{parameters}"))
            .ping()
            .await;
        answer.map_err(|error| {
            assert!(matches!(error, Error::Connect { .. }), "{error:?}");
            error.to_string()
        })
    };
    let error = ask(&format!("ssl_ca_certs={ca}")).await.unwrap_err();
    assert!(error.contains("was made for another host"), "{error}");
    assert_eq!(
        ask(&format!("ssl_ca_certs={ca}&ssl_check_hostname=false")).await,
        Ok(())
    );
    assert_eq!(ask("ssl_cert_reqs=none").await, Ok(()));
    let error = ask(&format!("ssl_ca_certs={foreign}&ssl_check_hostname=false"))
        .await
        .unwrap_err();
    assert!(
        error.contains("comes from no authority that is trusted"),
        "{error}"
    );
    let error = ask("ssl_ca_certs=/nowhere.pem").await.unwrap_err();
    assert!(
        error.contains("/nowhere.pem cannot be used: No such file"),
        "{error}"
    );

    // The other way round: a server that does not encrypt, and a client that does not.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    let socket = server.url().trim_start_matches("unix://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let mut inner = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    let error = pool(&format!("rediss://localhost:{plain_port}?ssl_ca_certs={ca}"))
        .ping()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    let error = pool(&format!("redis://localhost:{port}"))
        .ping()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_may_want_the_clients_certificate() {
    let (server, authority) = (Server::start(), Authority::new());
    authority.issue("server", &["localhost"]);
    authority.issue("client", &["client"]);
    let port = authority.terminate(&server, "server", true).await;
    let file = |name: &str| authority.file(name).display().to_string();
    let url = format!("rediss://localhost:{port}?ssl_ca_certs={}", file("ca.pem"));
    let error = pool(&url).ping().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    let both = format!(
        "{url}&ssl_certfile={}&ssl_keyfile={}",
        file("client.pem"),
        file("client.key")
    );
    assert_eq!(pool(&both).ping().await, Ok(()));
    let mixed = format!(
        "{url}&ssl_certfile={}&ssl_keyfile={}",
        file("client.pem"),
        file("server.key")
    );
    let error = pool(&mixed).ping().await.unwrap_err();
    assert!(error.to_string().contains("does not fit its key"), "{error}");
}
