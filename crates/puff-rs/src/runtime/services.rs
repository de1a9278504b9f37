//! From settings to services: a URL that is set wins, else a private server under `.puff/`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use puff_embedded::{EmbeddedConfig, Service};
use puff_postgres::{Pool, PoolConfig};
use puff_python::{Opener, ServiceError, Services};
use puff_redis::{RedisConfig, RedisPool};

use super::private::{Leases, Private};
use super::pubsub::PubSubPlan;
use super::{Console, RuntimeConfig, ServiceUse};
use crate::errors::{ConfigError, ProgramError};
use crate::settings::{Count, Settings};

/// The services of one program: where they are and when they are opened.
#[derive(Clone)]
pub(crate) struct ServicePlan {
    postgres: ServiceUse,
    redis: ServiceUse,
    pubsub: ServiceUse,
    pool: PoolPlan,
    named_pools: BTreeMap<String, PoolPlan>,
    /// Most connections for GraphQL requests that have one of their own.
    max_borrowed: Option<usize>,
    redis_pool: RedisPlan,
    named_redis: BTreeMap<String, RedisPlan>,
    pubsub_plan: PubSubPlan,
}

/// One PostgreSQL pool.
#[derive(Clone)]
struct PoolPlan {
    url: Option<puff_postgres::Config>,
    limits: PoolConfig,
    /// Where its URL can be set, if embedding cannot tell.
    where_to_set: Option<String>,
}

/// One Redis pool.
#[derive(Clone)]
struct RedisPlan {
    url: Option<RedisConfig>,
    connections: Option<usize>,
    dedicated: Option<usize>,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
    /// Where its URL can be set, if embedding cannot tell.
    where_to_set: Option<String>,
}

/// Services that were handed to a runtime. Dropping it gives the private servers back.
pub(crate) struct Started {
    pub(crate) services: Services,
    leases: Leases,
}

impl ServicePlan {
    /// The plan of `config` and `settings`.
    ///
    /// # Errors
    /// A URL or a size that is not right, with the name of its source and without its password.
    pub(crate) fn new(config: &RuntimeConfig, settings: &Settings) -> Result<ServicePlan, ConfigError> {
        let redis_pool = RedisPlan::new("redis_", settings)?;
        let named_redis = settings
            .redis_pools(&config.redis_pools)?
            .into_iter()
            .map(|name| Ok((name.clone(), RedisPlan::named(&name, settings)?)))
            .collect::<Result<_, ConfigError>>()?;
        let named_pools = settings
            .pools(&config.pools)?
            .into_iter()
            .map(|name| Ok((name.clone(), PoolPlan::named(&name, settings)?)))
            .collect::<Result<_, ConfigError>>()?;
        Ok(ServicePlan {
            postgres: config.postgres,
            redis: config.redis,
            pubsub: config.pubsub,
            pool: PoolPlan::new("postgres_", settings)?,
            named_pools,
            max_borrowed: settings.get("graphql_borrow_pool_size")?,
            pubsub_plan: PubSubPlan::new(settings, redis_pool.url.as_ref())?,
            redis_pool,
            named_redis,
        })
    }

    /// Opens PostgreSQL at the start if the program uses it at all: if its schemas have `statements`, or if somebody
    /// has named a server.
    pub(crate) fn with_eager_postgres(mut self, statements: bool) -> ServicePlan {
        if self.postgres == ServiceUse::Lazy && (statements || self.pool.url.is_some()) {
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
            builder = builder
                .postgres(self.pool.opener(&private))
                .max_sessions(self.max_borrowed);
        }
        for (name, pool) in &self.named_pools {
            builder = builder.postgres_named(name, pool.opener(&private));
        }
        if self.redis != ServiceUse::Off {
            builder = builder.redis(self.redis_pool.opener(&private));
        }
        for (name, pool) in &self.named_redis {
            builder = builder.redis_named(name, pool.opener(&private));
        }
        if self.pubsub != ServiceUse::Off {
            builder = builder.pubsub(self.pubsub_plan.opener(&private));
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
            self.pubsub_plan.probe().await?;
        }
        Ok(())
    }
}

impl PoolPlan {
    /// The pool whose settings are called `prefix` and a key.
    fn new(prefix: &str, settings: &Settings) -> Result<PoolPlan, ConfigError> {
        let name = |key: &str| format!("{prefix}{key}");
        let default = PoolConfig::default();
        // For the file, which has no null, none is zero.
        let limit = |key: &str, default: Option<Duration>| {
            Ok(settings
                .get(&name(key))?
                .or(default)
                .filter(|time| !time.is_zero()))
        };
        Ok(PoolPlan {
            url: settings.get_with(&name("url"), str::parse)?,
            where_to_set: None,
            limits: PoolConfig {
                max_size: settings.get_or(&name("pool_size"), default.max_size)?,
                min_size: settings.get_or(&name("min_size"), Count(default.min_size))?.0,
                acquire_timeout: settings.get_or(&name("acquire_timeout"), default.acquire_timeout)?,
                max_lifetime: limit("max_lifetime", default.max_lifetime)?,
                idle_timeout: limit("idle_timeout", default.idle_timeout)?,
                ..default
            },
        })
    }

    fn named(name: &str, settings: &Settings) -> Result<PoolPlan, ConfigError> {
        let variable = name.to_ascii_uppercase();
        Ok(PoolPlan {
            where_to_set: Some(format!(
                "the pool {name:?} has no URL: set PUFF_POSTGRES_{variable}_URL, or url in [postgres.{name}]"
            )),
            ..PoolPlan::new(&format!("postgres.{name}."), settings)?
        })
    }

    /// Opens the pool, at its URL or on the private server.
    fn opener(&self, private: &Private) -> Opener<Pool> {
        let (plan, private) = (self.clone(), private.clone());
        Arc::new(move || {
            let (plan, private) = (plan.clone(), private.clone());
            Box::pin(async move {
                let server = match (plan.url, plan.where_to_set) {
                    (Some(server), _) => server,
                    // The private server's own refusal speaks of the default pool's URL.
                    (None, Some(reason)) if private.config.production => {
                        return Err(ServiceError::Unavailable {
                            service: "PostgreSQL",
                            reason,
                        });
                    }
                    (None, _) => private.url("PostgreSQL", Service::Postgres, str::parse).await?,
                };
                Ok(Pool::new(server, plan.limits))
            })
        })
    }
}

impl RedisPlan {
    /// The pool whose settings are called `prefix` and a key.
    fn new(prefix: &str, settings: &Settings) -> Result<RedisPlan, ConfigError> {
        let name = |key: &str| format!("{prefix}{key}");
        Ok(RedisPlan {
            url: settings.get_with(&name("url"), RedisConfig::from_url)?,
            connections: settings.get(&name("connections"))?,
            dedicated: settings.get(&name("dedicated"))?,
            connect_timeout: settings.get(&name("connect_timeout"))?,
            response_timeout: settings.get(&name("response_timeout"))?,
            where_to_set: None,
        })
    }

    fn named(name: &str, settings: &Settings) -> Result<RedisPlan, ConfigError> {
        let variable = name.to_ascii_uppercase();
        Ok(RedisPlan {
            where_to_set: Some(format!(
                "the pool {name:?} has no URL: set PUFF_REDIS_{variable}_URL, or url in [redis.{name}]"
            )),
            ..RedisPlan::new(&format!("redis.{name}."), settings)?
        })
    }

    /// Opens the pool, at its URL or on the private server. It connects with its first command.
    fn opener(&self, private: &Private) -> Opener<RedisPool> {
        let (plan, private) = (self.clone(), private.clone());
        Arc::new(move || {
            let (plan, private) = (plan.clone(), private.clone());
            Box::pin(async move {
                if let (None, Some(reason), true) = (&plan.url, plan.where_to_set, private.config.production)
                {
                    return Err(ServiceError::Unavailable {
                        service: "Redis",
                        reason,
                    });
                }
                let mut config = private.redis("Redis", plan.url).await?;
                config.connections = plan.connections.unwrap_or(config.connections);
                config.dedicated_connections = plan.dedicated.unwrap_or(config.dedicated_connections);
                config.connect_timeout = plan.connect_timeout.unwrap_or(config.connect_timeout);
                config.response_timeout = plan.response_timeout.unwrap_or(config.response_timeout);
                Ok(RedisPool::new(config))
            })
        })
    }
}

impl Started {
    /// Closes the pools and gives the private servers back; they stop when nobody else uses them.
    pub(crate) async fn close(self) {
        // Together: each may wait for as long as its callers would.
        self.services.close_sessions().await;
        join_all(self.services.opened_postgres().map(Pool::close)).await;
        self.services.opened_redis().for_each(|(_, pool)| pool.close());
        self.leases.lock().clear();
    }
}

fn unavailable(error: ServiceError) -> ProgramError {
    ProgramError::Service(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::PostgresSettings;

    fn declared(name: &str) -> RuntimeConfig {
        let settings = PostgresSettings {
            url: Some("postgres://ada@db/shop".to_owned()),
            pool_size: Some(3),
            acquire_timeout: Some(Duration::from_millis(1500)),
            max_lifetime: Some(Duration::ZERO),
            ..PostgresSettings::default()
        };
        RuntimeConfig::default().set_postgres_named(name, settings)
    }

    fn plan(config: &RuntimeConfig, variables: &[(&str, &str)]) -> Result<ServicePlan, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let settings = Settings::load(variables, None, folder.path())?;
        let settings = config.values.iter().fold(settings, |settings, (key, value)| {
            settings.with_program_value(key, Some(value.clone()))
        });
        ServicePlan::new(config, &settings)
    }

    #[tokio::test]
    async fn a_program_declares_pools_and_variables_overrule_it() {
        let plan = plan(&declared("reports"), &[("PUFF_POSTGRES_REPORTS_POOL_SIZE", "5")]).unwrap();
        let expected = PoolConfig {
            max_size: 5,
            acquire_timeout: Duration::from_millis(1500),
            max_lifetime: None,
            ..PoolConfig::default()
        };
        assert_eq!(plan.named_pools["reports"].limits, expected);

        let embedded = EmbeddedConfig::new("/nonexistent", Vec::<std::ffi::OsString>::new());
        let started = plan.build(&embedded, Console::new(false));
        assert_eq!(started.services.opened_postgres().count(), 0);
        let pool = started.services.postgres_named("reports").await.unwrap();
        assert_eq!(pool.status().max_size, 5);
        assert!(pool.server().address().to_string().contains("db"));
        let error = started.services.postgres_named("other").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "this program has no PostgreSQL pool \"other\": it has reports"
        );
        // The default pool is not asked for, and closing is for the named one as well.
        assert!(started.services.postgres().await.is_err());
        started.close().await;
        assert!(matches!(pool.get().await, Err(puff_postgres::Error::PoolClosed)));
    }

    #[test]
    fn names_of_the_program_keep_the_rule() {
        let error = plan(&declared("My-DB"), &[]).err().unwrap();
        assert!(
            error.to_string().starts_with("the program's postgres.My-DB: "),
            "{error}"
        );
    }
}
