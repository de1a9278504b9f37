//! Puff: build your own runtime for Python.
//!
//! A [`Program`](program::Program) is a command-line program that embeds CPython: its commands serve HTTP, call
//! Python functions as greenlets, answer GraphQL from Python dataclasses. Rust does the waiting, on Tokio;
//! one Python thread runs the greenlets.
//!
//! ```no_run
//! use puff_rs::prelude::*;
//! use puff_rs::program::commands::PythonCommand;
//!
//! fn main() -> ExitCode {
//!     Program::new("my_first_app")
//!         .about("This is my first app")
//!         .command(PythonCommand::new("run_hello_world", "my_python_app.hello_world"))
//!         .run()
//! }
//! ```
//!
//! | module | what for |
//! |---|---|
//! | [`program`] | programs and their commands |
//! | [`runtime`] | what a program asks of the runtime, and gets: Python from Rust, tasks, services |
//! | [`web`] | routes, the server, request bodies |
//! | [`graphql`] | handlers for GraphQL and its playground |
//! | [`settings`] | flags, environment, `puff.toml` |
//! | [`types`], [`random`], [`errors`] | small things that everybody needs |
//!
//! The Python side is the package `puff` (`pip install puff-py`); it has to be installed in the environment
//! that the program finds: `VIRTUAL_ENV`, or `PYTHONPATH`.

pub mod cli;
pub mod errors;
pub mod graphql;
mod into_py;
mod logging;
pub mod metrics;
mod native;
pub mod prelude;
pub mod program;
pub mod runtime;
mod serve;
pub mod settings;
mod test_server;
pub mod types;
pub mod web;

/// The entry of the fuzz target for connections; not a part of the interface.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// Serves any bytes as a connection of HTTP/1, as a whole and in pieces, up to the environs of its requests.
    ///
    /// # Panics
    /// If the application sees what is no request, or it matters how the bytes arrive.
    pub fn requests(data: &[u8]) {
        crate::web::checks::requests(data);
    }
}

pub use axum;
pub use clap;
pub use native::_puff;
pub use tracing;

/// Random ids, secrets and bytes.
pub use puff_core::random;
