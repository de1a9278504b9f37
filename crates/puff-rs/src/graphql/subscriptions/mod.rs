//! Subscriptions: over WebSockets by the two protocols of [`puff_graphql::transport`], and as event streams.
//!
//! A WebSocket is one task. In it the connection (`web::websocket`) and the session ([`socket`]) run side by side,
//! with a [`pipe`] between them; the operations of the session run in it as well. A client that reads slowly fills
//! the pipe, then the operations wait, then the generators.

mod config;
mod events;
mod operation;
mod pipe;
mod socket;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use hyper::body::Body as _;
use puff_graphql::transport::{Closing, Dialect};
use puff_python::Runtime;
use puff_python::websocket::Closed;
use puff_python::wsgi::ConnectionInfo;

pub use config::SubscriptionConfig;
pub(crate) use events::Streams;
pub(super) use events::stream;

use self::operation::Tracing;
use self::pipe::Pipe;
use self::socket::Socket;
use super::Endpoint;
use crate::web::websocket::{Peer, Sockets, Wrong, asks_for_websocket};
use crate::web::{RequestId, text_response};

/// Answers the handshake of a WebSocket for subscriptions, and talks with the client if it is a right one.
pub(super) fn answer(endpoint: &Endpoint, request: Request) -> Response {
    let info = request.extensions().get::<ConnectionInfo>().copied();
    let (mut parts, body) = request.into_parts();
    if !asks_for_websocket(parts.version, &parts.method, &parts.headers, &parts.extensions) {
        return Wrong::Version.answer();
    }
    let sockets = parts.extensions.remove::<Arc<Sockets>>();
    let (Some(sockets), Some(runtime)) = (sockets, parts.extensions.get::<Runtime>().cloned()) else {
        tracing::error!("a WebSocket for subscriptions, but no server of ours: use ServerCommand");
        return text_response::<Body>(StatusCode::INTERNAL_SERVER_ERROR, "internal server error");
    };
    // Whoever is not known gets no traces.
    let tracing = Tracing::of(endpoint.config.trace, &parts.headers, info.as_ref());
    let info = info.unwrap_or(ConnectionInfo {
        local: None,
        peer: None,
        tls: false,
    });
    let admitted = match sockets.admit(&mut parts, !body.is_end_stream(), info) {
        Ok(admitted) => admitted,
        Err(refusal) => return *refusal,
    };
    let config = endpoint.subscriptions.clone();
    let offered = admitted.subprotocols().iter().map(String::as_str);
    let pipe = Arc::new(Pipe::new(sockets.config().queue));
    let Some(dialect) = Dialect::choose(offered, config.legacy) else {
        // Only after the handshake there is a way to say so that clients understand.
        let Closing { code, reason } = Closing::no_protocol();
        pipe.shut(Closed::new(code, reason));
        return sockets.begin(admitted, None, HeaderMap::new(), pipe.clone(), async move {
            pipe.finish();
        });
    };
    let socket = Socket {
        graphql: endpoint.graphql.clone(),
        documents: endpoint.config.documents.clone(),
        runtime,
        config,
        dialect,
        headers: parts.headers,
        id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
        peer: info.peer,
        tracing,
        pipe: pipe.clone(),
    };
    let subprotocol = dialect.subprotocol().to_owned();
    sockets.begin(admitted, Some(subprotocol), HeaderMap::new(), pipe, socket.run())
}
