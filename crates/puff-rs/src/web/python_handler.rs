//! [`python_handler`]: a Python function behind a route.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams, Request};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use puff_python::wsgi::is_hop_by_hop;
use puff_python::{CallError, PythonFunction, Runtime};
use tracing::error;

use super::body::{read_body, text_response};
use super::config::BodyLimits;

/// A handler that calls the Python function at `path` (`pkg.mod:function` or `pkg.mod.function`) with a
/// `puff.web.Request`, in a greenlet of its own.
///
/// The function returns `str`, `bytes`, a `dict` or `list` for JSON, or `(status, headers, body)` with one of these
/// as the body. Something else, an exception or a function that is not there is a 500, and the log says which. Its
/// module is imported by the first request. The body of the request is read before, within the server's limits
/// ([`BodyLimits`]). A client that goes away ends the greenlet.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::web::python_handler;
///
/// let router: Router = Router::new().post("/shops/{shop}/orders", python_handler("shop.api:create"));
/// # let _ = router;
/// ```
pub fn python_handler(path: impl Into<String>) -> PythonHandler {
    PythonHandler {
        path: Arc::from(path.into()),
        answer: PythonFunction::named("puff._handler:answer"),
    }
}

/// The handler of [`python_handler`].
#[derive(Debug, Clone)]
pub struct PythonHandler {
    path: Arc<str>,
    /// The Python half.
    answer: PythonFunction,
}

impl<S> Handler<(), S> for PythonHandler {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, _: S) -> Self::Future {
        Box::pin(async move {
            self.respond(request)
                .await
                .unwrap_or_else(|problem| problem.response(&self.path))
        })
    }
}

/// What the function answers: status, headers, body.
type Answer = (u16, Vec<(String, String)>, Bytes);

/// Why there is no answer of the function's.
enum Problem {
    /// What the client shall see.
    Refused(Box<Response>),
    Call(CallError),
    /// A text for the log.
    Wrong(String),
}

impl PythonHandler {
    async fn respond(&self, request: Request) -> Result<Response, Problem> {
        let runtime = request.extensions().get::<Runtime>().cloned();
        let runtime = runtime.ok_or_else(|| Problem::Wrong("no server command runs this router".into()))?;
        let limits = request.extensions().get::<BodyLimits>().copied();
        let (mut parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body, limits.unwrap_or_default())
            .await
            .map_err(|error| {
                let mut response = text_response::<Body>(error.status(), error.to_string());
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
                Problem::Refused(Box::new(response))
            })?;
        let parameters = RawPathParams::from_request_parts(&mut parts, &())
            .await
            .map_err(|error| Problem::Refused(Box::new(error.into_response())))?;
        let parameters: Vec<(String, String)> = parameters
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let arguments = (
            self.path.to_string(),
            parts.method.as_str().to_owned(),
            target(&parts),
            parameters,
            headers(&parts.headers),
            body,
        );
        let answer = runtime.call_python::<Answer, _>(&self.answer, arguments);
        response(answer.await.map_err(Problem::Call)?)
    }
}

impl Problem {
    fn response(self, path: &str) -> Response {
        match self {
            Problem::Refused(response) => return *response,
            Problem::Call(problem) => error!("{path}: {problem}"),
            Problem::Wrong(problem) => error!("{path}: {problem}"),
        }
        text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }
}

/// Path and query as they were sent, also where a route is nested.
fn target(parts: &Parts) -> (String, String) {
    let uri = match parts.extensions.get::<OriginalUri>() {
        Some(OriginalUri(uri)) => uri,
        None => &parts.uri,
    };
    (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned())
}

/// Each byte of a value as the character of the same number, as in WSGI.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

fn response((status, headers, body): Answer) -> Result<Response, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status)
        .map_err(|_| Problem::Wrong(format!("the status {status} is none of HTTP's")))?;
    for (name, value) in headers {
        let wrong = || {
            Problem::Wrong(format!(
                "HTTP does not allow the header {name:?} with the value {value:?}"
            ))
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let latin1: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let latin1 = latin1.ok_or_else(wrong)?;
        let content = HeaderValue::from_bytes(&latin1).map_err(|_| wrong())?;
        if !is_hop_by_hop(&header) {
            response.headers_mut().append(header, content);
        }
    }
    if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status()) {
        *response.body_mut() = Body::from(body);
    }
    Ok(response)
}
