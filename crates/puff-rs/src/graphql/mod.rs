//! GraphQL over HTTP: the handlers that a router names.
//!
//! The schema itself comes from Python dataclasses (`RuntimeConfig::set_gql_schema_class`, or `--graphql` of
//! the stock server). The handlers find it through a request extension that the server commands put on, so
//! that a router can be built before Python runs.

pub mod handlers;
mod media;
mod over_http;

pub use puff_python::graphql::GraphQl;

use crate::web::BodyLimits;

/// The schema of the program and its limits, as the server gives them to the handlers.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) graphql: GraphQl,
    pub(crate) body: BodyLimits,
}
