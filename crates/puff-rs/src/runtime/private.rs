//! Private servers under `.puff/`, for services that have no URL.

use std::sync::Arc;

use parking_lot::Mutex;
use puff_embedded::{EmbeddedConfig, Lease, Service};
use puff_python::ServiceError;
use puff_redis::RedisConfig;

use super::Console;

/// What keeps the private servers running.
pub(super) type Leases = Arc<Mutex<Vec<Lease>>>;

/// How private servers are had.
#[derive(Clone)]
pub(super) struct Private {
    pub(super) config: EmbeddedConfig,
    pub(super) console: Console,
    pub(super) leases: Leases,
}

impl Private {
    /// The Redis at `url`, else a private one.
    pub(super) async fn redis(
        &self,
        name: &'static str,
        url: Option<RedisConfig>,
    ) -> Result<RedisConfig, ServiceError> {
        match url {
            Some(config) => Ok(config),
            None => self.url(name, Service::Valkey, RedisConfig::from_url).await,
        }
    }

    /// Starts or joins the private server and parses its URL.
    pub(super) async fn url<T, E: std::fmt::Display>(
        &self,
        name: &'static str,
        service: Service,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ServiceError> {
        let unavailable = |reason: String| ServiceError::Unavailable {
            service: name,
            reason,
        };
        let Private { config, console, .. } = self.clone();
        let acquired = tokio::task::spawn_blocking(move || {
            let folder = config.project_dir.join(".puff");
            let running = puff_embedded::status(&config, service)?.running.is_some();
            // In production nothing starts: what follows is the error that says so.
            if !running && !config.production {
                console.wait(format_args!("Starting {service} in {} ...", folder.display()));
            }
            let lease = puff_embedded::acquire(&config, service)?;
            let state = lease.state();
            let what = if running { "Using the running" } else { "Started" };
            console.step(format_args!(
                "{what} {service} {} ({})",
                state.version,
                state.data_dir.display()
            ));
            Ok::<_, puff_embedded::Error>(lease)
        });
        let lease = match acquired.await {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => return Err(unavailable(error.to_string())),
            Err(error) => return Err(unavailable(error.to_string())),
        };
        let parsed = parse(lease.url()).map_err(|error| unavailable(error.to_string()))?;
        self.leases.lock().push(lease);
        Ok(parsed)
    }
}
