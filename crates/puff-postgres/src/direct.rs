//! A session that its user drives: no task, no runtime, one exchange at a time.
//!
//! A [`Connection`](crate::Connection) has a task on Tokio that serves many callers at once; each statement
//! then costs two hand-overs between threads. Where one thread sends a statement and waits for its answer, as
//! a DB-API driver does, these hand-overs are most of the cost: 25 us of CPU for `SELECT 1`, against 6 us
//! with the socket in the thread's own hands.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use rustc_hash::FxHashMap;

use crate::codec::{Decoder, Message};
use crate::config::Config;
use crate::connection::CancelToken;
use crate::error::Error;
use crate::rows::{CommandTag, Rows, RowsBuilder};
use crate::session_state;
use crate::startup::{self, BackendKey, Peer, Session};
use crate::{DbError, Notification, TransactionStatus};
use wire::Wire;

pub use socket::wait_for_socket;

mod member;
mod query;
mod settle;
mod socket;
mod tls_socket;
mod wire;

/// Data of a copy out is handed on in pieces of about this size.
const COPY_CHUNK: usize = 64 * 1024;
/// How many notices are kept until someone takes them; the oldest leave.
const MAX_NOTICES: usize = 50;
/// How many notifications are kept until someone takes them; the oldest leave, with a warning in the log.
const MAX_NOTIFICATIONS: usize = 100_000;
/// PostgreSQL takes no message above 1 GiB.
const MAX_SQL: usize = 0x3fff_ff00;

/// One session with a PostgreSQL server, for one owner that drives it.
///
/// A statement is an *exchange*: [`start`](Self::start) it, then call [`advance`](Self::advance) until it says
/// that it is done. `advance` never blocks; when it says [`Step::Wait`], wait until the socket
/// ([`AsFd`]) can be read, by a reactor of your own or by [`wait`](Self::wait).
///
/// Dropping it closes the socket; a statement that runs goes on at the server until it notices.
///
/// ```no_run
/// # async fn example() -> Result<(), puff_postgres::Error> {
/// use std::time::Duration;
/// use puff_postgres::{DirectConnection, Step};
///
/// let mut session = DirectConnection::open(&"postgres://ada@localhost/shop".parse()?).await?;
/// session.start(b"SELECT 42 AS answer", None)?;
/// let rows = loop {
///     match session.advance() {
///         Step::Done(answer) => break answer?,
///         Step::Wait { write } => drop(session.wait(write, Duration::from_secs(1))?),
///         Step::CopyOut(_) | Step::CopyIn => unreachable!("it is no COPY"),
///     }
/// };
/// assert_eq!(rows.text(0, 0), Some("42"));
/// # Ok(())
/// # }
/// ```
pub struct DirectConnection {
    wire: Wire,
    decoder: Decoder,
    exchange: Option<Exchange>,
    status: TransactionStatus,
    parameters: FxHashMap<String, String>,
    notices: VecDeque<DbError>,
    notifications: VecDeque<Notification>,
    config: Arc<Config>,
    key: BackendKey,
    /// Whether a command tag has shown state that outlives a transaction.
    session_state: bool,
    /// Why nothing can be sent any more.
    closed: Option<Error>,
}

/// What an exchange needs next.
#[derive(Debug)]
pub enum Step {
    /// Nothing can be done until the socket can be read, or written if `write` says so.
    Wait {
        /// Whether there are bytes to send that the socket had no room for.
        write: bool,
    },
    /// Data of a `COPY ... TO STDOUT`; advance again for more.
    CopyOut(Bytes),
    /// The server takes data of a `COPY ... FROM STDIN`: [`DirectConnection::copy_data`] or
    /// [`DirectConnection::copy_end`], then advance.
    CopyIn,
    /// The exchange is over: the answer to its last statement, or the first error.
    Done(Result<Rows, Error>),
}

/// What has arrived of an answer.
#[derive(Default)]
struct Exchange {
    rows: Option<RowsBuilder>,
    last: Option<Rows>,
    error: Option<Error>,
    copy: Copy,
    /// The server has asked for data, so that its verdict may have come long before the data's end.
    fed: bool,
    /// Nobody waits for the answer.
    abandoned: bool,
    /// A `BEGIN` was sent ahead whose success has not been confirmed.
    beginning: bool,
    /// A Sync follows the statement: it is one of the extended protocol.
    synced: bool,
}

#[derive(Default)]
enum Copy {
    #[default]
    No,
    /// What has come of a copy out.
    Out(BytesMut),
    /// What is to be sent yet of a copy in.
    In(Bytes),
}

impl DirectConnection {
    /// Opens a session. Runs on Tokio, the session afterwards without it.
    ///
    /// # Errors
    /// As [`Connection::connect`](crate::Connection::connect).
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let Session {
            stream,
            decoder,
            parameters,
            key,
            status,
        } = startup::open(config).await?;
        Ok(Self {
            wire: Wire::detach(stream)?,
            decoder,
            exchange: None,
            status,
            parameters,
            notices: VecDeque::new(),
            notifications: VecDeque::new(),
            config: Arc::new(config.clone()),
            key,
            session_state: false,
            closed: None,
        })
    }

    /// Starts an exchange: any number of statements in one text, in the session's client encoding.
    ///
    /// If no transaction is open, `begin` (such as `BEGIN READ ONLY`) is run first, in the same packet. If it
    /// fails, `sql` is not run.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an exchange is under way or one of them contains a NUL; [`Error::Closed`].
    pub fn start(&mut self, sql: &[u8], begin: Option<&str>) -> Result<(), Error> {
        self.check_free()?;
        check(sql)?;
        let begin = begin.filter(|_| self.status == TransactionStatus::Idle);
        self.session_state |= session_state::left_by_text(sql);
        let out = &mut self.wire.outgoing;
        if let Some(begin) = begin {
            put_ahead(begin, out)?;
        }
        out.put_u8(b'Q');
        out.put_u32(sql.len() as u32 + 5);
        out.put_slice(sql);
        out.put_u8(0);
        self.exchange = Some(Exchange {
            beginning: begin.is_some(),
            ..Exchange::default()
        });
        Ok(())
    }

    /// # Errors
    /// Why no exchange can be started now.
    fn check_free(&self) -> Result<(), Error> {
        if let Some(error) = &self.closed {
            return Err(error.clone());
        }
        if self.exchange.is_some() {
            let text = "the session is busy: an exchange is under way".to_owned();
            return Err(Error::InvalidInput(text));
        }
        Ok(())
    }

    /// Sends and reads as far as the socket allows; never blocks.
    ///
    /// Without an exchange it reads what the server has sent unasked (notifications, its farewell), and says
    /// [`Step::Wait`] or, if the connection is lost, [`Step::Done`] with the error.
    pub fn advance(&mut self) -> Step {
        if let Some(error) = &self.closed {
            self.exchange = None;
            return Step::Done(Err(error.clone()));
        }
        let sending = self.wire.is_sending();
        let written = self.wire.write();
        let sent = sending && !self.wire.is_sending() && written.is_ok();
        loop {
            match self.decode() {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(error) => return self.lose(error),
            }
            if let Some(Exchange {
                copy: Copy::In(data), ..
            }) = &mut self.exchange
                && written.is_ok()
                && self.wire.send_copied(data)
            {
                // The server speaks up if it dislikes the data; that is seen at the next wait or the end.
                return Step::CopyIn;
            }
            if sent && self.exchange.as_ref().is_none_or(|exchange| !exchange.fed) {
                // No answer is there yet: do not ask the system for it, but wait.
                return Step::Wait { write: false };
            }
            match self.wire.socket.read(self.decoder.buffer_mut()) {
                Ok(0) => {
                    let gone = "server closed the connection unexpectedly";
                    // Its last words, if there were any, are the error already.
                    let gone = written
                        .err()
                        .unwrap_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, gone));
                    return self.lose(gone.into());
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Err(error) = written {
                        return self.lose(error.into());
                    }
                    self.wire.waits();
                    let write = self.wire.is_sending() || self.is_copying_in();
                    return Step::Wait { write };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(error.into()),
            }
        }
    }

    /// Hands over data for a `COPY ... FROM STDIN` that asked for it; what the socket has no room for is kept,
    /// and sent by [`advance`](Self::advance). Whether there is room for more before that.
    pub fn copy_data(&mut self, data: Bytes) -> bool {
        let Some(Exchange {
            copy: Copy::In(left), ..
        }) = &mut self.exchange
        else {
            return false;
        };
        *left = data;
        self.wire.send_copied(left)
    }

    /// Ends the data of a `COPY ... FROM STDIN`: all has been handed over, or `failure` says why it was not,
    /// and the statement fails with that text.
    pub fn copy_end(&mut self, failure: Option<&str>) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        exchange.copy = Copy::No;
        let synced = exchange.synced;
        match failure {
            // What it was is told to the server's log; a NUL cannot be.
            Some(text) => drop(frontend::copy_fail(
                &text.replace('\0', " "),
                &mut self.wire.outgoing,
            )),
            None => frontend::copy_done(&mut self.wire.outgoing),
        }
        if synced {
            // The one behind the statement went by unseen, as part of the copy.
            frontend::sync(&mut self.wire.outgoing);
        }
    }

    /// Nobody waits for the answer of the exchange any more: what arrives of it is thrown away.
    /// [`advance`](Self::advance) on until it is done. To have the server stop, use the
    /// [`cancel_token`](Self::cancel_token).
    pub fn abandon(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.abandoned = true;
            exchange.rows = None;
            exchange.last = None;
            if matches!(exchange.copy, Copy::In(_)) {
                self.copy_end(Some("the client gave up"));
            }
        }
    }

    /// Blocks the thread until the socket can be read, or written if `write`, for at most `limit`; whether it
    /// can. A signal ends the wait early.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self, write: bool, limit: Duration) -> Result<bool, Error> {
        wait_for_socket(&self.wire, write, limit)
    }

    /// The socket once more, to wait for it elsewhere.
    ///
    /// # Errors
    /// When the process may open no more files.
    pub fn duplicate_socket(&self) -> Result<OwnedFd, Error> {
        Ok(self.as_fd().try_clone_to_owned()?)
    }

    /// Whether an exchange is under way.
    pub fn is_busy(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether data of a copy in waits for room.
    fn is_copying_in(&self) -> bool {
        matches!(&self.exchange, Some(Exchange { copy: Copy::In(data), .. }) if !data.is_empty())
    }

    /// Why nothing can be sent any more, if that is so.
    pub fn closed(&self) -> Option<&Error> {
        self.closed.as_ref()
    }

    /// Whether the next holder would find it as the last one did: nothing under way, no transaction, and no
    /// command has been seen that leaves something in a session.
    pub fn is_clean(&self) -> bool {
        self.closed.is_none()
            && !self.is_busy()
            && self.status == TransactionStatus::Idle
            && !self.session_state
    }

    /// The transaction state after the last answer.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    /// A parameter that the server reports, such as `server_version` or `TimeZone`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The process that serves this session, as in `pg_stat_activity`.
    pub fn process_id(&self) -> i32 {
        self.key.process_id
    }

    /// The server at the other end.
    pub fn peer(&self) -> &Peer {
        &self.key.route.peer
    }

    /// What the session was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What stops the session's statements from anywhere.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken::new(self.key.clone())
    }

    /// The notices since the last call: the latest 50.
    pub fn take_notices(&mut self) -> VecDeque<DbError> {
        std::mem::take(&mut self.notices)
    }

    /// The notifications since the last call.
    pub fn take_notifications(&mut self) -> VecDeque<Notification> {
        std::mem::take(&mut self.notifications)
    }

    /// Ends the session: says goodbye if the socket has room for it, and shuts the socket down, also for
    /// those who hold a duplicate of it.
    pub fn close(mut self) {
        if self.closed.is_none() && !self.is_busy() {
            frontend::terminate(&mut self.wire.outgoing);
            // A server that does not read the word sees the socket's end.
            let _ = self.wire.write();
        }
        self.wire.socket.shut_down();
    }

    /// Reads messages out of the buffer until one asks for something, or none is left.
    fn decode(&mut self) -> Result<Option<Step>, Error> {
        loop {
            let mut chunk = None;
            let message = match &mut self.exchange {
                Some(Exchange {
                    copy: Copy::Out(data),
                    abandoned,
                    ..
                }) => {
                    let mut message = self.decoder.next_copied(data, COPY_CHUNK);
                    while *abandoned && data.len() >= COPY_CHUNK && matches!(message, Ok(None)) {
                        // It stopped because that is enough at a time, not because nothing more is there.
                        data.clear();
                        message = self.decoder.next_copied(data, COPY_CHUNK);
                    }
                    if *abandoned {
                        data.clear();
                    } else if !data.is_empty() {
                        chunk = Some(data.split().freeze());
                    }
                    message
                }
                Some(exchange) => self.decoder.next(exchange.rows.as_mut()),
                None => self.decoder.next(None),
            };
            let message = message.map_err(|violation| Error::Protocol {
                address: self.config.address(),
                message: violation.0.into_owned(),
            })?;
            let step = match message {
                Some(message) => self.receive(message)?,
                None if chunk.is_none() => return Ok(None),
                None => None,
            };
            // Data first; whatever ended it only set the state for what follows.
            if let Some(chunk) = chunk {
                return Ok(Some(Step::CopyOut(chunk)));
            }
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    fn receive(&mut self, message: Message) -> Result<Option<Step>, Error> {
        match message {
            Message::Notice(notice) => drop(keep(&mut self.notices, notice, MAX_NOTICES)),
            Message::Notification(notification) => {
                if keep(&mut self.notifications, notification, MAX_NOTIFICATIONS) {
                    tracing::warn!("{MAX_NOTIFICATIONS} notifications wait to be read: the oldest is lost");
                }
            }
            Message::ParameterStatus { name, value } => drop(self.parameters.insert(name, value)),
            message if self.exchange.is_some() => return self.answer(message),
            Message::Error(error) if error.is_fatal() => return Err(error.into()),
            Message::Error(error) => tracing::debug!("PostgreSQL, unasked: {error}"),
            _ => return Err(self.violation("an answer to nothing")),
        }
        Ok(None)
    }

    /// Takes a message that belongs to the exchange.
    fn answer(&mut self, message: Message) -> Result<Option<Step>, Error> {
        let Some(exchange) = &mut self.exchange else {
            return Ok(None);
        };
        match message {
            Message::ParseComplete | Message::BindComplete | Message::NoData => {}
            Message::RowDescription(columns) => exchange.rows = Some(RowsBuilder::new(Some(columns))),
            Message::CommandComplete(_) if exchange.beginning => exchange.beginning = false,
            Message::CommandComplete(tag) => {
                let left = session_state::left_by_command(tag.as_str());
                self.session_state = left.unwrap_or(self.session_state);
                exchange.complete(tag);
            }
            Message::EmptyQuery => exchange.complete(CommandTag::default()),
            Message::CopyOut => exchange.copy = Copy::Out(BytesMut::new()),
            Message::CopyDone => exchange.copy = Copy::No,
            Message::CopyIn if exchange.abandoned => self.copy_end(Some("the client gave up")),
            Message::CopyIn => {
                exchange.copy = Copy::In(Bytes::new());
                exchange.fed = true;
            }
            Message::Error(error) => {
                exchange.copy = Copy::No;
                exchange.rows = None;
                exchange.error.get_or_insert(error.into());
                if std::mem::take(&mut exchange.beginning) && !exchange.synced {
                    // The server ignores what followed up to a Sync, and answers only to that.
                    frontend::sync(&mut self.wire.outgoing);
                    self.wire.write()?;
                }
            }
            Message::ReadyForQuery(status) => {
                self.status = status;
                return Ok(self.exchange.take().map(|exchange| Step::Done(exchange.finish())));
            }
            _ => return Err(self.violation("a message out of turn")),
        }
        Ok(None)
    }

    /// The connection is gone; the server's last word, if there was one, says why.
    fn lose(&mut self, error: Error) -> Step {
        let last_word = self.exchange.take().and_then(|exchange| exchange.error);
        let error = last_word.filter(Error::is_connection_lost).unwrap_or(error);
        self.status = TransactionStatus::Idle;
        self.closed = Some(Error::Closed {
            reason: error.to_string(),
        });
        Step::Done(Err(error))
    }

    fn violation(&self, message: &str) -> Error {
        Error::Protocol {
            address: self.config.address(),
            message: message.to_owned(),
        }
    }
}

impl Exchange {
    fn complete(&mut self, tag: CommandTag) {
        let rows = self.rows.take().unwrap_or_else(|| RowsBuilder::new(None));
        self.last = (!self.abandoned).then(|| rows.finish(tag));
    }

    fn finish(self) -> Result<Rows, Error> {
        match (self.error, self.last) {
            (Some(error), _) => Err(error),
            (None, Some(rows)) => Ok(rows),
            (None, None) => Ok(RowsBuilder::new(None).finish(CommandTag::default())),
        }
    }
}

/// Adds to a bounded list; whether the oldest had to leave for it.
fn keep<T>(list: &mut VecDeque<T>, item: T, limit: usize) -> bool {
    let full = list.len() >= limit;
    if full {
        list.pop_front();
    }
    list.push_back(item);
    full
}

/// Writes a statement that runs before another: in the extended protocol and without a Sync. If it fails, the
/// server throws away all that follows up to a Sync, so that the other never runs without it.
fn put_ahead(sql: &str, out: &mut BytesMut) -> Result<(), Error> {
    // What is half written would go ahead of the next statement.
    check(sql.as_bytes())?;
    let invalid = |error: io::Error| Error::InvalidInput(error.to_string());
    frontend::parse("", sql, [], out).map_err(invalid)?;
    out.put_slice(b"B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0");
    Ok(())
}

fn check(sql: &[u8]) -> Result<(), Error> {
    if memchr::memchr(0, sql).is_some() {
        let text = "the statement contains a NUL (0x00) character, which PostgreSQL's text cannot";
        return Err(Error::InvalidInput(text.to_owned()));
    }
    if sql.len() > MAX_SQL {
        let text = format!(
            "the statement takes {} bytes; PostgreSQL's limit is 1 GiB",
            sql.len()
        );
        return Err(Error::InvalidInput(text));
    }
    Ok(())
}

impl AsFd for DirectConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

impl std::fmt::Debug for DirectConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectConnection")
            .field("server", &self.config.address())
            .field("process_id", &self.key.process_id)
            .field("transaction_status", &self.status)
            .field("is_busy", &self.is_busy())
            .finish()
    }
}
