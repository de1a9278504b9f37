//! How a server listens and what it allows.

use std::net::SocketAddr;
use std::time::Duration;

use puff_python::wsgi::{ErrorPage, WsgiOptions};

use super::compression::Compression;
use super::listener::Bind;
use super::observe::Observe;
use super::static_files::StaticFiles;
use super::tls::TlsFiles;
use super::trust::{ProxyHeaders, TrustedProxies};
use super::wsgi::Mount;
use crate::errors::ConfigError;
use crate::settings::{ByteSize, Settings};

/// The resolved settings of one server.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where it listens.
    pub bind: Vec<Bind>,
    /// The files for TLS; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Who may speak for clients, by `Forwarded` and `X-Forwarded-*`.
    pub trusted_proxies: TrustedProxies,
    /// Whether connections begin with the PROXY protocol. They must then, and come from `trusted_proxies`.
    pub proxy_protocol: bool,
    /// Most requests worked on at a time; the others wait their turn.
    pub max_requests: usize,
    /// Most requests that wait; more are answered 503 at once.
    pub max_queue: usize,
    /// How long a request waits for its turn before it is answered 503.
    pub queue_timeout: Duration,
    /// How long a client may take to send the head of a request, and from the connection to its first one.
    pub header_timeout: Duration,
    /// How long a connection may idle between two requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer that is there.
    pub write_timeout: Duration,
    /// How long the program may take until an answer begins; it is ended then, and the answer is a 504.
    /// [`ServerCommand`](crate::program::commands::ServerCommand) sees to it.
    pub request_timeout: Option<Duration>,
    /// What the head of a request may be.
    pub head: HeadLimits,
    /// Most requests at a time on one connection of HTTP/2.
    pub http2_streams: u32,
    /// What a body may weigh and take, where the server reads it whole.
    pub body: BodyLimits,
    /// How a WSGI application is run.
    pub wsgi: WsgiOptions,
    /// Which answers are compressed, if any are.
    pub compression: Option<Compression>,
    /// The folders that are served before anything else.
    pub static_files: Option<StaticFiles>,
    /// How long running requests may take to finish after the server was asked to stop.
    pub shutdown_timeout: Duration,
    /// What is noted of the requests.
    pub observe: Observe,
}

/// Limits on the head of a request. What is beyond them is answered 414 or 431, and the connection closed.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Most bytes from the request line to the empty line.
    pub bytes: usize,
    /// Longest request target: path and query.
    pub uri: usize,
    /// Longest header, name and value.
    pub field: usize,
    /// Most headers.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        HeadLimits {
            bytes: 64 << 10,
            uri: 4 << 10,
            field: 8000,
            fields: 100,
        }
    }
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
            bind: vec![Bind::Tcp(SocketAddr::from(([127, 0, 0, 1], 8000)))],
            tls: None,
            trusted_proxies: TrustedProxies::default(),
            proxy_protocol: false,
            max_requests: 4096,
            max_queue: 16_384,
            queue_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            request_timeout: None,
            head: HeadLimits::default(),
            http2_streams: 128,
            body: BodyLimits::default(),
            wsgi: WsgiOptions::default(),
            compression: None,
            static_files: None,
            shutdown_timeout: Duration::from_secs(10),
            observe: Observe::default(),
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
        let trusted_proxies = settings
            .get_or("trusted_proxies", TrustedProxies::default())?
            .speaking_in(settings.get_or("proxy_headers", ProxyHeaders::default())?);
        let proxy_protocol = settings.get_or("proxy_protocol", false)?;
        if proxy_protocol && trusted_proxies.is_empty() {
            return Err(ConfigError::Missing(
                "the PROXY protocol needs proxies to take it from: --trusted-proxies 10.0.0.0/8,127.0.0.1"
                    .into(),
            ));
        }
        let request_timeout = settings
            .get::<Duration>("request_timeout")?
            .filter(|time| !time.is_zero());
        let bind = Bind::from_settings(settings, &default.bind)?;
        let observe = Observe::from_settings(settings)?;
        Ok(ServerConfig {
            tls: TlsFiles::from_settings(settings)?,
            trusted_proxies,
            proxy_protocol,
            max_requests: settings
                .get_or("max_requests", default.max_requests)?
                .min(MOST_REQUESTS),
            max_queue: settings
                .get_or("max_queue", default.max_queue)?
                .min(MOST_REQUESTS),
            queue_timeout: settings.get_or("queue_timeout", default.queue_timeout)?,
            header_timeout: settings.get_or("header_timeout", default.header_timeout)?,
            idle_timeout: settings.get_or("idle_timeout", default.idle_timeout)?,
            write_timeout: settings.get_or("write_timeout", default.write_timeout)?,
            request_timeout,
            head: HeadLimits {
                bytes: settings.get_or("max_head", ByteSize(default.head.bytes))?.0,
                uri: settings.get_or("max_uri", ByteSize(default.head.uri))?.0,
                field: settings.get_or("max_header", ByteSize(default.head.field))?.0,
                fields: settings
                    .get_or("max_headers", default.head.fields)?
                    .min(MOST_HEADERS),
            },
            http2_streams: u32::try_from(settings.get_or("http2_streams", default.http2_streams as usize)?)
                .unwrap_or(u32::MAX),
            body: BodyLimits {
                bytes: settings.get_or("max_body", ByteSize(default.body.bytes))?.0,
                time: settings.get_or("body_timeout", default.body.time)?,
            },
            wsgi: WsgiOptions {
                request_id: observe.request_id.clone(),
                error_page: error_page(settings)?,
                mount: settings.get::<Mount>("mount")?.unwrap_or_default().0,
                kill_gone: settings.get_or("kill_gone", default.wsgi.kill_gone)?,
                time_limit: request_timeout,
                // A worker learns from its supervisor whether it has company.
                multiprocess: false,
            },
            compression: Compression::from_settings(settings)?,
            static_files: StaticFiles::from_settings(settings)?,
            shutdown_timeout: settings.get_or("shutdown_timeout", default.shutdown_timeout)?,
            observe,
            bind,
        })
    }
}

/// What a Tokio semaphore can count to is far above this, and so is nothing a machine can hold.
const MOST_REQUESTS: usize = 1 << 24;
/// `http::HeaderMap` holds no more than 32,768.
const MOST_HEADERS: usize = 1 << 14;

/// Who sees tracebacks: by default developers, and never anybody in production.
fn error_page(settings: &Settings) -> Result<ErrorPage, ConfigError> {
    let wanted = settings.get::<bool>("debug")?;
    Ok(match wanted {
        _ if settings.is_production() => ErrorPage::Off,
        None => ErrorPage::Local,
        Some(true) => ErrorPage::Always,
        Some(false) => ErrorPage::Off,
    })
}
