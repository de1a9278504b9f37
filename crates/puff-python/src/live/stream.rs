//! The native half of `puff.web.EventStream`.

use std::sync::Arc;
use std::time::Duration;

use puff_redis::{Error, Position};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::sync::Mutex;

use super::body::Reading;
use super::events::{EventOptions, EventStream, parse};
use super::frame::{Format, UnknownFormat};
use crate::convert::AsBytes;
use crate::greenlet::start;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// An event stream that is open: the server takes it, or Python reads it.
#[pyclass(frozen, module = "puff", name = "EventStreamHandle")]
pub(crate) struct EventStreamHandle {
    stream: Arc<Mutex<Option<Reading>>>,
}

#[pymethods]
impl EventStreamHandle {
    /// Completes `waiter` with the next piece; with None at the end, and when the server has the stream.
    fn next(&self, waiter: Py<Waiter>) {
        let stream = self.stream.clone();
        start(waiter, async move {
            let mut stream = stream.lock().await;
            match &mut *stream {
                Some(reading) => Ok(reading.next().await.map(AsBytes)),
                None => Ok(None),
            }
        });
    }

    /// Ends the subscriptions, unless the server has the stream or Python waits for it.
    fn close(&self) {
        if let Ok(mut stream) = self.stream.try_lock() {
            *stream = None;
        }
    }
}

impl EventStreamHandle {
    /// The stream, for the server. `None` if it was taken before, or Python reads it.
    pub(crate) fn take(&self) -> Option<EventStream> {
        self.stream.try_lock().ok()?.take().map(Reading::into_stream)
    }
}

/// Completes `waiter` with an `EventStreamHandle` when the channels are subscribed. `since` has positions as an event's
/// id has them; `last_event_id` is what the client sent. Raises ValueError for what is not possible.
#[pyfunction]
#[pyo3(signature = (channels, since, last_event_id, format, event, retry, waiter))]
fn event_stream_open(
    channels: Vec<String>,
    since: Option<&str>,
    last_event_id: Option<String>,
    format: &str,
    event: Option<String>,
    retry: Option<f64>,
    waiter: Py<Waiter>,
) -> PyResult<()> {
    let runtime = Runtime::current()?;
    let options = EventOptions {
        format: read_format(format)?,
        since: match since {
            Some(id) => positions(id, channels.len())?,
            None => Vec::new(),
        },
        last_event_id,
        event,
        retry: retry
            .map(Duration::try_from_secs_f64)
            .transpose()
            .map_err(|error| PyValueError::new_err(format!("retry: {error}")))?,
    };
    start(waiter, async move {
        let pubsub = runtime.services().pubsub().await?;
        let stream = EventStream::open(&pubsub, &channels, options).await?;
        let reading = runtime.event_streams().reading(stream);
        Ok(EventStreamHandle {
            stream: Arc::new(Mutex::new(Some(reading))),
        })
    });
    Ok(())
}

fn positions(id: &str, channels: usize) -> PyResult<Vec<Position>> {
    parse(id, channels).ok_or_else(|| {
        let error = Error::Invalid {
            what: "since".to_owned(),
            reason: "it is no id of an event of these channels".to_owned(),
        };
        PyValueError::new_err(error.to_string())
    })
}

/// The format of a name; raises ValueError if there is none.
pub(crate) fn read_format(name: &str) -> PyResult<Format> {
    name.parse()
        .map_err(|error: UnknownFormat| PyValueError::new_err(error.to_string()))
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EventStreamHandle>()?;
    module.add_function(wrap_pyfunction!(event_stream_open, module)?)
}
