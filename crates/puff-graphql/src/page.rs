//! Pages of rows: what a statement says of them in columns of its own.

/// How the rows of a statement become a connection: an object with `edges`, `nodes`, `page_info` and `total_count`.
///
/// The edges of a parent are its rows, and the node of an edge is the edge's row (see
/// [`ResolverKind::Itself`](crate::ResolverKind)). The rows come in their order, one more than are shown if there
/// are more. Facts about all of a parent's rows stand in these columns, in any of its rows; a column that nobody
/// asks for may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many rows of a parent are shown.
    pub size: usize,
    /// Whether the page is the last one, and its rows come from the last to the first.
    pub backward: bool,
    /// Whether the statement has values of a client's cursor among its parameters.
    pub from_cursor: bool,
}

impl Page {
    /// True in a row that is none of the page, but only there for what the other columns say.
    pub const ASIDE: &str = "puff_aside";
    /// True if there are rows before the range that the client asks for.
    pub const BEFORE: &str = "puff_before";
    /// True if there are rows after it.
    pub const AFTER: &str = "puff_after";
    /// How many rows there are in all.
    pub const TOTAL: &str = "puff_total";
    /// The cursor of the row.
    pub const CURSOR: &str = "puff_cursor";
}
