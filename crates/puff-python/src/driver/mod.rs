//! The native half of `puff.postgres`, the DB-API driver with psycopg2's names.
//!
//! Python decides (transactions, cursors, errors); Rust does what is repeated per byte, per parameter and
//! per cell: the wire, quoting parameters into a statement, casting cells to Python objects.

mod answer;
mod literal;

use pyo3::prelude::*;

pub(crate) use answer::Answer;

/// Adds the classes and functions of the driver to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    literal::populate(module)?;
    module.add_class::<Answer>()
}
