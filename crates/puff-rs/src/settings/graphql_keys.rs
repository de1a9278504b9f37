//! The settings of GraphQL, a part of the table in `keys`.

use super::keys::{Key, key};

/// How the GraphQL schema is served.
pub static GRAPHQL_KEYS: &[Key] = &[
    key(
        "graphql_camel_case",
        "BOOL",
        "Show Python's snake_case names as camelCase",
    )
    .default("false"),
    key("graphql_timeout", "TIME", "How long one GraphQL request may take").default("60s"),
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
