//! Traces for OpenTelemetry, with the feature `otel`: a span for each request and each statement, sent by OTLP
//! over HTTP. `tracing` is the way there, so that spans of the program's own (`#[instrument]`) go along.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::errors::ConfigError;
use crate::settings::Settings;

/// How long the last spans may take to get out at the end.
const LAST: Duration = Duration::from_secs(2);

/// What sends spans to a collector.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// As `settings` want it; `service` is the name without `OTEL_SERVICE_NAME`. Starts a thread that sends, and
    /// reads the other `OTEL_*` variables, as the standard for them has it.
    ///
    /// # Errors
    /// An endpoint that is none.
    pub(super) fn from_settings(settings: &Settings, service: &str) -> Result<Option<Traces>, ConfigError> {
        settings.get_with("otel_endpoint", |endpoint| {
            if !endpoint.starts_with("http://") {
                return Err("a collector is reached by http://HOST:PORT".to_owned());
            }
            let base = endpoint.trim_end_matches('/').trim_end_matches("/v1/traces");
            let exporter = SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{base}/v1/traces"))
                .build()
                .map_err(|error| error.to_string())?;
            let resource = match settings.variable("OTEL_SERVICE_NAME") {
                Some(_) => Resource::builder(),
                None => Resource::builder().with_service_name(service.to_owned()),
            };
            let provider = SdkTracerProvider::builder()
                .with_resource(resource.build())
                .with_batch_exporter(exporter)
                .build();
            Ok(Traces { provider })
        })
    }

    /// What gives `tracing`'s spans to the exporter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let wanted = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target(puff_core::TRACE_TARGET, LevelFilter::TRACE)
            // What sends spans must not make some of its own.
            .with_targets(
                ["hyper", "hyper_util", "reqwest", "h2", "opentelemetry"]
                    .map(|name| (name, LevelFilter::OFF)),
            );
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("puff"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(wanted)
    }

    /// Sends what is left. Blocks for two seconds at the most.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
