//! The requests of a schema at the path that the settings give it.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use puff_python::wsgi::ConnectionInfo;

use super::{Endpoint, over_http};
use crate::web::{Direct, DirectAnswer, within};

/// Answers all requests to a schema.
pub(crate) struct DirectGraphQl {
    endpoint: Arc<Endpoint>,
    /// Until the answer begins.
    limit: Option<Duration>,
}

impl DirectGraphQl {
    /// `limit`: how long an answer may take to begin.
    pub(crate) fn new(endpoint: Arc<Endpoint>, limit: Option<Duration>) -> DirectGraphQl {
        DirectGraphQl { endpoint, limit }
    }
}

impl Direct for DirectGraphQl {
    fn answer(self: Arc<Self>, request: Request<Incoming>, client: ConnectionInfo) -> DirectAnswer {
        match self.limit {
            None => Box::pin(async move { over_http::answer(&self.endpoint, request, Some(client)).await }),
            Some(limit) => Box::pin(async move {
                within(limit, over_http::answer(&self.endpoint, request, Some(client))).await
            }),
        }
    }
}
