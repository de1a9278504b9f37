//! [`WSGIServerCommand`]: serves a WSGI application.

use super::server::ServerCommand;
use crate::errors::ProgramError;
use crate::program::{Command, Invocation, Prepared};
use crate::web::Router;

/// Serves a WSGI application (Flask, Django, any other); the command `runserver`.
///
/// ```no_run
/// use puff_rs::prelude::*;
/// use puff_rs::program::commands::wsgi::WSGIServerCommand;
///
/// fn main() -> ExitCode {
///     Program::new("blog").command(WSGIServerCommand::new("blog.wsgi.application")).run()
/// }
/// ```
pub struct WSGIServerCommand {
    server: ServerCommand,
}

impl WSGIServerCommand {
    /// Serves the application at `path`: `pkg.mod:app` or `pkg.mod.app`.
    pub fn new(path: impl Into<String>) -> WSGIServerCommand {
        WSGIServerCommand::with_router(path, Router::new())
    }

    /// Serves the routes of `router`, and the application for everything else.
    pub fn with_router(path: impl Into<String>, router: Router) -> WSGIServerCommand {
        WSGIServerCommand {
            server: ServerCommand::new(router).wsgi(path),
        }
    }

    /// Another name for the command than `runserver`.
    pub fn name(self, name: impl Into<String>) -> WSGIServerCommand {
        WSGIServerCommand {
            server: self.server.name(name),
        }
    }
}

impl Command for WSGIServerCommand {
    fn cli(&self) -> clap::Command {
        self.server.cli().about("Serves the WSGI application")
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        self.server.prepare(invocation)
    }
}
