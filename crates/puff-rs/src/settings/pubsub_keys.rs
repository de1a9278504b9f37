//! The settings of pub-sub, a part of the table in `keys`.

use super::keys::{Key, key};

/// Settings of pub-sub.
pub static PUBSUB_KEYS: &[Key] = &[
    key(
        "pubsub_url",
        "URL",
        "Redis for pub-sub, or memory: to stay within the process",
    )
    .default("the one of --redis-url"),
    key(
        "pubsub_queue",
        "N",
        "Most messages that wait for one connection of pub-sub",
    )
    .default("1024"),
    key(
        "pubsub_queue_bytes",
        "SIZE",
        "Most bytes that wait for one connection of pub-sub",
    )
    .default("16MiB"),
    key(
        "pubsub_overflow",
        "POLICY",
        "What happens when more would wait: gap drops the newest, drop_oldest the oldest, disconnect closes",
    )
    .default("gap"),
    key("pubsub_max_message", "SIZE", "Largest message of pub-sub").default("8MiB"),
    key(
        "pubsub_history",
        "PREFIX=N/TIME",
        "Channels that keep their last N messages for TIME, for example chat:=100/5m; with commas",
    )
    .default("none"),
    key(
        "pubsub_sequence_ttl",
        "TIME",
        "How long a channel of pub-sub that nobody publishes on keeps its number",
    )
    .default("24h"),
    key(
        "pubsub_presence_ttl",
        "TIME",
        "How long members of channels stay that are not heard of any more",
    )
    .default("30s"),
    key(
        "pubsub_sharded",
        "BOOL",
        "Sharded channels, so that messages stay on one node of a cluster; the same in all processes",
    )
    .default("false"),
];
