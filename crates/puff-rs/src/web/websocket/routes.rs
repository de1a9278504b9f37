//! Which path leads to which Python function.

use matchit::{InsertError, Router};
use percent_encoding::percent_decode_str;
use puff_python::PythonFunction;
use pyo3::prelude::*;
use thiserror::Error;

/// A path that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RouteError {
    /// It is no path.
    #[error("the path of a WebSocket starts with /, unlike {0:?}")]
    NoSlash(String),
    /// It is like the path of another function, or malformed.
    #[error("{path:?}: {reason}")]
    Refused {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Paths and the functions that serve WebSockets there. In a path `{name}` matches one segment, `{*name}` the rest.
#[derive(Clone, Default)]
pub struct WebSocketRoutes {
    paths: Router<PythonFunction>,
}

impl WebSocketRoutes {
    /// None yet.
    pub fn new() -> WebSocketRoutes {
        WebSocketRoutes::default()
    }

    /// Has `function` serve WebSockets at `path`.
    ///
    /// # Errors
    /// A path that is malformed, or that another function has.
    pub fn add(&mut self, path: &str, function: impl Into<PythonFunction>) -> Result<(), RouteError> {
        if !path.starts_with('/') {
            return Err(RouteError::NoSlash(path.to_owned()));
        }
        self.paths
            .insert(path, function.into())
            .map_err(|error| RouteError::Refused {
                path: path.to_owned(),
                reason: match error {
                    InsertError::Conflict { with } => format!("the path {with:?} has a function already"),
                    other => other.to_string(),
                },
            })
    }

    /// The function for `path`, with what its parameters match.
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        let found = self.paths.at(path).ok()?;
        let params = found.params.iter();
        Some(Found {
            function: found.value.clone(),
            params: params
                .map(|(name, value)| Some((name.to_owned(), decode(value)?)))
                .collect(),
        })
    }
}

/// A function that was found.
pub(in crate::web) struct Found {
    pub(super) function: PythonFunction,
    /// `None` if percent escapes of a parameter are no UTF-8.
    pub(super) params: Option<Vec<(String, String)>>,
}

/// Percent escapes resolved; `None` if that is no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// What the decorators of imported modules have declared: paths and functions.
///
/// # Errors
/// If the Python package is broken.
pub(crate) fn declared_routes(py: Python<'_>) -> PyResult<Vec<(String, Py<PyAny>)>> {
    // Not imported means not used: the decorator is in that module.
    let modules = py.import("sys")?.getattr("modules")?;
    if !modules.contains("puff._websocket")? {
        return Ok(Vec::new());
    }
    py.import("puff._websocket")?.call_method0("routes")?.extract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found() {
        let mut routes = WebSocketRoutes::new();
        routes.add("/chat/{room}/{user}", "app:chat").unwrap();
        routes.add("/files/{*rest}", "app:files").unwrap();
        let params = |path: &str| routes.find(path).map(|found| found.params);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            params("/chat/a%20b/%C3%A9"),
            Some(Some(vec![pair("room", "a b"), pair("user", "é")]))
        );
        assert_eq!(params("/files/a/b"), Some(Some(vec![pair("rest", "a/b")])));
        assert_eq!(params("/chat/%ff/x"), Some(None));
        assert_eq!(params("/chat/a"), None);
        assert_eq!(params("/"), None);
    }

    #[test]
    fn wrong_paths_are_refused() {
        let mut routes = WebSocketRoutes::new();
        routes.add("/a/{b}", "app:a").unwrap();
        let error = |path: &str| routes.clone().add(path, "app:b").unwrap_err().to_string();
        assert_eq!(error("a"), "the path of a WebSocket starts with /, unlike \"a\"");
        assert_eq!(
            error("/a/{b}"),
            "\"/a/{b}\": the path \"/a/{b}\" has a function already"
        );
        assert!(error("/{").starts_with("\"/{\": "));
    }
}
