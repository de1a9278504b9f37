//! One GraphQL request over HTTP, from bytes to bytes.
//!
//! By the GraphQL-over-HTTP specification: POST with JSON, GET for queries only, two response formats.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use puff_graphql::{Outcome, Record, RequestError, RequestErrorCode, Times};
use puff_python::graphql::RequestContext;

use super::Endpoint;
use super::media::{Format, is_json};
use crate::web::{RequestId, read_body};

/// Answers `request`, whatever it is.
pub(super) async fn answer(endpoint: &Endpoint, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(format) = Format::accepted(&parts.headers) else {
        return refusal(
            Format::Json,
            StatusCode::NOT_ACCEPTABLE,
            "answers are application/json or application/graphql-response+json, and `Accept` takes neither",
        );
    };
    let parsed = match parts.method {
        Method::POST => {
            if !is_json(&parts.headers) {
                return refusal(
                    format,
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "the body of a GraphQL request is JSON: send `Content-Type: application/json`",
                );
            }
            match read_body(&parts.headers, body, endpoint.body).await {
                Ok(body) => puff_graphql::Request::from_json(&body),
                Err(error) => {
                    let mut response = refusal(format, error.status(), &error.to_string());
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                    return response;
                }
            }
        }
        Method::GET | Method::HEAD => from_query(parts.uri.query().unwrap_or("")),
        _ => return method_not_allowed(format, "GET, POST", "GraphQL is asked by GET or POST"),
    };
    let mut request = match parsed {
        Ok(request) => request,
        Err(error) => {
            let response = puff_graphql::Response::refused(&error);
            return encoded(format, StatusCode::BAD_REQUEST, response.body);
        }
    };
    let config = &endpoint.config;
    let asks = request.wants_trace || parts.headers.get("puff-trace").is_some_and(|value| value == "1");
    request.record = match config.server_timing {
        _ if asks && config.trace.allows(&parts.headers, parts.extensions.get()) => Record::Layers,
        true => Record::Times,
        false => Record::Nothing,
    };
    let read_only = request.read_only;
    let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
    let context = RequestContext::with_id(parts.headers, id);
    let response = endpoint.graphql.execute(request, context).await;
    let status = match response.outcome {
        Outcome::Executed { .. } => StatusCode::OK,
        Outcome::Refused(RequestErrorCode::OperationNotAllowed) if read_only => {
            let mut answer = encoded(format, StatusCode::METHOD_NOT_ALLOWED, response.body);
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        Outcome::Refused(RequestErrorCode::BadRequest) => StatusCode::BAD_REQUEST,
        Outcome::Refused(_) => match format {
            Format::Json => StatusCode::OK,
            Format::GraphQl => StatusCode::BAD_REQUEST,
        },
    };
    let mut answer = encoded(format, status, response.body_with_trace());
    if let Some(times) = response.times.filter(|_| config.server_timing)
        && let Ok(value) = HeaderValue::try_from(server_timing(&times))
    {
        answer.headers_mut().insert("server-timing", value);
    }
    answer
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
    let bad = |message: &str| RequestError::new(RequestErrorCode::BadRequest, message);
    let mut request = puff_graphql::Request {
        read_only: true,
        ..puff_graphql::Request::default()
    };
    let mut found = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "query" => {
                found = true;
                request.query = value.into_owned();
            }
            "operationName" if !value.is_empty() => request.operation_name = Some(value.into_owned()),
            "variables" if !value.is_empty() => {
                request.variables =
                    serde_json::from_str(&value).map_err(|_| bad("`variables` must be a JSON object"))?;
            }
            _ => {}
        }
    }
    if found {
        Ok(request)
    } else {
        Err(bad("the URL has no parameter `query`"))
    }
}

fn method_not_allowed(format: Format, allow: &'static str, message: &str) -> Response {
    let mut response = refusal(format, StatusCode::METHOD_NOT_ALLOWED, message);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

fn refusal(format: Format, status: StatusCode, message: &str) -> Response {
    let error = RequestError::new(RequestErrorCode::BadRequest, message);
    encoded(format, status, puff_graphql::Response::refused(&error).body)
}

fn encoded(format: Format, status: StatusCode, body: bytes::Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
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
        assert_eq!(request.variables["n"], 1);
        assert!(request.read_only);
    }

    #[test]
    fn a_get_without_a_query_is_refused() {
        assert!(from_query("").unwrap_err().to_string().contains("`query`"));
        assert!(
            from_query("query=x&variables=[1]")
                .unwrap_err()
                .to_string()
                .contains("`variables`")
        );
    }
}
