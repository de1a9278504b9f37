//! How subscriptions are served.

use std::time::Duration;

use crate::errors::ConfigError;
use crate::settings::Settings;
use crate::web::websocket::Origins;

/// What a Tokio semaphore can count to is far above this.
const MOST: usize = 1 << 24;

/// The resolved settings of subscriptions.
#[derive(Debug, Clone)]
pub struct SubscriptionConfig {
    /// Most operations at a time on one WebSocket.
    pub most: usize,
    /// How long a client may take to ask for a connection, once its WebSocket is open.
    pub init_timeout: Duration,
    /// How often clients of the old protocol and of event streams are told that the server is there.
    pub keep_alive: Duration,
    /// Most event streams at a time; as many as WebSockets.
    pub streams: usize,
    /// Which pages of browsers may have event streams; those that may open WebSockets.
    pub origins: Origins,
    /// Whether the old protocol, `graphql-ws`, is spoken as well.
    pub legacy: bool,
}

impl Default for SubscriptionConfig {
    fn default() -> Self {
        SubscriptionConfig {
            most: 100,
            init_timeout: Duration::from_secs(3),
            keep_alive: Duration::from_secs(12),
            streams: 10_000,
            origins: Origins::default(),
            legacy: false,
        }
    }
}

impl SubscriptionConfig {
    /// The configuration that `settings` describe.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn from_settings(settings: &Settings) -> Result<SubscriptionConfig, ConfigError> {
        let default = SubscriptionConfig::default();
        let keep_alive = settings.get_or("graphql_keep_alive", default.keep_alive)?;
        Ok(SubscriptionConfig {
            most: settings.get_or("graphql_max_operations", default.most)?,
            init_timeout: settings.get_or("graphql_init_timeout", default.init_timeout)?,
            // What is sent all the time keeps nobody alive.
            keep_alive: keep_alive.max(Duration::from_millis(10)),
            streams: settings.get_or("websockets_max", default.streams)?.min(MOST),
            origins: settings.get_or("websocket_origins", default.origins)?,
            legacy: settings.get_or("graphql_legacy_websocket", default.legacy)?,
        })
    }
}
