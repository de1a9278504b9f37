//! The extension module `_puff` of the Python package: the stock runtime inside somebody else's interpreter.

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rust's half of the package `puff`; `puff._native` is its only importer.
#[pymodule]
fn _puff(module: &Bound<'_, PyModule>) -> PyResult<()> {
    puff_rs::native_module(module)
}
