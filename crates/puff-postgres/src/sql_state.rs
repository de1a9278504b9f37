//! SQLSTATE: the five-character code of a server error.

use std::fmt;

/// A SQLSTATE code, such as `23505` for a violated unique constraint.
///
/// ```
/// use puff_postgres::SqlState;
///
/// let code: SqlState = "23505".parse()?;
/// assert_eq!(code, SqlState::UNIQUE_VIOLATION);
/// assert_eq!(code.class(), "23");
/// # Ok::<(), puff_postgres::InvalidSqlState>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// The statement uses something that the server does not offer, or a cached plan's columns changed.
    pub const FEATURE_NOT_SUPPORTED: Self = Self(*b"0A000");
    /// A value is out of its type's range.
    pub const NUMERIC_VALUE_OUT_OF_RANGE: Self = Self(*b"22003");
    /// A parameter's text is not a value of its type.
    pub const INVALID_TEXT_REPRESENTATION: Self = Self(*b"22P02");
    /// A `NOT NULL` constraint was violated.
    pub const NOT_NULL_VIOLATION: Self = Self(*b"23502");
    /// A foreign key constraint was violated.
    pub const FOREIGN_KEY_VIOLATION: Self = Self(*b"23503");
    /// A unique constraint was violated.
    pub const UNIQUE_VIOLATION: Self = Self(*b"23505");
    /// A check constraint was violated.
    pub const CHECK_VIOLATION: Self = Self(*b"23514");
    /// The transaction has failed and waits for `ROLLBACK`.
    pub const IN_FAILED_SQL_TRANSACTION: Self = Self(*b"25P02");
    /// The prepared statement is not known to the server.
    pub const INVALID_SQL_STATEMENT_NAME: Self = Self(*b"26000");
    /// The server's rules do not let this user in this way.
    pub const INVALID_AUTHORIZATION: Self = Self(*b"28000");
    /// The password is wrong.
    pub const INVALID_PASSWORD: Self = Self(*b"28P01");
    /// The database does not exist.
    pub const INVALID_CATALOG_NAME: Self = Self(*b"3D000");
    /// Serialisation failed; the transaction may be repeated.
    pub const SERIALIZATION_FAILURE: Self = Self(*b"40001");
    /// A deadlock was found; the transaction may be repeated.
    pub const DEADLOCK_DETECTED: Self = Self(*b"40P01");
    /// The statement is not SQL.
    pub const SYNTAX_ERROR: Self = Self(*b"42601");
    /// A column does not exist.
    pub const UNDEFINED_COLUMN: Self = Self(*b"42703");
    /// A table does not exist.
    pub const UNDEFINED_TABLE: Self = Self(*b"42P01");
    /// The server has no connection left.
    pub const TOO_MANY_CONNECTIONS: Self = Self(*b"53300");
    /// The statement was cancelled.
    pub const QUERY_CANCELED: Self = Self(*b"57014");
    /// An administrator ended the connection.
    pub const ADMIN_SHUTDOWN: Self = Self(*b"57P01");
    /// The server cannot be reached now, for example because it starts.
    pub const CANNOT_CONNECT_NOW: Self = Self(*b"57P03");
    /// The server's own error.
    pub const INTERNAL_ERROR: Self = Self(*b"XX000");

    /// The code as text, always five ASCII letters and digits.
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in (see `from_bytes`), so the fallback is never seen.
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }

    /// The first two characters: the family the code belongs to, such as `23` for integrity violations.
    pub fn class(&self) -> &str {
        &self.as_str()[..2]
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let code: [u8; 5] = bytes.try_into().ok()?;
        code.iter().all(u8::is_ascii_alphanumeric).then_some(Self(code))
    }
}

impl std::str::FromStr for SqlState {
    type Err = InvalidSqlState;

    fn from_str(text: &str) -> Result<Self, InvalidSqlState> {
        Self::from_bytes(text.as_bytes()).ok_or(InvalidSqlState)
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlState({})", self.as_str())
    }
}

/// The text is not five ASCII letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SQLSTATE is five ASCII letters and digits")]
pub struct InvalidSqlState;
