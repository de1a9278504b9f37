//! From settings to services: a URL that is set wins, else a private server under `.puff/`.

use std::sync::Arc;

use parking_lot::Mutex;
use puff_embedded::{EmbeddedConfig, Lease, Service};
use puff_postgres::{Pool, PoolConfig};
use puff_python::{ServiceError, Services};
use puff_redis::{PubSub, RedisConfig, RedisPool};

use super::{Console, RuntimeConfig, ServiceUse};
use crate::errors::{ConfigError, ProgramError};
use crate::settings::Settings;

/// The services of one program: where they are and when they are opened.
#[derive(Clone)]
pub(crate) struct ServicePlan {
    postgres: ServiceUse,
    redis: ServiceUse,
    pubsub: ServiceUse,
    postgres_url: Option<puff_postgres::Config>,
    redis_url: Option<RedisConfig>,
    pubsub_url: Option<RedisConfig>,
    pool: PoolConfig,
}

/// Services that were handed to a runtime. Dropping it gives the private servers back.
pub(crate) struct Started {
    pub(crate) services: Services,
    leases: Leases,
}

/// What keeps the private servers running.
type Leases = Arc<Mutex<Vec<Lease>>>;

impl ServicePlan {
    /// The plan of `config` and `settings`.
    ///
    /// # Errors
    /// A URL or a size that is not right, with the name of its source and without its password.
    pub(crate) fn new(config: &RuntimeConfig, settings: &Settings) -> Result<ServicePlan, ConfigError> {
        let redis_url = settings.get_with("redis_url", RedisConfig::from_url)?;
        let pubsub_url = settings.get_with("pubsub_url", RedisConfig::from_url)?;
        let default = PoolConfig::default();
        let max_size = settings.get_or("postgres_pool_size", default.max_size)?;
        Ok(ServicePlan {
            postgres: config.postgres,
            redis: config.redis,
            pubsub: config.pubsub,
            postgres_url: settings.get_with("postgres_url", str::parse)?,
            pubsub_url: pubsub_url.or_else(|| redis_url.clone()),
            redis_url,
            pool: PoolConfig { max_size, ..default },
        })
    }

    /// Opens PostgreSQL at the start if the program uses it at all.
    pub(crate) fn with_eager_postgres(mut self) -> ServicePlan {
        if self.postgres == ServiceUse::Lazy {
            self.postgres = ServiceUse::Eager;
        }
        self
    }

    /// The services, none of them opened yet.
    pub(crate) fn build(&self, embedded: &EmbeddedConfig, console: Console) -> Started {
        let leases = Leases::default();
        let mut builder = Services::builder();
        let private = Private {
            config: embedded.clone(),
            console,
            leases: leases.clone(),
        };
        if self.postgres != ServiceUse::Off {
            let (url, pool, private) = (self.postgres_url.clone(), self.pool.clone(), private.clone());
            builder = builder.postgres(Arc::new(move || {
                let (url, pool, private) = (url.clone(), pool.clone(), private.clone());
                Box::pin(async move {
                    let config = match url {
                        Some(config) => config,
                        None => private.url("PostgreSQL", Service::Postgres, str::parse).await?,
                    };
                    Ok(Pool::new(config, pool))
                })
            }));
        }
        if self.redis != ServiceUse::Off {
            let (url, private) = (self.redis_url.clone(), private.clone());
            builder = builder.redis(Arc::new(move || {
                let (url, private) = (url.clone(), private.clone());
                Box::pin(async move { Ok(RedisPool::new(private.redis("Redis", url).await?)) })
            }));
        }
        if self.pubsub != ServiceUse::Off {
            let url = self.pubsub_url.clone();
            builder = builder.pubsub(Arc::new(move || {
                let (url, private) = (url.clone(), private.clone());
                Box::pin(async move { Ok(PubSub::redis(private.redis("pub-sub", url).await?)) })
            }));
        }
        Started {
            services: builder.build(),
            leases,
        }
    }

    /// Opens the services that the program wants from the start, and sees that they answer.
    ///
    /// # Errors
    /// [`ProgramError::Service`] for the first that does not.
    pub(crate) async fn open_eager(&self, services: &Services) -> Result<(), ProgramError> {
        if self.postgres == ServiceUse::Eager {
            let pool = services.postgres().await.map_err(unavailable)?;
            pool.get()
                .await
                .map_err(|error| ProgramError::Service(format!("PostgreSQL is not available: {error}")))?;
        }
        if self.redis == ServiceUse::Eager {
            let pool = services.redis().await.map_err(unavailable)?;
            pool.ping()
                .await
                .map_err(|error| ProgramError::Service(format!("Redis is not available: {error}")))?;
        }
        if self.pubsub == ServiceUse::Eager {
            services.pubsub().await.map_err(unavailable)?;
            if let Some(url) = &self.pubsub_url {
                let probe = RedisPool::new(url.clone());
                let answer = probe.ping().await;
                probe.close();
                answer
                    .map_err(|error| ProgramError::Service(format!("pub-sub is not available: {error}")))?;
            }
        }
        Ok(())
    }
}

impl Started {
    /// Closes the PostgreSQL pool and gives the private servers back; they stop when nobody else uses them.
    pub(crate) async fn close(self) {
        if let Some(pool) = self.services.opened_postgres() {
            pool.close().await;
        }
        self.leases.lock().clear();
    }
}

fn unavailable(error: ServiceError) -> ProgramError {
    ProgramError::Service(error.to_string())
}

/// How private servers are had.
#[derive(Clone)]
struct Private {
    config: EmbeddedConfig,
    console: Console,
    leases: Leases,
}

impl Private {
    async fn redis(&self, name: &'static str, url: Option<RedisConfig>) -> Result<RedisConfig, ServiceError> {
        match url {
            Some(config) => Ok(config),
            None => self.url(name, Service::Valkey, RedisConfig::from_url).await,
        }
    }

    /// Starts or joins the private server and parses its URL.
    async fn url<T, E: std::fmt::Display>(
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
