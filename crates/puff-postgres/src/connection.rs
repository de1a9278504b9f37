//! The handle on one session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use puff_core::TRACE_TARGET;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::PollSender;
use tracing::{Instrument, Span};

use crate::actor::{Actor, Channel, MAX_QUEUED, Shared};
use crate::config::Config;
use crate::copy::{CopyIn, CopyOut, MAX_PIECES};
use crate::error::Error;
use crate::listener::{NotificationQueue, check_channel};
use crate::param::Param;
use crate::request::{CopyReply, Query, Request, check_sql};
use crate::row::Row;
use crate::rows::Rows;
use crate::startup::{BackendKey, Peer};
use crate::transaction::{Transaction, TransactionOptions};
use crate::{TransactionStatus, cancel, startup};

/// How long a cancel request may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// How long an abandoned request may still run before the server is asked to cancel it.
const GRACE: Duration = Duration::from_millis(20);
/// How long a cancelled request may take to end before the server is asked again.
const CANCEL_INTERVAL: Duration = Duration::from_millis(250);

/// One session with a PostgreSQL server.
///
/// All methods take `&self`, so an `Arc<Connection>` serves many tasks at once: their requests are sent
/// without waiting for the answers of earlier ones (pipelined) and answered in order. Each is a transaction
/// of its own unless one is open. Who needs several statements in a transaction should not share meanwhile.
///
/// **Cancel safety.** Dropping the future of a request is safe: its answer is read and thrown away, and the
/// next request gets its own. The statement may or may not run.
///
/// Dropping the connection ends the session and cancels what it runs; [`close`](Self::close) also waits
/// until the server has noticed.
///
/// ```no_run
/// # async fn example() -> Result<(), puff_postgres::Error> {
/// use puff_postgres::Connection;
///
/// let connection = Connection::connect(&"postgres://ada@localhost/shop".parse()?).await?;
/// let rows = connection.query("SELECT id, name FROM users WHERE id = $1", &[7.into()]).await?;
/// for row in 0..rows.len() {
///     println!("{:?} {:?}", rows.text(row, 0), rows.text(row, 1));
/// }
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    requests: mpsc::Sender<Request>,
    /// Tells the task, by its end, that the handle is gone.
    alive: oneshot::Sender<()>,
    /// What the latest copy can be ended by.
    copying: Mutex<Option<oneshot::Sender<()>>>,
    shared: Arc<Shared>,
    config: Arc<Config>,
    key: BackendKey,
    task: JoinHandle<Option<()>>,
}

impl Connection {
    /// Opens a session. It is served by a task on the Tokio runtime of the caller.
    ///
    /// # Errors
    /// [`Error::Connect`] if nobody answers, [`Error::Timeout`] after the configuration's `connect_timeout`,
    /// [`Error::Auth`] or [`Error::Db`] if the server refuses.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        Self::connect_shared(Arc::new(config.clone())).await
    }

    pub(crate) async fn connect_shared(config: Arc<Config>) -> Result<Self, Error> {
        Self::connect_with(config, None).await
    }

    /// Opens a session whose notifications go to `queue`.
    pub(crate) async fn connect_listening(
        config: Arc<Config>,
        queue: Arc<NotificationQueue>,
    ) -> Result<Self, Error> {
        Self::connect_with(config, Some(queue)).await
    }

    async fn connect_with(
        config: Arc<Config>,
        notifications: Option<Arc<NotificationQueue>>,
    ) -> Result<Self, Error> {
        let session = startup::open(&config).await?;
        let key = session.key.clone();
        let (requests, receiver) = mpsc::channel(MAX_QUEUED);
        let (alive, released) = oneshot::channel();
        let (actor, shared) = Actor::new(session, config.clone(), (receiver, released), notifications);
        let task = puff_core::task::spawn(&Handle::current(), "postgres connection", actor.run());
        Ok(Self {
            requests,
            alive,
            copying: Mutex::default(),
            shared,
            config,
            key,
            task,
        })
    }

    /// Runs one statement with parameters `$1`, `$2`... and returns its rows, all as text.
    ///
    /// The statement is prepared at its first use and kept for the next; see
    /// [`Config::statement_cache_size`]. If a change of a table has outdated it, it is prepared anew and
    /// sent again, unless a transaction is open: that has failed then, as PostgreSQL has it. A repeated
    /// statement may run after statements that were sent behind it.
    ///
    /// There is no limit of time in it: see [`query_within`](Self::query_within), or give the session a
    /// `statement_timeout` by [`Config::options`].
    ///
    /// # Errors
    /// [`Error::Db`] with the server's report; [`Error::InvalidInput`] for what cannot be sent, such as a
    /// NUL; [`Error::Unsupported`] for `COPY` from or to the client, which is [`copy_in`](Self::copy_in) and
    /// [`copy_out`](Self::copy_out); [`Error::Io`], [`Error::Closed`] and
    /// [`Error::Protocol`] when the connection is lost.
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        let query = Query::new(sql, params)?;
        let alone = false;
        self.send(|reply| Request::Query { query, reply, alone })
            .instrument(statement_span(sql))
            .await
    }

    /// Runs one statement as [`query`](Self::query) does, and has the server stop it after `limit`.
    ///
    /// The limit includes the wait for earlier requests. So that the server never stops another's statement,
    /// this one is not pipelined: it waits until all before it are answered, and those behind wait for it.
    /// Dropping the future has the server stop it as well.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the time is over, at once; the statement may or may not have run. Else as
    /// [`query`](Self::query).
    pub async fn query_within(&self, limit: Duration, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        let query = Query::new(sql, params)?;
        let alone = true;
        let answer = self
            .send(|reply| Request::Query { query, reply, alone })
            .instrument(statement_span(sql));
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                operation: "the statement".to_owned(),
                after: limit,
            }),
        }
    }

    /// Runs one statement and returns the number of rows it changed or returned; 0 where the server does not
    /// say, as after `CREATE TABLE`.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64, Error> {
        Ok(self.query(sql, params).await?.tag().rows().unwrap_or(0))
    }

    /// Runs a statement that returns exactly one row.
    ///
    /// ```no_run
    /// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
    /// let row = connection.query_one("SELECT id, name FROM users WHERE id = $1", &[7.into()]).await?;
    /// let (id, name) = (row.get::<i64>("id")?, row.get::<Option<&str>>("name")?);
    /// # let _ = (id, name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::RowCount`] if it returns none or several; else as [`query`](Self::query).
    pub async fn query_one(&self, sql: &str, params: &[Param]) -> Result<Row, Error> {
        let expected = "one";
        match self.query(sql, params).await? {
            rows if rows.len() == 1 => Ok(Row::new(rows, 0)),
            rows => Err(Error::RowCount {
                expected,
                found: rows.len(),
            }),
        }
    }

    /// Runs a statement that returns at most one row.
    ///
    /// # Errors
    /// [`Error::RowCount`] if it returns several; else as [`query`](Self::query).
    pub async fn query_opt(&self, sql: &str, params: &[Param]) -> Result<Option<Row>, Error> {
        let expected = "at most one";
        match self.query(sql, params).await? {
            rows if rows.is_empty() => Ok(None),
            rows if rows.len() == 1 => Ok(Some(Row::new(rows, 0))),
            rows => Err(Error::RowCount {
                expected,
                found: rows.len(),
            }),
        }
    }

    /// Begins a transaction with the session's defaults. Nobody else can use the connection until its guard is
    /// gone; see [`Transaction`].
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.transaction_with(&TransactionOptions::default()).await
    }

    /// Begins a transaction; see [`transaction`](Self::transaction).
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn transaction_with(&mut self, options: &TransactionOptions) -> Result<Transaction<'_>, Error> {
        Transaction::begin(self, options).await
    }

    /// Begins a `COPY ... FROM STDIN`; see [`CopyIn`].
    ///
    /// Requests that other tasks make meanwhile wait for its end.
    ///
    /// # Errors
    /// As [`query`](Self::query); [`Error::InvalidInput`] if `sql` is no such statement, which may have run.
    pub async fn copy_in(&self, sql: &str) -> Result<CopyIn, Error> {
        let (pieces, receiver) = mpsc::channel(MAX_PIECES);
        let outcome = self.start_copy(sql, Channel::In(receiver)).await?;
        Ok(CopyIn::new(pieces, outcome))
    }

    /// Begins a `COPY ... TO STDOUT`; see [`CopyOut`].
    ///
    /// # Errors
    /// As [`copy_in`](Self::copy_in).
    pub async fn copy_out(&self, sql: &str) -> Result<CopyOut, Error> {
        let (sender, data) = mpsc::channel(MAX_PIECES);
        let outcome = self
            .start_copy(sql, Channel::Out(PollSender::new(sender)))
            .await?;
        Ok(CopyOut::new(data, outcome))
    }

    async fn start_copy(
        &self,
        sql: &str,
        channel: Channel,
    ) -> Result<oneshot::Receiver<Result<u64, Error>>, Error> {
        check_sql(sql)?;
        let (done, outcome) = oneshot::channel();
        let (revoke, revoked) = oneshot::channel();
        let sql = sql.into();
        self.send(|begun| {
            let begun = Some(begun);
            Request::Copy {
                sql,
                channel,
                revoked,
                reply: CopyReply { begun, done },
            }
        })
        .await?;
        // An earlier copy has ended, or this one would not have begun.
        *self.copying.lock() = Some(revoke);
        Ok(outcome)
    }

    /// Sends a notification to whoever listens on the channel, when the transaction is committed if one is
    /// open; see [`Listener`](crate::Listener).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a channel without a name or with one of more than 63 bytes; else as
    /// [`query`](Self::query), in particular for a payload of 8,000 bytes or more.
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<(), Error> {
        check_channel(channel)?;
        let sql = "SELECT pg_notify($1, $2)";
        self.query(sql, &[channel.into(), payload.into()]).await.map(drop)
    }

    /// Runs any number of statements, separated by semicolons, without parameters; one answer for each.
    ///
    /// Without `BEGIN` in it they form one transaction: if one fails, none has happened.
    ///
    /// # Errors
    /// As [`query`](Self::query); answers of statements before a failing one are lost.
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<Rows>, Error> {
        check_sql(sql)?;
        let sql = sql.into();
        self.send(|reply| Request::Simple { sql, reply }).await
    }

    /// Waits until the server has answered everything that was sent before: also a check that it is there.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn sync(&self) -> Result<(), Error> {
        self.send(|reply| Request::Sync { reply }).await
    }

    async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let place = self.requests.reserve().await.map_err(|_| self.closed())?;
        let (reply, answer) = oneshot::channel();
        self.shared.outstanding.fetch_add(1, Ordering::AcqRel);
        place.send(request(reply));
        answer.await.map_err(|_| self.closed())?
    }

    /// A place in the queue for a request that has to be made later, by somebody who cannot wait.
    pub(crate) async fn reserve(&self) -> Result<mpsc::OwnedPermit<Request>, Error> {
        let place = self.requests.clone().reserve_owned().await;
        place.map_err(|_| self.closed())
    }

    /// Has the server run statements although nobody waits for them.
    pub(crate) fn send_unattended(&self, place: mpsc::OwnedPermit<Request>, sql: Box<str>) {
        self.shared.outstanding.fetch_add(1, Ordering::AcqRel);
        place.send(Request::Unattended { sql });
    }

    /// Waits until the session has ended.
    pub(crate) async fn wait_closed(&self) {
        self.requests.closed().await;
    }

    fn closed(&self) -> Error {
        let reason = self
            .shared
            .closed
            .get()
            .map_or("its task was stopped", String::as_str);
        Error::Closed {
            reason: reason.to_owned(),
        }
    }

    /// The transaction state after the last answer.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.shared.status()
    }

    /// A parameter that the server reports, such as `server_version` or `TimeZone`, as it is now.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.shared.parameters.read().get(name).cloned()
    }

    /// The server at the other end: which of several it is, and whether the way to it is encrypted.
    pub fn peer(&self) -> &Peer {
        &self.key.route.peer
    }

    /// The process that serves this session, as in `pg_stat_activity`.
    pub fn process_id(&self) -> i32 {
        self.key.process_id
    }

    /// Whether the session has ended; nothing can be sent then.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed() || self.task.is_finished()
    }

    /// What stops the session's statements from anywhere, also after this handle was moved.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken::new(self.key.clone())
    }

    /// Asks the server to cancel what it runs for this session; see [`CancelToken::cancel`].
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.cancel_token().cancel().await
    }

    /// Ends the session and waits, a few seconds at most, until the server has noticed.
    pub async fn close(self) {
        let Self {
            requests,
            alive,
            task,
            ..
        } = self;
        drop((requests, alive));
        // The task limits itself, and a failure of it has been logged.
        let _ = task.await;
    }

    /// How many requests are under way, abandoned ones included.
    pub(crate) fn outstanding(&self) -> usize {
        self.shared.outstanding.load(Ordering::Acquire)
    }

    /// Whether a command tag has shown state that outlives a transaction.
    pub(crate) fn has_session_state(&self) -> bool {
        self.shared.session_state.load(Ordering::Acquire)
    }

    /// Makes an end of abandoned requests: waits for them a little, then cancels them.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        // A server that waits for data does not listen to a cancel request, and one whose data nobody reads does
        // not come to its end.
        *self.copying.lock() = None;
        let mut patience = GRACE;
        while self.outstanding() > 0 {
            match tokio::time::timeout(patience, self.sync()).await {
                Ok(synced) => synced?,
                Err(_) => {
                    self.cancel().await?;
                    patience = CANCEL_INTERVAL;
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.config.address())
            .field("process_id", &self.key.process_id)
            .field("transaction_status", &self.transaction_status())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// Stops what a session runs, from any task.
#[derive(Clone)]
pub struct CancelToken {
    key: BackendKey,
}

impl CancelToken {
    pub(crate) fn new(key: BackendKey) -> Self {
        Self { key }
    }

    /// Asks the server to cancel what it runs for the session: the statement fails with
    /// [`SqlState::QUERY_CANCELED`](crate::SqlState::QUERY_CANCELED), or has just ended. An idle session
    /// does not mind.
    ///
    /// # Errors
    /// When the server cannot be reached within 5 seconds.
    pub async fn cancel(&self) -> Result<(), Error> {
        cancel::cancel(&self.key, CANCEL_LIMIT).await
    }
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelToken({})", self.key.process_id)
    }
}

/// The span of a statement in a trace. Its parameters are not in it: they may be anything.
fn statement_span(sql: &str) -> Span {
    tracing::trace_span!(
        target: TRACE_TARGET,
        "statement",
        otel.name = sql.split_ascii_whitespace().next().unwrap_or("statement"),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = sql,
    )
}
