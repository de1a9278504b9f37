//! The stock command line: what `puff` offers without any Rust of the user's own.

mod db;
mod graphql;
mod new;
mod python;
mod run;

use crate::program::Program;
use crate::program::commands::{DjangoManagementCommand, PytestCommand, ServerCommand};
use crate::runtime::RuntimeConfig;

/// The program behind the command `puff`: the wheel's and the binary's.
pub fn program() -> Program {
    Program::new("puff")
        .about("Runs Python on Rust: greenlets, HTTP, PostgreSQL, Redis, GraphQL in one process")
        .version(env!("CARGO_PKG_VERSION"))
        .runtime_config(RuntimeConfig::default().lazy_services())
        .command(ServerCommand::stock())
        .command(run::RunCommand)
        .command(python::PythonInterpreterCommand)
        .command(DjangoManagementCommand::new())
        .command(PytestCommand::stock())
        .command(graphql::GraphQlCommand)
        .command(db::DbCommand)
        .command(new::NewCommand)
}
