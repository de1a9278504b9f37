//! A connection that redis-py's classes use as theirs.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use puff_redis::{DedicatedConnection, Error, Incoming, Reply};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tokio_util::sync::CancellationToken;

use super::reply::{Peer, ToPeer};
use super::words;
use crate::greenlet::{BoxError, start};
use crate::waiter::Waiter;

/// The native half of `puff.redis.Connection`, while that is connected.
#[pyclass(frozen, module = "puff", name = "RedisLease")]
pub(crate) struct RedisLease {
    connection: Mutex<Option<Arc<DedicatedConnection>>>,
    /// Whoever waits for something to come is told when it is closed.
    closed: CancellationToken,
}

impl RedisLease {
    pub(super) fn new(connection: DedicatedConnection) -> RedisLease {
        RedisLease {
            connection: Mutex::new(Some(Arc::new(connection))),
            closed: CancellationToken::new(),
        }
    }

    fn connection(&self) -> Result<Arc<DedicatedConnection>, Peer> {
        let connection = self.connection.lock().clone();
        connection.ok_or_else(closed)
    }
}

fn closed() -> Peer {
    Peer::from(Error::Closed {
        what: "the connection to Redis",
    })
}

/// A push is told from an answer: `(is it, what came)`.
struct Came(Incoming, bool);

impl<'py> IntoPyObject<'py> for Came {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let decode = self.1;
        let (push, reply) = match self.0 {
            Incoming::Push(items) => (true, Reply::Array(items)),
            Incoming::Reply(reply) => (false, reply),
            other => return Err(Peer::new("unexpected", format!("{other:?}")).into()),
        };
        (push, ToPeer { reply, decode }).into_pyobject(py)
    }
}

#[pymethods]
impl RedisLease {
    /// Sends the words of each of `commands` in one piece; completes `waiter` with None.
    fn send(&self, commands: &Bound<'_, PyList>, waiter: Py<Waiter>) -> PyResult<()> {
        let commands = words::commands(commands)?;
        let connection = self.connection()?;
        start(waiter, async move {
            Ok(connection.send(&commands).await.map_err(Peer::from)?)
        });
        Ok(())
    }

    /// Completes `waiter` with the next thing that comes, `(is it a push, what it is)`; answers that are errors
    /// are exceptions, and not raised. Waits `timeout` seconds; None waits for as long as what was sent may take.
    fn receive(&self, timeout: Option<f64>, decode: bool, waiter: Py<Waiter>) -> PyResult<()> {
        let connection = self.connection()?;
        let closed = self.closed.clone();
        start(waiter, async move {
            let limit = match timeout {
                Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
                None => connection.patience(),
            };
            let came = within(&closed, limit, connection.receive()).await?;
            match came {
                Some(came) => Ok(Came(came, decode)),
                None => {
                    let text = format!("Redis did not answer within {:?}", limit.unwrap_or_default());
                    Err(Peer::new("timeout", text).into())
                }
            }
        });
        Ok(())
    }

    /// Completes `waiter` with whether `receive` has something to return at once, `timeout` seconds from now.
    fn ready(&self, timeout: f64, waiter: Py<Waiter>) -> PyResult<()> {
        let connection = self.connection()?;
        let closed = self.closed.clone();
        start(waiter, async move {
            let limit = Duration::try_from_secs_f64(timeout).ok();
            Ok(within(&closed, limit, connection.ready()).await?.is_some())
        });
        Ok(())
    }

    /// Completes `waiter` with the index of the first of `leases` whose `receive` has something to return, or an
    /// error to raise, at once; None if that is none `timeout` seconds from now. A timeout of None is for ever.
    #[staticmethod]
    fn first(leases: Vec<Bound<'_, RedisLease>>, timeout: Option<f64>, waiter: Py<Waiter>) {
        let all: Vec<_> = leases
            .iter()
            .map(|lease| (lease.get().connection(), lease.get().closed.clone()))
            .collect();
        start(waiter, async move {
            let limit = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let ready = all.into_iter().map(|(connection, closed)| {
                Box::pin(async move {
                    if let Ok(connection) = connection {
                        let _ = within(&closed, None, connection.ready()).await;
                    }
                })
            });
            let first = futures_util::future::select_all(ready);
            Ok(match limit {
                None => Some(first.await.1),
                Some(limit) => tokio::time::timeout(limit, first)
                    .await
                    .ok()
                    .map(|(_, index, _)| index),
            })
        });
    }

    /// Whether it would go back to the pool now.
    fn is_clean(&self) -> bool {
        let connection = self.connection.lock();
        connection
            .as_ref()
            .is_some_and(|connection| connection.is_clean())
    }

    /// Gives the connection back; the pool keeps it if it is clean.
    fn give_back(&self) {
        self.closed.cancel();
        drop(self.connection.lock().take());
    }

    /// Closes the connection.
    fn close(&self) {
        if let Some(connection) = self.connection.lock().take() {
            connection.spoil();
        }
        self.closed.cancel();
    }
}

/// `None` if it took too long.
async fn within<T>(
    ended: &CancellationToken,
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, BoxError> {
    let limited = async {
        match limit {
            Some(limit) => tokio::time::timeout(limit, work).await.ok().transpose(),
            None => work.await.map(Some),
        }
    };
    tokio::select! {
        // What is there already is not lost to a time-out of zero.
        biased;
        result = limited => Ok(result.map_err(Peer::from)?),
        () = ended.cancelled() => Err(closed().into()),
    }
}
