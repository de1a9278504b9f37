//! A WSGI application behind the server: alone, or as a tower service, the fallback of a router.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Body as HttpBody;
use puff_python::wsgi::{ConnectionInfo, InputLimits, RequestBody, WsgiApp, WsgiBody, refuse_body};

use super::config::BodyLimits;
use crate::errors::BoxError;
use crate::settings::SettingValue;

/// The path that an application is below: empty for all of the server, else `/like/this`.
#[derive(Default)]
pub(super) struct Mount(pub(super) String);

impl SettingValue for Mount {
    const EXPECTED: &'static str = "a path such as /shop";

    fn parse(text: &str) -> Option<Mount> {
        let path = text.trim().trim_end_matches('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let is_path = path.is_empty() || path.starts_with('/') && path.bytes().all(plain);
        (is_path && !text.trim().is_empty() && !path.contains("//")).then(|| Mount(path.to_owned()))
    }
}

/// Has `app` answer a request; its body is streamed to the application, unless it comes at once.
pub(super) async fn answer<B>(
    app: &WsgiApp,
    request: http::Request<B>,
    info: ConnectionInfo,
    limits: BodyLimits,
) -> http::Response<WsgiBody>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let limits = InputLimits {
        bytes: limits.bytes as u64,
        time: limits.time,
    };
    let (parts, body) = request.into_parts();
    match RequestBody::receive(&parts.headers, body, limits).await {
        Ok(body) => app.call(http::Request::from_parts(parts, body), info).await,
        Err(error) => refuse_body(error),
    }
}

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
            Ok(answer(&app, request, info, limits).await.map(Body::new))
        })
    }
}

pub(super) fn connection_info(request: &Request) -> ConnectionInfo {
    // It is missing without Puff's server in front, as in a test that calls the router.
    request
        .extensions()
        .get::<ConnectionInfo>()
        .copied()
        .unwrap_or(ConnectionInfo {
            local: None,
            peer: None,
            tls: false,
        })
}
