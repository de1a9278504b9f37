//! How a server listens and what it allows.

use std::net::SocketAddr;
use std::time::Duration;

use puff_python::wsgi::WsgiOptions;

use crate::errors::ConfigError;
use crate::settings::{BindAddress, ByteSize, Settings};

/// The resolved settings of one server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Most requests worked on at a time; the others wait their turn.
    pub max_requests: usize,
    /// How long a request waits for its turn before it is answered 503.
    pub queue_timeout: Duration,
    /// How long a client may take to send the head of a request; also how long a connection may idle.
    pub header_timeout: Duration,
    /// What a body may weigh and take, where the server reads it whole.
    pub body: BodyLimits,
    /// How a WSGI application is run.
    pub wsgi: WsgiOptions,
    /// How long running requests may take to finish after the server was asked to stop.
    pub shutdown_timeout: Duration,
}

/// Limits on a request body that is read whole before anybody sees it.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Most bytes; a longer body is answered 413.
    pub bytes: usize,
    /// How long the client may take to send it; a slower one is answered 408.
    pub time: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        BodyLimits {
            bytes: 16 << 20,
            time: Duration::from_secs(30),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            bind: SocketAddr::from(([127, 0, 0, 1], 8000)),
            max_requests: 4096,
            queue_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            body: BodyLimits::default(),
            wsgi: WsgiOptions::default(),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl ServerConfig {
    /// The configuration that `settings` describe.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn from_settings(settings: &Settings) -> Result<ServerConfig, ConfigError> {
        let default = ServerConfig::default();
        Ok(ServerConfig {
            bind: settings
                .get::<BindAddress>("bind")?
                .map_or(default.bind, |bind| bind.socket_addr()),
            max_requests: settings
                .get_or("max_requests", default.max_requests)?
                .min(MOST_REQUESTS),
            queue_timeout: settings.get_or("queue_timeout", default.queue_timeout)?,
            header_timeout: settings.get_or("header_timeout", default.header_timeout)?,
            body: BodyLimits {
                bytes: settings.get_or("max_body", ByteSize(default.body.bytes))?.0,
                time: settings.get_or("body_timeout", default.body.time)?,
            },
            wsgi: WsgiOptions {
                kill_gone: settings.get_or("kill_gone", default.wsgi.kill_gone)?,
            },
            shutdown_timeout: settings.get_or("shutdown_timeout", default.shutdown_timeout)?,
        })
    }
}

/// What a Tokio semaphore can count to is far above this, and so is nothing a machine can hold.
const MOST_REQUESTS: usize = 1 << 24;
