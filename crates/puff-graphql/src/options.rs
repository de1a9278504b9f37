//! The settings of a schema: limits, all on by default.

/// Limits and cache sizes of a schema. [`SchemaOptions::default`] is meant for the open internet.
///
/// ```
/// use puff_graphql::SchemaOptions;
/// let options = SchemaOptions { max_depth: 8, ..SchemaOptions::default() };
/// assert_eq!(options.max_errors, 100);
/// ```
#[derive(Debug, Clone)]
pub struct SchemaOptions {
    /// Largest document, in bytes.
    pub max_query_bytes: usize,
    /// Most lexical tokens of a document, white space and punctuation included.
    pub max_tokens: usize,
    /// Deepest nesting that the parser follows, in any syntax.
    pub max_recursion: usize,
    /// Deepest nesting of fields, introspection excepted.
    pub max_depth: usize,
    /// Most fields of an operation, counted after fragments are expanded.
    pub max_fields: usize,
    /// Most root fields of an operation, aliases included.
    pub max_root_fields: usize,
    /// Most aliases of a document.
    pub max_aliases: usize,
    /// Most directives of a document.
    pub max_directives: usize,
    /// Most fields of an answer by estimate, which is made before anything runs: each field counts for each
    /// object that has it.
    pub max_complexity: usize,
    /// How many items the estimate takes a list to have that no argument `first`, `last` or `limit` bounds.
    pub list_size: usize,
    /// Most rows of one statement; more are an error of that layer.
    pub max_rows: usize,
    /// Most errors listed in an answer; the number of those left out is told in one more.
    pub max_errors: usize,
    /// Largest answer, in bytes; beyond it the answer's data is null, with an error.
    pub max_response_bytes: usize,
    /// Most plans in the cache.
    pub cache_entries: usize,
    /// Most bytes of the documents and plans in the cache, by estimate.
    pub cache_bytes: usize,
    /// Whether `__schema` and `__type` answer.
    pub introspection: bool,
}

impl Default for SchemaOptions {
    fn default() -> Self {
        Self {
            max_query_bytes: 256 * 1024,
            max_tokens: 16_000,
            max_recursion: 200,
            max_depth: 32,
            max_fields: 5_000,
            max_root_fields: 200,
            max_aliases: 200,
            max_directives: 200,
            max_complexity: 250_000,
            list_size: 10,
            max_rows: 100_000,
            max_errors: 100,
            max_response_bytes: 256 * 1024 * 1024,
            cache_entries: 1_000,
            cache_bytes: 32 * 1024 * 1024,
            introspection: true,
        }
    }
}
