//! What WebSockets may weigh and take.

use std::time::Duration;

use super::origin::Origins;
use crate::errors::ConfigError;
use crate::settings::{ByteSize, Settings};

/// The resolved settings of the WebSockets to Python functions.
#[derive(Debug, Clone)]
pub struct WebSocketConfig {
    /// Most at a time; a handshake beyond is answered 503.
    pub most: usize,
    /// Most bytes of a client's message; a longer one closes with 1009.
    pub max_message: usize,
    /// Most bytes of messages that wait in each direction, before whoever sends is held back.
    pub queue: usize,
    /// How long a client may say nothing before it is sent a ping; `None` for ever.
    pub ping: Option<Duration>,
    /// How long a client may take for the answer to a ping, and for 16 KiB of what is sent to it.
    pub timeout: Duration,
    /// How long a function may go on when its client has gone, before `GreenletExit` is raised where it waits.
    pub grace: Duration,
    /// Which pages of browsers may connect.
    pub origins: Origins,
    /// How long an event stream may say nothing before its client is sent a comment. There may be as many streams as
    /// WebSockets.
    pub stream_keep_alive: Duration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        WebSocketConfig {
            most: 10_000,
            max_message: 1 << 20,
            queue: 64 << 10,
            ping: Some(Duration::from_secs(20)),
            timeout: Duration::from_secs(20),
            grace: Duration::from_secs(5),
            origins: Origins::default(),
            stream_keep_alive: Duration::from_secs(15),
        }
    }
}

impl WebSocketConfig {
    /// The configuration that `settings` describe.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn from_settings(settings: &Settings) -> Result<WebSocketConfig, ConfigError> {
        let default = WebSocketConfig::default();
        let ping = settings.get_or("websocket_ping", default.ping.unwrap_or_default())?;
        Ok(WebSocketConfig {
            most: settings.get_or("websockets_max", default.most)?.min(MOST),
            max_message: settings
                .get_or("websocket_max_message", ByteSize(default.max_message))?
                .0,
            queue: settings.get_or("websocket_queue", ByteSize(default.queue))?.0,
            ping: (!ping.is_zero()).then_some(ping),
            timeout: settings.get_or("websocket_timeout", default.timeout)?,
            grace: settings.get_or("websocket_grace", default.grace)?,
            origins: settings.get_or("websocket_origins", default.origins)?,
            stream_keep_alive: settings.get_or("event_stream_keep_alive", default.stream_keep_alive)?,
        })
    }
}

/// What a Tokio semaphore can count to is far above this.
const MOST: usize = 1 << 24;
