//! The native half of `puff.postgres`, the DB-API driver with psycopg2's names.
//!
//! Python decides (transactions, cursors, errors); Rust does what is repeated per byte, per parameter and
//! per cell: the wire, quoting parameters into a statement, casting cells to Python objects.

mod answer;
mod cast;
mod column;
mod conversation;
mod cursor;
mod error;
mod literal;
mod owned;
mod pool;
mod session;
mod task;
mod thread;

use pyo3::prelude::*;

pub(crate) use answer::Answer;
pub(crate) use conversation::Conversation;
pub(crate) use session::PgSession;
pub(crate) use task::TaskQuery;

/// Adds the classes and functions of the driver to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    literal::populate(module)?;
    module.add_class::<Answer>()?;
    module.add_class::<cast::Typecaster>()?;
    module.add_class::<column::Column>()?;
    module.add_class::<cursor::Cursor>()?;
    module.add_class::<pool::PgPool>()?;
    module.add_class::<session::PgSession>()?;
    module.add_function(wrap_pyfunction!(session::pg_open, module)?)
}
