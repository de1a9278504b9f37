//! The supervisor as a program of its own, for tests; `puff` contains it.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    puff_embedded::supervisor::main(env::args_os().skip(1))
}
