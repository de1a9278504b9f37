//! The span of a request, for OpenTelemetry: the caller's trace goes on in it.

use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use puff_core::TRACE_TARGET;
use puff_python::wsgi::ConnectionInfo;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span for `request`, a child of the one in its `traceparent`.
pub(super) fn request_span<B>(request: &Request<B>, info: ConnectionInfo) -> Span {
    let span = tracing::info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = %format_args!("{} {}", request.method(), request.uri().path()),
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        url.path = request.uri().path(),
        url.scheme = if info.tls { "https" } else { "http" },
        client.address = info.peer.map(|peer| tracing::field::display(peer.ip())),
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    if !span.is_disabled() {
        // An error says that the span is no part of a trace.
        let _ = span.set_parent(parent(request.headers()));
    }
    span
}

fn parent(headers: &HeaderMap) -> opentelemetry::Context {
    TraceContextPropagator::new().extract(&HeaderExtractor(headers))
}

/// Notes what became of the request.
pub(super) fn answered<B>(span: &Span, response: &Response<B>) {
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
