//! Rows of a SQL statement as the engine reads them: cells in PostgreSQL's text format.

/// The rows of one SQL statement, kept as the server sent them.
///
/// Implementations give cheap random access; the engine reads each needed cell once, when it writes it, and
/// key columns once more for a join.
pub trait Rows: Send + Sync + 'static {
    /// How many rows there are.
    fn len(&self) -> usize;

    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many columns a row has.
    fn columns(&self) -> usize;

    /// The name of column `column`, which is below [`Rows::columns`].
    fn column_name(&self, column: usize) -> &str;

    /// The type of column `column`, which is below [`Rows::columns`].
    fn column_type(&self, column: usize) -> CellType;

    /// The cell in PostgreSQL's text format, `None` for SQL's null.
    ///
    /// The bytes must be UTF-8 (which `client_encoding = 'UTF8'` ensures): they are not checked again.
    fn cell(&self, row: usize, column: usize) -> Option<&[u8]>;
}

/// What a column's text means: decides how it becomes JSON and how it compares as a join key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// A scalar of this kind.
    Scalar(ScalarType),
    /// A PostgreSQL array (of any number of dimensions) with elements of this kind.
    Array(ScalarType),
}

/// The kinds of single cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarType {
    /// `bool`
    Bool,
    /// `int2`
    Int2,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `oid` and its kin, printed as unsigned numbers.
    Oid,
    /// `float4`
    Float4,
    /// `float8`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`, `varchar`, `name`, enums, `citext`: any text that compares as it is.
    Text,
    /// `bpchar`: text whose trailing blanks do not count.
    Bpchar,
    /// `json` and `jsonb`
    Json,
    /// `uuid`
    Uuid,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `time` and `timetz`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
    /// `interval`
    Interval,
    /// Everything else: written as text.
    Other,
}

impl ScalarType {
    /// The name as PostgreSQL prints it, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Oid => "oid",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bpchar => "bpchar",
            Self::Json => "json",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Interval => "interval",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for CellType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scalar(kind) => f.write_str(kind.name()),
            Self::Array(kind) => write!(f, "{}[]", kind.name()),
        }
    }
}
