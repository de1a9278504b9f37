//! GraphQL from Python classes, served by Rust: `cargo run runserver` and `cargo run pytest`, in this folder.

use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
use puff_rs::prelude::*;
use puff_rs::program::commands::ServerCommand;
use puff_rs::program::commands::pytest::PytestCommand;

fn main() -> ExitCode {
    let rc = RuntimeConfig::default()
        .set_postgres(true)
        .set_redis(true)
        .set_pubsub(true)
        .set_gql_schema_class("my_python_gql_app.Schema");

    let router = Router::new()
        .get("/", playground("/graphql", "/subscriptions"))
        .post("/graphql", handle_graphql())
        .get("/subscriptions", handle_subscriptions());

    Program::new("puff_gql_app_example")
        .about("This is my first graphql app")
        .runtime_config(rc)
        .command(ServerCommand::new(router))
        .command(PytestCommand::new("hello_world_py_app"))
        .run()
}
