//! Pub-sub from Python.

use std::sync::Arc;

use puff_redis::{Error, Event, PubSubConnection};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::greenlet::{BoxError, start};
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// The native half of `puff.pubsub.Connection`.
#[pyclass(frozen, module = "puff", name = "PubSubHandle")]
pub(crate) struct PubSubHandle {
    connection: Arc<PubSubConnection>,
}

#[pymethods]
impl PubSubHandle {
    /// The connection's id.
    #[getter]
    fn id(&self) -> &str {
        self.connection.id()
    }

    /// Completes `waiter` when the subscription is confirmed.
    fn subscribe(&self, channel: String, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move { Ok(connection.subscribe(&channel).await?) });
    }

    /// Ends a subscription.
    fn unsubscribe(&self, channel: &str) {
        self.connection.unsubscribe(channel);
    }

    /// Completes `waiter` with `(channel, body, sender)`, with `(channel, None, None)` for a gap, with None
    /// when the connection is closed.
    fn receive(&self, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move {
            match connection.receive().await {
                Ok(event) => Ok(Some(Received(event))),
                Err(Error::Closed { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        });
    }

    /// Ends all subscriptions; a waiting `receive` gets None.
    fn close(&self) {
        self.connection.close();
    }
}

struct Received(Event);

impl<'py> IntoPyObject<'py> for Received {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self.0 {
            Event::Message(message) => {
                let body = PyBytes::new(py, &message.body);
                (&*message.channel, body, message.from_connection_id.as_deref()).into_pyobject(py)
            }
            Event::Gap { channel } => (&*channel, py.None(), py.None()).into_pyobject(py),
        }
    }
}

#[pyfunction]
#[pyo3(signature = (id, waiter))]
fn pubsub_connect(id: Option<String>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let pubsub = runtime.services().pubsub().await?;
        let connection = match id {
            Some(id) => pubsub.connection_with_id(&id)?,
            None => pubsub.connection(),
        };
        Ok(PubSubHandle {
            connection: Arc::new(connection),
        })
    });
    Ok(())
}

#[pyfunction]
#[pyo3(signature = (id, channel, body, waiter))]
fn pubsub_publish(id: Option<String>, channel: String, body: Vec<u8>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let pubsub = runtime.services().pubsub().await?;
        let receivers: Result<usize, BoxError> = match id {
            Some(id) => Ok(pubsub.publish_as(&id, &channel, body).await?),
            None => Ok(pubsub.publish(&channel, body).await?),
        };
        receivers
    });
    Ok(())
}

/// A fresh connection id, unique among all processes.
#[pyfunction]
fn new_connection_id() -> puff_core::Text {
    puff_core::random::uuid()
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PubSubHandle>()?;
    module.add_function(wrap_pyfunction!(pubsub_connect, module)?)?;
    module.add_function(wrap_pyfunction!(pubsub_publish, module)?)?;
    module.add_function(wrap_pyfunction!(new_connection_id, module)?)
}
