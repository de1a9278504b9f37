//! The answer to a statement: columns, and cells that stay where the network put them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::NULL_LENGTH;
use crate::oid::Oid;

/// One column of an answer, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; not necessarily unique in an answer.
    pub name: Arc<str>,
    /// The type of its cells; see [`oid`](crate::oid).
    pub type_oid: Oid,
    /// What the type was declared with, such as the length of a `varchar` plus 4; -1 without.
    pub type_modifier: i32,
    /// The size of the type in bytes; negative where it varies.
    pub type_size: i16,
    /// The table the column comes from; 0 if it is computed.
    pub table_oid: Oid,
    /// The column's number in that table, from 1; 0 if it is computed.
    pub column_id: i16,
}

/// What a statement did, in the server's words, such as `INSERT 0 3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CommandTag(Box<str>);

impl CommandTag {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole tag; empty after a statement without content.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of rows the statement returned or changed, where the tag tells it.
    ///
    /// ```no_run
    /// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
    /// let done = connection.query("DELETE FROM users WHERE id = $1", &[7.into()]).await?;
    /// assert_eq!(done.tag().rows(), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(&self) -> Option<u64> {
        self.0.rsplit_once(' ').and_then(|(_, count)| count.parse().ok())
    }
}

impl fmt::Display for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer to one statement: rows of cells in PostgreSQL's text format, and the command tag.
///
/// The cells are kept as the server sent them, in large chunks, beside one offset per cell; reading a cell
/// is two look-ups and copies nothing. `Rows` is plain data: it can be sent to any thread and outlives its
/// connection.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Option<Arc<[Column]>>,
    chunks: Vec<Bytes>,
    /// For every row: the number of its chunk, then the position of each cell's length in that chunk.
    index: Vec<u32>,
    len: usize,
    tag: CommandTag,
}

impl Rows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The columns; none if the statement returns no rows by its nature, such as `UPDATE`.
    pub fn columns(&self) -> &[Column] {
        self.columns.as_deref().unwrap_or_default()
    }

    /// Whether the statement returns rows by its nature, even if there are none or they have no column.
    pub fn has_result_set(&self) -> bool {
        self.columns.is_some()
    }

    /// The number of the first column of this name.
    pub fn find_column(&self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| &*column.name == name)
    }

    /// What the statement did.
    pub fn tag(&self) -> &CommandTag {
        &self.tag
    }

    /// The cell in PostgreSQL's text format; `None` for SQL's null.
    ///
    /// The bytes are UTF-8 unless the database's own encoding is `SQL_ASCII`, which promises nothing.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn cell(&self, row: usize, column: usize) -> Option<&[u8]> {
        let columns = self.columns().len();
        assert!(column < columns, "column {column} of {columns}");
        let row = &self.index[row * (columns + 1)..][..columns + 1];
        let cell = &self.chunks[row[0] as usize][row[column + 1] as usize..];
        let (length, rest) = cell.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        (length != NULL_LENGTH).then(|| &rest[..length as usize])
    }

    /// The cell as text; `None` for SQL's null, and for bytes that are not UTF-8.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        std::str::from_utf8(self.cell(row, column)?).ok()
    }
}

/// Collects the rows of one statement while its answer arrives.
#[derive(Debug)]
pub(crate) struct RowsBuilder {
    rows: Rows,
}

impl RowsBuilder {
    pub(crate) fn new(columns: Option<Arc<[Column]>>) -> Self {
        let (chunks, index) = (Vec::new(), Vec::new());
        Self {
            rows: Rows {
                columns,
                chunks,
                index,
                len: 0,
                tag: CommandTag::default(),
            },
        }
    }

    /// How many cells each row must have.
    pub(crate) fn width(&self) -> usize {
        self.rows.columns().len()
    }

    /// Opens a row in the chunk that comes next; the caller appends one position per cell.
    pub(crate) fn begin_row(&mut self) -> &mut Vec<u32> {
        self.rows.len += 1;
        // A chunk holds at least one row, and 2^32 of them do not fit in memory.
        self.rows.index.push(self.rows.chunks.len() as u32);
        &mut self.rows.index
    }

    /// Ends the chunk that the rows since the last one lie in.
    pub(crate) fn push_chunk(&mut self, chunk: Bytes) {
        self.rows.chunks.push(chunk);
    }

    pub(crate) fn finish(self, tag: CommandTag) -> Rows {
        Rows { tag, ..self.rows }
    }
}
