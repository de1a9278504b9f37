//! Pub-sub from Python.

use std::sync::Arc;
use std::time::Duration;

use puff_redis::{
    Change, Error, Event, Overflow, Position, PubSub, PubSubConnection, PublishOptions, SubscribeOptions,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::convert::AsBytes;
use crate::greenlet::start;
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

    /// Completes `waiter` with the position that messages follow when the subscription is confirmed.
    #[pyo3(signature = (channel, since, echo, waiter))]
    fn subscribe(&self, channel: String, since: Option<String>, echo: bool, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move {
            let mut options = SubscribeOptions::default();
            options.since = since.map(|text| text.parse::<Position>()).transpose()?;
            options.echo = echo;
            let position = connection.subscribe_with(&channel, options).await?;
            Ok(position.to_string())
        });
    }

    /// Ends a subscription, and that to who is there.
    fn unsubscribe(&self, channel: &str) {
        self.connection.unsubscribe(channel);
        self.connection.unwatch(channel);
    }

    /// Completes `waiter` when changes of who is on a channel come.
    fn watch(&self, channel: String, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move { Ok(connection.watch(&channel).await?) });
    }

    /// Completes `waiter` when the connection is on a channel, as `member` or by its own id.
    #[pyo3(signature = (channel, member, info, waiter))]
    fn enter(&self, channel: String, member: Option<String>, info: Vec<u8>, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move {
            let member = member.as_deref().unwrap_or(connection.id());
            Ok(connection.enter(&channel, member, info).await?)
        });
    }

    /// Completes `waiter` with whether the connection was on a channel that it is not on any more.
    fn leave(&self, channel: String, waiter: Py<Waiter>) {
        let connection = self.connection.clone();
        start(waiter, async move { Ok(connection.leave(&channel).await?) });
    }

    /// The next event if one is there: what `receive` completes with. None if there is none, or no connection any
    /// more.
    fn take(&self) -> Option<Received> {
        self.connection.try_receive().ok().flatten().map(Received)
    }

    /// Completes `waiter` with a tuple whose length tells what it is: `(channel, body, sender, position)` of a
    /// message, `(channel, last, next, missed, False)` of a gap, the last item being true if changes of who is there
    /// may be missing, `(channel, member, info, joined, None, None)` of such a change; with None when the connection
    /// is closed.
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
        let text = |position: Option<Position>| position.map(|position| position.to_string());
        match self.0 {
            Event::Message(message) => {
                let body = PyBytes::new(py, &message.body);
                let sender = message.from_connection_id.as_deref();
                (&*message.channel, body, sender, text(message.position)).into_pyobject(py)
            }
            Event::Gap(gap) => {
                (&*gap.channel, text(gap.last), text(gap.next), gap.missed(), false).into_pyobject(py)
            }
            Event::Presence(presence) => {
                let (member, joined) = match &presence.change {
                    Change::Joined(member) => (member, true),
                    Change::Left(member) => (member, false),
                    Change::Unknown => {
                        let nothing = py.None();
                        return (&*presence.channel, &nothing, &nothing, &nothing, true).into_pyobject(py);
                    }
                };
                let info = PyBytes::new(py, &member.info);
                (
                    &*presence.channel,
                    &*member.id,
                    info,
                    joined,
                    py.None(),
                    py.None(),
                )
                    .into_pyobject(py)
            }
            other => Err(PyValueError::new_err(format!(
                "an event that Python does not know: {other:?}"
            ))),
        }
    }
}

#[pyfunction]
#[pyo3(signature = (id, overflow, waiter))]
fn pubsub_connect(id: Option<String>, overflow: Option<&str>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    let overflow: Option<Overflow> = overflow
        .map(str::parse)
        .transpose()
        .map_err(|error: Error| PyValueError::new_err(error.to_string()))?;
    start(waiter, async move {
        let pubsub = runtime.services().pubsub().await?;
        let id = id.unwrap_or_else(|| pubsub.new_connection_id());
        let connection = match overflow {
            Some(overflow) => pubsub.connection_with(&id, overflow)?,
            None => pubsub.connection_with_id(&id)?,
        };
        Ok(PubSubHandle {
            connection: Arc::new(connection),
        })
    });
    Ok(())
}

/// Completes `waiter` with the number of receivers. `keep` is how many messages the channel keeps, and for how many
/// seconds.
#[pyfunction]
#[pyo3(signature = (id, channel, body, keep, waiter))]
fn pubsub_publish(
    id: Option<String>,
    channel: String,
    body: Vec<u8>,
    keep: Option<(usize, f64)>,
    waiter: Py<Waiter>,
) -> PyResult<()> {
    let runtime = Runtime::current()?;
    let keep = keep.map(|(messages, seconds)| {
        // What is no duration is refused as one that is too long.
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        (messages, time)
    });
    start(waiter, async move {
        let pubsub: PubSub = runtime.services().pubsub().await?;
        let mut options = PublishOptions::default();
        if let Some(id) = &id {
            options = options.from(id);
        }
        if let Some((messages, time)) = keep {
            options = options.keep(messages, time);
        }
        let published = pubsub.publish_with(&channel, body, options).await?;
        Ok(published.receivers)
    });
    Ok(())
}

/// Completes `waiter` with the ids of those who are on a channel, and what each tells of itself.
#[pyfunction]
fn pubsub_presence(channel: String, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let members = runtime.services().pubsub().await?.presence(&channel).await?;
        let members = members.into_iter();
        let pairs = members.map(|member| (member.id.to_string(), AsBytes(member.info)));
        Ok(pairs.collect::<Vec<_>>())
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
    module.add_function(wrap_pyfunction!(pubsub_presence, module)?)?;
    module.add_function(wrap_pyfunction!(new_connection_id, module)?)
}
