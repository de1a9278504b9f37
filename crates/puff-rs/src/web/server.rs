//! The server: accepts connections, bounds the requests in work, stops gracefully.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use futures_util::FutureExt;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use puff_core::task::panic_message;
use puff_python::wsgi::{ConnectionInfo, WsgiApp};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;
use tracing::{debug, error, info, warn};

use super::body::{ServerBody, text_response};
use super::config::ServerConfig;
use super::wsgi;
use crate::errors::BoxError;

/// What answers the requests.
pub enum Application {
    /// Only a WSGI application: requests go to it without passing a router.
    Wsgi(WsgiApp),
    /// Routes; a WSGI application may be the fallback among them.
    Router(axum::Router),
}

/// Serves `app` on `listener` until `stop` is cancelled, then lets running requests finish.
///
/// Returns once every connection is closed, or when `config.shutdown_timeout` has passed since `stop`; what
/// still runs then is cut off, with a warning. Dropping the future cuts off everything at once.
///
/// # Errors
/// If the socket cannot be handed to Tokio. Later failures concern one connection each and are logged.
pub async fn serve(
    listener: TcpListener,
    app: Application,
    config: ServerConfig,
    stop: CancellationToken,
) -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let kill = CancellationToken::new();
    // Also when this future is dropped, no connection outlives it.
    let _kill_on_drop = kill.clone().drop_guard();
    let connections = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    let shared = Arc::new(Shared {
        turns: Arc::new(Semaphore::new(config.max_requests)),
        app,
        http,
        config,
        stop: stop.clone(),
        kill: kill.clone(),
    });
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(serve_connection(shared.clone(), stream, peer));
            }
            Err(error) if is_connection_error(&error) => {
                debug!("a connection broke before it was accepted: {error}")
            }
            Err(error) => {
                // Out of descriptors or memory: closing connections free some; trying at once would spin.
                warn!("cannot accept connections: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if !connections.is_empty() {
        info!(
            connections = connections.len(),
            "waiting for connections to finish"
        );
    }
    if tokio::time::timeout(shared.config.shutdown_timeout, connections.wait())
        .await
        .is_err()
    {
        warn!(
            connections = connections.len(),
            "cutting off requests that did not finish in time"
        );
        kill.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn is_connection_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// What all connections of a server share.
struct Shared {
    app: Application,
    http: http1::Builder,
    config: ServerConfig,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
    kill: CancellationToken,
}

async fn serve_connection(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole; waiting for more (Nagle) would only add latency.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, "cannot set TCP_NODELAY: {error}");
    }
    let requests = shared.clone();
    let service = service_fn(move |request| answer(requests.clone(), request, local, peer));
    let mut connection = pin!(
        shared
            .http
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = shared.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                result = connection => result,
                () = shared.kill.cancelled() => return,
            }
        }
    };
    if let Err(error) = result {
        debug!(%peer, "connection ended: {error}");
    }
}

/// Answers one request; a panic in a handler is a 500 and the connection goes on.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<Response<ServerBody>, Infallible> {
    let Some(turn) = shared.turn().await else {
        let mut response = text_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is busy, try again later",
        );
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return Ok(response);
    };
    let answering = AssertUnwindSafe(dispatch(&shared, request, local, peer, turn)).catch_unwind();
    Ok(answering.await.unwrap_or_else(|panic| {
        error!("a handler panicked: {}", panic_message(&*panic));
        text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }))
}

async fn dispatch(
    shared: &Shared,
    request: Request<Incoming>,
    local: SocketAddr,
    peer: SocketAddr,
    turn: OwnedSemaphorePermit,
) -> Response<ServerBody> {
    match &shared.app {
        Application::Wsgi(app) => {
            let info = ConnectionInfo {
                local: Some(local),
                peer: Some(peer),
                tls: false,
            };
            wsgi::answer(app, request, info, shared.config.body)
                .await
                .map(|body| ServerBody::wsgi(body, turn))
        }
        Application::Router(router) => {
            let mut request = request;
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(LocalAddress(local));
            let response = match router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            response.map(|body| ServerBody::router(body, turn))
        }
    }
}

/// The address that a connection came in on, as a request extension beside axum's `ConnectInfo`.
#[derive(Debug, Clone, Copy)]
pub struct LocalAddress(pub SocketAddr);

impl Shared {
    /// Waits for the request's turn; `None` if there was none in time.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            return Some(turn);
        }
        let waiting = self.turns.clone().acquire_owned();
        tokio::time::timeout(self.config.queue_timeout, waiting)
            .await
            .ok()?
            .ok()
    }
}
