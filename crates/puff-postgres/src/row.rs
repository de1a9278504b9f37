//! One row of an answer, and its cells as Rust's values.

use std::borrow::Borrow;
use std::fmt;

use crate::error::Error;
use crate::from_sql::FromSql;
use crate::rows::Rows;

/// One row: of an answer that it owns, or of one it borrows (`Row<&Rows>`), as [`Rows::iter`] gives it.
///
/// ```no_run
/// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
/// let rows = connection.query("SELECT id, name, tags FROM users", &[]).await?;
/// for row in rows.iter() {
///     let id: i64 = row.get("id")?;
///     let name = row.get::<Option<&str>>("name")?;
///     let tags = row.get::<Vec<String>>(2)?;
///     println!("{id} {name:?} {tags:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Row<R = Rows> {
    rows: R,
    number: usize,
}

impl<R: Borrow<Rows>> Row<R> {
    /// The row must exist.
    pub(crate) fn new(rows: R, number: usize) -> Self {
        Self { rows, number }
    }

    /// The cell of a column, by name or number, as a value of `T`; SQL's null is for an `Option` only.
    ///
    /// # Errors
    /// [`Error::Decode`] if there is no such column, or its cell is no `T`.
    pub fn get<'a, T: FromSql<'a>>(&'a self, column: impl ColumnIndex) -> Result<T, Error> {
        self.rows.borrow().get(self.number, column)
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.rows.borrow().columns().len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<R: Borrow<Rows>> fmt::Debug for Row<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.borrow();
        let cells = rows.columns().iter().enumerate();
        f.debug_map()
            .entries(cells.map(|(index, column)| (&column.name, rows.text(self.number, index))))
            .finish()
    }
}

impl Rows {
    /// The rows, one after another.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<&Rows>> {
        (0..self.len()).map(move |number| Row::new(self, number))
    }

    /// A cell as a value of `T`; it may borrow from these rows.
    ///
    /// # Errors
    /// [`Error::Decode`] if there is no such row or column, or the cell is no `T`.
    pub fn get<'a, T: FromSql<'a>>(&'a self, row: usize, column: impl ColumnIndex) -> Result<T, Error> {
        let Some(index) = column.find(self) else {
            let reason = "the statement returns no such column".to_owned();
            let column = column.to_string();
            return Err(Error::Decode { column, reason });
        };
        let column = &self.columns()[index];
        let failed = |reason: String| Error::Decode {
            column: column.name.to_string(),
            reason,
        };
        if row >= self.len() {
            return Err(failed(format!("there is no row {row} among {}", self.len())));
        }
        let value = match self.cell(row, index) {
            None => T::from_null(),
            Some(_) if !T::accepts(column.type_oid) => Err(wrong_type::<T>(column.type_oid).into()),
            Some(text) => T::from_sql(column.type_oid, text),
        };
        value.map_err(|reason| failed(reason.into_owned()))
    }
}

fn wrong_type<T>(oid: crate::oid::Oid) -> String {
    let rust = std::any::type_name::<T>();
    match crate::oid::type_name(oid) {
        Some(name) => format!("its type {name} is not read as {rust}"),
        None => format!("its type, of OID {oid}, is not read as {rust}"),
    }
}

/// What names a column: its name, of which the first counts, or its number from 0.
pub trait ColumnIndex: fmt::Display {
    /// The number of the column, if there is one.
    fn find(&self, rows: &Rows) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn find(&self, rows: &Rows) -> Option<usize> {
        (*self < rows.columns().len()).then_some(*self)
    }
}

impl ColumnIndex for &str {
    fn find(&self, rows: &Rows) -> Option<usize> {
        rows.find_column(self)
    }
}
