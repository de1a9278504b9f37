//! How GraphQL is served over HTTP.

use http::HeaderMap;
use puff_python::wsgi::ConnectionInfo;

use crate::errors::ConfigError;
use crate::settings::{SettingValue, Settings};
use crate::web::is_local;

/// The settings of GraphQL over HTTP.
#[derive(Debug, Clone, Default)]
pub struct GraphQlConfig {
    /// Who may ask for a trace.
    pub trace: TraceFor,
    /// Whether answers have a header `Server-Timing`.
    pub server_timing: bool,
}

/// Who may ask for a trace of a request, which shows statements and their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceFor {
    /// Nobody; for everything that strangers can reach.
    #[default]
    Nobody,
    /// Clients on this machine that no proxy speaks for.
    Local,
    /// Every client.
    Everybody,
}

impl SettingValue for TraceFor {
    const EXPECTED: &'static str = "off, local or always";

    fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "off" | "false" => Some(TraceFor::Nobody),
            "local" => Some(TraceFor::Local),
            "always" => Some(TraceFor::Everybody),
            _ => None,
        }
    }
}

impl TraceFor {
    /// Whether the client of a request may have one. A request whose connection is not known is a stranger's.
    pub(crate) fn allows(self, headers: &HeaderMap, connection: Option<&ConnectionInfo>) -> bool {
        match self {
            TraceFor::Nobody => false,
            TraceFor::Local => connection.is_some_and(|connection| is_local(headers, connection)),
            TraceFor::Everybody => true,
        }
    }
}

impl GraphQlConfig {
    /// The configuration that `settings` describe.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(crate) fn from_settings(settings: &Settings) -> Result<GraphQlConfig, ConfigError> {
        let trace = settings.get::<TraceFor>("graphql_trace")?;
        Ok(GraphQlConfig {
            trace: match trace {
                // As with the page for exceptions: what a developer set is not taken along.
                _ if settings.is_production() => TraceFor::Nobody,
                trace => trace.unwrap_or(TraceFor::Local),
            },
            server_timing: settings.get_or("graphql_server_timing", false)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_traces_in_production() {
        let directory = tempfile::tempdir().unwrap();
        let trace = |environment: &[(&str, &str)]| {
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let settings = Settings::load(environment.iter().map(pair), None, directory.path()).unwrap();
            GraphQlConfig::from_settings(&settings).unwrap().trace
        };
        let production = ("PUFF_ENV", "production");
        assert_eq!(trace(&[]), TraceFor::Local);
        assert_eq!(trace(&[production]), TraceFor::Nobody);
        assert_eq!(trace(&[("PUFF_GRAPHQL_TRACE", "always")]), TraceFor::Everybody);
        assert_eq!(
            trace(&[("PUFF_GRAPHQL_TRACE", "always"), production]),
            TraceFor::Nobody
        );
    }
}
