//! The settings of what operators see of a server, a part of the table in `keys`.

use super::keys::{Key, key};

/// Settings of access log, request ids, metrics and health.
pub static LOG_KEYS: &[Key] = &[
    key(
        "access_log",
        "FORMAT",
        "A line for each request: off, dev, common, combined, json, or a format such as '%(h)s \"%(r)s\" %(s)s'",
    )
    .default("dev on a terminal, else off; off with PUFF_ENV=production"),
    key(
        "access_log_file",
        "FILE",
        "Where the access log goes: stdout, stderr or a file; one that was moved away is made anew",
    )
    .default("stdout"),
    key(
        "request_id",
        "HEADER",
        "Gives each request an id, in this header (on: X-Request-ID) of request and answer, and in the log",
    )
    .default("off"),
    key(
        "debug",
        "BOOL",
        "Answers an exception of the WSGI application with its traceback; never with PUFF_ENV=production",
    )
    .default("true for clients on this machine without a proxy between"),
    key(
        "metrics_bind",
        "PLACES",
        "Where /metrics (for Prometheus), /healthz and /readyz are served, apart from everything else",
    )
    .default("none"),
    key(
        "health",
        "BOOL",
        "Serves /healthz and /readyz beside the application as well",
    )
    .default("false"),
];

/// Settings of traces, with the feature `otel`.
#[cfg(feature = "otel")]
pub static OTEL_KEYS: &[Key] = &[key(
    "otel_endpoint",
    "URL",
    "Where OpenTelemetry's traces are sent, by OTLP over HTTP: http://HOST:4318",
)
.default("none")
.or_variable("OTEL_EXPORTER_OTLP_ENDPOINT")];

/// Without the feature there are none.
#[cfg(not(feature = "otel"))]
pub static OTEL_KEYS: &[Key] = &[];
