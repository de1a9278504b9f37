//! What the server answered to a statement, as the driver hands it to a cursor.

use puff_postgres::Rows;
use pyo3::prelude::*;

/// The last answer of a statement: its rows, not yet cast to Python objects, and what it did.
#[pyclass(frozen, module = "puff", name = "Answer")]
pub(crate) struct Answer {
    rows: Rows,
}

/// Name, type's OID, type modifier, type size in bytes, table's OID, number of the column in the table.
type ColumnFields = (String, u32, i32, i16, u32, i16);

impl Answer {
    pub(crate) fn new(rows: Rows) -> Answer {
        Answer { rows }
    }

    /// The rows, as the network brought them.
    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }
}

#[pymethods]
impl Answer {
    /// The command tag, such as `INSERT 0 3`; empty after an empty statement.
    #[getter]
    fn tag(&self) -> &str {
        self.rows.tag().as_str()
    }

    /// Rows returned or changed; -1 if the tag does not tell.
    #[getter]
    fn rowcount(&self) -> i64 {
        let count = self.rows.tag().rows();
        count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)
    }

    /// Whether the statement returns rows by its nature, even if there are none.
    #[getter]
    fn has_rows(&self) -> bool {
        self.rows.has_result_set()
    }

    /// The columns, as tuples of (name, type OID, type modifier, type size, table OID, column number).
    #[getter]
    fn columns(&self) -> Vec<ColumnFields> {
        let columns = self.rows.columns().iter();
        let fields = columns.map(|column| {
            (
                column.name.to_string(),
                column.type_oid,
                column.type_modifier,
                column.type_size,
                column.table_oid,
                column.column_id,
            )
        });
        fields.collect()
    }
}
