//! The log: what happens while a program runs, to stderr; that of Rust's `tracing` and of Python's `logging`.

mod fields;
mod levels;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt;

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

/// Sends `tracing`'s events to stderr, filtered by the setting `log` or else by `default`; the levels of
/// Python's loggers that go with it.
///
/// A program that has installed a subscriber of its own keeps it. Python's records go there too, and without
/// the setting `log` its levels are the subscriber's.
///
/// # Errors
/// A filter that does not parse, a format that there is not.
pub(crate) fn init(settings: &Settings, default: &str) -> Result<LoggerLevels, ConfigError> {
    let chosen = settings.get_with("log", |text| {
        EnvFilter::builder()
            .parse(text)
            .map(|filter| (filter, levels::of_filter(text)))
    })?;
    let format = settings.get_or("log_format", LogFormat::Text)?;
    let is_default = chosen.is_none();
    let (filter, levels) = chosen.unwrap_or_else(|| (EnvFilter::new(default), levels::of_filter(default)));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(format == LogFormat::Text && std::io::stderr().is_terminal());
    let installed = match format {
        LogFormat::Text => subscriber.fmt_fields(TextFields).finish().try_init(),
        LogFormat::Json => subscriber
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .finish()
            .try_init(),
    };
    // An error means that another subscriber is there already: the program's own, or ours from an earlier run
    // in this process.
    Ok(match installed {
        Err(_) if is_default => levels::of_root(LevelFilter::current()),
        _ => levels,
    })
}
