//! Answers of the type `text/event-stream`, whatever their events are.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use puff_python::live::TOO_MANY_STREAMS;

use super::{LongLived, text_response};

/// The answer whose body is `events`. It ends when they do, and counts as one that may take long.
pub(crate) fn event_stream(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(events.map(Ok::<_, Infallible>)));
    response.extensions_mut().insert(LongLived);
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        // nginx would gather events until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The answer to whom there is no place for.
pub(crate) fn too_many_event_streams() -> Response {
    let mut response = text_response(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_STREAMS);
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}
