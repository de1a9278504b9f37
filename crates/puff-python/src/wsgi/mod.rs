//! WSGI (PEP 3333): an HTTP request becomes a call of a Python application in a greenlet.
//!
//! Tokio hands the request to the hub's queue and waits for the response; the environ is built on the hub's
//! thread, the Python half (`puff/_wsgi.py`) calls the application, and what it returns comes back as plain
//! bytes that Tokio sends.

mod body;
mod environ;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod head;
mod input;
mod limits;
mod request;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use puff_core::TRACE_TARGET;
use pyo3::prelude::*;
use tokio::sync::oneshot;
use tracing::{Level, Span};

pub use body::{Aborted, WsgiBody};
use environ::EnvironBuilder;
pub use head::is_hop_by_hop;
pub use input::RequestBody;
use input::{RequestBodyError, WsgiInput};
pub use limits::{BodyError, InputLimits};
use request::RequestJob;
pub(crate) use request::WsgiRequest;

use crate::lifeline::{Guard, Lifeline, Lifelines};
use crate::reactor::{Event, Reactor};
use crate::runtime::Runtime;

pyo3::create_exception!(
    puff,
    ClientGone,
    pyo3::exceptions::PyConnectionResetError,
    "The client of a WSGI response is no longer there."
);

/// Where a request came in.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionInfo {
    /// The address the server listens on, as the connection sees it; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// The client's address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the client speaks TLS to this server.
    pub tls: bool,
}

/// Marks, among their extensions, answers that go on until their client or the server ends them, as event streams do.
/// Whoever gives them bounds their number: they take no turn.
#[derive(Debug, Clone, Copy)]
pub struct LongLived;

/// How an application is run.
#[derive(Debug, Clone, Default)]
pub struct WsgiOptions {
    /// The path that the application is below, `/shop`: its `SCRIPT_NAME`. Other paths are answered 404. Empty for
    /// all of the server.
    pub mount: String,
    /// Whether a request whose client has gone ends its greenlet: `GreenletExit` is raised where it waits.
    pub kill_gone: bool,
    /// How long the application may take until its headers are sent; then `GreenletExit` is raised where it
    /// waits, and the answer is a 504. An application that computes without a wait ends at its next one.
    pub time_limit: Option<Duration>,
    /// The header in which requests have an id: their greenlets log it.
    pub request_id: Option<HeaderName>,
    /// Who is shown the traceback of an exception instead of a bare 500.
    pub error_page: ErrorPage,
    /// Whether other processes serve the application as well: `wsgi.multiprocess`.
    pub multiprocess: bool,
}

/// Who is shown the traceback of an exception that the application lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorPage {
    /// Nobody; for everything that strangers can reach.
    #[default]
    Off,
    /// Clients on this machine that no proxy speaks for.
    Local,
    /// Every client.
    Always,
}

/// A WSGI application that runs on the hub. Clones are cheap and share it.
#[derive(Clone)]
pub struct WsgiApp {
    inner: Arc<Inner>,
}

struct Inner {
    reactor: Arc<Reactor>,
    /// `handle(request)` of the Python half.
    handler: Py<PyAny>,
    environ: EnvironBuilder,
    /// For requests that end with their clients, or at a deadline.
    lifelines: Option<Lifelines>,
    time_limit: Option<Duration>,
    mount: String,
    request_id: Option<HeaderName>,
}

impl WsgiApp {
    /// Prepares `application`, a WSGI callable. Call it attached.
    ///
    /// # Errors
    /// `TypeError` if `application` cannot be called, or gives coroutines.
    pub fn new(runtime: &Runtime, application: &Bound<'_, PyAny>, options: WsgiOptions) -> PyResult<WsgiApp> {
        if !application.is_callable() {
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "a WSGI application is a callable, not {}",
                application.get_type().qualname()?
            )));
        }
        let py = application.py();
        if is_async(application) {
            return Err(pyo3::exceptions::PyTypeError::new_err(
                "this is an ASGI application, the server speaks WSGI",
            ));
        }
        let can_end = options.kill_gone || options.time_limit.is_some();
        let handler = py.import("puff._wsgi")?.call_method1(
            "handler",
            (application, can_end, error_page(py, options.error_page)?),
        )?;
        Ok(WsgiApp {
            inner: Arc::new(Inner {
                reactor: runtime.reactor().clone(),
                handler: handler.unbind(),
                environ: EnvironBuilder::new(py, &options)?,
                lifelines: can_end.then(|| Lifelines::with_deadline(runtime, options.kill_gone)),
                time_limit: options.time_limit,
                mount: options.mount,
                request_id: options.request_id,
            }),
        })
    }

    /// Answers one request, which is on its way to the hub when this returns.
    ///
    /// The future runs on Tokio. An error in the application is a 500; one after the headers ends the body with
    /// [`Aborted`], so that the connection is cut. Dropping the future, or later a streamed body that is not
    /// complete, leaves the greenlet to finish, or with [`WsgiOptions::kill_gone`] ends it.
    pub fn call(
        &self,
        request: Request<RequestBody>,
        connection: ConnectionInfo,
    ) -> impl Future<Output = Response<WsgiBody>> + Send + use<> {
        let asked = path_below(&self.inner.mount, request.uri().path())
            .is_some()
            .then(|| self.ask(request, connection));
        let limit = self.inner.time_limit;
        async move {
            match asked {
                Some(asked) => asked.answer(limit).await,
                None => plain(StatusCode::NOT_FOUND, Bytes::from_static(b"Not Found\n")),
            }
        }
    }

    /// Hands the request to the hub.
    fn ask(&self, request: Request<RequestBody>, connection: ConnectionInfo) -> Asked {
        let (sender, receiver) = oneshot::channel();
        let input = request.body().as_stream().cloned();
        let (life, guard) = self.inner.lifelines.as_ref().map(Lifeline::new).unzip();
        let job = RequestJob {
            app: self.inner.clone(),
            request,
            connection,
            sender,
            life,
            // Not asked for without need: it is a look at the thread's own storage.
            span: match tracing::span_enabled!(target: TRACE_TARGET, Level::TRACE) {
                true => Span::current(),
                false => Span::none(),
            },
        };
        self.inner.reactor.push(Event::Job(Box::new(job)));
        Asked {
            receiver,
            input,
            guard,
        }
    }
}

/// A request that the hub has, and nobody has answered yet.
struct Asked {
    receiver: oneshot::Receiver<Response<WsgiBody>>,
    input: Option<Arc<input::Stream>>,
    guard: Option<Guard>,
}

impl Asked {
    async fn answer(self, limit: Option<Duration>) -> Response<WsgiBody> {
        let Asked {
            receiver,
            input,
            guard,
        } = self;
        let response = match limit {
            None => receiver.await,
            // In a box, so that others carry no room for it.
            Some(limit) => match Box::pin(tokio::time::timeout(limit, receiver)).await {
                Ok(response) => response,
                Err(_) => {
                    if let Some(guard) = guard {
                        guard.cut();
                    }
                    if let Some(input) = input {
                        input.over();
                    }
                    return plain(
                        StatusCode::GATEWAY_TIMEOUT,
                        Bytes::from_static(b"the request took too long\n"),
                    );
                }
            },
        };
        let response = response.unwrap_or_else(|_| {
            if let Some(input) = input {
                input.over();
            }
            internal_error()
        });
        if let Some(guard) = guard {
            guard.disarm(); // a body that is streamed has a guard of its own
        }
        response
    }
}

/// Whether calling it gives a coroutine, as far as can be seen: a function, or an object with such a `__call__`.
/// By its code's flags, as `inspect` does, whose import takes as long as that of many an application.
fn is_async(application: &Bound<'_, PyAny>) -> bool {
    const CO_COROUTINE: u32 = 0x80;
    let flags = |callable: &Bound<'_, PyAny>| -> PyResult<u32> {
        callable.getattr("__code__")?.getattr("co_flags")?.extract()
    };
    let call = application.getattr("__call__").and_then(|call| flags(&call));
    [flags(application), call]
        .into_iter()
        .flatten()
        .any(|flags| flags & CO_COROUTINE != 0)
}

/// What answers with a traceback, as the Python half takes it.
fn error_page(py: Python<'_>, whom: ErrorPage) -> PyResult<Option<Bound<'_, PyAny>>> {
    let only_local = match whom {
        ErrorPage::Off => return Ok(None),
        ErrorPage::Local => true,
        ErrorPage::Always => false,
    };
    let page = py.import("puff._error_page")?;
    page.call_method1("answerer", (only_local,)).map(Some)
}

/// What is left of `path` below the mount; `None` if it is not below it.
fn path_below<'a>(mount: &str, path: &'a str) -> Option<&'a str> {
    if mount.is_empty() {
        // Not by `strip_prefix`: glibc compares nothing with an empty string's dangling pointer by a masked load,
        // which takes the processor as long as a hundred others.
        return Some(path);
    }
    path.strip_prefix(mount)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn internal_error() -> Response<WsgiBody> {
    plain(
        StatusCode::INTERNAL_SERVER_ERROR,
        Bytes::from_static(b"Internal Server Error\n"),
    )
}

fn client_gone() -> PyErr {
    ClientGone::new_err("the client has gone")
}

/// Tells the client what was wrong with its body, and that the connection ends: the rest of the body may be on
/// its way, and must not be read as a request.
pub fn refuse_body(error: BodyError) -> Response<WsgiBody> {
    let mut response = plain(error.status(), Bytes::from(format!("{error}\n")));
    response
        .headers_mut()
        .insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}

fn plain(status: StatusCode, text: Bytes) -> Response<WsgiBody> {
    let mut response = Response::new(WsgiBody::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Adds the classes of this module to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ClientGone", module.py().get_type::<ClientGone>())?;
    module.add("RequestBodyError", module.py().get_type::<RequestBodyError>())?;
    module.add_class::<WsgiInput>()?;
    module.add_class::<WsgiRequest>()
}
