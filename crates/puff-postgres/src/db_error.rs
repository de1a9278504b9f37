//! Errors that the server reports, with every field it sends.

use std::fmt;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;

use crate::SqlState;

/// An error message of the server; the fields are PostgreSQL's own, absent ones `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DbError {
    /// How bad it is.
    pub severity: Severity,
    /// The severity in the server's language, such as `FEHLER`.
    pub severity_text: String,
    /// What kind of error it is.
    pub code: SqlState,
    /// The error in one line.
    pub message: String,
    /// More about it, possibly several lines.
    pub detail: Option<String>,
    /// What may help.
    pub hint: Option<String>,
    /// Where in the statement the error is: a character index from 1.
    pub position: Option<u32>,
    /// Where in `internal_query` the error is: a character index from 1.
    pub internal_position: Option<u32>,
    /// A statement that the server generated itself, such as one of a PL/pgSQL function.
    pub internal_query: Option<String>,
    /// The call stack on the server, innermost first.
    pub where_: Option<String>,
    /// The schema of the object the error is about.
    pub schema: Option<String>,
    /// The table the error is about.
    pub table: Option<String>,
    /// The column the error is about.
    pub column: Option<String>,
    /// The data type the error is about.
    pub datatype: Option<String>,
    /// The constraint that was violated.
    pub constraint: Option<String>,
    /// The file of the server's source that raised the error.
    pub file: Option<String>,
    /// The line in `file`.
    pub line: Option<u32>,
    /// The function of the server's source that raised the error.
    pub routine: Option<String>,
}

/// How bad an error of the server is, or what a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are PostgreSQL's")]
pub enum Severity {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// All connections end.
    Panic,
}

impl Severity {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "DEBUG" => Self::Debug,
            "LOG" => Self::Log,
            "INFO" => Self::Info,
            "NOTICE" => Self::Notice,
            "WARNING" => Self::Warning,
            "ERROR" => Self::Error,
            "FATAL" => Self::Fatal,
            "PANIC" => Self::Panic,
            _ => return None,
        })
    }
}

impl DbError {
    /// Whether the server ends the connection after this error.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity, Severity::Fatal | Severity::Panic)
    }

    /// Reads the fields of an error or notice. Text that is not UTF-8 is repaired: before the client
    /// encoding is agreed on, the server may speak any.
    pub(crate) fn read(mut fields: ErrorFields<'_>) -> std::io::Result<Self> {
        let mut error = Self {
            severity: Severity::Error,
            severity_text: String::new(),
            code: SqlState::INTERNAL_ERROR,
            message: String::new(),
            detail: None,
            hint: None,
            position: None,
            internal_position: None,
            internal_query: None,
            where_: None,
            schema: None,
            table: None,
            column: None,
            datatype: None,
            constraint: None,
            file: None,
            line: None,
            routine: None,
        };
        while let Some(field) = fields.next()? {
            let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'S' => {
                    error.severity_text = value();
                    // Servers before 9.6 send no `V`, and English texts unless told otherwise.
                    error.severity = Severity::parse(&error.severity_text).unwrap_or(error.severity);
                }
                b'V' => error.severity = Severity::parse(&value()).unwrap_or(error.severity),
                b'C' => error.code = SqlState::from_bytes(field.value_bytes()).unwrap_or(error.code),
                b'M' => error.message = value(),
                b'D' => error.detail = Some(value()),
                b'H' => error.hint = Some(value()),
                b'P' => error.position = value().parse().ok(),
                b'p' => error.internal_position = value().parse().ok(),
                b'q' => error.internal_query = Some(value()),
                b'W' => error.where_ = Some(value()),
                b's' => error.schema = Some(value()),
                b't' => error.table = Some(value()),
                b'c' => error.column = Some(value()),
                b'd' => error.datatype = Some(value()),
                b'n' => error.constraint = Some(value()),
                b'F' => error.file = Some(value()),
                b'L' => error.line = value().parse().ok(),
                b'R' => error.routine = Some(value()),
                // The protocol asks clients to ignore fields they do not know.
                _ => {}
            }
        }
        Ok(error)
    }
}

impl std::error::Error for DbError {}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} (SQLSTATE {})",
            self.severity_text, self.message, self.code
        )?;
        if let Some(detail) = &self.detail {
            write!(f, "\nDETAIL: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHINT: {hint}")?;
        }
        Ok(())
    }
}
