//! The table of settings: from one row come the flag, the environment variable and the key in `puff.toml`.

use clap::{Arg, ArgAction};

pub use super::graphql_keys::{GRAPHQL_KEYS, SUBSCRIPTION_KEYS};
pub use super::log_keys::{LOG_KEYS, OTEL_KEYS};
pub use super::process_keys::PROCESS_KEYS;
pub use super::pubsub_keys::PUBSUB_KEYS;
pub use super::server_keys::SERVER_KEYS;
pub use super::static_keys::{COMPRESSION_KEYS, STATIC_KEYS};
pub use super::websocket_keys::WEBSOCKET_KEYS;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its name in `puff.toml`, with underscores; the flag has dashes, the variable is `PUFF_` and capitals.
    pub name: &'static str,
    /// The placeholder in the help.
    pub value_name: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The default as the help shows it; the code that resolves the setting holds the value.
    pub default: Option<&'static str>,
    /// A variable that is read when the setting's own is not set.
    pub fallback_variable: Option<&'static str>,
    /// Whether it is a list: the flag may be repeated, and other texts have commas.
    pub list: bool,
    /// Whether the flag alone means `true`.
    pub switch: bool,
}

pub(super) const fn key(name: &'static str, value_name: &'static str, help: &'static str) -> Key {
    Key {
        name,
        value_name,
        help,
        default: None,
        fallback_variable: None,
        list: false,
        switch: false,
    }
}

impl Key {
    pub(super) const fn default(self, default: &'static str) -> Key {
        Key {
            default: Some(default),
            ..self
        }
    }

    pub(super) const fn list(self) -> Key {
        Key { list: true, ..self }
    }

    /// The flag may stand alone; a value is written `--flag=false`.
    pub(super) const fn switch(self) -> Key {
        Key { switch: true, ..self }
    }

    pub(super) const fn or_variable(self, variable: &'static str) -> Key {
        Key {
            fallback_variable: Some(variable),
            ..self
        }
    }

    /// The environment variable: `PUFF_POSTGRES_URL`.
    pub fn variable(&self) -> String {
        format!("PUFF_{}", self.name.to_ascii_uppercase())
    }

    /// The flag without its dashes: `postgres-url`.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The option for the command line. It takes any text: values are checked in one place for all sources.
    pub fn arg(&self) -> Arg {
        let mut help = format!("{} [env: {}", self.help, self.variable());
        if let Some(variable) = self.fallback_variable {
            help.push_str(&format!(", else {variable}"));
        }
        help.push(']');
        if let Some(default) = self.default {
            help.push_str(&format!(" [default: {default}]"));
        }
        let arg = Arg::new(self.name)
            .long(self.flag())
            .value_name(self.value_name)
            .action(if self.list {
                ArgAction::Append
            } else {
                ArgAction::Set
            })
            .help(help);
        if !self.switch {
            return arg;
        }
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
    }
}

/// Settings of the runtime; every command has them.
pub static RUNTIME_KEYS: &[Key] = &[
    key("threads", "N", "Tokio's worker threads").default("as many as there are CPUs for the process"),
    key(
        "log",
        "FILTER",
        "What is logged to stderr: a level, or a filter such as info,puff_rs=debug,blog.views=warn",
    )
    .default("info for servers, warn for the rest")
    .or_variable("RUST_LOG"),
    key(
        "log_format",
        "FORMAT",
        "How it is logged: text, or json with one object per line",
    )
    .default("text"),
    key(
        "blocking_threads",
        "N",
        "Most calls of blocking Python code (puff.blocking) that run at once",
    )
    .default("32"),
    key(
        "watchdog",
        "TIME",
        "Warns when one greenlet has let no other run for so long; 0s never does",
    )
    .default("1s, and 0s with PUFF_ENV=production"),
    key(
        "postgres_url",
        "URL",
        "PostgreSQL to use instead of a private one",
    )
    .or_variable("DATABASE_URL"),
    key("postgres_pool_size", "N", "Most connections to PostgreSQL").default("10"),
    key(
        "postgres_min_size",
        "N",
        "Connections to PostgreSQL that are kept open from the first use on",
    )
    .default("0"),
    key(
        "postgres_acquire_timeout",
        "TIME",
        "How long a statement waits for a connection to PostgreSQL",
    )
    .default("10s"),
    key(
        "postgres_max_lifetime",
        "TIME",
        "The age at which a connection to PostgreSQL is replaced; 0s never does",
    )
    .default("30m"),
    key(
        "postgres_idle_timeout",
        "TIME",
        "How long a connection to PostgreSQL may be without work; 0s for ever",
    )
    .default("10m"),
    key(
        "graphql_borrow_pool_size",
        "N",
        "Most connections for GraphQL requests that have one of their own: borrowers, atomic mutations",
    )
    .default("as postgres_pool_size"),
    key(
        "psycopg2",
        "BOOL",
        "Makes Python's import of psycopg2 give puff.postgres instead",
    )
    .default("false"),
    key("redis_url", "URL", "Redis to use instead of a private Valkey").or_variable("REDIS_URL"),
    key(
        "redis_connections",
        "N",
        "Connections to Redis that commands share",
    )
    .default("2"),
    key(
        "redis_dedicated",
        "N",
        "Most connections to Redis beside them, for commands that wait, WATCH and the like",
    )
    .default("64"),
    key(
        "redis_connect_timeout",
        "TIME",
        "How long a connection to Redis may take to open",
    )
    .default("5s"),
    key(
        "redis_response_timeout",
        "TIME",
        "How long Redis may take for an answer, beyond what a command waits for by itself",
    )
    .default("5s"),
];

/// What a stock server or a GraphQL command loads.
pub static APP_KEYS: &[Key] = &[
    key(
        "wsgi",
        "MODULE:APP",
        "The WSGI application to serve, for example blog.wsgi:application",
    ),
    key(
        "graphql",
        "MODULE:SCHEMA",
        "The class of the GraphQL schema, for example blog.schema:Schema",
    ),
];

/// Every setting there is.
pub fn all_keys() -> impl Iterator<Item = &'static Key> {
    RUNTIME_KEYS
        .iter()
        .chain(PUBSUB_KEYS)
        .chain(APP_KEYS)
        .chain(GRAPHQL_KEYS)
        .chain(SUBSCRIPTION_KEYS)
        .chain(SERVER_KEYS)
        .chain(STATIC_KEYS)
        .chain(COMPRESSION_KEYS)
        .chain(PROCESS_KEYS)
        .chain(WEBSOCKET_KEYS)
        .chain(LOG_KEYS)
        .chain(OTEL_KEYS)
}

/// The key called `name`.
pub fn find(name: &str) -> Option<&'static Key> {
    all_keys().find(|key| key.name == name)
}

/// A known key that `name` may be a misspelling of: equal but for case and dashes, or at most two edits away.
pub fn similar(name: &str) -> Option<&'static str> {
    most_similar(name, all_keys().map(|key| key.name))
}

/// The one of `known` that `name` may be a misspelling of, as [`similar`] has it.
pub(super) fn most_similar(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    known
        .map(|known| (edit_distance(&name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, known)| known)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
