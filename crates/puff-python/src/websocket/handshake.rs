//! What comes before the first message: the client's request, and whether the function takes it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// The client's request, as far as the function sees it.
#[derive(Debug)]
pub struct Handshake {
    /// The path, percent escapes resolved.
    pub path: String,
    /// What stands after `?`, as it came.
    pub query: String,
    /// The request's headers.
    pub headers: HeaderMap,
    /// What the path's parameters matched, by their names; keyword arguments of the function.
    pub params: Vec<(String, String)>,
    /// The subprotocols that the client offers, in its order of preference.
    pub subprotocols: Vec<String>,
    /// The client's address; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the client speaks TLS.
    pub tls: bool,
}

/// What the function has decided.
#[derive(Debug)]
pub enum Decision {
    /// The conversation begins.
    Accept {
        /// The subprotocol that was chosen among those offered.
        subprotocol: Option<String>,
        /// More headers for the answer.
        headers: HeaderMap,
    },
    /// The handshake is answered like any request, and nothing begins.
    Reject {
        /// The answer's status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
}
