//! A WSGI application as a tower service: the fallback of a router.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONNECTION;
use puff_python::wsgi::{ConnectionInfo, WsgiApp};

use super::body::{read_body, text_response};
use super::config::BodyLimits;
use super::server::LocalAddress;

/// Hands requests to a WSGI application.
#[derive(Clone)]
pub(crate) struct WsgiService {
    app: WsgiApp,
    limits: BodyLimits,
}

impl WsgiService {
    pub(crate) fn new(app: WsgiApp, limits: BodyLimits) -> WsgiService {
        WsgiService { app, limits }
    }
}

impl tower::Service<Request> for WsgiService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let WsgiService { app, limits } = self.clone();
        Box::pin(async move {
            let info = connection_info(&request);
            let (parts, body) = request.into_parts();
            let body = match read_body(&parts.headers, body, limits).await {
                Ok(body) => body,
                Err(error) => {
                    let mut response = text_response::<Body>(error.status(), error.to_string());
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                    return Ok(response);
                }
            };
            Ok(app
                .call(Request::from_parts(parts, body), info)
                .await
                .map(Body::new))
        })
    }
}

fn connection_info(request: &Request) -> ConnectionInfo {
    // Both are missing without Puff's server in front, as in a test that calls the router.
    ConnectionInfo {
        local: request.extensions().get::<LocalAddress>().map(|local| local.0),
        peer: request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|peer| peer.0),
        tls: false,
    }
}
