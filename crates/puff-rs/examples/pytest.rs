//! A program that runs the tests of the project in `shop`, a folder of the working directory.

use puff_rs::prelude::*;
use puff_rs::program::commands::pytest::PytestCommand;

fn main() -> ExitCode {
    Program::new("shop_program")
        .about("A program with tests")
        .runtime_config(RuntimeConfig::default().set_gql_schema_class("shop_schema.Schema"))
        .command(PytestCommand::new("shop"))
        .run()
}
