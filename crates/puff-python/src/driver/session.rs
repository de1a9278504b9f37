//! The native half of `puff.postgres._session.Session`.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use bytes::Bytes;
use puff_postgres::{Config, DbError, DirectConnection, Host, TransactionStatus};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;

use super::conversation::{Conversation, Exchange};
use super::error::exception;
use crate::greenlet::{BoxError, start};
use crate::reactor::deadline;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// A session with PostgreSQL as the driver uses it.
///
/// Methods with a waiter start something for a greenlet; those named `run` block the calling thread, detached.
#[pyclass(frozen, subclass, module = "puff", name = "PgSession")]
pub(crate) struct PgSession {
    conversation: Arc<Conversation>,
}

/// Opens a session; the wait gives a `PgSession`.
#[pyfunction]
pub(super) fn pg_open(py: Python<'_>, conninfo: &str, waiter: Py<Waiter>) -> PyResult<()> {
    Runtime::current()?;
    // As libpq reads it: what the text leaves open comes from the environment.
    let config = Config::from_env_and(conninfo).map_err(|error| exception(py, &error.into()))?;
    let reactor = waiter.get().reactor().clone();
    start(waiter, async move {
        let connection = DirectConnection::open(&config).await.map_err(raised)?;
        let conversation = Conversation::new(connection.into(), reactor).map_err(raised)?;
        Ok(PgSession::new(conversation))
    });
    Ok(())
}

/// The error as a driver's exception. On Tokio, but only when no session could be had, which is no hot path.
pub(super) fn raised(error: puff_postgres::Error) -> BoxError {
    Python::attach(|py| exception(py, &error)).into()
}

impl PgSession {
    pub(crate) fn new(conversation: Arc<Conversation>) -> Self {
        Self { conversation }
    }

    pub(crate) fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }
}

/// psycopg2's numbers.
fn status_number(status: TransactionStatus) -> u8 {
    match status {
        TransactionStatus::Idle => 0,
        TransactionStatus::InTransaction => 2,
        TransactionStatus::Failed => 3,
    }
}

#[pymethods]
impl PgSession {
    /// The same session, as the subclass that Python makes of it.
    #[new]
    fn share(session: &Bound<'_, PgSession>) -> Self {
        Self::new(session.get().conversation.clone())
    }

    /// Starts a simple query for a greenlet, `begin` before it if no transaction is open. The wait gives an
    /// `Answer`, the first bytes of a copy out, or None if a copy in wants data.
    #[pyo3(signature = (sql, begin, waiter))]
    fn start(&self, py: Python<'_>, sql: &[u8], begin: Option<&str>, waiter: Py<Waiter>) -> PyResult<()> {
        self.conversation
            .start(sql, begin, waiter)
            .map_err(|error| exception(py, &error))
    }

    /// Asks for the next step of a copy. Likewise.
    fn resume(&self, py: Python<'_>, waiter: Py<Waiter>) -> PyResult<()> {
        self.conversation
            .resume(waiter)
            .map_err(|error| exception(py, &error))
    }

    /// The greenlet of `waiter` gave up: its statement is cancelled.
    fn abandon(&self, waiter: &Bound<'_, Waiter>) {
        self.conversation.abandon(waiter.as_unbound());
    }

    /// As `start`, on a thread, which blocks until there is something to return; `TimeoutError` if that takes
    /// longer than `limit` seconds.
    #[pyo3(signature = (sql, begin, limit=None))]
    fn run(
        &self,
        py: Python<'_>,
        sql: &[u8],
        begin: Option<String>,
        limit: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let sql = sql.to_vec();
        self.conversation
            .run(py, &Exchange { sql, begin }, limit.map(deadline))?
            .into_object(py)
    }

    /// As `resume`, on a thread; likewise.
    #[pyo3(signature = (limit=None))]
    fn run_on(&self, py: Python<'_>, limit: Option<f64>) -> PyResult<Py<PyAny>> {
        self.conversation.run_on(py, limit.map(deadline))?.into_object(py)
    }

    /// The greenlet or thread that holds a copy gave up.
    fn abandon_held(&self) {
        self.conversation.abandon_held();
    }

    /// Data for a copy in that wants it; whether there is room for more before the copy has to go on. The
    /// object is kept until it is sent.
    fn copy_data(&self, data: PyBackedBytes) -> bool {
        let data = Bytes::from_owner(data);
        let room = self.conversation.with(|session| session.copy_data(data));
        room.unwrap_or(false)
    }

    /// The end of a copy in; with a text it fails with that.
    #[pyo3(signature = (failure=None))]
    fn copy_end(&self, failure: Option<&str>) {
        self.conversation.with(|session| session.copy_end(failure));
    }

    /// What follows of a copy that plain `execute` cannot serve is thrown away.
    fn refuse_copy(&self) {
        self.conversation.with(DirectConnection::abandon);
    }

    /// Asks the server to cancel what it runs; the wait gives None.
    fn ask_to_stop(&self, waiter: Py<Waiter>) {
        let token = self.conversation.cancel_token();
        start(waiter, async move { token.cancel().await.map_err(raised) });
    }

    /// Ends the session. Whoever waits for it gets an error.
    fn close(&self) {
        self.conversation.close();
    }

    /// Reads what the server has sent unasked, without waiting. Raises if the session is lost.
    fn poll(&self, py: Python<'_>) -> PyResult<()> {
        if self.conversation.is_busy() {
            return Ok(());
        }
        let step = self.conversation.with(DirectConnection::advance);
        match step {
            Some(puff_postgres::Step::Done(Err(error))) => Err(exception(py, &error)),
            _ => Ok(()),
        }
    }

    /// The notices since the last call, as the server's own client prints them.
    fn take_notices(&self) -> Vec<String> {
        let notices = self.conversation.with(DirectConnection::take_notices);
        notices.unwrap_or_default().iter().map(notice_text).collect()
    }

    /// The notifications since the last call: process, channel, payload.
    fn take_notifies(&self) -> Vec<(i32, String, String)> {
        let taken = self.conversation.with(DirectConnection::take_notifications);
        let taken = taken.unwrap_or_default().into_iter();
        taken
            .map(|each| (each.process_id, each.channel.into(), each.payload.into()))
            .collect()
    }

    /// A parameter that the server reports, such as `server_version`.
    fn parameter(&self, name: &str) -> Option<String> {
        let value = |session: &mut DirectConnection| session.parameter(name).map(str::to_owned);
        self.conversation.with(value).flatten()
    }

    /// 0 open, 1 closed here, 2 lost.
    #[getter]
    fn closed(&self) -> u8 {
        match self.conversation.with(|session| session.closed().is_some()) {
            None => 1,
            Some(lost) => u8::from(lost) * 2,
        }
    }

    /// psycopg2's `TRANSACTION_STATUS_*`.
    #[getter]
    fn transaction_status(&self) -> u8 {
        const ACTIVE: u8 = 1;
        const UNKNOWN: u8 = 4;
        if self.conversation.is_busy() {
            return ACTIVE;
        }
        let status = |session: &mut DirectConnection| match session.closed() {
            Some(_) => UNKNOWN,
            None => status_number(session.transaction_status()),
        };
        self.conversation.with(status).unwrap_or(UNKNOWN)
    }

    /// Whether nothing is under way or left in it: no transaction, no settings.
    #[getter]
    fn is_clean(&self) -> bool {
        !self.conversation.is_busy()
            && self
                .conversation
                .with(|session| session.is_clean())
                .unwrap_or(false)
    }

    /// The server's process.
    #[getter]
    fn backend_pid(&self) -> i32 {
        self.conversation
            .with(|session| session.process_id())
            .unwrap_or_default()
    }

    /// The socket's descriptor.
    fn fileno(&self) -> i32 {
        self.conversation.socket().as_raw_fd()
    }

    /// What the session was opened with, and what it reached.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let info = PyDict::new(py);
        let known = |session: &mut DirectConnection| (session.config().clone(), session.peer().clone());
        if let Some((config, peer)) = self.conversation.with(known) {
            let host = match &peer.server.host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(directory) => directory.display().to_string(),
            };
            info.set_item("host", host)?;
            info.set_item("port", peer.server.port)?;
            info.set_item("hostaddr", peer.address.map(|address| address.to_string()))?;
            info.set_item("user", &config.user)?;
            info.set_item("dbname", &config.database)?;
            info.set_item("password", config.password.as_deref())?;
            info.set_item("options", config.options.as_deref())?;
            info.set_item("ssl_in_use", peer.tls.is_some())?;
            if let Some(tls) = &peer.tls {
                info.set_item("ssl_protocol", &tls.protocol)?;
                info.set_item("ssl_cipher", &tls.cipher)?;
            }
        }
        Ok(info)
    }
}

fn notice_text(notice: &DbError) -> String {
    let mut text = format!("{}:  {}\n", notice.severity_text, notice.message);
    let more = [("DETAIL", &notice.detail), ("HINT", &notice.hint)];
    for (label, value) in more {
        if let Some(value) = value {
            text.push_str(&format!("{label}:  {value}\n"));
        }
    }
    text
}
