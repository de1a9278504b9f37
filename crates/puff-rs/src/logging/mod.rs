//! The log: what happens while a program runs, to stderr; that of Rust's `tracing` and of Python's `logging`.

mod fields;
mod levels;
#[cfg(feature = "otel")]
mod traces;

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, registry};

pub(crate) use levels::LoggerLevels;

use self::fields::TextFields;
use crate::errors::ConfigError;
use crate::settings::{SettingValue, Settings};

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

impl SettingValue for LogFormat {
    const EXPECTED: &'static str = "text or json";

    fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}

type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of a program, begun.
pub(crate) struct Log {
    /// The levels of Python's loggers that go with the filter.
    pub(crate) levels: LoggerLevels,
    pub(crate) ending: Ending,
}

/// What is still to be done for the log when everything else has ended.
#[derive(Default)]
pub(crate) struct Ending {
    #[cfg(feature = "otel")]
    traces: Option<traces::Traces>,
}

impl Ending {
    /// Sends out what is left. Blocks, two seconds at the most.
    pub(crate) fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(traces) = self.traces {
            traces.end();
        }
    }
}

/// Sends `tracing`'s events to stderr, filtered by the setting `log` or else by `default`, and with the feature
/// `otel` its spans to a collector.
///
/// A program that has installed a subscriber of its own keeps it. Python's records go there too, and without
/// the setting `log` its levels are the subscriber's.
///
/// # Errors
/// A filter that does not parse, a format that there is not.
#[cfg_attr(
    not(feature = "otel"),
    expect(unused_variables, reason = "the name is for traces")
)]
pub(crate) fn init(settings: &Settings, program: &str, default: &str) -> Result<Log, ConfigError> {
    let chosen = settings.get_with("log", |text| {
        EnvFilter::builder()
            .parse(text)
            .map(|filter| (filter, levels::of_filter(text)))
    })?;
    let format = settings.get_or("log_format", LogFormat::Text)?;
    let is_default = chosen.is_none();
    let (filter, levels) = chosen.unwrap_or_else(|| (EnvFilter::new(default), levels::of_filter(default)));
    let ansi = format == LogFormat::Text && settings.has_colours() && std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(ansi);
    let lines: Lines = match format {
        LogFormat::Text => lines.fmt_fields(TextFields).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    #[cfg(not(feature = "otel"))]
    let installed = registry().with(lines).with(filter).try_init();
    // Traces want other spans than the log, so that each has a filter of its own. Without them one for all does,
    // which costs less.
    #[cfg(feature = "otel")]
    let traces = traces::Traces::from_settings(settings, program)?;
    #[cfg(feature = "otel")]
    let installed = registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(traces::Traces::layer))
        .try_init();
    // An error means that another subscriber is there already: the program's own, or ours from an earlier run
    // in this process.
    Ok(Log {
        levels: match installed {
            Err(_) if is_default => levels::of_root(LevelFilter::current()),
            _ => levels,
        },
        ending: Ending {
            #[cfg(feature = "otel")]
            traces,
        },
    })
}
