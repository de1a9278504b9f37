//! Paths whose requests go to their handler without passing the router.
//!
//! axum asks each route through a box for every layer around it, which are cloned, with all they hold, at each
//! request. What Puff itself serves at a path that is known when the server begins needs none of that.

use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use puff_python::wsgi::ConnectionInfo;

use super::body::ServerBody;

/// An answer on its way.
pub(crate) type DirectAnswer = Pin<Box<dyn Future<Output = Response<ServerBody>> + Send>>;

/// Answers the requests to a path. It has read nothing of the body yet.
pub(crate) trait Direct: Send + Sync {
    /// Answers one, whatever its method.
    fn answer(self: Arc<Self>, request: Request<Incoming>, client: ConnectionInfo) -> DirectAnswer;
}

/// Handlers and their paths, which are few. The router has them as well, for requests that need more than a handler.
#[derive(Default)]
pub(crate) struct DirectRoutes(Vec<(String, Arc<dyn Direct>)>);

impl DirectRoutes {
    /// Adds a handler for exactly this path.
    pub(crate) fn insert(&mut self, path: &str, handler: Arc<dyn Direct>) {
        self.0.push((path.to_owned(), handler));
    }

    /// The handler of a path.
    pub(super) fn find(&self, path: &str) -> Option<&Arc<dyn Direct>> {
        let mut all = self.0.iter();
        all.find_map(|(known, handler)| (known == path).then_some(handler))
    }
}
