//! From a connected socket to a session: start-up message, authentication, the server's parameters.

use std::sync::Arc;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::{backend, frontend};
use rustc_hash::FxHashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::TransactionStatus;
use crate::codec::{Decoder, Message, Violation};
use crate::config::Config;
use crate::error::Error;
use crate::stream::Stream;

/// A session that is ready for its first query.
pub(crate) struct Session {
    pub(crate) stream: Stream,
    pub(crate) decoder: Decoder,
    pub(crate) parameters: FxHashMap<String, String>,
    pub(crate) key: BackendKey,
    pub(crate) status: TransactionStatus,
}

/// What a cancel request must show.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackendKey {
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

/// Opens a session; gives up after the configuration's `connect_timeout`.
pub(crate) async fn open(config: &Config) -> Result<Session, Error> {
    let handshake = async {
        let stream = Stream::connect(config).await?;
        Handshake {
            config,
            stream,
            decoder: Decoder::new(),
            scram: None,
        }
        .run()
        .await
    };
    match tokio::time::timeout(config.connect_timeout, handshake).await {
        Ok(session) => session,
        Err(_) => Err(Error::Timeout {
            operation: format!("connecting to PostgreSQL at {}", config.address()),
            after: config.connect_timeout,
        }),
    }
}

struct Handshake<'a> {
    config: &'a Config,
    stream: Stream,
    decoder: Decoder,
    scram: Option<ScramSha256>,
}

impl Handshake<'_> {
    async fn run(mut self) -> Result<Session, Error> {
        let mut buffer = BytesMut::new();
        let config = self.config;
        // Poolers between client and server refuse start-up parameters they do not know, so only those
        // are sent that all of them know. ISO dates are what everything downstream expects to read.
        let mut parameters = vec![
            ("user", config.user.as_str()),
            ("database", &config.database),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
        ];
        let optional = [
            ("application_name", &config.application_name),
            ("options", &config.options),
            ("TimeZone", &config.time_zone),
        ];
        parameters.extend(
            optional
                .iter()
                .filter_map(|(key, value)| Some((*key, value.as_deref()?))),
        );
        frontend::startup_message(parameters, &mut buffer).map_err(invalid)?;
        self.send(&buffer).await?;

        let mut parameters = FxHashMap::default();
        let mut key = BackendKey::default();
        loop {
            match self.receive().await? {
                Message::Authentication(message) => self.authenticate(message).await?,
                Message::ParameterStatus { name, value } => {
                    parameters.insert(name, value);
                }
                Message::KeyData {
                    process_id,
                    secret_key,
                } => {
                    key = BackendKey {
                        process_id,
                        secret_key,
                    }
                }
                Message::Notice(notice) => tracing::debug!("{notice}"),
                Message::Error(error) => return Err(error.into()),
                Message::ReadyForQuery(status) => {
                    let Self { stream, decoder, .. } = self;
                    return Ok(Session {
                        stream,
                        decoder,
                        parameters,
                        key,
                        status,
                    });
                }
                _ => {
                    return Err(
                        self.violation("a message that does not belong to the start of a session".into())
                    );
                }
            }
        }
    }

    async fn authenticate(&mut self, message: backend::Message) -> Result<(), Error> {
        use backend::Message as Ask;
        let mut buffer = BytesMut::new();
        match message {
            Ask::AuthenticationOk => {
                // A server that skips the last step has not proved that it knows the password.
                return match self.scram {
                    Some(_) => Err(self.violation("the server did not finish the SCRAM exchange".into())),
                    None => Ok(()),
                };
            }
            Ask::AuthenticationCleartextPassword => {
                let password = self.password()?;
                if !self.config.is_local() {
                    return Err(self.auth_error(
                        "it wants the password in clear text, which is not sent over a network \
                         without encryption; use scram-sha-256",
                    ));
                }
                frontend::password_message(password, &mut buffer).map_err(invalid)?;
            }
            Ask::AuthenticationMd5Password(body) => {
                let user = self.config.user.as_bytes();
                let hash = authentication::md5_hash(user, self.password()?, body.salt());
                frontend::password_message(hash.as_bytes(), &mut buffer).map_err(invalid)?;
            }
            Ask::AuthenticationSasl(body) => {
                let mut mechanisms = body.mechanisms();
                let mut offered = false;
                while let Some(mechanism) = mechanisms.next().map_err(|error| self.violation(error.into()))? {
                    offered |= mechanism == sasl::SCRAM_SHA_256;
                }
                if !offered {
                    return Err(self.auth_error("it offers no authentication method known here"));
                }
                let scram = ScramSha256::new(self.password()?, ChannelBinding::unsupported());
                frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut buffer)
                    .map_err(invalid)?;
                self.scram = Some(scram);
            }
            Ask::AuthenticationSaslContinue(body) => {
                let Some(scram) = &mut self.scram else {
                    return Err(self.violation("a SCRAM message out of turn".into()));
                };
                if let Err(error) = scram.update(body.data()) {
                    return Err(self.auth_error(&error.to_string()));
                }
                frontend::sasl_response(scram.message(), &mut buffer).map_err(invalid)?;
            }
            Ask::AuthenticationSaslFinal(body) => {
                let Some(mut scram) = self.scram.take() else {
                    return Err(self.violation("a SCRAM message out of turn".into()));
                };
                let proved = scram.finish(body.data());
                return proved.map_err(|error| self.auth_error(&error.to_string()));
            }
            Ask::AuthenticationKerberosV5
            | Ask::AuthenticationGss
            | Ask::AuthenticationGssContinue(_)
            | Ask::AuthenticationSspi
            | Ask::AuthenticationScmCredential => {
                return Err(self.auth_error("it wants an authentication method that is not offered here"));
            }
            _ => return Err(self.violation("a message that does not belong to authentication".into())),
        }
        self.send(&buffer).await
    }

    fn password(&self) -> Result<&[u8], Error> {
        let password = self.config.password.as_ref().map(String::as_bytes);
        password.ok_or_else(|| self.auth_error("it wants a password, and none is configured"))
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(|error| self.broken(error))
    }

    async fn receive(&mut self) -> Result<Message, Error> {
        loop {
            match self.decoder.next(None) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(violation) => return Err(self.violation(violation)),
            }
            match self.stream.read_buf(self.decoder.buffer_mut()).await {
                Ok(0) => {
                    let ended = "the server closed the connection during the start of the session";
                    return Err(self.broken(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, ended)));
                }
                Ok(_) => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    fn auth_error(&self, reason: &str) -> Error {
        let Config { user, .. } = self.config;
        Error::Auth {
            address: self.config.address(),
            user: user.clone(),
            reason: reason.to_owned(),
        }
    }

    fn violation(&self, violation: Violation) -> Error {
        Error::Protocol {
            address: self.config.address(),
            message: violation.0.into_owned(),
        }
    }

    fn broken(&self, error: std::io::Error) -> Error {
        Error::Connect {
            address: self.config.address(),
            source: Arc::new(error),
        }
    }
}

/// postgres-protocol's only complaint about what it is to send: a NUL in a text.
fn invalid(error: std::io::Error) -> Error {
    Error::InvalidInput(error.to_string())
}
