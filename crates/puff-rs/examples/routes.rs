//! All that a router can do, with a WSGI application for the rest. The Python module `site_app` lies in the
//! working directory: a WSGI application `app`, and the functions behind the routes below `/python`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use puff_rs::axum::extract::{Form, Json, MatchedPath, Path, Query, Request, State};
use puff_rs::axum::http::{HeaderMap, HeaderValue, StatusCode};
use puff_rs::axum::middleware::{self, Next};
use puff_rs::axum::response::{IntoResponse, Redirect, Response};
use puff_rs::axum::routing;
use puff_rs::axum::{self, Extension};
use puff_rs::prelude::*;
use puff_rs::program::commands::ServerCommand;
use puff_rs::runtime::{PythonFunction, Runtime};
use puff_rs::web::{ConnectionInfo, HandlerError, python_handler};

/// What the handlers share.
#[derive(Clone, Default)]
struct Shop {
    orders: Arc<AtomicU64>,
}

async fn order(State(shop): State<Shop>, Path(item): Path<String>) -> (StatusCode, String) {
    let number = shop.orders.fetch_add(1, Ordering::Relaxed) + 1;
    (StatusCode::CREATED, format!("order {number}: {item}"))
}

async fn search(Query(query): Query<HashMap<String, String>>, headers: HeaderMap) -> Json<Vec<String>> {
    let agent = headers.get("user-agent").and_then(|agent| agent.to_str().ok());
    Json(vec![
        query.get("q").cloned().unwrap_or_default(),
        agent.unwrap_or_default().to_owned(),
    ])
}

async fn form(Form(fields): Form<HashMap<String, String>>) -> Redirect {
    Redirect::to(&format!(
        "/thanks/{}",
        fields.get("name").map_or("", String::as_str)
    ))
}

async fn method(request: Request) -> String {
    request.method().to_string()
}

async fn matched(path: MatchedPath, Extension(info): Extension<ConnectionInfo>) -> String {
    format!("{} tls={}", path.as_str(), info.tls)
}

/// The price from Python, and what Rust makes of it.
async fn price(
    Extension(runtime): Extension<Runtime>,
    Extension(price): Extension<PythonFunction>,
    Path(item): Path<String>,
) -> Result<String, HandlerError> {
    let cents: u64 = runtime.call_python(&price, (item,)).await?;
    Ok(format!("{}.{:02}", cents / 100, cents % 100))
}

/// A layer: a header on every answer of the routes before it, and a door for those who know the word.
async fn guarded(request: Request, next: Next) -> Response {
    if request.headers().get("x-word") != Some(&HeaderValue::from_static("sesame")) {
        return (StatusCode::FORBIDDEN, "say the word").into_response();
    }
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static("yes");
    response.headers_mut().insert("x-guarded", value);
    response
}

fn main() -> ExitCode {
    let secret = Router::new()
        .get("/{*rest}", |Path(rest): Path<String>| async move {
            format!("secret {rest}")
        })
        .layer(middleware::from_fn(guarded));
    let python = Router::new()
        .any("/echo/{name}/{*rest}", python_handler("site_app:echo"))
        .get("/forms/{kind}", python_handler("site_app.forms"))
        .get("/missing", python_handler("site_app:missing"))
        .get("/nowhere", python_handler("site_nowhere:f"))
        .get("/slow", python_handler("site_app:slow"));
    let router = Router::new()
        .post("/orders/{item}", order)
        .with_state(Shop::default())
        .get("/search", search)
        .post("/form", form)
        .put("/thing", method)
        .patch("/thing", method)
        .delete("/thing", method)
        .options("/thing", method)
        .head("/head", || async { [("x-head", "yes")] })
        .any("/any", method)
        .route(
            "/both",
            routing::get(|| async { "got" }).post(|| async { "posted" }),
        )
        .get("/matched/{name}", matched)
        .get("/price/{item}", price)
        .layer(Extension(PythonFunction::named("site_app:price")))
        .nest("/secret", secret)
        .nest("/python", python)
        .merge(Router::from(
            axum::Router::new().route("/merged", routing::get(|| async { "merged" })),
        ));
    let alone = Router::new()
        .get("/", || async { "root" })
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing of mine") });
    Program::new("site")
        .command(ServerCommand::new(router).wsgi("site_app:app"))
        .command(ServerCommand::new(alone).name("alone"))
        .run()
}
