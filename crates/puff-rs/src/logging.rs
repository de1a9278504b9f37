//! The log: what happens while a program runs, to stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::errors::ConfigError;
use crate::settings::Settings;

/// Sends `tracing`'s events to stderr, filtered by the setting `log` or else by `default`.
///
/// A program that has installed a subscriber of its own keeps it.
///
/// # Errors
/// A filter that does not parse.
pub(crate) fn init(settings: &Settings, default: &str) -> Result<(), ConfigError> {
    let filter = settings.get_with("log", |text| EnvFilter::builder().parse(text))?;
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Another subscriber is there already: the program's own, or ours from an earlier run in this process.
    let _ = subscriber.try_init();
    Ok(())
}
