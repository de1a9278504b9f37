//! A Django project as a Rust program: `cargo run -- django migrate`, `cargo run -- runserver` and
//! `cargo run -- pytest`, in this folder.

mod likeness;

use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
use puff_rs::prelude::*;
use puff_rs::program::commands::django_management::DjangoManagementCommand;
use puff_rs::program::commands::pytest::PytestCommand;
use puff_rs::program::commands::wsgi::WSGIServerCommand;

/// What `puff.global_state()` returns in Python.
#[pyclass(frozen)]
struct Rust;

#[pymethods]
impl Rust {
    /// Pairs of texts that say nearly the same, the most alike first: `[(one, other, likeness), ...]`, by their
    /// places in `texts`. It takes all of a core for a while, and Python goes on meanwhile.
    fn find_duplicates(&self, return_func: PyObject, texts: Vec<String>, threshold: f64) {
        greenlet_async(return_func, async move {
            Ok(tokio::task::spawn_blocking(move || likeness::pairs(&texts, threshold)).await?)
        });
    }
}

fn main() -> ExitCode {
    let rc = RuntimeConfig::default()
        .add_env("DJANGO_SETTINGS_MODULE", "puff_django_example.settings")
        .set_postgres(true)
        .set_redis(true)
        .set_pubsub(true)
        .set_gql_schema_class("puff_django_example.graphql.Schema")
        .set_global_state_fn(|py| Ok(Rust.into_py(py)));

    // GraphQL is beside Django, on the same port.
    let router = Router::new()
        .get("/playground", playground("/graphql", "/subscriptions"))
        .any("/graphql", handle_graphql())
        .any("/subscriptions", handle_subscriptions());

    Program::new("puff_django_app_example")
        .about("This is my first django app")
        .runtime_config(rc)
        .command(WSGIServerCommand::with_router(
            "puff_django_example.wsgi.application",
            router,
        ))
        .command(DjangoManagementCommand::new())
        .command(PytestCommand::new("."))
        .run()
}
