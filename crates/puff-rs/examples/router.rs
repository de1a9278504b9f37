//! Rust routes, GraphQL and a WSGI application in one server. The Python modules `site_app` (a WSGI
//! application `app`) and `site_schema` (classes `Schema` and `Partners`) lie in the working directory.

use std::net::SocketAddr;

use puff_rs::axum::Extension;
use puff_rs::axum::extract::{ConnectInfo, Json, Path, State};
use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
use puff_rs::prelude::*;
use puff_rs::program::commands::ServerCommand;
use puff_rs::runtime::Runtime;
use puff_rs::web::HandlerError;

#[derive(Clone)]
struct Greeting(&'static str);

async fn greet(State(greeting): State<Greeting>, Path(name): Path<String>) -> String {
    format!("{} {name}", greeting.0)
}

async fn sum(Json(numbers): Json<Vec<i64>>) -> Json<i64> {
    Json(numbers.iter().sum())
}

async fn client(ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
    address.ip().to_string()
}

/// Python, called from Rust: a greenlet of the hub runs the function, this task waits for its value.
async fn shout(
    Extension(runtime): Extension<Runtime>,
    Path(word): Path<String>,
) -> Result<String, HandlerError> {
    Ok(runtime.call_python("site_app:shout", (word,)).await?)
}

async fn broken() -> &'static str {
    panic!("on purpose")
}

fn main() -> ExitCode {
    let rc = RuntimeConfig::default()
        .set_postgres(true)
        .set_gql_schema_class("site_schema.Schema")
        .set_gql_schema_named("partners", "site_schema.Partners");
    let router = Router::new()
        .get("/greet/{name}", greet)
        .with_state(Greeting("Hello"))
        .post("/sum", sum)
        .get("/client", client)
        .get("/shout/{word}", shout)
        .get("/broken", broken)
        .get(
            "/playground",
            playground("/graphql", "/subscriptions").default_query("{ hello }"),
        )
        .post("/graphql", handle_graphql())
        .get("/subscriptions", handle_subscriptions())
        .post("/partners/graphql", handle_graphql().schema("partners"));
    Program::new("site")
        .about("Rust, GraphQL and WSGI side by side")
        .runtime_config(rc)
        .command(ServerCommand::new(router).wsgi("site_app:app"))
        .run()
}
