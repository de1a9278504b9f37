//! What a browser gets while the program does not start: in development the supervisor answers itself.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::sockets::Sockets;
use crate::web::{Application, Listener, ServerConfig, serve};

const TEXT: &str =
    "The program does not start; the terminal shows why.\n\nThis page tries again by itself.\n";

/// Answers every request with an excuse, until it is dropped.
pub(super) struct Excuse {
    _serving: DropGuard,
}

impl Excuse {
    /// Starts to answer on `sockets`.
    pub(super) fn new(sockets: &Sockets, config: ServerConfig) -> Excuse {
        let stop = CancellationToken::new();
        let token = stop.clone();
        let listeners: Result<Vec<Listener>, _> = sockets.listeners().map(Listener::try_clone).collect();
        tokio::spawn(async move {
            let app = axum::Router::new().fallback(|| async { excuse() });
            let served = match listeners {
                Ok(listeners) => serve(listeners, Application::Router(app), None, config, token).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = served {
                debug!("requests wait for the change as well: {error}");
            }
        });
        Excuse {
            _serving: stop.drop_guard(),
        }
    }
}

fn excuse() -> Response {
    // A browser comes again after a second; so it shows the page as soon as the program starts.
    let headers = [
        ("Refresh", "1"),
        ("Retry-After", "1"),
        ("Cache-Control", "no-store"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, TEXT).into_response()
}
