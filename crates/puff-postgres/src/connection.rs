//! The handle on one session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::actor::{Actor, MAX_QUEUED, Shared};
use crate::config::Config;
use crate::error::Error;
use crate::param::Param;
use crate::request::{Query, Request, check_sql};
use crate::rows::Rows;
use crate::startup::{BackendKey, Peer};
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
        let session = startup::open(&config).await?;
        let key = session.key.clone();
        let (requests, receiver) = mpsc::channel(MAX_QUEUED);
        let (actor, shared) = Actor::new(session, config.clone(), receiver);
        let task = puff_core::task::spawn(&Handle::current(), "postgres connection", actor.run());
        Ok(Self {
            requests,
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
    /// There is no limit of time in it: wrap it in `tokio::time::timeout`, or give the session a
    /// `statement_timeout` by [`Config::options`].
    ///
    /// # Errors
    /// [`Error::Db`] with the server's report; [`Error::InvalidInput`] for what cannot be sent, such as a
    /// NUL; [`Error::Unsupported`] for `COPY` from or to the client; [`Error::Io`], [`Error::Closed`] and
    /// [`Error::Protocol`] when the connection is lost.
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        let query = Query::new(sql, params)?;
        self.send(|reply| Request::Query { query, reply }).await
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
        let Self { requests, task, .. } = self;
        drop(requests);
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
