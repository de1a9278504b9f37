//! Pub-sub on the page of metrics.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use puff_redis::PubSubStatus;

type Number = (&'static str, &'static str, fn(&PubSubStatus) -> u64);

const GAUGES: [Number; 4] = [
    ("puff_pubsub_connections", "Connections of pub-sub", |pubsub| {
        pubsub.connections as u64
    }),
    (
        "puff_pubsub_channels",
        "Channels that somebody listens to",
        |pubsub| pubsub.channels as u64,
    ),
    (
        "puff_pubsub_subscriptions",
        "Channels that connections listen to, once for each",
        |pubsub| pubsub.subscriptions as u64,
    ),
    ("puff_pubsub_up", "Whether messages come from Redis", |pubsub| {
        u64::from(pubsub.connected)
    }),
];

const COUNTERS: [Number; 7] = [
    (
        "puff_pubsub_published",
        "Messages that this process has published",
        |pubsub| pubsub.published,
    ),
    (
        "puff_pubsub_received",
        "Messages that came to this process, each once",
        |pubsub| pubsub.received,
    ),
    (
        "puff_pubsub_delivered",
        "Messages that were queued for connections",
        |pubsub| pubsub.delivered,
    ),
    (
        "puff_pubsub_replayed",
        "Messages of histories that were queued for connections",
        |pubsub| pubsub.replayed,
    ),
    (
        "puff_pubsub_dropped",
        "Messages that had no room in a connection's queue",
        |pubsub| pubsub.dropped,
    ),
    (
        "puff_pubsub_gaps",
        "Gaps in connections' messages: after a reconnect, an overflow, a loss",
        |pubsub| pubsub.gaps,
    ),
    (
        "puff_pubsub_disconnected",
        "Connections that were closed because they were too slow",
        |pubsub| pubsub.disconnected,
    ),
];

/// Writes what is known of pub-sub, if it is open.
pub(super) fn encode(
    status: Option<&PubSubStatus>,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let Some(status) = status else { return Ok(()) };
    for (name, help, value) in GAUGES {
        encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value(status))?;
    }
    for (name, help, value) in COUNTERS {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value(status), None)?;
    }
    Ok(())
}
