//! The access log: a line for each request, once its answer is out.

mod format;
mod line;
mod sink;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, Request};
use puff_python::wsgi::ConnectionInfo;

use self::format::{Format, Style, pick};
use self::line::Clock;
pub(super) use self::line::{Entry, Outcome};
use self::sink::{Destination, Sink};
use crate::errors::ConfigError;
use crate::settings::Settings;

/// Which lines are to be written, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogConfig {
    format: Format,
    destination: Destination,
    /// Whether lines may have colours.
    colour: bool,
}

impl AccessLogConfig {
    /// What `settings` ask for; `None` for no access log.
    ///
    /// # Errors
    /// A format that is not one.
    pub fn from_settings(settings: &Settings) -> Result<Option<AccessLogConfig>, ConfigError> {
        let destination = settings.get_with("access_log_file", |text| match text {
            "" => Err("a file needs a name"),
            "stdout" | "-" => Ok(Destination::Stdout),
            "stderr" => Ok(Destination::Stderr),
            path => Ok(Destination::File(PathBuf::from(path))),
        })?;
        let destination = destination.unwrap_or(Destination::Stdout);
        let on_terminal = match destination {
            Destination::Stdout => std::io::stdout().is_terminal(),
            Destination::Stderr => std::io::stderr().is_terminal(),
            Destination::File(_) => false,
        };
        let chosen = settings.get_with("access_log", Format::parse)?;
        let default = || match on_terminal && !settings.is_production() {
            true => Format::parse("dev").ok().flatten(),
            false => None,
        };
        Ok(chosen.unwrap_or_else(default).map(|format| AccessLogConfig {
            colour: on_terminal && settings.has_colours() && format.style == Style::Dev,
            format,
            destination,
        }))
    }

    /// Opens the access log, and starts the thread that writes it.
    ///
    /// # Errors
    /// A file that cannot be opened, in one line.
    pub fn open(self) -> Result<AccessLog, ConfigError> {
        let sink = Sink::open(self.destination.clone()).map_err(|error| ConfigError::Rejected {
            source_name: "access_log_file".to_owned(),
            reason: match self.destination {
                Destination::File(path) => format!("{} cannot be opened: {error}", path.display()),
                Destination::Stdout | Destination::Stderr => error.to_string(),
            },
        })?;
        Ok(AccessLog {
            inner: Arc::new(Inner {
                format: self.format,
                colour: self.colour,
                clock: Clock::default(),
                sink,
            }),
        })
    }
}

/// An access log that is open. Clones write to the same one.
#[derive(Clone)]
pub struct AccessLog {
    inner: Arc<Inner>,
}

struct Inner {
    format: Format,
    colour: bool,
    clock: Clock,
    sink: Sink,
}

impl AccessLog {
    /// What has to be kept of a request until its line is written.
    pub(super) fn entry<B>(&self, request: &Request<B>, info: ConnectionInfo) -> Entry {
        Entry {
            target: Some(request.uri().clone()),
            version: request.version(),
            peer: info.peer.map(|peer| peer.ip()),
            inputs: pick(&self.inner.format.inputs, request.headers()),
            outputs: Vec::new(),
        }
    }

    /// Keeps what lines show of the answer.
    pub(super) fn answered(&self, entry: &mut Entry, headers: &HeaderMap) {
        if !self.inner.format.outputs.is_empty() {
            entry.outputs = pick(&self.inner.format.outputs, headers);
        }
    }

    /// Writes the line of a request that is over.
    pub(super) fn write(&self, entry: &Entry, outcome: &Outcome<'_>) {
        let Inner {
            format,
            colour,
            clock,
            sink,
        } = &*self.inner;
        let mut line = Vec::with_capacity(256);
        match &format.style {
            Style::Dev => entry.write_dev(outcome, *colour, &mut line),
            Style::Json => entry.write_json(outcome, &mut line),
            Style::Parts(parts) => entry.write_parts(parts, outcome, clock, &mut line),
        }
        line.push(b'\n');
        sink.push(&line);
    }

    /// How many lines were dropped because the destination took them too slowly.
    pub fn dropped(&self) -> u64 {
        self.inner.sink.dropped()
    }

    /// Takes no more lines, and waits a moment until those that are there have been written.
    pub(super) async fn close(&self) {
        self.inner.sink.close().await;
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.inner.format)
            .finish_non_exhaustive()
    }
}
