//! Redis from Python: `puff.global_redis().command`, and the native half of `puff.redis`.

mod lease;
mod reply;
mod words;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use puff_redis::{Error, RedisConfig, RedisPool, Reply};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use self::lease::RedisLease;
pub(crate) use self::reply::Peer;
use self::reply::{ToPeer, ToPython};
use crate::greenlet::{BoxError, start};
use crate::runtime::Runtime;
use crate::services::ServiceError;
use crate::waiter::Waiter;

/// Which pool a client uses; opened on first use.
#[pyclass(frozen, module = "puff", name = "RedisPool")]
pub(crate) struct PyRedisPool {
    opened: Arc<OnceLock<RedisPool>>,
    /// One of the program's, and not of its own.
    shared: bool,
    name: Option<String>,
}

impl PyRedisPool {
    /// The pool, from a task of Tokio's.
    fn open(&self) -> impl Future<Output = Result<RedisPool, ServiceError>> + Send + use<> {
        let opened = self.opened.clone();
        let name = self.name.clone();
        async move {
            if let Some(pool) = opened.get() {
                return Ok(pool.clone());
            }
            let Ok(runtime) = Runtime::current() else {
                return Err(ServiceError::Unavailable {
                    service: "Redis",
                    reason: "the program has ended".to_owned(),
                });
            };
            let pool = match name {
                Some(name) => runtime.services().redis_named(&name).await?,
                None => runtime.services().redis().await?,
            };
            Ok(opened.get_or_init(|| pool).clone())
        }
    }
}

#[pymethods]
impl PyRedisPool {
    /// The program's pool, or the one called `name`.
    #[new]
    #[pyo3(signature = (name=None))]
    fn new(name: Option<String>) -> PyRedisPool {
        PyRedisPool {
            opened: Arc::default(),
            shared: true,
            name,
        }
    }

    /// A pool of its own for the server at `url`; times in seconds. Connects to nothing.
    ///
    /// Raises ValueError for a URL that is none of Redis'.
    #[staticmethod]
    #[pyo3(signature = (url, connections=None, dedicated=None, connect_timeout=None, response_timeout=None))]
    fn at(
        url: &str,
        connections: Option<usize>,
        dedicated: Option<usize>,
        connect_timeout: Option<f64>,
        response_timeout: Option<f64>,
    ) -> PyResult<PyRedisPool> {
        let mut config =
            RedisConfig::from_url(url).map_err(|error| PyValueError::new_err(error.to_string()))?;
        config.connections = connections.unwrap_or(config.connections);
        config.dedicated_connections = dedicated.unwrap_or(config.dedicated_connections);
        config.dedicated_timeout = seconds(connect_timeout).unwrap_or(config.dedicated_timeout);
        config.connect_timeout = seconds(connect_timeout).unwrap_or(config.connect_timeout);
        config.response_timeout = seconds(response_timeout).unwrap_or(config.response_timeout);
        let opened = Arc::new(OnceLock::from(RedisPool::new(config)));
        Ok(PyRedisPool {
            opened,
            shared: false,
            name: None,
        })
    }

    /// Sends one command; completes `waiter` with its reply as plain Python sees it.
    fn command(&self, arguments: Vec<Vec<u8>>, waiter: Py<Waiter>) {
        let pool = self.open();
        start(waiter, async move {
            let command: Vec<Bytes> = arguments.into_iter().map(Bytes::from).collect();
            Ok(ToPython(pool.await?.command(command).await?))
        });
    }

    /// Sends one command as redis-py would; completes `waiter` with its reply as redis-py's parser sees it,
    /// text if `decode`. Errors are redis-py's.
    fn execute(&self, words: &Bound<'_, PyTuple>, decode: bool, waiter: Py<Waiter>) -> PyResult<()> {
        let command = words::command(words)?;
        // The short way, for a pool that is open.
        match self.opened.get().cloned() {
            Some(pool) => start(waiter, async move {
                match pool.command(command).await {
                    Ok(reply) => Ok(ToPeer { reply, decode }),
                    Err(error) => Err(Peer::from(error).into()),
                }
            }),
            None => {
                let pool = self.open();
                start(waiter, async move {
                    let reply = pool.await.map_err(Peer::from)?.command(command).await;
                    Ok(ToPeer {
                        reply: reply.map_err(Peer::from)?,
                        decode,
                    })
                });
            }
        }
        Ok(())
    }

    /// Sends the words of each of `commands` in one piece; completes `waiter` with their replies, exceptions
    /// among them. In a `transaction` the server carries them out together; if it does not take one of them,
    /// its error is raised with the command's index as `puff_index`.
    fn execute_many(
        &self,
        commands: &Bound<'_, PyList>,
        transaction: bool,
        decode: bool,
        waiter: Py<Waiter>,
    ) -> PyResult<()> {
        let commands = words::commands(commands)?;
        let pool = self.open();
        start(waiter, async move {
            let pool = pool.await.map_err(Peer::from)?;
            let replies = match transaction {
                true => pool.transaction(commands).await,
                false => pool.pipeline(commands).await,
            };
            let replies = replies.map_err(Peer::from)?;
            let each = replies.into_iter().map(|reply| match reply {
                Ok(reply) => reply,
                Err(Error::Command { code, message }) => Reply::Failed { code, message },
                Err(error) => Reply::Failed {
                    code: "ERR".to_owned(),
                    message: error.to_string(),
                },
            });
            Ok(ToPeer {
                reply: Reply::Array(each.collect()),
                decode,
            })
        });
        Ok(())
    }

    /// Completes `waiter` with a `RedisLease`: a connection of its own. In a cluster it is to the node that takes the
    /// command `first` (`WATCH`, `SSUBSCRIBE`), which has been sent then.
    fn lease(&self, first: Option<&Bound<'_, PyTuple>>, waiter: Py<Waiter>) -> PyResult<()> {
        let first = first.map(words::command).transpose()?;
        let pool = self.open();
        start(waiter, async move {
            let pool = pool.await.map_err(Peer::from)?;
            let connection = match first {
                Some(first) if pool.in_cluster() => pool.dedicated_after(first).await,
                _ => pool.dedicated().await,
            };
            Ok::<_, BoxError>(RedisLease::new(connection.map_err(Peer::from)?))
        });
        Ok(())
    }

    /// Completes `waiter` with whether it is a cluster's pool.
    fn in_cluster(&self, waiter: Py<Waiter>) {
        let pool = self.open();
        start(
            waiter,
            async move { Ok(pool.await.map_err(Peer::from)?.in_cluster()) },
        );
    }

    /// Where the server is, if the pool is open.
    fn address(&self) -> Option<String> {
        Some(self.opened.get()?.config().address.to_string())
    }

    /// Completes `waiter` with what the pool is doing, as a dict.
    fn status(&self, waiter: Py<Waiter>) {
        let pool = self.open();
        start(waiter, async move { Ok(Status(pool.await?)) });
    }

    /// Closes a pool of its own; the program's stay open.
    fn close(&self) {
        if !self.shared
            && let Some(pool) = self.opened.get()
        {
            pool.close();
        }
    }
}

fn seconds(value: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(value?).ok()
}

struct Status(RedisPool);

impl<'py> IntoPyObject<'py> for Status {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let status = self.0.status();
        let dict = PyDict::new(py);
        dict.set_item("max_size", status.max_size)?;
        dict.set_item("open", status.open)?;
        dict.set_item("in_flight", status.in_flight)?;
        dict.set_item("commands", status.commands)?;
        dict.set_item("failures", status.failures)?;
        let dedicated = PyDict::new(py);
        dedicated.set_item("max_size", status.dedicated.max_size)?;
        dedicated.set_item("in_use", status.dedicated.in_use)?;
        dedicated.set_item("idle", status.dedicated.idle)?;
        dedicated.set_item("waiting", status.dedicated.waiting)?;
        dedicated.set_item("timed_out", status.dedicated.timed_out)?;
        dict.set_item("dedicated", dedicated)?;
        let circuit = PyDict::new(py);
        circuit.set_item("open", status.circuit.open)?;
        circuit.set_item("retry_in", status.circuit.retry_in.as_secs_f64())?;
        circuit.set_item("connected", status.circuit.connected)?;
        circuit.set_item("failed", status.circuit.failed)?;
        dict.set_item("circuit", circuit)?;
        Ok(dict)
    }
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyRedisPool>()?;
    module.add_class::<RedisLease>()
}
