//! The web: routes, the server, request bodies.
//!
//! [`Router`] collects Rust handlers. [`serve`] runs it, or a WSGI application alone, on hyper's connections
//! with limits and time-outs that are on by default ([`ServerConfig`]). Below that, everything is axum,
//! which is re-exported as [`crate::axum`].
//!
//! Handlers find the client's address by axum's `ConnectInfo<SocketAddr>`, and that with the server's own and
//! whether the client speaks TLS as an `Extension<ConnectionInfo>`.

mod access_log;
mod answer;
mod assets;
mod body;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod checks;
mod coding;
mod complete;
mod compression;
mod config;
mod connection;
mod direct;
mod error;
mod event_stream;
mod health;
mod inspect;
mod lease;
mod listener;
pub mod live;
mod observe;
mod proxy_protocol;
mod pulse;
mod python_handler;
mod request_id;
mod router;
mod server;
#[cfg(feature = "otel")]
mod span;
mod static_files;
mod stream;
mod streams;
mod time_limit;
mod tls;
mod trust;
mod turns;
pub mod websocket;
mod wsgi;

pub use access_log::{AccessLog, AccessLogConfig};
pub(crate) use assets::ASSETS_PATH;
pub use assets::PlaygroundAssets;
pub use body::{BodyError, read_body};
pub(crate) use body::{LongLived, ServerBody, Stalling, text_response};
pub use compression::Compression;
pub use config::{BodyLimits, HeadLimits, ServerConfig};
pub(crate) use direct::{Direct, DirectAnswer, DirectRoutes};
pub use error::HandlerError;
pub(crate) use event_stream::{event_stream, too_many_event_streams};
pub use health::Health;
pub use listener::{Bind, Listener, listen};
pub use observe::{Observe, RequestId};
pub use puff_python::wsgi::ConnectionInfo;
pub use python_handler::{PythonHandler, python_handler};
pub use router::Router;
pub use server::{Application, serve};
pub(crate) use server::{Site, serve_on_seat};
pub use static_files::StaticFiles;
pub(crate) use time_limit::within;
pub use tls::{TlsError, TlsFiles};
pub(crate) use trust::is_local;
pub use trust::{ProxyHeaders, TrustedProxies};
pub(crate) use wsgi::WsgiService;
