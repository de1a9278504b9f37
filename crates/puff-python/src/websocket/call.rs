//! The function's end of a line, for `puff._websocket`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use puff_redis::{Error, Position};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

use super::handshake::Handshake;
use super::message::{Closed, Message};
use super::state::Shared;
use crate::call::PythonFunction;
use crate::greenlet::start;
use crate::lifeline::Lifeline;
use crate::live::{BindOptions, OnGap, read_format};
use crate::reactor::Job;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// A call in the hub's queue.
pub(super) struct CallJob(WebSocketCall);

impl CallJob {
    pub(super) fn new(
        function: PythonFunction,
        handshake: Handshake,
        shared: Arc<Shared>,
        life: Arc<Lifeline>,
    ) -> CallJob {
        CallJob(WebSocketCall {
            function,
            handshake,
            shared,
            life,
        })
    }
}

impl Job for CallJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        static HANDLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let handle = HANDLE.import(py, "puff._websocket", "handle")?;
        let call = Py::new(py, self.0)?.into_any();
        Ok((handle.clone().unbind(), call))
    }
}

/// One client and the function that was called for it; the native half of `puff.WebSocket`.
#[pyclass(frozen, module = "puff", name = "WebSocketCall")]
pub(crate) struct WebSocketCall {
    function: PythonFunction,
    handshake: Handshake,
    shared: Arc<Shared>,
    life: Arc<Lifeline>,
}

#[pymethods]
impl WebSocketCall {
    /// The function runs in the greenlet `worker` from now on. False: the client has gone, and it need not run.
    fn begin(slf: &Bound<'_, Self>, worker: Py<PyAny>) -> PyResult<bool> {
        slf.get().life.begin(worker, slf.as_any())
    }

    /// The greenlet to end because the client has gone; None if the function has ended.
    fn doomed(&self) -> Option<Py<PyAny>> {
        self.life.doomed()
    }

    /// The path of the function if it has to be imported before `function` is called.
    #[getter]
    fn missing(&self) -> Option<&str> {
        self.function.missing()
    }

    /// The function; raises RuntimeError if there is none by its name.
    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.function.get(py)
    }

    /// What the path's parameters matched.
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, value) in &self.handshake.params {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// The path, percent escapes resolved.
    #[getter]
    fn path(&self) -> &str {
        &self.handshake.path
    }

    /// What stands after `?`, as it came.
    #[getter]
    fn query_string(&self) -> &str {
        &self.handshake.query
    }

    /// The request's headers: lower-case names, several values joined.
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for name in self.handshake.headers.keys() {
            dict.set_item(name.as_str(), joined(py, &self.handshake.headers, name))?;
        }
        Ok(dict)
    }

    /// The subprotocols that the client offers.
    #[getter]
    fn subprotocols(&self) -> Vec<String> {
        self.handshake.subprotocols.clone()
    }

    /// The client's address and port; None on a Unix socket.
    #[getter]
    fn peer(&self) -> Option<(String, u16)> {
        let peer = self.handshake.peer?;
        Some((peer.ip().to_string(), peer.port()))
    }

    /// `wss` or `ws`.
    #[getter]
    fn scheme(&self) -> &'static str {
        if self.handshake.tls { "wss" } else { "ws" }
    }

    /// The subprotocol that was chosen.
    #[getter]
    fn subprotocol(&self) -> Option<String> {
        self.shared.subprotocol()
    }

    /// Code and reason of the close; None while the conversation goes on.
    #[getter]
    fn closed(&self) -> Option<(u16, String)> {
        self.shared.closed().map(|closed| (closed.code, closed.reason))
    }

    /// Takes the client; False if it was taken or rejected before. Raises ValueError for a subprotocol that the
    /// client does not offer, and for headers that the server sets itself.
    #[pyo3(signature = (subprotocol, headers))]
    fn accept(&self, subprotocol: Option<String>, headers: Vec<(String, String)>) -> PyResult<bool> {
        if let Some(chosen) = &subprotocol
            && !self.handshake.subprotocols.contains(chosen)
        {
            return Err(PyValueError::new_err(format!(
                "the client does not offer the subprotocol {chosen:?}, only {:?}",
                self.handshake.subprotocols
            )));
        }
        Ok(self.shared.accept(subprotocol, parse_headers(headers)?))
    }

    /// Answers the handshake with `status`; False if the client was taken or rejected before.
    fn reject(&self, status: i64, body: Vec<u8>, headers: Vec<(String, String)>) -> PyResult<bool> {
        let valid = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .filter(|status| !status.is_informational() && !status.is_success());
        let Some(status) = valid else {
            return Err(PyValueError::new_err(format!(
                "{status} is no status that rejects a WebSocket: give one from 300 to 999"
            )));
        };
        Ok(self
            .shared
            .reject(status, parse_headers(headers)?, Bytes::from(body)))
    }

    /// The next message that has come; None if there is none now, or no more (see `closed`). Takes the client.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.shared.ensure_accepted();
        let message = self.shared.take();
        message.map(|message| message.into_python(py)).transpose()
    }

    /// Completes `waiter` when it is worth to `take` again.
    fn readable(&self, waiter: Py<Waiter>) {
        self.shared.readable(waiter);
    }

    /// Queues a message; False if there is no room (see `writable`) or no more (see `closed`). Takes the client.
    fn send(&self, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let message = Message::from_python(message)?;
        self.shared.ensure_accepted();
        Ok(self.shared.send(message))
    }

    /// Completes `waiter` when it is worth to `send` again.
    fn writable(&self, waiter: Py<Waiter>) {
        self.shared.writable(waiter);
    }

    /// Closes the conversation after what is queued; a client that was not taken is rejected. Raises ValueError
    /// for a code that may not be sent, or a reason that is too long.
    fn close(&self, code: i64, reason: String) -> PyResult<()> {
        let Some(code) = u16::try_from(code).ok().filter(|code| Closed::may_send(*code)) else {
            return Err(PyValueError::new_err(format!(
                "{code} is no code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999"
            )));
        };
        if reason.len() > MAX_REASON {
            return Err(PyValueError::new_err(format!(
                "a reason has at most {MAX_REASON} bytes"
            )));
        }
        if !self.shared.reject(
            StatusCode::FORBIDDEN,
            HeaderMap::new(),
            Bytes::from("Forbidden\n"),
        ) {
            self.shared.shut(Closed::new(code, reason));
        }
        Ok(())
    }

    /// Completes `waiter` when what is published on `channel` goes to the client, with the position that it follows; with
    /// None if the conversation is over. Takes the client then.
    ///
    /// `how` is the format, and whether the client is told of who comes and goes; `begin` where the messages begin, and
    /// whether the client's own come back.
    fn bind(
        &self,
        id: String,
        channel: String,
        how: (&str, bool),
        begin: (Option<&str>, bool),
        gap: Option<&Bound<'_, PyAny>>,
        waiter: Py<Waiter>,
    ) -> PyResult<()> {
        let mut options = BindOptions::new(read_format(how.0)?);
        options.presence = how.1;
        options.subscribe.since = begin.0.map(read_position).transpose()?;
        options.subscribe.echo = begin.1;
        if let Some(gap) = gap {
            options.gap = OnGap::Send(Message::from_python(gap)?);
        }
        let (runtime, shared) = (Runtime::current()?, self.shared.clone());
        start(waiter, async move {
            let pubsub = runtime.services().pubsub().await?;
            let position = shared.bind(&pubsub, &id, &channel, options).await?;
            Ok(position.map(|position| position.to_string()))
        });
        Ok(())
    }

    /// Completes `waiter` when the client is on `channel` as `member`; with False if the conversation is over. Takes the
    /// client then.
    fn enter(
        &self,
        id: String,
        channel: String,
        member: String,
        info: Vec<u8>,
        waiter: Py<Waiter>,
    ) -> PyResult<()> {
        let (runtime, shared) = (Runtime::current()?, self.shared.clone());
        start(waiter, async move {
            let pubsub = runtime.services().pubsub().await?;
            let entered = shared.enter(&pubsub, &id, &channel, &member, info.into()).await?;
            Ok(entered.is_some())
        });
        Ok(())
    }

    /// Completes `waiter` with whether the client was on `channel`, when it is there no more.
    fn leave(&self, channel: String, waiter: Py<Waiter>) {
        let bound = self.shared.bound();
        start(waiter, async move {
            match bound {
                Some(bound) => Ok(bound.connection().leave(&channel).await?),
                None => Ok(false),
            }
        });
    }

    /// Sends nothing more of `channel`; False if it was not bound.
    fn unbind(&self, channel: &str) -> bool {
        self.shared.bound().is_some_and(|bound| bound.unbind(channel))
    }

    /// The function has returned: closes with 1000, or rejects a client that was not taken.
    fn returned(&self) {
        self.finish(StatusCode::FORBIDDEN, Closed::new(Closed::NORMAL, ""));
    }

    /// The function has raised: closes with 1011, or answers 500.
    fn failed(&self) {
        self.finish(
            StatusCode::INTERNAL_SERVER_ERROR,
            Closed::new(Closed::FAILED, "internal error"),
        );
    }

    /// The greenlet was killed: closes with 1001, or answers 503.
    fn killed(&self) {
        self.finish(
            StatusCode::SERVICE_UNAVAILABLE,
            Closed::new(Closed::GOING_AWAY, ""),
        );
    }

    fn __repr__(&self) -> String {
        format!("WebSocket({})", self.handshake.path)
    }
}

/// What a close frame has room for.
const MAX_REASON: usize = 123;

impl WebSocketCall {
    fn finish(&self, status: StatusCode, last: Closed) {
        self.life.end();
        let reason = status.canonical_reason().unwrap_or_default();
        let text = Bytes::from(format!("{reason}\n"));
        self.shared.reject(status, HeaderMap::new(), text);
        self.shared.end(last);
    }
}

impl Drop for WebSocketCall {
    /// A call that was dropped before it began, as the hub does at its end.
    fn drop(&mut self) {
        self.shared.end(Closed::new(Closed::GOING_AWAY, ""));
    }
}

fn read_position(text: &str) -> PyResult<Position> {
    text.parse()
        .map_err(|error: Error| PyValueError::new_err(error.to_string()))
}

/// All values of a header in one, as characters of the same numbers: cookies with `; `, the rest with `, `.
fn joined<'py>(py: Python<'py>, headers: &HeaderMap, name: &HeaderName) -> Bound<'py, PyString> {
    let separator = if *name == header::COOKIE { "; " } else { ", " };
    let values = headers.get_all(name).iter();
    let texts: Vec<String> = values
        .map(|value| value.as_bytes().iter().map(|byte| *byte as char).collect())
        .collect();
    PyString::new(py, &texts.join(separator))
}

fn parse_headers(headers: Vec<(String, String)>) -> PyResult<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let wrong = || PyValueError::new_err(format!("{name:?}: {value:?} is no header"));
        let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        if is_the_servers(&key) {
            return Err(PyValueError::new_err(format!(
                "the header {name} is set by the server"
            )));
        }
        let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c).ok()).collect();
        let content = bytes.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok());
        map.append(key, content.ok_or_else(wrong)?);
    }
    Ok(map)
}

fn is_the_servers(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 4] = [
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    OURS.contains(name) || name.as_str().starts_with("sec-websocket-")
}
