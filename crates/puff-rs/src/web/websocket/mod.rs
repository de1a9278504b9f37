//! WebSockets, to Python functions and to what this program has of its own for them.
//!
//! [`WebSockets`] says which path leads to which function. The server looks there before it asks its application,
//! and only for requests that want to become a WebSocket. A route of a [`Router`](super::Router) does the same
//! with [`python_websocket`]. Handlers in Rust use axum's own `WebSocketUpgrade`, and nothing of this.
//!
//! The handshake is ours (`handshake.rs`), the protocol tungstenite's, which axum brings anyway; `conversation.rs`
//! goes between it and the function (or another `Peer`), with time-outs and the server's end.

mod config;
mod conversation;
mod handler;
mod handshake;
mod origin;
mod peer;
mod routes;
mod sockets;

pub use config::WebSocketConfig;
pub use handler::{PythonWebSocket, python_websocket};
pub(crate) use handshake::{Wrong, asks_for_websocket};
pub use origin::Origins;
pub(crate) use peer::Peer;
pub(crate) use routes::declared_routes;
pub use routes::{RouteError, WebSocketRoutes};
pub(crate) use sockets::Sockets;
pub use sockets::WebSockets;
pub(super) use sockets::{Surroundings, wants_websocket};
