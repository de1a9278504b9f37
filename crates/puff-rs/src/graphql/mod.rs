//! GraphQL over HTTP and WebSockets: the handlers that a router names.
//!
//! The schema itself comes from Python dataclasses (`RuntimeConfig::set_gql_schema_class`, or `--graphql` of
//! the stock server); a program may have more of them, with names (`RuntimeConfig::set_gql_schema_named`). The handlers
//! find them through a request extension that the server commands put on, so
//! that a router can be built before Python runs.
//!
//! ```no_run
//! use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
//! use puff_rs::prelude::*;
//! use puff_rs::program::commands::ServerCommand;
//!
//! fn main() -> ExitCode {
//!     let rc = RuntimeConfig::default()
//!         .set_postgres(true)
//!         .set_redis(true)
//!         .set_pubsub(true)
//!         .set_gql_schema_class("my_python_gql_app.schema");
//!
//!     let router = Router::new()
//!         .get("/", playground("/graphql", "/subscriptions"))
//!         .post("/graphql", handle_graphql())
//!         .get("/subscriptions", handle_subscriptions());
//!
//!     Program::new("puff_gql_app_example")
//!         .about("This is my first graphql app")
//!         .runtime_config(rc)
//!         .command(ServerCommand::new(router))
//!         .run()
//! }
//! ```

mod config;
mod cross_site;
mod direct;
mod documents;
mod endpoints;
pub mod handlers;
mod media;
mod multipart;
mod over_http;
mod persisted;
mod subscriptions;

pub use config::{GraphQlConfig, TraceFor};
pub(crate) use direct::DirectGraphQl;
pub use documents::Documents;
pub(crate) use endpoints::{Endpoint, Endpoints};
pub use puff_python::graphql::{GraphQl, NoSchema, Schemas};
pub(crate) use subscriptions::Streams;
pub use subscriptions::SubscriptionConfig;
