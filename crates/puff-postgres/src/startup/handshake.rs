//! One session's start: start-up message, authentication, the server's parameters.

use std::sync::Arc;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::{backend, frontend};
use rustc_hash::FxHashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BackendKey, Route, Session};
use crate::codec::{Decoder, Message, Violation};
use crate::config::passfile::{self, Found};
use crate::config::{ChannelBinding, Config, TargetSession};
use crate::error::{ConnectFailure, Error};
use crate::rows::{CommandTag, RowsBuilder};
use crate::stream::Stream;
use crate::tls;

/// The oldest server that is talked to: major version.
const OLDEST: u32 = 10;
/// Why `channel_binding=require` refuses a server.
const UNBOUND: &str = "it cannot tie the password to the encryption (SCRAM-SHA-256-PLUS), which \
                       channel_binding=require demands";

/// A session on its way.
pub(super) struct Handshake<'a> {
    config: &'a Config,
    route: Route,
    stream: Stream,
    decoder: Decoder,
    scram: Option<ScramSha256>,
    /// Whether the exchange is bound to the encryption.
    bound: bool,
    /// Whether the server has let us in.
    authenticated: bool,
    /// Whether the server has said something in PostgreSQL's protocol.
    heard: bool,
}

impl<'a> Handshake<'a> {
    pub(super) fn new(config: &'a Config, route: Route, stream: Stream) -> Self {
        Self {
            config,
            route,
            stream,
            decoder: Decoder::new(),
            scram: None,
            bound: false,
            authenticated: false,
            heard: false,
        }
    }

    /// Starts the session on a server that is what `target` says.
    pub(super) async fn run(mut self, target: TargetSession) -> Result<Session, Error> {
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
        let (mut process_id, mut secret_key) = (0, 0);
        loop {
            match self.receive().await? {
                Message::Authentication(message) => self.authenticate(message).await?,
                Message::ParameterStatus { name, value } => {
                    parameters.insert(name, value);
                }
                Message::KeyData {
                    process_id: id,
                    secret_key: key,
                } => (process_id, secret_key) = (id, key),
                Message::Notice(notice) => tracing::debug!("{notice}"),
                Message::Error(error) => return Err(error.into()),
                Message::ReadyForQuery(status) if self.authenticated => {
                    self.check_version(&parameters)?;
                    self.check_target(&parameters, target).await?;
                    return Ok(Session {
                        stream: self.stream,
                        decoder: self.decoder,
                        parameters,
                        key: BackendKey {
                            process_id,
                            secret_key,
                            route: Arc::new(self.route),
                        },
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
        let needs_binding = self.config.channel_binding == ChannelBinding::Require;
        match message {
            Ask::AuthenticationCleartextPassword | Ask::AuthenticationMd5Password(_) if needs_binding => {
                return Err(self.auth_error(UNBOUND));
            }
            Ask::AuthenticationOk => {
                // A server that skips the last step has not proved that it knows the password.
                if self.scram.is_some() {
                    return Err(self.violation("the server did not finish the SCRAM exchange".into()));
                }
                if self.config.channel_binding == ChannelBinding::Require && !self.bound {
                    return Err(self.auth_error(UNBOUND));
                }
                self.authenticated = true;
                return Ok(());
            }
            Ask::AuthenticationCleartextPassword => {
                if !self.route.peer.is_private() {
                    return Err(self.auth_error(
                        "it wants the password in clear text, which is not sent over a network \
                         without encryption; use scram-sha-256, or sslmode=require",
                    ));
                }
                let password = self.password().await?;
                frontend::password_message(&password, &mut buffer).map_err(invalid)?;
            }
            Ask::AuthenticationMd5Password(body) => {
                let user = self.config.user.as_bytes();
                let hash = authentication::md5_hash(user, &self.password().await?, body.salt());
                frontend::password_message(hash.as_bytes(), &mut buffer).map_err(invalid)?;
            }
            Ask::AuthenticationSasl(body) => {
                let (mut plain, mut plus) = (false, false);
                let mut mechanisms = body.mechanisms();
                while let Some(mechanism) = mechanisms.next().map_err(|error| self.violation(error.into()))? {
                    plain |= mechanism == sasl::SCRAM_SHA_256;
                    plus |= mechanism == sasl::SCRAM_SHA_256_PLUS;
                }
                let (mechanism, binding) = self.mechanism(plain, plus)?;
                let scram = ScramSha256::new(&self.password().await?, binding);
                frontend::sasl_initial_response(mechanism, scram.message(), &mut buffer).map_err(invalid)?;
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

    /// Chooses among what the server offers, and what the proof is bound to.
    fn mechanism(&mut self, plain: bool, plus: bool) -> Result<(&'static str, sasl::ChannelBinding), Error> {
        let hash = match &self.stream {
            Stream::Tls(stream) if self.config.channel_binding != ChannelBinding::Disable => {
                let certificates = stream.get_ref().1.peer_certificates();
                certificates
                    .and_then(|chain| chain.first())
                    .and_then(tls::server_end_point)
            }
            _ => None,
        };
        let required = self.config.channel_binding == ChannelBinding::Require;
        match hash {
            Some(hash) if plus => {
                self.bound = true;
                Ok((
                    sasl::SCRAM_SHA_256_PLUS,
                    sasl::ChannelBinding::tls_server_end_point(hash),
                ))
            }
            _ if required => Err(self.auth_error(UNBOUND)),
            _ if !plain => Err(self.auth_error("it offers no authentication method known here")),
            // We could, the server says it cannot: it will find out if somebody in between took its offer away.
            Some(_) => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
            None => Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
        }
    }

    /// The configured password, or that of the password file.
    async fn password(&self) -> Result<Vec<u8>, Error> {
        if let Some(password) = &self.config.password {
            return Ok(password.clone().into_bytes());
        }
        let missing = "it wants a password, and none is configured";
        let Some(file) = self.config.passfile.clone() else {
            return Err(self.auth_error(missing));
        };
        let (config, server) = (self.config.clone(), self.route.peer.server.clone());
        let shown = file.display().to_string();
        let found = tokio::task::spawn_blocking(move || passfile::look_up(&file, &config, &server)).await;
        match found {
            Ok(Found::Password(password)) => Ok(password.into_bytes()),
            Ok(Found::Nothing) => Err(self.auth_error(&format!("{missing}; no line of {shown} fits"))),
            Ok(Found::Ignored(why)) => {
                Err(self.auth_error(&format!("{missing}; {shown} is not used: {why}")))
            }
            Err(error) => Err(self.auth_error(&error.to_string())),
        }
    }

    fn check_version(&self, parameters: &FxHashMap<String, String>) -> Result<(), Error> {
        let version = parameters.get("server_version").map_or("", String::as_str);
        let digits = version.split(|c: char| !c.is_ascii_digit()).next();
        // Who reports no version is a pooler or a relative of PostgreSQL: it may do.
        match digits.and_then(|digits| digits.parse::<u32>().ok()) {
            Some(major) if major < OLDEST => Err(self.failed(ConnectFailure::TooOld(version.to_owned()))),
            _ => Ok(()),
        }
    }

    /// Runs one statement with one cell as its answer.
    pub(super) async fn ask(&mut self, sql: &str) -> Result<String, Error> {
        let mut buffer = BytesMut::new();
        frontend::query(sql, &mut buffer).map_err(invalid)?;
        self.send(&buffer).await?;
        let mut rows = RowsBuilder::new(None);
        let mut failure = None;
        loop {
            match self.receive_into(Some(&mut rows)).await? {
                Message::RowDescription(columns) => rows = RowsBuilder::new(Some(columns)),
                Message::Error(error) => failure = Some(error),
                Message::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        if let Some(error) = failure {
            return Err(error.into());
        }
        let rows = rows.finish(CommandTag::default());
        match (rows.is_empty(), rows.columns().is_empty()) {
            (false, false) => Ok(rows.text(0, 0).unwrap_or_default().to_owned()),
            _ => Err(self.violation("no answer to a question about the server".into())),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(|error| self.broken(error))
    }

    async fn receive(&mut self) -> Result<Message, Error> {
        self.receive_into(None).await
    }

    async fn receive_into(&mut self, mut rows: Option<&mut RowsBuilder>) -> Result<Message, Error> {
        loop {
            if !self.heard {
                self.check_first_words()?;
            }
            match self.decoder.next(rows.as_deref_mut()) {
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

    /// Whoever does not speak PostgreSQL shows it at once: a message begins with its type and its length, and
    /// only few types open a session.
    fn check_first_words(&mut self) -> Result<(), Error> {
        let words = &self.decoder.buffer_mut()[..];
        let Some((head, _)) = words.split_first_chunk::<5>() else {
            return Ok(());
        };
        let [tag, length @ ..] = *head;
        // libpq's bound: nobody answers a start with more.
        let plausible = (4..=30_000).contains(&u32::from_be_bytes(length));
        if !plausible || !matches!(tag, b'R' | b'E' | b'N' | b'v') {
            let failure = ConnectFailure::not_postgres(words);
            return Err(self.failed(failure));
        }
        self.heard = true;
        Ok(())
    }

    fn auth_error(&self, reason: &str) -> Error {
        Error::Auth {
            address: self.route.peer.to_string(),
            user: self.config.user.clone(),
            reason: reason.to_owned(),
        }
    }

    fn violation(&self, violation: Violation) -> Error {
        Error::Protocol {
            address: self.route.peer.to_string(),
            message: violation.0.into_owned(),
        }
    }

    fn broken(&self, error: std::io::Error) -> Error {
        self.failed(error.into())
    }

    pub(super) fn failed(&self, failure: ConnectFailure) -> Error {
        Error::Connect {
            address: self.route.peer.to_string(),
            failure,
        }
    }
}

/// postgres-protocol's only complaint about what it is to send: a NUL in a text.
fn invalid(error: std::io::Error) -> Error {
    Error::InvalidInput(error.to_string())
}
