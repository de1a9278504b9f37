//! The server of metrics and health, on sockets of its own: what it tells is not for everybody.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode, Uri};
use puff_python::Runtime;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::page::Sources;
use crate::errors::BoxError;
use crate::web::{AccessLog, Application, Health, Listener, ServerConfig, serve, text_response};

/// What is served, and where.
pub(crate) struct MetricsServer {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) runtime: Runtime,
    pub(crate) access_log: Option<AccessLog>,
}

/// Serves until `stop`, which comes after the end of the server that is watched: that it stops is worth telling.
///
/// # Errors
/// If a socket cannot be handed to Tokio.
pub(crate) async fn serve_metrics(server: MetricsServer, stop: CancellationToken) -> Result<(), BoxError> {
    server.runtime.measure_hub();
    let sources = Sources {
        metrics: server.metrics,
        runtime: server.runtime,
        access_log: server.access_log,
    };
    let router = axum::Router::new()
        .route("/metrics", axum::routing::get(page))
        .with_state(sources)
        .fallback(health)
        .layer(axum::Extension(server.health));
    let config = ServerConfig {
        // Enough for a few who scrape and probe.
        max_requests: 8,
        queue_timeout: Duration::from_secs(2),
        shutdown_timeout: Duration::from_millis(500),
        ..ServerConfig::default()
    };
    serve(server.listeners, Application::Router(router), None, config, stop).await
}

async fn page(State(sources): State<Sources>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], sources.page().await).into_response()
}

async fn health(axum::Extension(health): axum::Extension<Health>, method: Method, uri: Uri) -> Response {
    let answer = health.answer(&method, uri.path()).await;
    answer.unwrap_or_else(|| text_response(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz"))
}
