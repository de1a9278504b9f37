//! The WebSockets of one server: who may open one, and what becomes of the handshake.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use puff_python::Runtime;
use puff_python::websocket::{Answer, Decision, Handshake, WebSocketCaller};
use puff_python::wsgi::ConnectionInfo;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::super::text_response;
use super::config::WebSocketConfig;
use super::conversation::Conversation;
use super::handshake::{asks_for_websocket, check};
use super::routes::{Found, WebSocketRoutes, decode};
use crate::metrics::Metrics;

/// The WebSockets to Python functions that a server has, beside its application.
///
/// The routes come before those of the application; a path that no route has is the application's.
pub struct WebSockets {
    runtime: Runtime,
    routes: WebSocketRoutes,
    config: WebSocketConfig,
}

impl WebSockets {
    /// Functions that run on the hub of `runtime`.
    pub fn new(runtime: &Runtime, routes: WebSocketRoutes, config: WebSocketConfig) -> WebSockets {
        WebSockets {
            runtime: runtime.clone(),
            routes,
            config,
        }
    }
}

/// What a server has for its WebSockets.
pub(in crate::web) struct Surroundings {
    /// Say good-bye.
    pub(in crate::web) stop: CancellationToken,
    /// Go.
    pub(in crate::web) kill: CancellationToken,
    /// What the server waits for at its end.
    pub(in crate::web) connections: TaskTracker,
    /// How long a function may take to decide about its client.
    pub(in crate::web) time_limit: Option<Duration>,
    pub(in crate::web) metrics: Option<Metrics>,
}

/// The WebSockets of a running server.
pub(in crate::web) struct Sockets {
    caller: WebSocketCaller,
    routes: WebSocketRoutes,
    config: Arc<WebSocketConfig>,
    places: Arc<Semaphore>,
    around: Surroundings,
}

/// Whether a request asks for a WebSocket, rightly or not.
pub(in crate::web) fn wants_websocket<B>(request: &Request<B>) -> bool {
    asks_for_websocket(
        request.version(),
        request.method(),
        request.headers(),
        request.extensions(),
    )
}

impl Sockets {
    pub(in crate::web) fn new(websockets: WebSockets, around: Surroundings) -> Sockets {
        let WebSockets {
            runtime,
            routes,
            config,
        } = websockets;
        Sockets {
            caller: WebSocketCaller::new(&runtime, config.queue),
            routes,
            places: Arc::new(Semaphore::new(config.most)),
            config: Arc::new(config),
            around,
        }
    }

    /// The function for `path`.
    pub(in crate::web) fn find(&self, path: &str) -> Option<Found> {
        self.routes.find(path)
    }

    /// Has the function that was found talk with the client of a request that [`wants_websocket`].
    pub(in crate::web) async fn answer(
        &self,
        found: Found,
        mut parts: Parts,
        has_body: bool,
        info: ConnectionInfo,
    ) -> Response<Body> {
        let valid = match check(&parts, has_body) {
            Ok(valid) => valid,
            Err(wrong) => return wrong.answer(),
        };
        if !self.config.origins.allow(&parts.headers) {
            debug!(?info.peer, origin = ?parts.headers.get(http::header::ORIGIN), "a WebSocket of another origin");
            return text_response(
                StatusCode::FORBIDDEN,
                "WebSockets of pages of this origin are refused",
            );
        }
        let Some(params) = found.params else {
            return text_response(StatusCode::BAD_REQUEST, "the path is not UTF-8");
        };
        let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return text_response(
                StatusCode::BAD_REQUEST,
                "this connection cannot become a WebSocket",
            );
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let mut response = text_response(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server has too many WebSockets, try again later",
            );
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, soon);
            return response;
        };
        let path = parts.uri.path();
        let handshake = Handshake {
            path: decode(path).unwrap_or_else(|| path.to_owned()),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            params,
            subprotocols: valid.subprotocols.clone(),
            peer: info.peer,
            tls: info.tls,
        };
        let opening = self.caller.call(&found.function, handshake).answer();
        let answer = match self.around.time_limit {
            None => opening.await,
            Some(limit) => match tokio::time::timeout(limit, opening).await {
                Ok(answer) => answer,
                Err(_) => {
                    return text_response(StatusCode::GATEWAY_TIMEOUT, "the request took too long");
                }
            },
        };
        match answer {
            Answer::Failed => text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"),
            Answer::Decided(
                Decision::Reject {
                    status,
                    headers,
                    body,
                },
                line,
            ) => {
                line.release();
                rejection(status, headers, body)
            }
            Answer::Decided(Decision::Accept { subprotocol, headers }, line) => {
                let conversation = Conversation {
                    line,
                    config: self.config.clone(),
                    stop: self.around.stop.clone(),
                    kill: self.around.kill.clone(),
                    place,
                };
                let open = self.around.metrics.as_ref().map(Metrics::websocket);
                self.around.connections.spawn(async move {
                    let _open = open;
                    conversation.run(upgrade).await
                });
                valid.switch(subprotocol, headers)
            }
        }
    }
}

fn rejection(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().entry(CONTENT_TYPE).or_insert(plain);
    response
}

/// For requests that reach a route of a program without a server of ours in front.
pub(super) fn no_server() -> Response<Body> {
    error!("a WebSocket to a Python function, but no server that could call it: use ServerCommand");
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
}
