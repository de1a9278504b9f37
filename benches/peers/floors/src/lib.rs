//! What the Rust peers share: the runtime, the pool, the socket and the shape of an answer.

use std::error::Error;
use std::net::Ipv4Addr;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio::net::TcpListener;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};

/// Anything that can go wrong before a server runs, or in a request.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// Runs the program: `make_app` gets the pool, and what it returns is served on the port of the first argument.
///
/// Tokio's worker threads default to the CPUs that the process may use, so a pinned process gets one.
///
/// # Errors
/// A missing or malformed port or `BENCH_PG_URL`; a port in use.
pub fn run(make_app: impl FnOnce(Pool) -> Router) -> Result<(), AnyError> {
    serve(async || Ok(make_app(pool()?)))
}

/// As [`run`], without PostgreSQL.
///
/// # Errors
/// A missing or malformed port; a port in use; those of `make_app`.
pub fn serve(make_app: impl AsyncFnOnce() -> Result<Router, AnyError>) -> Result<(), AnyError> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: PROGRAM PORT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = make_app().await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await?
            .tap_io(|socket| {
                // Without it the answer only comes later; nothing to do if the socket is gone already.
                let _ = socket.set_nodelay(true);
            });
        axum::serve(listener, app).await?;
        Ok(())
    })
}

/// A pool of `BENCH_POOL` connections (16 without it) to `BENCH_PG_URL`; it connects on first use.
fn pool() -> Result<Pool, AnyError> {
    let config = std::env::var("BENCH_PG_URL")?.parse()?;
    let size = match std::env::var("BENCH_POOL") {
        Ok(size) => size.parse()?,
        Err(_) => 16,
    };
    let recycle = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config, NoTls, recycle);
    Ok(Pool::builder(manager).max_size(size).build()?)
}

/// Runs a statement, prepared once per connection.
///
/// # Errors
/// Whatever PostgreSQL or the connection reports.
pub async fn query(
    connection: &Object,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = connection.prepare_cached(sql).await?;
    connection.query(&statement, parameters).await
}

/// A body as `application/json`.
pub fn json(body: impl Into<Bytes>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// A failed request: a 500 with the reason, which the harness shows.
#[derive(Debug)]
pub struct Failure(AnyError);

impl<E: Into<AnyError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
