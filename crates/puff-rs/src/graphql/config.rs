//! How GraphQL is served over HTTP.

use std::path::Path;

use http::HeaderMap;
use puff_python::wsgi::ConnectionInfo;

use super::documents::Documents;
use crate::errors::ConfigError;
use crate::settings::{ByteSize, Count, SchemaSettings, SettingValue};
use crate::web::is_local;

/// The settings of GraphQL over HTTP.
#[derive(Debug, Clone)]
pub struct GraphQlConfig {
    /// Most bytes of a request's body.
    pub max_body: usize,
    /// Most requests in the list that a body may be; 0 takes no lists.
    pub max_batch: usize,
    /// Most files that come with a request; 0 takes no files.
    pub max_files: usize,
    /// Most bytes of a file that comes with a request.
    pub max_file: usize,
    /// Whether requests are refused that another site may have made a browser send.
    pub cross_site_protection: bool,
    /// The documents that requests may name by id.
    pub documents: Documents,
    /// Who may ask for a trace.
    pub trace: TraceFor,
    /// Whether answers have a header `Server-Timing`.
    pub server_timing: bool,
}

impl Default for GraphQlConfig {
    fn default() -> Self {
        GraphQlConfig {
            max_body: 1 << 20,
            max_batch: 0,
            max_files: 0,
            max_file: 10 << 20,
            cross_site_protection: true,
            documents: Documents::default(),
            trace: TraceFor::Nobody,
            server_timing: false,
        }
    }
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
    /// The configuration that the settings of a schema describe.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(crate) fn from_settings(settings: SchemaSettings<'_>) -> Result<GraphQlConfig, ConfigError> {
        let default = GraphQlConfig::default();
        let trace = settings.get::<TraceFor>("trace")?;
        let only = settings.get_or("documents_only", false)?;
        let documents = match settings.get::<String>("documents")? {
            Some(path) => Documents::read(Path::new(&path), only)?,
            None if only => {
                return Err(ConfigError::Missing(
                    "graphql_documents_only needs the documents: --graphql-documents FILE_OR_FOLDER".into(),
                ));
            }
            None => default.documents,
        };
        let persisted = settings.get_or("persisted_queries", Count(0))?.0;
        if only && persisted > 0 {
            return Err(ConfigError::Missing(
                "graphql_documents_only and graphql_persisted_queries exclude each other: clients may add no documents"
                    .into(),
            ));
        }
        Ok(GraphQlConfig {
            max_body: settings.get_or("max_body", ByteSize(default.max_body))?.0,
            max_batch: settings.get_or("max_batch", Count(default.max_batch))?.0,
            max_files: settings.get_or("max_files", Count(default.max_files))?.0,
            max_file: settings.get_or("max_file", ByteSize(default.max_file))?.0,
            cross_site_protection: settings.get_or("csrf", default.cross_site_protection)?,
            documents: documents.with_persisted(persisted),
            trace: match trace {
                // As with the page for exceptions: what a developer set is not taken along.
                _ if settings.program().is_production() => TraceFor::Nobody,
                trace => trace.unwrap_or(TraceFor::Local),
            },
            server_timing: settings.get_or("server_timing", default.server_timing)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn nobody_gets_traces_in_production() {
        let directory = tempfile::tempdir().unwrap();
        let trace = |environment: &[(&str, &str)]| {
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let settings = Settings::load(environment.iter().map(pair), None, directory.path()).unwrap();
            GraphQlConfig::from_settings(settings.schema(None)).unwrap().trace
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
