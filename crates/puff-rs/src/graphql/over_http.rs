//! GraphQL requests over HTTP, from bytes to bytes.
//!
//! By the GraphQL-over-HTTP specification: POST with JSON, GET for queries only, two response formats. Whatever is
//! wrong with a request, the answer is one of GraphQL's.

use std::time::Duration;

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Body as HttpBody;
use puff_graphql::{OperationKind, Outcome, Record, RequestError, RequestErrorCode, Times, Value};
use puff_python::graphql::RequestContext;
use puff_python::wsgi::ConnectionInfo;

use super::cross_site::{is_asked_for, may_be_foreign};
use super::media::{Format, is_json, takes_events};
use super::multipart::{self, is_multipart};
use super::{Endpoint, subscriptions};
use crate::errors::BoxError;
use crate::web::{BodyError, BodyLimits, RequestId, ServerBody, Stalling, read_body};

type Response = http::Response<ServerBody>;

/// Answers `request`, whatever it is. `client`: its connection, if it is known.
pub(super) async fn answer<B>(
    endpoint: &Endpoint,
    request: Request<B>,
    client: Option<ConnectionInfo>,
) -> Response
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let accepted = Format::accepted(&parts.headers);
    let takes_events = takes_events(&parts.headers) && parts.method != Method::HEAD;
    let Some(format) = accepted.or(takes_events.then_some(Format::Json)) else {
        let message = "answers are application/json, application/graphql-response+json or text/event-stream, and \
            `Accept` takes none of them";
        return Refusal::new(StatusCode::NOT_ACCEPTABLE, message).response(Format::Json);
    };
    // Clients that take answers of other formats as well want events of subscriptions only.
    let only_events = takes_events && accepted.is_none();
    match read(endpoint, &parts, body).await {
        Ok(mut asked)
            if !asked.is_list && (only_events || takes_events && asked.is_subscription(endpoint)) =>
        {
            let request = asked.requests.pop().unwrap_or_default();
            subscriptions::stream(endpoint, &parts, client, Ok(request)).map(ServerBody::from)
        }
        Ok(asked) => run(endpoint, parts, client, format, asked).await,
        Err(refusal) if only_events && refusal.status == StatusCode::BAD_REQUEST => {
            subscriptions::stream(endpoint, &parts, client, Err(refusal.error)).map(ServerBody::from)
        }
        Err(refusal) => refusal.response(format),
    }
}

/// What a client asks.
struct Asked {
    requests: Vec<puff_graphql::Request>,
    /// Whether it is a list, which is answered by a list.
    is_list: bool,
}

impl Asked {
    /// Whether it is one subscription.
    fn is_subscription(&self, endpoint: &Endpoint) -> bool {
        let [request] = &self.requests[..] else {
            return false;
        };
        let mut request = request.clone();
        let settled = endpoint.config.documents.settle(&mut request);
        settled.is_ok() && endpoint.graphql.kind(&request) == Ok(OperationKind::Subscription)
    }
}

/// Why a request is not run.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: RequestError,
    /// The methods there are, if that is what was wrong.
    allow: Option<&'static str>,
    /// Bytes of the request may still be on their way.
    closes: bool,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            error: RequestError::new(RequestErrorCode::BadRequest, message),
            allow: None,
            closes: false,
        }
    }

    /// One after which bytes of the request may still come.
    pub(super) fn closing(status: StatusCode, error: RequestError) -> Refusal {
        Refusal {
            error,
            closes: true,
            ..Refusal::new(status, "")
        }
    }

    fn cross_site(what: &str) -> Refusal {
        let message = format!(
            "a page of another site may have sent this request: add a header `GraphQL-Require-Preflight: 1`{what}"
        );
        Refusal {
            error: RequestError::new(RequestErrorCode::CrossSite, message),
            ..Refusal::new(StatusCode::FORBIDDEN, "")
        }
    }

    fn response(self, format: Format) -> Response {
        let body = puff_graphql::Response::refused(&self.error).body;
        let mut response = encoded(format, self.status, body);
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Refusal {
        Refusal {
            error,
            ..Refusal::new(StatusCode::BAD_REQUEST, "")
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Refusal {
        Refusal {
            closes: true,
            ..Refusal::new(error.status(), error.to_string())
        }
    }
}

async fn read<B>(endpoint: &Endpoint, parts: &Parts, body: B) -> Result<Asked, Refusal>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let config = &endpoint.config;
    let (requests, is_list) = match parts.method {
        Method::POST if config.max_files > 0 && is_multipart(&parts.headers) => {
            if config.cross_site_protection && !is_asked_for(&parts.headers) {
                return Err(Refusal {
                    closes: true,
                    ..Refusal::cross_site("")
                });
            }
            let body = Body::new(Stalling::new(body, endpoint.body.time));
            // In a box, so that other requests carry no room for it.
            Box::pin(multipart::read(config, parts, body)).await?
        }
        Method::POST => {
            if !is_json(&parts.headers) {
                let message =
                    "the body of a GraphQL request is JSON in UTF-8: send `Content-Type: application/json`";
                return Err(Refusal {
                    closes: true,
                    ..Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
                });
            }
            let limits = BodyLimits {
                bytes: endpoint.body.bytes.min(config.max_body),
                ..endpoint.body
            };
            let body = read_body(&parts.headers, body, limits).await?;
            match config.max_batch {
                0 => (vec![puff_graphql::Request::from_json(&body)?], false),
                most => puff_graphql::Request::batch_from_json(&body, most)?,
            }
        }
        Method::GET | Method::HEAD => {
            if config.cross_site_protection && may_be_foreign(&parts.headers) {
                return Err(Refusal::cross_site(", or use POST"));
            }
            (vec![from_query(parts.uri.query().unwrap_or(""))?], false)
        }
        _ => {
            return Err(Refusal {
                allow: Some("GET, POST"),
                closes: true,
                ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "GraphQL is asked by GET or POST")
            });
        }
    };
    Ok(Asked { requests, is_list })
}

async fn run(
    endpoint: &Endpoint,
    parts: Parts,
    client: Option<ConnectionInfo>,
    format: Format,
    asked: Asked,
) -> Response {
    let config = &endpoint.config;
    let header = parts.headers.get("puff-trace").is_some_and(|value| value == "1");
    let may_trace = config.trace.allows(&parts.headers, client.as_ref());
    let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
    let peer = client.and_then(|client| client.peer);
    let context = RequestContext::with_id(parts.headers, id).with_peer(peer);
    let execute = |mut request: puff_graphql::Request| {
        let context = context.clone();
        async move {
            if let Err(error) = config.documents.settle(&mut request) {
                return puff_graphql::Response::refused(&error);
            }
            request.record = match config.server_timing {
                _ if may_trace && (header || request.wants_trace) => Record::Layers,
                true => Record::Times,
                false => Record::Nothing,
            };
            endpoint.graphql.execute(request, context).await
        }
    };
    if asked.is_list {
        let answers = join_all(asked.requests.into_iter().map(execute)).await;
        let mut body = BytesMut::new();
        for (number, answer) in answers.iter().enumerate() {
            body.put_u8(if number == 0 { b'[' } else { b',' });
            body.put_slice(&answer.body_with_trace());
        }
        body.put_u8(b']');
        return encoded(format, StatusCode::OK, body.freeze());
    }
    let Some(request) = asked.requests.into_iter().next() else {
        return Refusal::new(StatusCode::BAD_REQUEST, "there is no request").response(format);
    };
    let read_only = request.read_only;
    let response = execute(request).await;
    let status = status(response.outcome, read_only, format);
    let mut answer = encoded(format, status, response.body_with_trace());
    if response.outcome == Outcome::Refused(RequestErrorCode::DocumentUnknown) {
        // It is known as soon as somebody sends it.
        let value = HeaderValue::from_static("private, no-cache, must-revalidate");
        answer.headers_mut().insert(CACHE_CONTROL, value);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(times) = response.times.filter(|_| config.server_timing)
        && let Ok(value) = HeaderValue::try_from(server_timing(&times))
    {
        answer.headers_mut().insert("server-timing", value);
    }
    answer
}

/// The status by which clients of the newer format know that nothing ran; the older one says it in the body alone.
fn status(outcome: Outcome, read_only: bool, format: Format) -> StatusCode {
    match outcome {
        Outcome::Executed { .. } => StatusCode::OK,
        Outcome::Refused(RequestErrorCode::OperationNotAllowed) if read_only => {
            StatusCode::METHOD_NOT_ALLOWED
        }
        Outcome::Refused(RequestErrorCode::BadRequest) => StatusCode::BAD_REQUEST,
        Outcome::Refused(_) if format == Format::Json => StatusCode::OK,
        Outcome::Refused(RequestErrorCode::TimedOut) => StatusCode::GATEWAY_TIMEOUT,
        Outcome::Refused(RequestErrorCode::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Refused(RequestErrorCode::DocumentNotTrusted) => StatusCode::FORBIDDEN,
        Outcome::Refused(_) => StatusCode::BAD_REQUEST,
    }
}

/// Durations in milliseconds, as browsers show them.
fn server_timing(times: &Times) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let found = if times.cached { ";desc=cached" } else { "" };
    format!(
        "parse;dur={:.3}, plan;dur={:.3}{found}, execute;dur={:.3}, total;dur={:.3}",
        milliseconds(times.parse),
        milliseconds(times.plan),
        milliseconds(times.execute),
        milliseconds(times.total),
    )
}

/// The request in the parameters of a GET.
fn from_query(query: &str) -> Result<puff_graphql::Request, RequestError> {
    let bad = |message: String| RequestError::new(RequestErrorCode::BadRequest, message);
    let mut fields: Vec<(Box<str>, Value)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match &*name {
            "query" | "documentId" => Value::str(value.into_owned()),
            "operationName" if !value.is_empty() => Value::str(value.into_owned()),
            "variables" | "extensions" if !value.is_empty() => Value::from_json(value.as_bytes())
                .map_err(|error| bad(format!("the parameter `{name}` is not valid JSON: {error}")))?,
            _ => continue,
        };
        if fields.iter().any(|(known, _)| **known == *name) {
            return Err(bad(format!("the URL has the parameter `{name}` twice")));
        }
        fields.push((name.into_owned().into(), value));
    }
    let request = puff_graphql::Request::from_value(Value::Object(fields))?;
    Ok(puff_graphql::Request {
        read_only: true,
        ..request
    })
}

fn encoded(format: Format, status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(ServerBody::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_is_read_only() {
        let request =
            from_query("query=%7B%20a%20%7D&variables=%7B%22n%22%3A1%7D&operationName=Q&extra=1").unwrap();
        assert_eq!(request.query, "{ a }");
        assert_eq!(request.operation_name.as_deref(), Some("Q"));
        assert_eq!(request.variables["n"], Value::Int(1));
        assert!(request.read_only);
        assert!(from_query("query=x&variables=null&extensions=&operationName=").is_ok());
    }

    #[test]
    fn a_get_without_a_query_is_refused() {
        let refused = |query: &str| from_query(query).unwrap_err().to_string();
        assert!(refused("").contains("`query`"));
        assert!(refused("query=x&variables=[1]").contains("`variables`"));
        assert!(refused("query=x&extensions={").contains("`extensions`"));
        assert!(refused("query=x&query=y").contains("twice"));
    }
}
