//! Python functions as axum handlers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use puff_python::PythonFunction;

use super::super::wsgi::connection_info;
use super::handshake::{Wrong, asks_for_websocket};
use super::routes::Found;
use super::sockets::{Sockets, no_server};

/// A handler that has a Python function talk with WebSocket clients: `function(ws, **path_params)`, in a greenlet.
///
/// `function` is a path, `pkg.mod.f` or `pkg.mod:f`, which the first client imports, or a
/// [`PythonFunction`](crate::runtime::PythonFunction). Route it for every method
/// ([`Router::websocket`](crate::web::Router::websocket) does): WebSockets over HTTP/2 are no GET.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::web::websocket::python_websocket;
///
/// let router: Router = Router::new().any("/chat/{room}", python_websocket("chat.views:chat"));
/// # let _ = router;
/// ```
pub fn python_websocket(function: impl Into<PythonFunction>) -> PythonWebSocket {
    PythonWebSocket(function.into())
}

/// The handler of [`python_websocket`].
#[derive(Debug, Clone)]
pub struct PythonWebSocket(PythonFunction);

impl<S> Handler<(), S> for PythonWebSocket {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, _: S) -> Self::Future {
        Box::pin(async move {
            let info = connection_info(&request);
            let (mut parts, body) = request.into_parts();
            if !asks_for_websocket(parts.version, &parts.method, &parts.headers, &parts.extensions) {
                return Wrong::Version.answer();
            }
            let Some(sockets) = parts.extensions.remove::<Arc<Sockets>>() else {
                return no_server();
            };
            let params = match RawPathParams::from_request_parts(&mut parts, &()).await {
                Ok(params) => params,
                Err(rejection) => return rejection.into_response(),
            };
            let pairs = params.iter();
            let found = Found {
                function: self.0,
                params: Some(
                    pairs
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                ),
            };
            sockets.answer(found, parts, !body.is_end_stream(), info).await
        })
    }
}
