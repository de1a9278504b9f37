//! The web: routes, the server, request bodies.
//!
//! [`Router`] collects Rust handlers. [`serve`] runs it, or a WSGI application alone, on hyper's connections
//! with limits and time-outs that are on by default ([`ServerConfig`]). Below that, everything is axum,
//! which is re-exported as [`crate::axum`].

mod assets;
mod body;
mod config;
mod error;
mod listener;
mod router;
mod server;
mod wsgi;

pub(crate) use assets::ASSETS_PATH;
pub use assets::PlaygroundAssets;
pub(crate) use body::text_response;
pub use body::{BodyError, read_body};
pub use config::{BodyLimits, ServerConfig};
pub use error::HandlerError;
pub use listener::listen;
pub use router::Router;
pub use server::{Application, LocalAddress, serve};
pub(crate) use wsgi::WsgiService;
