//! The command `puff` as a binary of its own that embeds CPython.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    puff_rs::cli::program().run()
}
