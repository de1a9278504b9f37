//! The floors: what the same answers cost with no Python and no GraphQL engine.
//!
//! | path | what |
//! |---|---|
//! | `/hello`, `/sleep`, `/pgsleep` | axum alone |
//! | `/questions` | one SQL statement that builds the JSON in PostgreSQL |
//! | `/onesql/{nested,flat,polls,hello}` | the same for the GraphQL answers |
//! | `/layers/{nested,flat,polls}` | one SQL statement per layer, the JSON written by hand |

mod json;
mod layers;
mod onesql;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use deadpool_postgres::Pool;
use puff_bench_floors::{AnyError, Failure, query, run};
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELLO: &str = "Hello, World!";
const WAIT: Duration = Duration::from_millis(50);

/// The part of a GraphQL request that even a floor reads: the document, which must be text.
#[derive(Deserialize)]
struct Request {
    #[serde(rename = "query")]
    _query: String,
}

async fn hello() -> &'static str {
    HELLO
}

async fn sleep() -> &'static str {
    tokio::time::sleep(WAIT).await;
    HELLO
}

async fn pgsleep(State(pool): State<Pool>) -> Result<&'static str, Failure> {
    query(&pool.get().await?, "SELECT pg_sleep(0.05)::text", &[]).await?;
    Ok(HELLO)
}

fn main() -> Result<(), AnyError> {
    run(|pool| {
        Router::new()
            .route("/hello", get(hello))
            .route("/sleep", get(sleep))
            .route("/pgsleep", get(pgsleep))
            .route("/questions", get(onesql::questions))
            .route("/onesql/hello", post(onesql::hello))
            .route("/onesql/nested", post(onesql::nested))
            .route("/onesql/flat", post(onesql::flat))
            .route("/onesql/polls", post(onesql::polls))
            .route("/layers/nested", post(layers::nested))
            .route("/layers/flat", post(layers::flat))
            .route("/layers/polls", post(layers::polls))
            .with_state(pool)
    })
}
