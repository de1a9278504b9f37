//! The extension module `_puff` of the Python package: the stock runtime inside somebody else's interpreter.
//!
//! All of it is `puff-rs`; this crate makes the shared library, which exports `PyInit__puff`, and chooses the
//! allocator. `puff._native` is its only importer.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use puff_rs::_puff;
