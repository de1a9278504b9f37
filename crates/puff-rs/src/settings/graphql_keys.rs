//! The settings of GraphQL, a part of the table in `keys`.

use super::keys::{Key, key};

/// How a GraphQL schema is served. Each has them again in the table of a schema with a name, where those that are
/// missing are as they are here.
pub static GRAPHQL_KEYS: &[Key] = &[
    key(
        "graphql_camel_case",
        "BOOL",
        "Show Python's snake_case names as camelCase",
    )
    .default("false"),
    key("graphql_timeout", "TIME", "How long one GraphQL request may take").default("60s"),
    key(
        "graphql_introspection",
        "BOOL",
        "Whether clients may ask for the schema",
    )
    .default("true"),
    key("graphql_max_body", "SIZE", "Largest body of a GraphQL request").default("1MiB"),
    key(
        "graphql_max_batch",
        "N",
        "Most requests in one body; 0 takes no lists of requests",
    )
    .default("0"),
    key(
        "graphql_max_files",
        "N",
        "Most files that come with a request, as multipart/form-data; 0 takes no files",
    )
    .default("0"),
    key(
        "graphql_max_file",
        "SIZE",
        "Largest file that comes with a request",
    )
    .default("10MiB"),
    key("graphql_max_tokens", "N", "Most tokens of a document").default("16000"),
    key("graphql_max_depth", "N", "Deepest nesting of fields").default("32"),
    key(
        "graphql_max_fields",
        "N",
        "Most fields of an operation, its fragments expanded",
    )
    .default("5000"),
    key("graphql_max_root_fields", "N", "Most root fields of an operation").default("200"),
    key("graphql_max_aliases", "N", "Most aliases of a document").default("200"),
    key("graphql_max_directives", "N", "Most directives of a document").default("200"),
    key(
        "graphql_max_complexity",
        "N",
        "Most fields of an answer, estimated before it runs",
    )
    .default("250000"),
    key(
        "graphql_list_size",
        "N",
        "How long the estimate takes a list to be without an argument first, last or limit",
    )
    .default("10"),
    key("graphql_max_rows", "N", "Most rows of one layer").default("100000"),
    key("graphql_max_response", "SIZE", "Largest answer").default("256MiB"),
    key(
        "graphql_csrf",
        "BOOL",
        "Refuses GETs that another site may have made a browser send",
    )
    .default("true"),
    key(
        "graphql_documents",
        "PATH",
        "Documents that requests may name by id: a JSON file of ids and texts, or a folder of ID.graphql",
    )
    .default("none"),
    key("graphql_documents_only", "BOOL", "Runs no other documents").default("false"),
    key(
        "graphql_persisted_queries",
        "N",
        "Most documents kept that clients send once with their SHA-256, and then name by it; 0 keeps none",
    )
    .default("0"),
    key(
        "graphql_atomic_mutations",
        "BOOL",
        "Make each root field of a mutation one transaction, which an error in it rolls back",
    )
    .default("false"),
    key(
        "graphql_mask_errors",
        "BOOL",
        "Tell clients the messages of GraphQLError only, not those of other exceptions and of PostgreSQL",
    )
    .default("true with PUFF_ENV=production, else false"),
    key(
        "graphql_trace",
        "WHO",
        "Who may ask for a trace with statements and parameters: off, local or always; off in production",
    )
    .default("local: clients on this machine without a proxy between"),
    key(
        "graphql_server_timing",
        "BOOL",
        "Answers say in a header Server-Timing how long their parts took",
    )
    .default("false"),
];

/// How subscriptions are transported, for all schemas.
pub static SUBSCRIPTION_KEYS: &[Key] = &[
    key(
        "graphql_max_operations",
        "N",
        "Most operations at a time on one WebSocket for subscriptions",
    )
    .default("100"),
    key(
        "graphql_init_timeout",
        "TIME",
        "How long a client's WebSocket may be silent before it asks for a connection",
    )
    .default("3s"),
    key(
        "graphql_keep_alive",
        "TIME",
        "How often clients of event streams are told that the server is there",
    )
    .default("12s"),
    key(
        "graphql_legacy_websocket",
        "BOOL",
        "Whether the old protocol graphql-ws is spoken beside graphql-transport-ws",
    )
    .default("false")
    .switch(),
];
