//! One request on its way through Python: `start_response`, `write`, the body and its end.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Request, Response, StatusCode};
use parking_lot::Mutex;
use pyo3::exceptions::{PyAssertionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::body::{Whole, WsgiBody};
use super::file::{FileJob, Opened};
use super::head::{Head, parse_head};
use super::input::{RequestBody, Stream};
use super::{ConnectionInfo, Inner, LongLived, client_gone};
use crate::greenlet::start;
use crate::lifeline::{Guard, Lifeline};
use crate::live::{EventStreamHandle, TOO_MANY_STREAMS};
use crate::method::bound_method;
use crate::reactor::Job;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// How many pieces of a streamed body may wait for the client; the greenlet waits when there are more.
const MAX_CHUNKS: usize = 16;

/// How long an application may make and send pieces while the other greenlets wait.
const LONGEST_RUN: Duration = Duration::from_millis(5);

/// A request in the hub's queue.
pub(super) struct RequestJob {
    pub(super) app: Arc<Inner>,
    pub(super) request: Request<RequestBody>,
    pub(super) connection: ConnectionInfo,
    pub(super) sender: oneshot::Sender<Response<WsgiBody>>,
    /// Of a request that ends with its client.
    pub(super) life: Option<Arc<Lifeline>>,
    /// The request's span in a trace, if it has one.
    pub(super) span: Span,
}

impl Job for RequestJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let environ = self.app.environ.build(py, &self.request, self.connection)?;
        let name = self.app.request_id.as_ref();
        let id = name.and_then(|name| self.request.headers().get(name)).cloned();
        let request = WsgiRequest {
            id,
            environ: environ.unbind(),
            line: format_line(&self.request),
            is_head: self.request.method() == http::Method::HEAD,
            input: self.request.body().as_stream().cloned(),
            state: Mutex::new(State {
                sender: Some(self.sender),
                head: None,
                body: BodyState::Nothing,
                run: Run::default(),
            }),
            life: self.life,
            span: self.span,
        };
        Ok((self.app.handler.clone_ref(py), Py::new(py, request)?.into_any()))
    }
}

fn format_line<B>(request: &Request<B>) -> RequestLine {
    RequestLine {
        method: request.method().clone(),
        uri: request.uri().clone(),
    }
}

struct RequestLine {
    method: http::Method,
    uri: http::Uri,
}

/// One request; called, it is the `start_response` of PEP 3333.
#[pyclass(frozen, module = "puff", name = "WsgiRequest")]
pub(crate) struct WsgiRequest {
    /// The environ for the application.
    #[pyo3(get)]
    environ: Py<PyDict>,
    line: RequestLine,
    id: Option<HeaderValue>,
    is_head: bool,
    /// The request's body, if it is streamed.
    input: Option<Arc<Stream>>,
    state: Mutex<State>,
    life: Option<Arc<Lifeline>>,
    span: Span,
}

struct State {
    /// Until the headers are sent.
    sender: Option<oneshot::Sender<Response<WsgiBody>>>,
    /// What `start_response` set.
    head: Option<Head>,
    body: BodyState,
    run: Run,
}

/// What was sent without letting other greenlets run.
#[derive(Default)]
struct Run {
    pieces: usize,
    since: Option<Instant>,
}

impl Run {
    /// Counts a piece; true: enough for now, though the client takes all that comes.
    fn is_long(&mut self) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.pieces += 1;
        self.pieces > MAX_CHUNKS || since.elapsed() > LONGEST_RUN
    }
}

enum BodyState {
    Nothing,
    /// Streaming; how many bytes the application may still send.
    Stream {
        chunks: mpsc::Sender<Bytes>,
        left: Option<u64>,
        whole: Whole,
    },
    /// A file that Tokio is about to send.
    File(FileJob),
    Ended,
}

#[pymethods]
impl WsgiRequest {
    /// `start_response(status, headers, exc_info=None)`; returns `write`.
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__(
        slf: &Bound<'_, Self>,
        status: &Bound<'_, PyString>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<Bound<'_, PyTuple>>,
    ) -> PyResult<Py<PyAny>> {
        let this = slf.get();
        let head = parse_head(status, headers)?;
        let mut state = this.state.lock();
        if let Some(exc_info) = exc_info {
            if state.sender.is_none() {
                drop(state);
                return Err(PyErr::from_value(exc_info.get_item(1)?));
            }
        } else if state.head.is_some() || state.sender.is_none() {
            return Err(PyAssertionError::new_err(
                "start_response was called twice without exc_info (PEP 3333)",
            ));
        }
        state.head = Some(head);
        drop(state);
        write_of(slf)
    }

    /// Answers with a list or tuple of bytes, in one piece. False: the application used `write()` before, so
    /// that the pieces have to be sent one by one.
    fn respond(&self, chunks: &Bound<'_, PyAny>) -> PyResult<bool> {
        let body = if let Ok(list) = chunks.cast::<PyList>() {
            match list.len() {
                1 => to_bytes(&list.get_item(0)?)?,
                _ => concat(list.iter())?,
            }
        } else {
            concat(chunks.cast::<PyTuple>()?.iter())?
        };
        let mut state = self.state.lock();
        if !matches!(state.body, BodyState::Nothing) {
            return Ok(false);
        }
        self.read_no_more();
        self.send_full(&mut state, body)?;
        Ok(true)
    }

    /// Begins to answer with the open file `fd` from `offset` on, as long as it is or as `Content-Length` says;
    /// `file_sent` does the rest. False: it is no regular file, or `write()` was used before; iterate.
    fn open_file(&self, fd: RawFd, offset: u64) -> PyResult<bool> {
        let Some(opened) = Opened::new(fd, offset)? else {
            return Ok(false);
        };
        let mut state = self.state.lock();
        if !matches!(state.body, BodyState::Nothing) {
            return Ok(false);
        }
        let mut head = state.head.take().ok_or_else(no_start_response)?;
        let length = match head.length {
            Some(length) if length > opened.length() && !head.is_bodiless() => {
                return Err(PyValueError::new_err(format!(
                    "the file has {} bytes, its Content-Length says {length}",
                    opened.length()
                )));
            }
            Some(length) => length,
            None => {
                head.set_length(opened.length());
                opened.length()
            }
        };
        state.body = BodyState::Ended;
        if self.is_head || head.is_bodiless() || length == 0 {
            self.release();
            send_response(state.sender.take(), head, WsgiBody::full(Bytes::new()))?;
            return Ok(true);
        }
        let (job, body) = opened.into_job(length);
        // A client that goes is noticed by the job; the greenlet does nothing else meanwhile.
        self.release();
        send_response(state.sender.take(), head, body)?;
        state.body = BodyState::File(job);
        Ok(true)
    }

    /// Answers with an event stream, which Tokio sends from here on: the request is done. False: Python has read from it,
    /// or `write()` was used before; iterate.
    fn send_events(&self, events: &EventStreamHandle) -> PyResult<bool> {
        let mut state = self.state.lock();
        if !matches!(state.body, BodyState::Nothing) {
            return Ok(false);
        }
        let Some(stream) = events.take() else {
            return Ok(false);
        };
        let head = state.head.take().ok_or_else(no_start_response)?;
        state.body = BodyState::Ended;
        self.read_no_more();
        self.release();
        if self.is_head || head.is_bodiless() {
            send_response(state.sender.take(), head, WsgiBody::full(Bytes::new()))?;
            return Ok(true);
        }
        match Runtime::current()?.event_streams().body(stream) {
            Some(body) => send_response(state.sender.take(), head, WsgiBody::events(body))?,
            None => {
                let sender = state.sender.take().ok_or_else(client_gone)?;
                sender.send(too_many_streams()).map_err(|_| client_gone())?;
            }
        }
        Ok(true)
    }

    /// Completes `waiter` when all of the file is on its way.
    fn file_sent(&self, waiter: Py<Waiter>) {
        let mut state = self.state.lock();
        let job = match std::mem::replace(&mut state.body, BodyState::Ended) {
            BodyState::File(job) => Some(job),
            _ => None,
        };
        drop(state);
        start(waiter, async move {
            match job {
                Some(job) => job.run().await,
                None => Ok(()),
            }
        });
    }

    /// Sends one piece of the body; False means that the client is slow, or that other greenlets are due: wait
    /// with `drained`, then try again.
    fn send(&self, chunk: &Bound<'_, PyAny>) -> PyResult<bool> {
        let bytes = to_bytes(chunk)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        self.push(bytes)
    }

    /// Completes `waiter` when the client has taken something.
    fn drained(&self, waiter: Py<Waiter>) {
        let mut state = self.state.lock();
        state.run = Run::default();
        let chunks = match &state.body {
            BodyState::Stream { chunks, .. } => Some(chunks.clone()),
            _ => None,
        };
        drop(state);
        start(waiter, async move {
            if let Some(chunks) = chunks {
                // An error means that the client has gone; the next `send` says so.
                let _ = chunks.reserve().await;
            }
            Ok(())
        });
    }

    /// The request runs in the greenlet `worker` from now on; for an application whose requests end with their
    /// clients. False: the client has gone already.
    fn begin(slf: &Bound<'_, Self>, worker: Py<PyAny>) -> PyResult<bool> {
        match &slf.get().life {
            Some(life) => life.begin(worker, slf.as_any()),
            None => Ok(true),
        }
    }

    /// The greenlet to end because the client has gone; None if the answer is complete.
    fn doomed(&self) -> Option<Py<PyAny>> {
        self.life.as_ref()?.doomed()
    }

    /// The body is complete.
    fn finish(&self) -> PyResult<()> {
        self.read_no_more();
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.body, BodyState::Ended) {
            BodyState::Nothing => {
                state.body = BodyState::Nothing;
                self.send_full(&mut state, Bytes::new())
            }
            BodyState::Stream { left: Some(left), .. } if left > 0 => Err(PyValueError::new_err(format!(
                "the body is {left} bytes shorter than its Content-Length says"
            ))),
            BodyState::Stream { whole, .. } => {
                self.release();
                whole.set();
                Ok(())
            }
            BodyState::File(_) | BodyState::Ended => Ok(()),
        }
    }

    /// The application failed: a 500 if the headers are not sent yet, or what the request's body deserves if that
    /// failed before; else the connection is cut.
    fn abort(&self) {
        let body_error = self.input.as_ref().and_then(|input| input.error());
        self.read_no_more();
        self.release();
        let mut state = self.state.lock();
        // A stream that is not marked as whole cuts the connection at its end.
        state.body = BodyState::Ended;
        if let Some(sender) = state.sender.take() {
            let _ = sender.send(body_error.map_or_else(super::internal_error, super::refuse_body));
        }
    }

    /// As `abort`, but where that would send a bare 500 this sends `body`, a page for developers.
    fn fail(&self, content_type: &str, body: &[u8]) -> PyResult<()> {
        let broken = self.input.as_ref().is_some_and(|input| input.error().is_some());
        let mut state = self.state.lock();
        if !broken && let Some(sender) = state.sender.take() {
            let mut response = super::plain(StatusCode::INTERNAL_SERVER_ERROR, Bytes::copy_from_slice(body));
            let kind = HeaderValue::from_str(content_type)
                .map_err(|_| PyValueError::new_err("the content type is not one"))?;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            // The page has styles and nothing that runs.
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
            let _ = sender.send(response);
        }
        drop(state);
        self.abort();
        Ok(())
    }

    /// The request's id, if the server gives ids.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.id.as_ref()?.to_str().ok()
    }

    /// The request's method.
    #[getter]
    fn method(&self) -> &str {
        self.line.method.as_str()
    }

    /// The request's path, as it was sent, without the query.
    #[getter]
    fn path(&self) -> &str {
        self.line.uri.path()
    }

    fn __repr__(&self) -> String {
        format!("{} {}", self.line.method, self.line.uri)
    }
}

impl WsgiRequest {
    /// The request's span in a trace.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The headers and the whole body at once.
    fn send_full(&self, state: &mut State, body: Bytes) -> PyResult<()> {
        let head = state.head.take().ok_or_else(no_start_response)?;
        let bodiless = self.is_head || head.is_bodiless();
        if let Some(length) = head.length
            && length != body.len() as u64
            && !bodiless
        {
            return Err(PyValueError::new_err(format!(
                "the body has {} bytes, its Content-Length says {length}",
                body.len()
            )));
        }
        state.body = BodyState::Ended;
        self.release();
        let sender = state.sender.take();
        let body = if head.is_bodiless() { Bytes::new() } else { body };
        send_response(sender, head, WsgiBody::full(body))
    }

    /// The request's body is not wanted any more.
    fn read_no_more(&self) {
        if let Some(input) = &self.input {
            input.over();
        }
    }

    /// The greenlet does not end with its client any more: the answer is complete, or the application has been
    /// told by an exception. Nothing that is dropped here is a last reference, so a lock may be held.
    fn release(&self) {
        if let Some(life) = &self.life {
            life.end();
        }
    }

    /// What notices that the client of a streamed body has gone. Where HTTP has no body, hyper drops ours at
    /// once, and that says nothing.
    fn body_guard(&self, head: &Head) -> Option<Guard> {
        let bodiless = self.is_head || head.is_bodiless();
        self.life.as_ref().filter(|_| !bodiless).map(Lifeline::guard)
    }

    /// One piece; starts the stream if it is the first. False: the queue is full.
    fn push(&self, bytes: Bytes) -> PyResult<bool> {
        let mut state = self.state.lock();
        if let BodyState::Nothing = state.body {
            if state
                .head
                .as_ref()
                .is_some_and(|head| head.length == Some(bytes.len() as u64))
            {
                // The first piece is the whole body, as most frameworks have it.
                self.send_full(&mut state, bytes)?;
                return Ok(true);
            }
            let head = state.head.take().ok_or_else(no_start_response)?;
            let (chunks, receiver) = mpsc::channel(MAX_CHUNKS);
            let whole = Whole::default();
            let body = WsgiBody::stream(receiver, head.length, whole.clone(), self.body_guard(&head));
            state.body = BodyState::Stream {
                chunks,
                left: head.length.filter(|_| !self.is_head && !head.is_bodiless()),
                whole,
            };
            send_response(state.sender.take(), head, body).inspect_err(|_| self.release())?;
        }
        let state = &mut *state;
        match &mut state.body {
            BodyState::Stream { chunks, left, .. } => {
                if state.run.is_long() {
                    return Ok(false);
                }
                let length = bytes.len() as u64;
                if left.is_some_and(|left| left < length) {
                    return Err(PyValueError::new_err(
                        "the body is longer than its Content-Length says",
                    ));
                }
                match chunks.try_send(bytes) {
                    Ok(()) => {
                        if let Some(left) = left {
                            *left -= length;
                            if *left == 0 {
                                // hyper drops a body that has its length, whether it has ended or not.
                                self.release();
                            }
                        }
                        Ok(true)
                    }
                    Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
                    Err(mpsc::error::TrySendError::Closed(_)) => {
                        self.release();
                        Err(client_gone())
                    }
                }
            }
            _ => Err(PyValueError::new_err(
                "the body is longer than its Content-Length says",
            )),
        }
    }
}

fn send_response(
    sender: Option<oneshot::Sender<Response<WsgiBody>>>,
    head: Head,
    body: WsgiBody,
) -> PyResult<()> {
    let lasts = body.is_events();
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if let Some(reason) = head.reason {
        response.extensions_mut().insert(reason);
    }
    if lasts {
        response.extensions_mut().insert(LongLived);
    }
    let sender = sender.ok_or_else(client_gone)?;
    sender.send(response).map_err(|_| client_gone())
}

fn too_many_streams() -> Response<WsgiBody> {
    let text = format!("{TOO_MANY_STREAMS}\n");
    let mut response = super::plain(StatusCode::SERVICE_UNAVAILABLE, text.into());
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}

/// `write(data)` of PEP 3333, for old applications: `puff._wsgi.write` bound to this request. It is Python
/// because it waits for a slow client, and a native frame must not be parked.
fn write_of(request: &Bound<'_, WsgiRequest>) -> PyResult<Py<PyAny>> {
    static WRITE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let write = WRITE.import(request.py(), "puff._wsgi", "write")?;
    Ok(bound_method(write, request)?.unbind())
}

fn no_start_response() -> PyErr {
    PyAssertionError::new_err("the application returned a body but did not call start_response (PEP 3333)")
}

fn to_bytes(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    match object.cast::<PyBytes>() {
        Ok(bytes) => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "a WSGI body is made of bytes, not {}; encode text, for example with .encode()",
            object.get_type().qualname()?
        ))),
    }
}

fn concat<'py>(chunks: impl Iterator<Item = Bound<'py, PyAny>>) -> PyResult<Bytes> {
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend_from_slice(&to_bytes(&chunk)?);
    }
    Ok(Bytes::from(all))
}
