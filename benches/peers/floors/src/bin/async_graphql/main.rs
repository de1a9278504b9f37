//! async-graphql on axum, tokio-postgres and deadpool, with DataLoader.

mod loaders;
mod schema;

use std::time::Duration;

use async_graphql::dataloader::DataLoader;
use async_graphql::{EmptyMutation, EmptySubscription};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use deadpool_postgres::Pool;
use puff_bench_floors::{AnyError, Failure, json, run};

use loaders::{CommentsOf, PostsOf};
use schema::Query;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

#[derive(Clone)]
struct App {
    schema: Schema,
    pool: Pool,
}

async fn graphql(State(app): State<App>, body: Bytes) -> Result<Response, Failure> {
    let request: async_graphql::Request = serde_json::from_slice(&body)?;
    // Loaders live for one request, as the library advises; its default delay of 1 ms is kept out of the way.
    let posts = DataLoader::new(PostsOf(app.pool.clone()), tokio::spawn).delay(Duration::ZERO);
    let comments = DataLoader::new(CommentsOf(app.pool.clone()), tokio::spawn).delay(Duration::ZERO);
    let response = app.schema.execute(request.data(posts).data(comments)).await;
    Ok(json(serde_json::to_vec(&response)?))
}

fn main() -> Result<(), AnyError> {
    run(|pool| {
        let schema = Schema::build(Query, EmptyMutation, EmptySubscription)
            .data(pool.clone())
            .finish();
        Router::new()
            .route("/graphql", post(graphql))
            .with_state(App { schema, pool })
    })
}
