//! The page for Prometheus: everything that is counted, as OpenMetrics text.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use puff_postgres::{PoolMetrics, PoolStatus};
use puff_python::graphql::GraphQlStatus;
use puff_python::{HubLoad, HubStatus, Runtime};
use puff_redis::{PubSubStatus, RedisStatus};

use super::process::Process;
use super::{BUCKETS, CLASSES, Histogram, METHODS, Metrics};
use super::{pubsub, redis};
use crate::web::AccessLog;

/// How long the hub may take for what only Python knows; without an answer the page does without it.
const HUB_TIME: Duration = Duration::from_secs(1);

/// What a page is made of.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) metrics: Metrics,
    pub(super) runtime: Runtime,
    pub(super) access_log: Option<AccessLog>,
}

impl Sources {
    /// The page at this moment.
    pub(super) async fn page(&self) -> String {
        let hub = self.runtime.hub_status(HUB_TIME).await;
        let services = self.runtime.services();
        let moment = Moment {
            metrics: self.metrics.clone(),
            load: self.runtime.hub_load(),
            hub,
            pools: services
                .opened_pools()
                .map(|(name, pool)| (name.to_owned(), pool.status(), pool.metrics()))
                .collect(),
            schemas: self
                .runtime
                .schemas()
                .loaded()
                .map(|(name, graphql)| (name.unwrap_or("default").to_owned(), graphql.status()))
                .collect(),
            redis: services
                .opened_redis()
                .map(|(name, pool)| (name.to_owned(), pool.status()))
                .collect(),
            pubsub: services.opened_pubsub().map(|pubsub| pubsub.status()),
            dropped: self.access_log.as_ref().map(AccessLog::dropped),
            process: Process::look(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(moment));
        let mut text = String::with_capacity(16 << 10);
        // A String takes everything.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// Everything at one moment.
#[derive(Debug)]
struct Moment {
    metrics: Metrics,
    load: HubLoad,
    hub: Option<HubStatus>,
    pools: Vec<(String, PoolStatus, PoolMetrics)>,
    schemas: Vec<(String, GraphQlStatus)>,
    redis: Vec<(String, RedisStatus)>,
    pubsub: Option<PubSubStatus>,
    dropped: Option<u64>,
    process: Option<Process>,
}

impl Collector for Moment {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut writer = Writer(&mut encoder);
        writer.info()?;
        self.requests(&mut writer)?;
        self.hub(&mut writer)?;
        self.postgres(&mut writer)?;
        self.graphql(&mut writer)?;
        redis::encode(&self.redis, writer.0)?;
        pubsub::encode(self.pubsub.as_ref(), writer.0)?;
        if let Some(dropped) = self.dropped {
            writer.counter(
                "puff_access_log_dropped_lines",
                "Lines that the access log's destination took too slowly",
                dropped,
            )?;
        }
        match &self.process {
            Some(process) => process.encode(writer.0),
            None => Ok(()),
        }
    }
}

impl Moment {
    fn requests(&self, writer: &mut Writer<'_, '_>) -> Result<(), fmt::Error> {
        let numbers = &*self.metrics.inner;
        let load = |number: &AtomicU64| number.load(Relaxed);
        // Ends first: what ends between the two looks must not make the difference negative.
        let under_way = |ends: &AtomicU64, begins: &AtomicU64| {
            let ends = load(ends);
            load(begins).saturating_sub(ends)
        };
        let mut family = writer.0.encode_descriptor(
            "puff_requests",
            "Requests that are over",
            None,
            MetricType::Counter,
        )?;
        let names = METHODS.iter().map(|method| method.as_str()).chain(["other"]);
        for (method, classes) in names.zip(&numbers.requests) {
            for (class, count) in CLASSES.iter().zip(classes) {
                // Classes of common methods are there from the start, so that the first error counts as one.
                let count = load(count);
                if count > 0 || matches!((method, *class), ("GET" | "POST", "2xx" | "4xx" | "5xx")) {
                    family
                        .encode_family(&[("method", method), ("status", class)])?
                        .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        writer.histogram(
            "puff_request_duration_seconds",
            "Time from a request's head to the last byte of its answer",
            &numbers.durations,
        )?;
        writer.gauge(
            "puff_requests_in_flight",
            "Requests whose answers are not out",
            under_way(&numbers.ended, &numbers.began),
        )?;
        writer.gauge(
            "puff_requests_queued",
            "Requests that wait for their turn",
            under_way(&numbers.queue_left, &numbers.queue_entered),
        )?;
        writer.histogram(
            "puff_request_queue_seconds",
            "How long requests waited for their turn, of those that had to",
            &numbers.queue_times,
        )?;
        writer.counter(
            "puff_requests_refused",
            "Requests that had no turn in time and were answered 503",
            load(&numbers.queue_refused),
        )?;
        writer.gauge(
            "puff_connections",
            "Open connections",
            under_way(&numbers.connections_closed, &numbers.connections_opened),
        )?;
        writer.counter(
            "puff_connections_accepted",
            "Connections that were accepted",
            load(&numbers.connections_opened),
        )?;
        writer.gauge(
            "puff_websockets",
            "Open WebSockets, of Python functions and of subscriptions",
            under_way(&numbers.websockets_closed, &numbers.websockets_opened),
        )?;
        writer.counter(
            "puff_websockets_opened",
            "WebSockets that were opened, of Python functions and of subscriptions",
            load(&numbers.websockets_opened),
        )?;
        writer.counter(
            "puff_received_bytes",
            "Bytes from clients, without TLS",
            load(&numbers.received),
        )?;
        writer.counter(
            "puff_sent_bytes",
            "Bytes to clients, without TLS",
            load(&numbers.sent),
        )
    }

    fn hub(&self, writer: &mut Writer<'_, '_>) -> Result<(), fmt::Error> {
        writer.seconds(
            "puff_hub_busy_seconds",
            "Time in which the hub ran Python; its rate is the busy share of the one thread for it",
            self.load.busy,
        )?;
        writer.gauge(
            "puff_hub_queue",
            "Greenlets that are due to be started or resumed",
            self.load.queued as u64,
        )?;
        writer.gauge(
            "puff_hub_up",
            "Whether the hub answered within a second",
            u64::from(self.hub.is_some()),
        )?;
        let Some(hub) = &self.hub else { return Ok(()) };
        writer.decimal(
            "puff_hub_latency_seconds",
            "How long the hub took to begin a new greenlet just now",
            hub.latency,
        )?;
        writer.gauge(
            "puff_greenlets",
            "Greenlets that run or wait",
            hub.greenlets as u64,
        )?;
        writer.gauge(
            "puff_blocking_threads",
            "Threads for puff.blocking that have work",
            hub.blocking as u64,
        )
    }

    fn postgres(&self, writer: &mut Writer<'_, '_>) -> Result<(), fmt::Error> {
        if self.pools.is_empty() {
            return Ok(());
        }
        let mut family = writer.0.encode_descriptor(
            "puff_postgres_connections",
            "Connections of a pool, by what they do; max is how many there may be",
            None,
            MetricType::Gauge,
        )?;
        for (pool, status, _) in &self.pools {
            let states = [
                ("idle", status.idle),
                ("in_use", status.in_use),
                ("connecting", status.connecting),
                ("max", status.max_size),
            ];
            for (state, count) in states {
                family
                    .encode_family(&[("pool", pool.as_str()), ("state", state)])?
                    .encode_gauge(&(count as u64))?;
            }
        }
        let waiting = |status: &PoolStatus, _: &PoolMetrics| status.waiting as f64;
        self.each_pool(
            writer,
            MetricType::Gauge,
            "puff_postgres_waiting",
            "Callers that wait for a connection",
            waiting,
        )?;
        for (name, help, value) in POOL_COUNTERS {
            self.each_pool(writer, MetricType::Counter, name, help, |_, metrics| {
                value(metrics)
            })?;
        }
        Ok(())
    }

    fn graphql(&self, writer: &mut Writer<'_, '_>) -> Result<(), fmt::Error> {
        if self.schemas.is_empty() {
            return Ok(());
        }
        for (kind, name, help, value) in SCHEMA_NUMBERS {
            let mut family = writer.0.encode_descriptor(name, help, None, kind)?;
            for (schema, status) in &self.schemas {
                let labels = [("schema", schema.as_str())];
                let mut metric = family.encode_family(&labels)?;
                match kind {
                    MetricType::Counter => {
                        metric.encode_counter::<NoLabelSet, _, u64>(&value(status), None)?
                    }
                    _ => metric.encode_gauge(&value(status))?,
                }
            }
        }
        Ok(())
    }

    fn each_pool(
        &self,
        writer: &mut Writer<'_, '_>,
        kind: MetricType,
        name: &str,
        help: &str,
        value: impl Fn(&PoolStatus, &PoolMetrics) -> f64,
    ) -> Result<(), fmt::Error> {
        let mut family = writer.0.encode_descriptor(name, help, None, kind)?;
        for (pool, status, metrics) in &self.pools {
            let labels = [("pool", pool.as_str())];
            let mut metric = family.encode_family(&labels)?;
            let value = value(status, metrics);
            match kind {
                MetricType::Counter => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                _ => metric.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

type PoolCounter = (&'static str, &'static str, fn(&PoolMetrics) -> f64);

const POOL_COUNTERS: [PoolCounter; 7] = [
    (
        "puff_postgres_acquired",
        "Connections that were handed out",
        |pool| pool.acquired as f64,
    ),
    (
        "puff_postgres_waits",
        "Callers that had to wait for a connection",
        |pool| pool.waited as f64,
    ),
    (
        "puff_postgres_wait_seconds",
        "The time that they waited",
        |pool| pool.wait_time.as_secs_f64(),
    ),
    ("puff_postgres_timeouts", "Callers that waited in vain", |pool| {
        pool.timed_out as f64
    }),
    ("puff_postgres_opened", "Connections that were opened", |pool| {
        pool.opened as f64
    }),
    (
        "puff_postgres_open_failures",
        "Attempts to open a connection that failed",
        |pool| pool.open_failed as f64,
    ),
    ("puff_postgres_broken", "Connections that were lost", |pool| {
        pool.closed.broken as f64
    }),
];

type SchemaNumber = (MetricType, &'static str, &'static str, fn(&GraphQlStatus) -> u64);

const SCHEMA_NUMBERS: [SchemaNumber; 4] = [
    (
        MetricType::Gauge,
        "puff_graphql_subscriptions",
        "Subscriptions that are under way: over WebSockets, as event streams, in process",
        |schema| schema.subscriptions,
    ),
    (
        MetricType::Counter,
        "puff_graphql_subscriptions_started",
        "Subscriptions that have begun",
        |schema| schema.subscriptions_started,
    ),
    (
        MetricType::Gauge,
        "puff_graphql_websockets",
        "Open WebSockets of clients that subscribe",
        |schema| schema.sockets,
    ),
    (
        MetricType::Counter,
        "puff_graphql_websockets_opened",
        "WebSockets of clients that subscribe that were opened",
        |schema| schema.sockets_opened,
    ),
];

/// Single values, as they are written.
struct Writer<'a, 'encoder>(&'a mut DescriptorEncoder<'encoder>);

impl Writer<'_, '_> {
    fn info(&mut self) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor("puff_build", "The version of Puff", None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn seconds(&mut self, name: &str, help: &str, value: Duration) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value.as_secs_f64(), None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn decimal(&mut self, name: &str, help: &str, value: Duration) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value.as_secs_f64())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> Result<(), fmt::Error> {
        let ends = BUCKETS.into_iter().chain([f64::INFINITY]);
        let counts = histogram.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<(f64, u64)> = ends.zip(counts).collect();
        let sum = Duration::from_nanos(histogram.nanoseconds.load(Relaxed)).as_secs_f64();
        // The sum of the buckets and no counter of its own: the two are the same number then, as they must be.
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
