//! The settings of WebSockets to Python functions, a part of the table in `keys`; and the table of their routes.

use super::keys::{Key, key};

/// The key of `puff.toml` below which paths and functions are: `"/chat/{room}" = "chat.views:chat"`.
pub(super) const TABLE: &str = "websockets";

/// What is wrong with a table of routes that is none.
pub(super) const TABLE_RULE: &str = "a table of paths and functions: \"/chat/{room}\" = \"chat.views:chat\"";

/// Settings of WebSockets.
pub static WEBSOCKET_KEYS: &[Key] = &[
    key(
        "websockets_max",
        "N",
        "Most WebSockets to Python functions at a time; more get a 503",
    )
    .default("10000"),
    key(
        "websocket_max_message",
        "SIZE",
        "Largest message of a client; a larger one closes with 1009",
    )
    .default("1MiB"),
    key(
        "websocket_queue",
        "SIZE",
        "How much may wait in each direction before whoever sends is held back",
    )
    .default("64KiB"),
    key(
        "websocket_ping",
        "TIME",
        "How long a client may say nothing before it is sent a ping; 0s for ever",
    )
    .default("20s"),
    key(
        "websocket_timeout",
        "TIME",
        "How long a client may take to answer a ping, and to take 16 KiB",
    )
    .default("20s"),
    key(
        "websocket_grace",
        "TIME",
        "How long a function may go on without its client: then GreenletExit where it waits",
    )
    .default("5s"),
    key(
        "websocket_origins",
        "ORIGINS",
        "Whose pages may connect: same (this host's), * or https://shop.example; with commas",
    )
    .default("same"),
    key(
        "event_stream_keep_alive",
        "TIME",
        "How long an event stream may say nothing before its client is sent a comment",
    )
    .default("15s"),
];
