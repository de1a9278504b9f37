//! The WebSockets that a server finds: in `puff.toml`, and in the decorators of the modules it has imported.

use std::collections::BTreeMap;

use puff_python::import::resolve;
use puff_python::{PythonFunction, Runtime};
use pyo3::prelude::*;

use crate::errors::{ConfigError, ProgramError};
use crate::program::resolve_error;
use crate::settings::Settings;
use crate::web::websocket::{WebSocketConfig, WebSocketRoutes, WebSockets, declared_routes};

/// What the settings say of WebSockets.
pub(super) struct WebSocketPlan {
    /// Paths and functions.
    table: BTreeMap<String, String>,
    /// How an error names the table.
    place: String,
    config: WebSocketConfig,
}

impl WebSocketPlan {
    pub(super) fn new(settings: &Settings) -> Result<WebSocketPlan, ConfigError> {
        let (table, place) = settings.websockets();
        Ok(WebSocketPlan {
            table: table.clone(),
            place,
            config: WebSocketConfig::from_settings(settings)?,
        })
    }

    /// Whether the table has none; decorators are not known yet.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The functions that have to be imported.
    pub(super) fn functions(&self) -> impl Iterator<Item = &String> {
        self.table.values()
    }

    /// The WebSockets, once all modules have been imported, and their paths.
    pub(super) fn load(
        &self,
        py: Python<'_>,
        runtime: &Runtime,
    ) -> Result<(WebSockets, Vec<String>), ProgramError> {
        runtime.bound_event_streams(self.config.most, self.config.stream_keep_alive);
        let (mut routes, mut paths) = (WebSocketRoutes::new(), Vec::new());
        for (path, name) in &self.table {
            let function = resolve(py, name).map_err(|error| resolve_error(py, error))?;
            if !function.is_callable() {
                return Err(self.refused(format!("{name} of {path:?} is no function")));
            }
            routes
                .add(path, PythonFunction::from(function.unbind()))
                .map_err(|error| self.refused(error.to_string()))?;
            paths.push(path.clone());
        }
        let declared = declared_routes(py).map_err(|error| ProgramError::Load(error.to_string()))?;
        for (path, function) in declared {
            routes
                .add(&path, function)
                .map_err(|error| ProgramError::Load(format!("puff.websocket: {error}")))?;
            paths.push(path);
        }
        Ok((WebSockets::new(runtime, routes, self.config.clone()), paths))
    }

    fn refused(&self, reason: String) -> ProgramError {
        let source_name = self.place.clone();
        ConfigError::Rejected { source_name, reason }.into()
    }
}
