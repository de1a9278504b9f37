//! The task that owns a connection's socket.
//!
//! Callers put requests into a bounded queue; the task writes whatever is queued in one go and matches the
//! answers, which the server gives in the same order. Every request ends with its own Sync, so that one
//! failure does not touch its neighbours, and the request at the front of `in_flight` is always the one the
//! server is talking about.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use parking_lot::RwLock;
use postgres_protocol::message::frontend;
use rustc_hash::FxHashMap;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use crate::codec::{Decoder, Message, Violation};
use crate::config::Config;
use crate::error::Error;
use crate::in_flight::{InFlight, Kind, RunningQuery};
use crate::listener::NotificationQueue;
use crate::request::Request;
use crate::rows::CommandTag;
use crate::session_state;
use crate::startup::{BackendKey, Session};
use crate::statement::{Statement, StatementCache};
use crate::stream::Stream;
use crate::{DbError, TransactionStatus, cancel};
use alone::Cancelling;
use copy::Copy;

mod alone;
mod copy;

pub(crate) use copy::Channel;

/// How many requests may wait for the task, and how many for the server.
pub(crate) const MAX_QUEUED: usize = 128;
/// What the write buffer begins with.
const OUTGOING_SIZE: usize = 4096;
/// No request is taken from the queue while more than this waits to be written.
const MAX_OUTGOING: usize = 1024 * 1024;
/// How long the end of a session may take before the socket is simply dropped.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

const NO_COPY: &str = "COPY from or to the client is not possible in a query: use copy_in or copy_out";

/// What the task tells its connection's handle without being asked.
pub(crate) struct Shared {
    status: AtomicU8,
    /// Requests that were handed over and are not answered; abandoned ones count until they are drained.
    pub(crate) outstanding: AtomicUsize,
    /// Whether a command tag has shown that the session carries more than the transaction state.
    pub(crate) session_state: AtomicBool,
    pub(crate) parameters: RwLock<FxHashMap<String, String>>,
    /// Why the connection ended.
    pub(crate) closed: OnceLock<String>,
}

impl Shared {
    pub(crate) fn status(&self) -> TransactionStatus {
        TransactionStatus::from_byte(self.status.load(Ordering::Acquire)).unwrap_or(TransactionStatus::Failed)
    }
}

pub(crate) struct Actor {
    stream: Stream,
    decoder: Decoder,
    outgoing: BytesMut,
    requests: mpsc::Receiver<Request>,
    /// Closed when the handle is gone, also while requests wait that nobody waits for.
    released: oneshot::Receiver<()>,
    /// A request that waits until it may be sent.
    held: Option<Request>,
    in_flight: VecDeque<InFlight>,
    /// The copy that is the only one in flight, if it is one.
    copy: Option<Copy>,
    cancelling: Cancelling,
    statements: StatementCache,
    /// Statements to close on the server along with the next query.
    leaving: Vec<Arc<Statement>>,
    shared: Arc<Shared>,
    config: Arc<Config>,
    key: BackendKey,
    notifications: Option<Arc<NotificationQueue>>,
    /// The error after which the server ends the session.
    fatal: Option<DbError>,
}

/// Why the task ends.
enum End {
    /// The handle is gone.
    Released,
    /// The socket broke or the server left.
    Broken(io::Error),
    /// The session cannot go on.
    Failed(Error),
}

impl From<Violation> for End {
    fn from(Violation(message): Violation) -> Self {
        // The address is filled in where it is known.
        Self::Failed(Error::Protocol {
            address: String::new(),
            message: message.into_owned(),
        })
    }
}

impl Actor {
    pub(crate) fn new(
        session: Session,
        config: Arc<Config>,
        (requests, released): (mpsc::Receiver<Request>, oneshot::Receiver<()>),
        notifications: Option<Arc<NotificationQueue>>,
    ) -> (Self, Arc<Shared>) {
        let Session {
            stream,
            decoder,
            parameters,
            key,
            status,
        } = session;
        let shared = Arc::new(Shared {
            status: AtomicU8::new(status.to_byte()),
            outstanding: AtomicUsize::new(0),
            session_state: AtomicBool::new(false),
            parameters: RwLock::new(parameters),
            closed: OnceLock::new(),
        });
        let actor = Self {
            stream,
            decoder,
            outgoing: BytesMut::with_capacity(OUTGOING_SIZE),
            requests,
            released,
            held: None,
            in_flight: VecDeque::new(),
            copy: None,
            cancelling: Cancelling::default(),
            statements: StatementCache::new(match config.pgbouncer {
                true => 0,
                false => config.statement_cache_size,
            }),
            leaving: Vec::new(),
            shared: shared.clone(),
            config,
            key,
            notifications,
            fatal: None,
        };
        (actor, shared)
    }

    /// Serves the connection until its handle is dropped or the server is lost.
    pub(crate) async fn run(mut self) {
        let end = std::future::poll_fn(|cx| self.poll(cx)).await;
        match end {
            End::Released => {
                let _ = self.shared.closed.set("it was released".to_owned());
                let _ = tokio::time::timeout(FAREWELL_LIMIT, self.leave()).await;
            }
            End::Broken(error) => self.give_up(error.into()),
            End::Failed(error) => self.give_up(error),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if self.accept(cx).is_ready() {
                return Poll::Ready(End::Released);
            }
            let was_full = !self.has_room();
            let more = match self.feed(cx) {
                Ok(more) => more,
                Err(error) => return Poll::Ready(End::Broken(error)),
            };
            if let Poll::Ready(Err(error)) = self.write(cx) {
                // The server's last words, if it has said any, explain more than a broken pipe.
                while let Poll::Ready(Ok(())) = self.read(cx) {}
                return Poll::Ready(End::Broken(error));
            }
            // Answers make room for requests and may need replies, so after each read all starts over.
            match self.read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                // So does writing.
                Poll::Pending if was_full && self.has_room() => {}
                Poll::Pending if more && self.outgoing.is_empty() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes requests until there are enough; ready when the handle is gone.
    fn accept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.released).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            // Each time: what was sent just now may be what has to be watched.
            self.watch(cx);
            match self.held.take() {
                Some(request) if request.is_abandoned() => self.forget(),
                Some(request) if self.may_submit(&request) => self.submit(request),
                Some(request) => {
                    self.held = Some(request);
                    return Poll::Pending;
                }
                None => match ready!(self.requests.poll_recv(cx)) {
                    Some(request) => self.held = Some(request),
                    None => return Poll::Ready(()),
                },
            }
        }
    }

    fn may_submit(&self, request: &Request) -> bool {
        if self.cancelling.is_dangerous() {
            return false;
        }
        // Behind PgBouncer each request may get another session, so that none is sent before the last has ended.
        let alone = request.is_alone() || self.config.pgbouncer;
        match self.in_flight.back() {
            None => true,
            Some(last) => !alone && !last.alone && self.has_room(),
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < MAX_QUEUED && self.outgoing.len() < MAX_OUTGOING
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.outgoing.advance(written),
            }
        }
        if self.outgoing.try_reclaim(MAX_OUTGOING + 1) {
            // A huge request has been written: do not keep its memory for the rest of the connection's life.
            self.outgoing = BytesMut::with_capacity(OUTGOING_SIZE);
        }
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        // What the reader of a copy had no room for.
        if self.copy.is_some() && ready!(self.decode(cx))? {
            return Poll::Ready(Ok(()));
        }
        let read = pin!(self.stream.read_buf(self.decoder.buffer_mut()));
        match ready!(read.poll(cx)) {
            Ok(0) => {
                let left = "the server closed the connection";
                return Poll::Ready(Err(End::Broken(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    left,
                ))));
            }
            Ok(_) => {}
            Err(error) => return Poll::Ready(Err(End::Broken(error))),
        }
        ready!(self.decode(cx))?;
        Poll::Ready(Ok(()))
    }

    /// A request that nobody waits for was not sent.
    fn forget(&self) {
        self.shared.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    fn submit(&mut self, request: Request) {
        let (start, alone) = (self.outgoing.len(), request.is_alone());
        let names_state = request.names_state();
        let (encoded, kind) = match request {
            Request::Simple { sql, reply } => {
                (frontend::query(&sql, &mut self.outgoing), Kind::Simple(reply))
            }
            Request::Sync { reply } => {
                frontend::sync(&mut self.outgoing);
                (Ok(()), Kind::Sync(reply))
            }
            Request::Copy {
                sql,
                channel,
                revoked,
                reply,
            } => {
                self.copy = Some(Copy::new(channel, revoked));
                (frontend::query(&sql, &mut self.outgoing), Kind::Copy(reply))
            }
            Request::Unattended { sql } => (frontend::query(&sql, &mut self.outgoing), Kind::Unattended),
            Request::Query { query, reply, .. } => {
                let (statement, prepares) = self.statement_for(&query);
                let running = RunningQuery {
                    query,
                    statement,
                    reply,
                    prepares,
                    prepared: false,
                    bound: false,
                    repeated: false,
                };
                (self.encode(&running), Kind::Query(Box::new(running)))
            }
        };
        self.push(InFlight::new(kind, alone, names_state), encoded, start);
    }

    /// The prepared statement for `query`, and whether the server has yet to prepare it.
    fn statement_for(&mut self, query: &crate::request::Query) -> (Arc<Statement>, bool) {
        if let Some(statement) = self.statements.get(&query.key) {
            return (statement, false);
        }
        let (statement, evicted) = self.statements.insert(&query.key);
        self.leaving.extend(evicted);
        (statement, true)
    }

    fn encode(&mut self, running: &RunningQuery) -> io::Result<()> {
        for statement in self.leaving.drain(..) {
            frontend::close(b'S', &statement.name, &mut self.outgoing)?;
        }
        running
            .query
            .encode(&running.statement, running.prepares, &mut self.outgoing)
    }

    fn receive(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Notice(notice) => {
                tracing::debug!("PostgreSQL: {notice}");
                return Ok(());
            }
            Message::ParameterStatus { name, value } => {
                self.shared.parameters.write().insert(name, value);
                return Ok(());
            }
            Message::ReadyForQuery(status) => return self.ready(status),
            Message::Notification(notification) => {
                if let Some(queue) = &self.notifications {
                    queue.push(notification);
                }
                return Ok(());
            }
            Message::CopyDone => {
                if let Some(copy) = &mut self.copy {
                    copy.end();
                }
                return Ok(());
            }
            Message::Error(error) => {
                if let Some(copy) = &mut self.copy {
                    copy.end();
                }
                if error.is_fatal() {
                    self.fatal = Some(error.clone());
                }
                match self.in_flight.front_mut() {
                    Some(front) => front.fail(error.into()),
                    None => tracing::debug!("PostgreSQL, unasked: {error}"),
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(front) = self.in_flight.front_mut() else {
            return Err(Violation::from("an answer to nothing").into());
        };
        match message {
            Message::ParseComplete => front.prepared(),
            Message::BindComplete => front.bound(),
            Message::NoData => front.describe(None),
            Message::RowDescription(columns) => front.describe(Some(columns)),
            Message::EmptyQuery => front.complete(CommandTag::default()),
            Message::CommandComplete(tag) => {
                note_session_state(&tag, &self.shared, &mut self.statements);
                front.complete(tag);
            }
            Message::CopyIn if self.copy.as_mut().is_some_and(Copy::begin_in) => front.begin_copy(),
            Message::CopyIn => return self.refuse_copy(),
            Message::CopyOut if self.copy.as_mut().is_some_and(Copy::begin_out) => front.begin_copy(),
            // The data is dropped as it comes; the server ends the copy by itself.
            Message::CopyOut => front.fail(copy_unsupported(&front.kind)),
            _ => return Err(Violation::from("a message out of turn").into()),
        }
        Ok(())
    }

    /// Ends a `COPY ... FROM STDIN` that no data can follow.
    fn refuse_copy(&mut self) -> Result<(), End> {
        // A server that waits for data takes the requests behind as a broken copy, and swallows them in a
        // way that depends on their kind. Their answers could not be told apart.
        if self.in_flight.len() > 1 {
            return Err(End::Failed(Error::Unsupported(NO_COPY.to_owned())));
        }
        if let Some(front) = self.in_flight.front_mut() {
            let refused = frontend::copy_fail("this client does not send copy data here", &mut self.outgoing);
            refused.map_err(End::Broken)?;
            if matches!(front.kind, Kind::Query(_)) {
                // The Sync that was sent with the query is ignored during a copy.
                frontend::sync(&mut self.outgoing);
            }
            front.fail(copy_unsupported(&front.kind));
        }
        Ok(())
    }

    /// The server is done with the request at the front.
    fn ready(&mut self, status: TransactionStatus) -> Result<(), End> {
        let Some(mut front) = self.in_flight.pop_front() else {
            return Err(Violation::from("an answer to nothing").into());
        };
        self.shared.status.store(status.to_byte(), Ordering::Release);
        if front.leaves_state() {
            // Whatever has become of it: a lock outlives an error.
            self.shared.session_state.store(true, Ordering::Release);
        }
        if self.copy.take().is_some_and(|copy| copy.is_lost()) {
            front.fail(Error::Closed {
                reason: "it was given back before its copy was read".to_owned(),
            });
        }
        self.cancelling.over();
        if let (Kind::Query(running), Some(error)) = (&front.kind, front.error()) {
            let undescribed = running.prepares && !running.statement.is_described();
            let outdated = running.is_outdated(error);
            let repeat = running.may_repeat(error, status) && !running.reply.is_closed();
            if undescribed || outdated {
                self.statements.remove(&running.query.key, &running.statement);
                if (outdated || running.prepared) && !running.statement.name.is_empty() {
                    self.leaving.push(running.statement.clone());
                }
            }
            if repeat && let Kind::Query(running) = front.kind {
                self.repeat(running, front.alone);
                return Ok(());
            }
        }
        self.answer(front);
        Ok(())
    }

    /// Sends a query again with a freshly prepared statement.
    fn repeat(&mut self, mut running: Box<RunningQuery>, alone: bool) {
        running.repeated |= running.statement.is_described();
        (running.statement, running.prepares) = self.statement_for(&running.query);
        running.prepared = false;
        let start = self.outgoing.len();
        let encoded = self.encode(&running);
        self.push(InFlight::new(Kind::Query(running), alone, false), encoded, start);
    }

    /// Lines up a request whose bytes begin at `start` of what is to be written.
    fn push(&mut self, mut in_flight: InFlight, encoded: io::Result<()>, start: usize) {
        match encoded {
            Ok(()) => self.in_flight.push_back(in_flight),
            Err(error) => {
                self.outgoing.truncate(start);
                self.copy = None;
                in_flight.fail(Error::InvalidInput(error.to_string()));
                self.answer(in_flight);
            }
        }
    }

    /// Hands over an answer. The counter goes first: whoever has its answer may look whether the connection
    /// is quiet.
    fn answer(&self, in_flight: InFlight) {
        self.shared.outstanding.fetch_sub(1, Ordering::AcqRel);
        in_flight.finish();
    }

    /// Tells everyone who waits why nothing more will come.
    fn give_up(mut self, error: Error) {
        let error = match error {
            Error::Protocol { message, .. } => Error::Protocol {
                address: self.config.address(),
                message,
            },
            other => other,
        };
        let reason = match &self.fatal {
            Some(fatal) => fatal.to_string(),
            None => error.to_string(),
        };
        tracing::debug!("a PostgreSQL connection ended: {reason}");
        let _ = self.shared.closed.set(reason.clone());
        self.requests.close();
        let mut front = true;
        for mut in_flight in std::mem::take(&mut self.in_flight) {
            // The server's last error belongs to what it was doing.
            match self.fatal.take_if(|_| front) {
                Some(fatal) => in_flight.fail(fatal.into()),
                None => in_flight.fail(error.clone()),
            }
            front = false;
            self.answer(in_flight);
        }
        while let Some(request) = self.held.take().or_else(|| self.requests.try_recv().ok()) {
            self.forget();
            request.fail(Error::Closed {
                reason: reason.clone(),
            });
        }
    }

    /// Ends the session in peace. Nobody waits for the answers that are still due.
    async fn leave(&mut self) {
        if !self.in_flight.is_empty() {
            // The server would finish a long statement before it noticed that the client left.
            if let Err(error) = cancel::cancel(&self.key, FAREWELL_LIMIT).await {
                tracing::debug!("{error}");
            }
        }
        frontend::terminate(&mut self.outgoing);
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut nowhere = tokio::io::sink();
        // Read until the server's end: after that it no longer counts the session. Both at once, because a
        // server that cannot get rid of its answer reads nothing.
        let _ = tokio::join!(
            writer.write_all(&self.outgoing),
            tokio::io::copy(&mut reader, &mut nowhere)
        );
    }
}

/// Learns from a command tag what the server knows about the session now.
fn note_session_state(tag: &CommandTag, shared: &Shared, statements: &mut StatementCache) {
    if let Some(state) = session_state::left_by_command(tag.as_str()) {
        shared.session_state.store(state, Ordering::Release);
    }
    if matches!(tag.as_str(), "DISCARD ALL" | "DEALLOCATE ALL") {
        statements.clear();
    }
}

/// A copy that nobody is ready for.
fn copy_unsupported(kind: &Kind) -> Error {
    match kind {
        Kind::Copy(_) => Error::InvalidInput(
            "the statement copies in the other direction: copy_in is for FROM STDIN, copy_out for TO STDOUT"
                .to_owned(),
        ),
        _ => Error::Unsupported(NO_COPY.to_owned()),
    }
}
