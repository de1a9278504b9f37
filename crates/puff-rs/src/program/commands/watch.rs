//! What watches a server from beside it: metrics and health, on sockets of their own or among its paths.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use puff_python::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, error, info, warn};

use crate::errors::{ConfigError, ProgramError};
use crate::metrics::{Metrics, MetricsServer, serve_metrics};
use crate::program::Context;
use crate::serve::Seat;
use crate::settings::Settings;
use crate::web::{AccessLog, AccessLogConfig, Bind, Health, Listener, ServerConfig, listen};

/// How often a worker looks whether its predecessor has gone.
const LOOK: Duration = Duration::from_millis(250);

/// How a server is to be watched.
pub(super) struct WatchConfig {
    binds: Vec<Bind>,
    access_log: Option<AccessLogConfig>,
    /// Whether the server itself answers questions after its health.
    health: bool,
    /// Whether somebody wants to see tracebacks in production.
    debug_refused: bool,
}

impl WatchConfig {
    /// As `settings` want it.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(super) fn from_settings(settings: &Settings) -> Result<WatchConfig, ConfigError> {
        Ok(WatchConfig {
            binds: Bind::listed(settings, "metrics_bind")?.unwrap_or_default(),
            access_log: AccessLogConfig::from_settings(settings)?,
            health: settings.get_or("health", false)?,
            debug_refused: settings.is_production() && settings.get_or("debug", false)?,
        })
    }

    /// Opens the files and binds the sockets. A worker's sockets are bound later: its predecessor may have them.
    ///
    /// # Errors
    /// A port in use, a file that cannot be opened.
    pub(super) fn open(self, seat: Option<&Seat>) -> Result<Watch, ProgramError> {
        let (listeners, awaited) = match seat {
            None => (
                self.binds.iter().map(listen).collect::<Result<_, _>>()?,
                Vec::new(),
            ),
            Some(seat) => (Vec::new(), places_of(&self.binds, seat.number(), seat.workers())),
        };
        Ok(Watch {
            listeners,
            awaited,
            access_log: self.access_log.map(AccessLogConfig::open).transpose()?,
            health: self.health,
            debug_refused: self.debug_refused,
        })
    }
}

/// The places of all `workers`, of which a worker takes the first that is free. They are as many as the workers
/// while the numbers are not: one that replaces another has a new one. It begins with the place by its own number,
/// so that those who start together do not try the same.
fn places_of(binds: &[Bind], number: usize, workers: usize) -> Vec<Vec<Bind>> {
    let workers = workers.max(1);
    (0..workers)
        .map(|further| (number.saturating_sub(1) + further) % workers)
        .map(|index| binds.iter().map(|bind| moved(bind, index)).collect())
        .filter(|places: &Vec<Bind>| !places.is_empty())
        .collect()
}

/// The first place is the one of the settings; the others are the next ports, or files with a number behind the
/// name.
fn moved(bind: &Bind, index: usize) -> Bind {
    match bind {
        Bind::Tcp(address) if index > 0 && address.port() != 0 => {
            let further = u16::try_from(index).unwrap_or(u16::MAX);
            let port = address.port().saturating_add(further);
            Bind::Tcp(SocketAddr::new(address.ip(), port))
        }
        Bind::Unix { path, mode } if index > 0 => {
            let mut path = path.clone().into_os_string();
            path.push(format!(".{}", index + 1));
            Bind::Unix {
                path: PathBuf::from(path),
                mode: *mode,
            }
        }
        bind => bind.clone(),
    }
}

/// What is to watch a server; its sockets are bound, its files open.
pub(super) struct Watch {
    listeners: Vec<Listener>,
    /// Where to listen once nobody else does: in the first of these that is free.
    awaited: Vec<Vec<Bind>>,
    access_log: Option<AccessLog>,
    health: bool,
    debug_refused: bool,
}

impl Watch {
    /// Begins to watch the server that `config` is for. Call it when the application has been loaded.
    pub(super) fn start(self, context: &Context, config: &mut ServerConfig) -> Watching {
        if self.debug_refused {
            warn!("debug = true has no effect with PUFF_ENV=production");
        }
        let runtime = &context.runtime;
        let health = Health::new(runtime);
        config.observe.access_log = self.access_log;
        config.observe.health = self.health.then(|| health.clone());
        if self.listeners.is_empty() && self.awaited.is_empty() {
            return Watching(None);
        }
        let metrics = Metrics::default();
        config.observe.metrics = Some(metrics.clone());
        for listener in &self.listeners {
            let address = listener.address();
            context.console.step(format_args!(
                "Metrics and health on {address}: /metrics, /healthz, /readyz"
            ));
        }
        let server = MetricsServer {
            listeners: self.listeners,
            metrics,
            health,
            runtime: runtime.clone(),
            access_log: config.observe.access_log.clone(),
        };
        Watching::new(runtime, server, self.awaited)
    }
}

/// A server of metrics that runs; dropped, it ends.
pub(super) struct Watching(Option<(DropGuard, JoinHandle<Option<()>>)>);

impl Watching {
    fn new(runtime: &Runtime, mut server: MetricsServer, awaited: Vec<Vec<Bind>>) -> Watching {
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let task = runtime.spawn("metrics", async move {
            if !awaited.is_empty() {
                tokio::select! {
                    listeners = first_free(&awaited) => server.listeners = listeners,
                    () = asked.cancelled() => return,
                }
            }
            if let Err(failed) = serve_metrics(server, asked).await {
                error!("metrics are not served: {failed}");
            }
        });
        Watching(Some((stop.drop_guard(), task)))
    }

    /// Ends it and waits for that, half a second at the most.
    pub(super) async fn end(self) {
        if let Some((stop, task)) = self.0 {
            drop(stop);
            // An error is a panic, which has been logged.
            let _ = task.await;
        }
    }
}

/// Listens as soon as there is a place where nobody else does.
async fn first_free(places: &[Vec<Bind>]) -> Vec<Listener> {
    loop {
        for place in places {
            match place.iter().map(listen).collect::<Result<Vec<_>, _>>() {
                Ok(listeners) => {
                    for listener in &listeners {
                        info!("metrics and health on {}", listener.address());
                    }
                    return listeners;
                }
                Err(error) => debug!("no metrics there: {error}"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_places_as_workers() {
        let unix = Bind::Unix {
            path: "/run/metrics".into(),
            mode: 0o600,
        };
        let binds = [Bind::Tcp(([127, 0, 0, 1], 9100).into()), unix];
        let places = |number, workers| -> Vec<String> {
            let places = places_of(&binds, number, workers);
            places.concat().iter().map(Bind::to_string).collect()
        };
        assert_eq!(places(1, 1), ["127.0.0.1:9100", "unix:/run/metrics"]);
        let first = ["127.0.0.1:9100", "unix:/run/metrics"];
        let second = ["127.0.0.1:9101", "unix:/run/metrics.2"];
        assert_eq!(places(1, 2), [first, second].concat());
        assert_eq!(places(2, 2), [second, first].concat());
        assert_eq!(places(3, 2), [first, second].concat());
        assert!(places_of(&[], 1, 2).is_empty());
    }
}
