//! The native half of the pool in `puff.contrib.django.postgresql`.

use std::time::Duration;

use puff_postgres::{Config, PoolConfig, Reset, SessionPool};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::conversation::Conversation;
use super::error::exception;
use super::session::{PgSession, raised};
use crate::greenlet::start;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// A pool of sessions.
#[pyclass(frozen, module = "puff", name = "PgPool")]
pub(crate) struct PgPool {
    pool: SessionPool,
}

#[pymethods]
impl PgPool {
    /// Times are in seconds; `None` is no limit.
    #[new]
    #[pyo3(signature = (conninfo, *, min_size, max_size, timeout, max_lifetime, max_idle))]
    fn new(
        py: Python<'_>,
        conninfo: &str,
        min_size: usize,
        max_size: usize,
        timeout: f64,
        max_lifetime: Option<f64>,
        max_idle: Option<f64>,
    ) -> PyResult<Self> {
        let server = Config::from_env_and(conninfo).map_err(|error| exception(py, &error.into()))?;
        let config = PoolConfig {
            max_size,
            min_size,
            acquire_timeout: seconds(timeout)?,
            max_lifetime: max_lifetime.map(seconds).transpose()?,
            idle_timeout: max_idle.map(seconds).transpose()?,
            reset: Reset::WhenSeen,
            ..PoolConfig::default()
        };
        let runtime = Runtime::current()?;
        let _tokio = runtime.tokio().enter();
        let pool = SessionPool::new(server, config);
        Ok(Self { pool })
    }

    /// A session that is idle and was used a moment ago; `None` if one has to be waited for.
    fn take(&self, py: Python<'_>) -> PyResult<Option<PgSession>> {
        let Some(session) = self.pool.take() else {
            return Ok(None);
        };
        let reactor = Runtime::current()?.reactor().clone();
        let conversation =
            Conversation::new(session.into(), reactor).map_err(|error| exception(py, &error))?;
        Ok(Some(PgSession::new(conversation)))
    }

    /// Takes a session; the wait gives a `PgSession`, whose close gives it back.
    fn lease(&self, waiter: Py<Waiter>) {
        let (pool, reactor) = (self.pool.clone(), waiter.get().reactor().clone());
        start(waiter, async move {
            let session = pool.get().await.map_err(raised)?;
            let conversation = Conversation::new(session.into(), reactor).map_err(raised)?;
            Ok(PgSession::new(conversation))
        });
    }

    /// Ends the pool: idle sessions now, others when they come back.
    fn close(&self) {
        self.pool.shut();
    }

    /// Sessions in all, idle, in use, being opened; callers that wait.
    fn status(&self) -> (usize, usize, usize, usize, usize) {
        let status = self.pool.status();
        (
            status.size,
            status.idle,
            status.in_use,
            status.connecting,
            status.waiting,
        )
    }
}

fn seconds(number: f64) -> PyResult<Duration> {
    let invalid = |error: std::time::TryFromFloatSecsError| PyValueError::new_err(error.to_string());
    Duration::try_from_secs_f64(number).map_err(invalid)
}
