//! Handlers for a [`Router`](crate::web::Router): the GraphQL endpoint and the playground.
//!
//! ```
//! use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
//! use puff_rs::prelude::*;
//!
//! let router: Router = Router::new()
//!     .get("/", playground("/graphql", "/subscriptions"))
//!     .post("/graphql", handle_graphql())
//!     .get("/subscriptions", handle_subscriptions());
//! # let _ = router;
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use http::StatusCode;
use puff_python::graphql::NoSchema;

use super::{Endpoints, over_http, subscriptions};
use crate::web::{PlaygroundAssets, text_response};

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Answers GraphQL requests with the program's schema: POST with a JSON body, and GET for queries where the
/// route takes it.
///
/// A program without a schema, or a router that no server command runs, answers 500.
pub fn handle_graphql() -> GraphQlHandler {
    GraphQlHandler { schema: None }
}

/// The handler of [`handle_graphql`].
#[derive(Debug, Clone)]
pub struct GraphQlHandler {
    schema: Option<Arc<str>>,
}

impl GraphQlHandler {
    /// Answers with the schema called `name` ([`RuntimeConfig::set_gql_schema_named`]) instead of the default one.
    ///
    /// [`RuntimeConfig::set_gql_schema_named`]: crate::runtime::RuntimeConfig::set_gql_schema_named
    pub fn schema(self, name: &str) -> GraphQlHandler {
        GraphQlHandler {
            schema: Some(name.into()),
        }
    }
}

impl<S> Handler<(), S> for GraphQlHandler {
    type Future = ResponseFuture;

    fn call(self, mut request: Request, _: S) -> ResponseFuture {
        Box::pin(async move {
            let endpoints = endpoints(&mut request);
            match endpoints.get(self.schema.as_deref()) {
                Ok(endpoint) => {
                    let client = request.extensions().get().copied();
                    over_http::answer(endpoint, request, client).await.map(Body::new)
                }
                Err(error) => no_schema(&error),
            }
        })
    }
}

fn endpoints(request: &mut Request) -> Endpoints {
    let endpoints = request.extensions_mut().remove();
    endpoints.unwrap_or_default()
}

fn no_schema(error: &NoSchema) -> Response {
    tracing::error!("a GraphQL request, but {error}");
    text_response::<Body>(
        StatusCode::INTERNAL_SERVER_ERROR,
        "this server has no GraphQL schema",
    )
}

/// Answers WebSockets of GraphQL clients, which subscribe by the protocol `graphql-transport-ws`.
///
/// A client that asks for no WebSocket gets a 426. Clients of event streams ask [`handle_graphql`].
pub fn handle_subscriptions() -> SubscriptionsHandler {
    SubscriptionsHandler { schema: None }
}

/// The handler of [`handle_subscriptions`].
#[derive(Debug, Clone)]
pub struct SubscriptionsHandler {
    schema: Option<Arc<str>>,
}

impl SubscriptionsHandler {
    /// Answers with the schema called `name`, as [`GraphQlHandler::schema`].
    pub fn schema(self, name: &str) -> SubscriptionsHandler {
        SubscriptionsHandler {
            schema: Some(name.into()),
        }
    }
}

impl<S> Handler<(), S> for SubscriptionsHandler {
    type Future = std::future::Ready<Response>;

    fn call(self, mut request: Request, _: S) -> Self::Future {
        let endpoints = endpoints(&mut request);
        std::future::ready(match endpoints.get(self.schema.as_deref()) {
            Ok(endpoint) => subscriptions::answer(endpoint, request),
            Err(error) => no_schema(&error),
        })
    }
}

/// The page to try queries on, wired to the endpoint at path `graphql`, and to the WebSocket at path
/// `subscriptions` unless that is empty.
pub fn playground(graphql: impl Into<String>, subscriptions: impl Into<String>) -> PlaygroundHandler {
    PlaygroundHandler {
        endpoint: graphql.into(),
        subscriptions: subscriptions.into(),
        default_query: String::new(),
    }
}

/// The handler of [`playground`].
#[derive(Debug, Clone)]
pub struct PlaygroundHandler {
    endpoint: String,
    subscriptions: String,
    default_query: String,
}

impl PlaygroundHandler {
    /// The query that the editor shows at first.
    pub fn default_query(mut self, query: impl Into<String>) -> Self {
        self.default_query = query.into();
        self
    }
}

impl<S> Handler<(), S> for PlaygroundHandler {
    type Future = ResponseFuture;

    fn call(self, mut request: Request, _: S) -> ResponseFuture {
        Box::pin(async move {
            match request.extensions_mut().remove::<PlaygroundAssets>() {
                Some(assets) => {
                    assets
                        .page(&self.endpoint, &self.subscriptions, &self.default_query)
                        .await
                }
                None => text_response(StatusCode::INTERNAL_SERVER_ERROR, "this server has no playground"),
            }
        })
    }
}
