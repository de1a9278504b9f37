//! The services a program runs on, opened on first use and then shared.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use puff_postgres::{Pool, PoolConfig, PoolMetrics, PoolStatus, SessionPool};
use puff_redis::{PubSub, RedisPool};
use thiserror::Error;
use tokio::sync::OnceCell;

/// How a service is opened: called at most once at a time, and again after a failure.
pub type Opener<T> =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<T, ServiceError>> + Send>> + Send + Sync>;

/// Why a service cannot be had.
#[derive(Debug, Clone, Error)]
pub enum ServiceError {
    /// The program does not ask for this service.
    #[error("this program does not use {service}: ask for it with {how}")]
    NotConfigured {
        /// The service's name, for people.
        service: &'static str,
        /// What to write to get it.
        how: &'static str,
    },
    /// The program has no PostgreSQL pool of this name.
    #[error("this program has no PostgreSQL pool {name:?}: {}", known_pools(.known))]
    UnknownPool {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The program has no Redis pool of this name.
    #[error("this program has no Redis pool {name:?}: {}", known_redis(.known))]
    UnknownRedis {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// It could not be reached or started.
    #[error("{service} is not available: {reason}")]
    Unavailable {
        /// The service's name, for people.
        service: &'static str,
        /// What went wrong and what to do about it.
        reason: String,
    },
}

fn known_pools(known: &[String]) -> String {
    known_names(known, "postgres")
}

fn known_redis(known: &[String]) -> String {
    known_names(known, "redis")
}

fn known_names(known: &[String], table: &str) -> String {
    match known {
        [] => format!("it has none with a name (a pool is a table [{table}.NAME] in puff.toml)"),
        names => format!("it has {}", names.join(", ")),
    }
}

/// PostgreSQL, Redis and pub-sub of one program; a clone shares them.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    postgres: Service<Pool>,
    named_pools: BTreeMap<String, Lazy<Pool>>,
    sessions: OnceCell<SessionPool>,
    /// Most of them; as many as the pool has connections if nobody says.
    max_sessions: Option<usize>,
    redis: Service<RedisPool>,
    named_redis: BTreeMap<String, Lazy<RedisPool>>,
    pubsub: Service<PubSub>,
}

/// A pool of either kind, for those who look after it.
#[derive(Debug, Clone, Copy)]
pub enum OpenedPool<'s> {
    /// Connections that statements share.
    Shared(&'s Pool),
    /// Sessions that one has alone.
    Sessions(&'s SessionPool),
}

impl OpenedPool<'_> {
    /// What the pool is doing.
    pub fn status(self) -> PoolStatus {
        match self {
            OpenedPool::Shared(pool) => pool.status(),
            OpenedPool::Sessions(pool) => pool.status(),
        }
    }

    /// What it has done so far.
    pub fn metrics(self) -> PoolMetrics {
        match self {
            OpenedPool::Shared(pool) => pool.metrics(),
            OpenedPool::Sessions(pool) => pool.metrics(),
        }
    }

    /// Waits until the server answers over one of the connections.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(self) -> Result<(), puff_postgres::Error> {
        match self {
            OpenedPool::Shared(pool) => pool.ping().await,
            OpenedPool::Sessions(pool) => pool.ping().await,
        }
    }
}

/// A service that a program may have.
struct Service<T> {
    name: &'static str,
    how: &'static str,
    lazy: Option<Lazy<T>>,
}

/// What is opened on first use.
struct Lazy<T> {
    opener: Opener<T>,
    cell: OnceCell<T>,
}

impl<T: Clone> Lazy<T> {
    fn new(opener: Opener<T>) -> Lazy<T> {
        Lazy {
            opener,
            cell: OnceCell::new(),
        }
    }

    async fn get(&self) -> Result<T, ServiceError> {
        self.cell.get_or_try_init(|| (self.opener)()).await.cloned()
    }
}

impl<T: Clone> Service<T> {
    fn new(name: &'static str, how: &'static str, opener: Option<Opener<T>>) -> Service<T> {
        Service {
            name,
            how,
            lazy: opener.map(Lazy::new),
        }
    }

    async fn get(&self) -> Result<T, ServiceError> {
        match &self.lazy {
            Some(lazy) => lazy.get().await,
            None => Err(ServiceError::NotConfigured {
                service: self.name,
                how: self.how,
            }),
        }
    }
}

/// Collects how each service is opened; what is left out is not configured.
#[derive(Default)]
pub struct ServicesBuilder {
    postgres: Option<Opener<Pool>>,
    named_pools: BTreeMap<String, Lazy<Pool>>,
    max_sessions: Option<usize>,
    redis: Option<Opener<RedisPool>>,
    named_redis: BTreeMap<String, Lazy<RedisPool>>,
    pubsub: Option<Opener<PubSub>>,
}

impl ServicesBuilder {
    /// Opens PostgreSQL's pool by `opener`.
    pub fn postgres(mut self, opener: Opener<Pool>) -> Self {
        self.postgres = Some(opener);
        self
    }

    /// Opens the PostgreSQL pool called `name` by `opener`.
    pub fn postgres_named(mut self, name: impl Into<String>, opener: Opener<Pool>) -> Self {
        self.named_pools.insert(name.into(), Lazy::new(opener));
        self
    }

    /// Most connections for requests that have one of their own; as many as the pool has if nobody says.
    pub fn max_sessions(mut self, most: Option<usize>) -> Self {
        self.max_sessions = most;
        self
    }

    /// Opens Redis' pool by `opener`.
    pub fn redis(mut self, opener: Opener<RedisPool>) -> Self {
        self.redis = Some(opener);
        self
    }

    /// Opens the Redis pool called `name` by `opener`.
    pub fn redis_named(mut self, name: impl Into<String>, opener: Opener<RedisPool>) -> Self {
        self.named_redis.insert(name.into(), Lazy::new(opener));
        self
    }

    /// Opens pub-sub by `opener`.
    pub fn pubsub(mut self, opener: Opener<PubSub>) -> Self {
        self.pubsub = Some(opener);
        self
    }

    /// The services; none of them is opened yet.
    pub fn build(self) -> Services {
        Services {
            inner: Arc::new(Inner {
                postgres: Service::new("PostgreSQL", "RuntimeConfig::set_postgres(true)", self.postgres),
                named_pools: self.named_pools,
                sessions: OnceCell::new(),
                max_sessions: self.max_sessions,
                redis: Service::new("Redis", "RuntimeConfig::set_redis(true)", self.redis),
                named_redis: self.named_redis,
                pubsub: Service::new("pub-sub", "RuntimeConfig::set_pubsub(true)", self.pubsub),
            }),
        }
    }
}

impl Services {
    /// Starts a description of services.
    pub fn builder() -> ServicesBuilder {
        ServicesBuilder::default()
    }

    /// The PostgreSQL pool; opened by the first call. Runs on Tokio.
    ///
    /// # Errors
    /// [`ServiceError`] if the program does not use it or it cannot be opened; a later call tries again.
    pub async fn postgres(&self) -> Result<Pool, ServiceError> {
        self.inner.postgres.get().await
    }

    /// Sessions of the same server, with limits of the same kind, for requests that need one of their own.
    ///
    /// # Errors
    /// As [`Services::postgres`].
    pub(crate) async fn sessions(&self) -> Result<SessionPool, ServiceError> {
        let pool = self.postgres().await?;
        let make = async || {
            let config = pool.config();
            let config = PoolConfig {
                min_size: 0,
                max_size: self.inner.max_sessions.unwrap_or(config.max_size),
                ..config.clone()
            };
            SessionPool::new(pool.server().clone(), config)
        };
        Ok(self.inner.sessions.get_or_init(make).await.clone())
    }

    /// Ends what requests have had sessions of their own from; the program ends.
    pub async fn close_sessions(&self) {
        if let Some(sessions) = self.inner.sessions.get() {
            sessions.close().await;
        }
    }

    /// The PostgreSQL pool called `name`: a table of `puff.toml` or `RuntimeConfig::set_postgres_named`.
    /// Opened by the first call. Runs on Tokio.
    ///
    /// ```no_run
    /// use puff_postgres::PooledConnection;
    /// use puff_python::{BoxError, Services};
    ///
    /// async fn for_reports(services: &Services) -> Result<PooledConnection, BoxError> {
    ///     Ok(services.postgres_named("reports").await?.get().await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ServiceError::UnknownPool`], which tells the names there are; else as [`Services::postgres`].
    pub async fn postgres_named(&self, name: &str) -> Result<Pool, ServiceError> {
        match self.inner.named_pools.get(name) {
            Some(lazy) => lazy.get().await,
            None => Err(ServiceError::UnknownPool {
                name: name.to_owned(),
                known: self.inner.named_pools.keys().cloned().collect(),
            }),
        }
    }

    /// The PostgreSQL pools that are open already, with a name or without.
    pub fn opened_postgres(&self) -> impl Iterator<Item = &Pool> {
        let unnamed = self.inner.postgres.lazy.iter();
        unnamed
            .chain(self.inner.named_pools.values())
            .filter_map(|lazy| lazy.cell.get())
    }

    /// All pools of PostgreSQL connections that are open already, each with a name: `default` for the one without,
    /// `postgres.default` for one that is called so, and `default.borrowed` for the connections of requests that have
    /// one of their own.
    pub fn opened_pools(&self) -> impl Iterator<Item = (&str, OpenedPool<'_>)> {
        let unnamed = self.inner.postgres.lazy.iter().map(|lazy| ("default", lazy));
        let named = self
            .inner
            .named_pools
            .iter()
            .map(|(name, lazy)| match name.as_str() {
                "default" => ("postgres.default", lazy),
                name => (name, lazy),
            });
        let shared = unnamed
            .chain(named)
            .filter_map(|(name, lazy)| Some((name, OpenedPool::Shared(lazy.cell.get()?))));
        let sessions = self.inner.sessions.get().into_iter();
        shared.chain(sessions.map(|pool| ("default.borrowed", OpenedPool::Sessions(pool))))
    }

    /// The Redis pools that are open already, each with a name: `default` for the one without, `redis.default` for
    /// one that is called so.
    pub fn opened_redis(&self) -> impl Iterator<Item = (&str, &RedisPool)> {
        let unnamed = self.inner.redis.lazy.iter().map(|lazy| ("default", lazy));
        let named = self
            .inner
            .named_redis
            .iter()
            .map(|(name, lazy)| match name.as_str() {
                "default" => ("redis.default", lazy),
                name => (name, lazy),
            });
        unnamed
            .chain(named)
            .filter_map(|(name, lazy)| Some((name, lazy.cell.get()?)))
    }

    /// Pub-sub, if it is open already.
    pub fn opened_pubsub(&self) -> Option<&PubSub> {
        self.inner.pubsub.lazy.as_ref()?.cell.get()
    }

    /// The Redis pool; as [`Services::postgres`].
    ///
    /// # Errors
    /// As [`Services::postgres`].
    pub async fn redis(&self) -> Result<RedisPool, ServiceError> {
        self.inner.redis.get().await
    }

    /// The Redis pool called `name`: a table of `puff.toml` or `RuntimeConfig::set_redis_named`. Opened by the first
    /// call. Runs on Tokio.
    ///
    /// # Errors
    /// [`ServiceError::UnknownRedis`], which tells the names there are; else as [`Services::postgres`].
    pub async fn redis_named(&self, name: &str) -> Result<RedisPool, ServiceError> {
        match self.inner.named_redis.get(name) {
            Some(lazy) => lazy.get().await,
            None => Err(ServiceError::UnknownRedis {
                name: name.to_owned(),
                known: self.inner.named_redis.keys().cloned().collect(),
            }),
        }
    }

    /// Pub-sub; as [`Services::postgres`].
    ///
    /// # Errors
    /// As [`Services::postgres`].
    pub async fn pubsub(&self) -> Result<PubSub, ServiceError> {
        self.inner.pubsub.get().await
    }
}
