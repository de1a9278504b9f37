//! [`Router`]: axum's router with the path and the handler in one call.

use std::convert::Infallible;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::IntoResponse;
use axum::routing::{self, MethodRouter, Route};
use puff_python::PythonFunction;
use tower::{Layer, Service};

use super::websocket::python_websocket;

/// Routes to Rust handlers: any axum handler with any extractors, plus Puff's own.
///
/// It is [`axum::Router`] underneath and converts from and into it. `S` is the state that handlers still
/// need, as in axum; a server wants a router that needs none (`Router<()>`).
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::axum::extract::Path;
///
/// let router: Router = Router::new()
///     .get("/", || async { "Hello" })
///     .get("/square/{n}", |Path(n): Path<i64>| async move { (n * n).to_string() });
/// # let _ = router;
/// ```
///
/// # Panics
/// Like axum: a path that does not start with `/`, or the same method twice on one path. Routes are code;
/// the panic comes when the router is built, never while it serves.
#[derive(Debug)]
pub struct Router<S = ()>(axum::Router<S>);

impl<S> Clone for Router<S> {
    fn clone(&self) -> Self {
        Router(self.0.clone())
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Router::new()
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident)*) => {$(
        $(#[$doc])*
        pub fn $method<H, T>(self, path: &str, handler: H) -> Self
        where
            H: Handler<T, S>,
            T: 'static,
        {
            self.route(path, routing::$method(handler))
        }
    )*};
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// A router without routes; everything is 404.
    pub fn new() -> Self {
        Router(axum::Router::new())
    }

    methods! {
        /// Answers GET (and HEAD) of `path`; `{name}` in the path matches one segment, `{*name}` the rest.
        get
        /// Answers POST of `path`.
        post
        /// Answers PUT of `path`.
        put
        /// Answers PATCH of `path`.
        patch
        /// Answers DELETE of `path`.
        delete
        /// Answers HEAD of `path`.
        head
        /// Answers OPTIONS of `path`.
        options
        /// Answers every method of `path`.
        any
    }

    /// Adds a route with axum's own method router: `route("/a", axum::routing::get(f).post(g))`.
    pub fn route(self, path: &str, methods: MethodRouter<S>) -> Self {
        Router(self.0.route(path, methods))
    }

    /// Has a Python function talk with the WebSocket clients of `path`: `function(ws, **path_params)`, in a greenlet
    /// of its own. It is a path such as `chat.views:chat`, which the first client imports.
    ///
    /// Other requests to `path` are answered 426.
    pub fn websocket(self, path: &str, function: impl Into<PythonFunction>) -> Self {
        self.any(path, python_websocket(function))
    }

    /// Puts the routes of `router` below `path`.
    pub fn nest(self, path: &str, router: Router<S>) -> Self {
        Router(self.0.nest(path, router.0))
    }

    /// Adds the routes of `router`.
    pub fn merge(self, router: Router<S>) -> Self {
        Router(self.0.merge(router.0))
    }

    /// Answers what no route matches. In a server with a WSGI application the application does that, and
    /// this has no effect.
    pub fn fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        Router(self.0.fallback(handler))
    }

    /// Wraps the routes added so far in a tower layer.
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Router(self.0.layer(layer))
    }

    /// Gives the handlers the state they need.
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        Router(self.0.with_state(state))
    }

    /// The axum router inside.
    pub fn into_axum(self) -> axum::Router<S> {
        self.0
    }
}

impl<S> From<axum::Router<S>> for Router<S> {
    fn from(router: axum::Router<S>) -> Self {
        Router(router)
    }
}

impl<S> From<Router<S>> for axum::Router<S> {
    fn from(router: Router<S>) -> Self {
        router.0
    }
}
