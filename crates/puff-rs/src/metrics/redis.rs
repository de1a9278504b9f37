//! The Redis pools on the page of metrics.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use puff_redis::RedisStatus;

type Number = (MetricType, &'static str, &'static str, fn(&RedisStatus) -> u64);

const NUMBERS: [Number; 8] = [
    (
        MetricType::Gauge,
        "puff_redis_in_flight",
        "Commands that wait for Redis",
        |redis| redis.in_flight,
    ),
    (
        MetricType::Counter,
        "puff_redis_commands",
        "Commands sent to Redis",
        |redis| redis.commands,
    ),
    (
        MetricType::Counter,
        "puff_redis_failures",
        "Commands that had no answer: connection lost, time-out",
        |redis| redis.failures,
    ),
    (
        MetricType::Counter,
        "puff_redis_opened",
        "Connections to Redis that were opened",
        |redis| redis.circuit.connected,
    ),
    (
        MetricType::Counter,
        "puff_redis_open_failures",
        "Attempts to connect to Redis that failed",
        |redis| redis.circuit.failed,
    ),
    (
        MetricType::Gauge,
        "puff_redis_circuit_open",
        "Whether commands fail at once because Redis could not be reached several times in a row",
        |redis| u64::from(redis.circuit.open),
    ),
    (
        MetricType::Gauge,
        "puff_redis_dedicated_waiting",
        "Callers that wait for a dedicated connection",
        |redis| redis.dedicated.waiting as u64,
    ),
    (
        MetricType::Counter,
        "puff_redis_dedicated_timeouts",
        "Callers to whom no dedicated connection has become free in time",
        |redis| redis.dedicated.timed_out,
    ),
];

/// Writes what is known of each pool.
pub(super) fn encode(
    pools: &[(String, RedisStatus)],
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    if pools.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(
        "puff_redis_connections",
        "Connections to Redis: open ones are shared, dedicated ones are one caller's; max is how many there may be",
        None,
        MetricType::Gauge,
    )?;
    for (pool, redis) in pools {
        let states = [
            ("open", redis.open),
            ("max", redis.max_size),
            ("dedicated_in_use", redis.dedicated.in_use),
            ("dedicated_idle", redis.dedicated.idle),
            ("dedicated_max", redis.dedicated.max_size),
        ];
        for (state, count) in states {
            family
                .encode_family(&[("pool", pool.as_str()), ("state", state)])?
                .encode_gauge(&(count as u64))?;
        }
    }
    for (kind, name, help, value) in NUMBERS {
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (pool, redis) in pools {
            let labels = [("pool", pool.as_str())];
            let mut metric = family.encode_family(&labels)?;
            match kind {
                MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value(redis), None)?,
                _ => metric.encode_gauge(&value(redis))?,
            }
        }
    }
    Ok(())
}
