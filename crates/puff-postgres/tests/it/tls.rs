//! Encryption: what is agreed upon, what is proved, and what is said when it is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use puff_postgres::{Config, ConnectFailure, Connection, DirectConnection, Error, SqlState, Step, TlsInfo};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{eventually, number, run};
use crate::tls_server::Server;

const HBA: &str = "\
hostnossl all plain_only all trust
hostssl   all tls_only   all trust
hostssl   all clear      all password
hostssl   all cert       all cert
host      all scram      all scram-sha-256
host      all md5        all md5
host      all postgres   all trust
";

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Made {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate for a host or user of this name, changed by `change`.
    fn certify(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Made {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// As `openssl req -x509` makes it: an authority of its own.
fn self_signed(expired: bool) -> Made {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    Made {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A server whose certificate and settings can be changed.
struct Place {
    server: Server,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let authority = Authority::new();
        let Made { cert, key } = authority.certify("localhost", |_| {});
        let files = [
            ("ca.crt", authority.pem.as_str()),
            ("server.crt", &cert),
            ("server.key", &key),
        ];
        let server = Server::new(&[], HBA, &files);
        let place = Self { server, authority };
        run(async {
            let path = |name| place.file(name).display().to_string();
            for sql in [
                format!("ALTER SYSTEM SET ssl_ca_file = '{}'", path("ca.crt")),
                format!("ALTER SYSTEM SET ssl_cert_file = '{}'", path("server.crt")),
                format!("ALTER SYSTEM SET ssl_key_file = '{}'", path("server.key")),
                "ALTER SYSTEM SET ssl = on".to_owned(),
                "CREATE ROLE plain_only LOGIN; CREATE ROLE tls_only LOGIN; CREATE ROLE cert LOGIN".to_owned(),
                "CREATE ROLE scram LOGIN PASSWORD 'hush'; CREATE ROLE clear LOGIN PASSWORD 'hush'".to_owned(),
                "SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'hush'".to_owned(),
            ] {
                place.administrate(&sql).await;
            }
            place.reload().await;
        });
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    /// Runs statements over the Unix socket.
    async fn administrate(&self, sql: &str) -> String {
        let connection = Connection::connect(&self.server.local().parse().unwrap())
            .await
            .unwrap();
        let mut answers = connection.simple_query(sql).await.unwrap();
        connection.close().await;
        let last = answers.pop().unwrap();
        if last.is_empty() {
            String::new()
        } else {
            last.text(0, 0).unwrap_or("").to_owned()
        }
    }

    /// Makes the server read its files anew; returns when new connections see it.
    async fn reload(&self) {
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.administrate(loaded).await;
        self.administrate("SELECT pg_reload_conf()").await;
        while self.administrate(loaded).await == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn certify(&self, Made { cert, key }: &Made) {
        self.server.write("server.crt", cert);
        self.server.write("server.key", key);
        self.reload().await;
    }

    /// A configuration for `localhost`, without certificates.
    fn config(&self, text: &str) -> Config {
        let text = format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres {text}",
            self.server.port
        );
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The same, with the authority's certificate.
    fn trusting(&self, text: &str) -> Config {
        self.config(&format!("sslrootcert={} {text}", self.file("ca.crt").display()))
    }
}

async fn tls(config: &Config) -> Option<TlsInfo> {
    let connection = Connection::connect(config)
        .await
        .unwrap_or_else(|error| panic!("{config}: {error}"));
    let sql = "SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl";
    let seen = number(&connection.query(sql, &[]).await.unwrap()) == 1;
    let found = connection.peer().tls.clone();
    assert_eq!(found.is_some(), seen);
    found
}

async fn failure(config: &Config) -> Error {
    match Connection::connect(config).await {
        Ok(_) => panic!("{config} must not connect"),
        Err(error) => error,
    }
}

/// The text of a failed handshake.
async fn tls_failure(config: &Config) -> String {
    match failure(config).await {
        Error::Connect {
            failure: ConnectFailure::Tls(text),
            ..
        } => text,
        other => panic!("{config}: {other}"),
    }
}

#[test]
fn modes_of_encryption() {
    let place = Place::new();
    run(async {
        assert_eq!(tls(&place.config("user=postgres sslmode=disable")).await, None);
        assert_eq!(tls(&place.config("user=postgres sslmode=allow")).await, None);
        for mode in ["prefer", "require"] {
            let found = tls(&place.config(&format!("user=postgres sslmode={mode}")))
                .await
                .unwrap();
            assert_eq!(found.protocol, "TLSv1.3");
            assert!(found.cipher.starts_with("TLS_AES"), "{}", found.cipher);
        }
        let old = place.config("user=postgres ssl_max_protocol_version=TLSv1.2 sslsni=0");
        assert_eq!(tls(&old).await.unwrap().protocol, "TLSv1.2");
        // The rules of the server decide.
        assert_eq!(tls(&place.config("user=plain_only sslmode=prefer")).await, None);
        assert!(tls(&place.config("user=tls_only sslmode=allow")).await.is_some());
        for text in ["user=plain_only sslmode=require", "user=tls_only sslmode=disable"] {
            let error = failure(&place.config(text)).await;
            assert_eq!(error.code(), Some(SqlState::INVALID_AUTHORIZATION), "{error}");
        }
        // Unix sockets are never encrypted.
        let local: Config = format!("{} sslmode=require", place.server.local())
            .parse()
            .unwrap();
        assert_eq!(tls(&local).await, None);

        place.administrate("ALTER SYSTEM SET ssl = off").await;
        place.reload().await;
        assert_eq!(tls(&place.config("user=postgres")).await, None);
        for mode in ["require", "verify-ca", "verify-full"] {
            let error = failure(&place.trusting(&format!("user=postgres sslmode={mode}"))).await;
            let refused = matches!(
                &error,
                Error::Connect {
                    failure: ConnectFailure::TlsRefused,
                    ..
                }
            );
            assert!(
                refused && error.to_string().contains("does not offer encryption"),
                "{error}"
            );
        }
    });
}

#[test]
fn what_a_certificate_proves() {
    let place = Place::new();
    run(async {
        for mode in ["require", "verify-ca", "verify-full"] {
            assert!(
                tls(&place.trusting(&format!("user=postgres sslmode={mode}")))
                    .await
                    .is_some()
            );
        }
        // Another name for the same address.
        let other = |mode| {
            let mut config = place.trusting(&format!("user=postgres sslmode={mode}"));
            config.servers[0].host = puff_postgres::Host::new("other.example");
            config
        };
        assert!(tls(&other("verify-ca")).await.is_some());
        let text = tls_failure(&other("verify-full")).await;
        assert!(
            text.contains("another host") && text.contains("other.example"),
            "{text}"
        );
        // By address: there is none in the certificate.
        let mut address = other("verify-full");
        address.servers[0].host = puff_postgres::Host::new("127.0.0.1");
        assert!(tls_failure(&address).await.contains("another host"));

        // An authority that nobody here knows; for `require` as well, once one is named.
        place.server.write("foreign.crt", &Authority::new().pem);
        let foreign = format!(
            "user=postgres sslrootcert={}",
            place.file("foreign.crt").display()
        );
        for mode in ["require", "verify-ca", "verify-full"] {
            let text = tls_failure(&place.config(&format!("{foreign} sslmode={mode}"))).await;
            assert!(text.contains("no authority in sslrootcert"), "{text}");
        }
        assert!(
            tls(&place.config(&format!("{foreign} sslmode=prefer")))
                .await
                .is_some()
        );
        tls_failure(&place.config("user=postgres sslrootcert=system")).await;
        for (file, why) in [
            ("missing.crt", "No such file"),
            ("server.key", "no certificate in it"),
        ] {
            let file = place.file(file).display().to_string();
            let text =
                tls_failure(&place.config(&format!("user=postgres sslmode=require sslrootcert={file}")))
                    .await;
            assert!(text.contains(&file) && text.contains(why), "{text}");
        }

        let full = place.trusting("user=postgres sslmode=verify-full");
        let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
        place
            .certify(&place.authority.certify("localhost", expired))
            .await;
        let text = tls_failure(&full).await;
        assert!(text.contains("has expired"), "{text}");

        let serial = SerialNumber::from(77_u64);
        let numbered =
            |params: &mut CertificateParams| params.serial_number = Some(SerialNumber::from(77_u64));
        place
            .certify(&place.authority.certify("localhost", numbered))
            .await;
        assert!(tls(&full).await.is_some());
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: serial,
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        place.server.write(
            "root.crl",
            &list.signed_by(&place.authority.issuer).unwrap().pem().unwrap(),
        );
        let crl = format!(
            "user=postgres sslmode=verify-full sslcrl={}",
            place.file("root.crl").display()
        );
        assert_eq!(
            tls_failure(&place.trusting(&crl)).await,
            "the server's certificate was revoked"
        );

        // A certificate that vouches for itself, and is the one that is trusted.
        let own = self_signed(false);
        place.certify(&own).await;
        place.server.write("own.crt", &own.cert);
        let pinned = format!("user=postgres sslrootcert={}", place.file("own.crt").display());
        for mode in ["verify-ca", "verify-full"] {
            assert!(
                tls(&place.config(&format!("{pinned} sslmode={mode}")))
                    .await
                    .is_some()
            );
        }
        let mut named = place.config(&format!("{pinned} sslmode=verify-full"));
        named.servers[0].host = puff_postgres::Host::new("other.example");
        assert!(tls_failure(&named).await.contains("another host"));
        tls_failure(&full).await;
        let old = self_signed(true);
        place.certify(&old).await;
        tls_failure(&place.config(&format!("{pinned} sslmode=verify-ca"))).await;
        place.server.write("own.crt", &old.cert);
        let text = tls_failure(&place.config(&format!("{pinned} sslmode=verify-ca"))).await;
        assert!(text.contains("has expired"), "{text}");
    });
}

#[test]
fn who_the_client_is() {
    let place = Place::new();
    let mine = place.authority.certify("cert", |_| {});
    place.server.write("mine.crt", &mine.cert);
    place.server.write("mine.key", &mine.key);
    let stranger = Authority::new().certify("cert", |_| {});
    place.server.write("stranger.crt", &stranger.cert);
    place.server.write("stranger.key", &stranger.key);
    run(async {
        let with = |name: &str| {
            let path = place.file(name).display().to_string();
            place.trusting(&format!(
                "user=cert sslmode=verify-full sslcert={path}.crt sslkey={path}.key"
            ))
        };
        assert!(tls(&with("mine")).await.is_some());
        let error = failure(&place.trusting("user=cert sslmode=verify-full")).await;
        assert!(error.to_string().contains("client certificate"), "{error}");
        // The refusal comes after the handshake, when the server has looked at the certificate.
        let error = failure(&with("stranger")).await;
        assert!(matches!(&error, Error::Connect { .. }), "{error}");
        let mut mixed = with("mine");
        mixed.tls.client.as_mut().unwrap().key = place.file("stranger.key");
        assert!(tls_failure(&mixed).await.contains("does not fit its key"));
        mixed.tls.client.as_mut().unwrap().key = place.file("mine.crt");
        assert!(tls_failure(&mixed).await.contains("no private key"));
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(place.file("mine.key"), open).unwrap();
        assert!(tls_failure(&with("mine")).await.contains("others may read it"));
    });
}

#[test]
fn passwords_and_the_encryption() {
    let place = Place::new();
    let wrong = "password=wrong";
    run(async {
        for binding in ["disable", "prefer", "require"] {
            let text = format!("user=scram password=hush channel_binding={binding}");
            assert!(tls(&place.config(&text)).await.is_some());
            let error = failure(&place.config(&format!("{text} {wrong}"))).await;
            assert_eq!(error.code(), Some(SqlState::INVALID_PASSWORD), "{error}");
            assert!(
                matches!(error, Error::Db(_)) && !error.to_string().contains("wrong"),
                "{error}"
            );
        }
        for user in ["clear", "md5"] {
            assert!(
                tls(&place.config(&format!("user={user} password=hush")))
                    .await
                    .is_some()
            );
        }
        assert_eq!(
            tls(&place.config("user=scram password=hush sslmode=disable")).await,
            None
        );
        for text in [
            "user=scram sslmode=disable",
            "user=md5",
            "user=clear",
            "user=postgres",
        ] {
            let error =
                failure(&place.config(&format!("{text} password=hush channel_binding=require"))).await;
            let auth = matches!(&error, Error::Auth { .. });
            assert!(
                auth && error.to_string().contains("channel_binding=require demands"),
                "{error}"
            );
        }
    });
}

/// Copies a client's bytes to the server's port and remembers them, connection by connection.
async fn listening_in(port: u16) -> (u16, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = heard.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let mut number = notes.lock();
            let index = number.len();
            number.push(Vec::new());
            drop(number);
            let notes = notes.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    notes.lock()[index].extend_from_slice(&buffer[..count]);
                    if to_server.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        }
    });
    (here, heard)
}

#[test]
fn requests_to_cancel_are_encrypted_too() {
    let place = Place::new();
    run(async {
        let (port, heard) = listening_in(place.server.port).await;
        let mut config = place.config("user=postgres sslmode=require");
        config.servers[0].port = port;
        let connection = Connection::connect(&config).await.unwrap();
        let (answer, cancelled) = tokio::join!(connection.query("SELECT pg_sleep(50)", &[]), async {
            // Asked for on another way, for all that is heard counts.
            let runs = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND state = 'active'",
                connection.process_id()
            );
            eventually("it runs", || async { place.administrate(&runs).await == "1" }).await;
            connection.cancel().await
        });
        cancelled.unwrap();
        assert_eq!(answer.unwrap_err().code(), Some(SqlState::QUERY_CANCELED));
        let heard = heard.lock();
        assert_eq!(heard.len(), 2);
        for bytes in heard.iter() {
            assert_eq!(bytes[..8], [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]);
            // A record of the handshake follows, and the code of a request to cancel is nowhere.
            assert_eq!(bytes[8], 0x16);
            assert!(!bytes.windows(4).any(|four| four == [4, 0xd2, 0x16, 0x2e]));
        }
    });
}

/// Both kinds of connections, with more than any buffer holds.
#[test]
fn much_data_over_tls() {
    let place = Place::new();
    run(async {
        let config = place.config("user=postgres sslmode=require");
        let connection = Connection::connect(&config).await.unwrap();
        let big = "x".repeat(5_000_000);
        let sql = "SELECT $1::text || $1, length($1)";
        let params = [big.as_str().into()];
        let (first, second) = tokio::join!(connection.query(sql, &params), connection.query(sql, &params));
        for rows in [first.unwrap(), second.unwrap()] {
            assert_eq!(rows.text(0, 0).unwrap().len(), 10_000_000);
            assert_eq!(rows.text(0, 1), Some("5000000"));
        }

        let mut direct = DirectConnection::open(&config).await.unwrap();
        tokio::task::spawn_blocking(move || {
            let exchange = |direct: &mut DirectConnection, sql: &str| {
                direct.start(sql.as_bytes(), None).unwrap();
                let mut pieces = 300;
                loop {
                    match direct.advance() {
                        Step::Wait { write } => {
                            assert!(
                                direct.wait(write, Duration::from_secs(20)).unwrap(),
                                "nothing comes"
                            );
                        }
                        Step::CopyIn if pieces > 0 => {
                            pieces -= 1;
                            direct.copy_data("0123456789\n".repeat(10_000).into());
                        }
                        Step::CopyIn => direct.copy_end(None),
                        Step::Done(answers) => return answers.unwrap(),
                        _ => panic!("not asked for"),
                    }
                }
            };
            exchange(&mut direct, "CREATE TEMP TABLE lines (line text)");
            exchange(&mut direct, "COPY lines FROM STDIN");
            let answers = exchange(&mut direct, "SELECT line FROM lines");
            assert_eq!(answers.len(), 3_000_000);
            direct.close();
        })
        .await
        .unwrap();
    });
}

/// A proxy that speaks TLS from the first byte, as PostgreSQL 17 can.
#[test]
fn encryption_without_asking() {
    let place = Place::new();
    run(async {
        let chain = vec![CertificateDer::from_pem_file(place.file("server.crt")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(place.file("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut proxy = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let mut ports = Vec::new();
        for alpn in [vec![b"postgresql".to_vec()], Vec::new()] {
            proxy.alpn_protocols = alpn;
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(proxy.clone()));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            let port = place.server.port;
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let mut client = acceptor.accept(client).await.unwrap();
                        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                        copy_bidirectional(&mut client, &mut server).await
                    });
                }
            });
        }
        let at = |port: u16, text: &str| {
            let mut config = place.trusting(&format!("sslmode=verify-full sslnegotiation=direct {text}"));
            config.servers[0].port = port;
            config
        };
        // The server knows nothing of the encryption: no channel to bind to, and nobody cheats.
        let scram = "user=scram password=hush";
        let connection = Connection::connect(&at(ports[0], scram)).await.unwrap();
        assert!(connection.peer().tls.is_some());
        assert_eq!(number(&connection.query("SELECT 3", &[]).await.unwrap()), 3);
        let error = failure(&at(ports[0], &format!("{scram} channel_binding=require"))).await;
        assert!(matches!(error, Error::Auth { .. }), "{error}");
        let text = tls_failure(&at(ports[1], scram)).await;
        assert!(
            text.contains("does not answer to sslnegotiation=direct"),
            "{text}"
        );
        // PostgreSQL 15 takes it for noise.
        let error = failure(&at(place.server.port, scram)).await;
        assert!(matches!(error, Error::Connect { .. }), "{error}");
    });
}
