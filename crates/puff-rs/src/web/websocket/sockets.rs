//! The WebSockets of one server: who may open one, and what becomes of the handshake.

use std::pin::pin;
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error};

use super::super::text_response;
use super::config::WebSocketConfig;
use super::conversation::Conversation;
use super::handshake::{Valid, asks_for_websocket, check};
use super::peer::Peer;
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
pub(crate) struct Sockets {
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
        let admitted = match self.admit(&mut parts, has_body, info) {
            Ok(admitted) => admitted,
            Err(refusal) => return *refusal,
        };
        let Some(params) = found.params else {
            return text_response(StatusCode::BAD_REQUEST, "the path is not UTF-8");
        };
        let path = parts.uri.path();
        let handshake = Handshake {
            path: decode(path).unwrap_or_else(|| path.to_owned()),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            params,
            subprotocols: admitted.subprotocols().to_vec(),
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
                self.begin(admitted, subprotocol, headers, line, std::future::pending())
            }
        }
    }

    /// Whether a client may open a WebSocket, as far as the server goes: the handshake, the origin, the number of
    /// them.
    ///
    /// # Errors
    /// The answer to one that may not.
    pub(crate) fn admit(
        &self,
        parts: &mut Parts,
        has_body: bool,
        info: ConnectionInfo,
    ) -> Result<Admitted, Box<Response<Body>>> {
        let valid = check(parts, has_body).map_err(|wrong| Box::new(wrong.answer()))?;
        if !self.config.origins.allow(&parts.headers) {
            debug!(?info.peer, origin = ?parts.headers.get(http::header::ORIGIN), "a WebSocket of another origin");
            let text = "WebSockets of pages of this origin are refused";
            return Err(text_response(StatusCode::FORBIDDEN, text).into());
        }
        let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            let text = "this connection cannot become a WebSocket";
            return Err(text_response(StatusCode::BAD_REQUEST, text).into());
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let text = "the server has too many WebSockets, try again later";
            let mut response = text_response(StatusCode::SERVICE_UNAVAILABLE, text);
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, soon);
            return Err(response.into());
        };
        Ok(Admitted {
            valid,
            upgrade,
            place,
        })
    }

    /// Begins the conversation of a client with `peer`, and gives the answer that says so. What the peer does,
    /// `work`, runs in the same task, and is dropped when the connection has ended.
    pub(crate) fn begin<P: Peer>(
        &self,
        admitted: Admitted,
        subprotocol: Option<String>,
        headers: HeaderMap,
        peer: P,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Response<Body> {
        let Admitted {
            valid,
            upgrade,
            place,
        } = admitted;
        let conversation = Conversation {
            line: peer,
            config: self.config.clone(),
            stop: self.around.stop.clone(),
            kill: self.around.kill.clone(),
            place,
        };
        let open = self.around.metrics.as_ref().map(Metrics::websocket);
        self.around.connections.spawn(async move {
            let _open = open;
            let mut talking = pin!(conversation.run(upgrade));
            tokio::select! {
                () = &mut talking => {}
                () = work => talking.await,
            }
        });
        valid.switch(subprotocol, headers)
    }

    /// How WebSockets are served.
    pub(crate) fn config(&self) -> &WebSocketConfig {
        &self.config
    }
}

/// A client that the server would take.
pub(crate) struct Admitted {
    valid: Valid,
    upgrade: OnUpgrade,
    place: OwnedSemaphorePermit,
}

impl Admitted {
    /// The subprotocols that the client offers.
    pub(crate) fn subprotocols(&self) -> &[String] {
        &self.valid.subprotocols
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
