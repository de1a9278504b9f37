//! The services a program runs on, opened on first use and then shared.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use puff_postgres::Pool;
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
    /// It could not be reached or started.
    #[error("{service} is not available: {reason}")]
    Unavailable {
        /// The service's name, for people.
        service: &'static str,
        /// What went wrong and what to do about it.
        reason: String,
    },
}

/// PostgreSQL, Redis and pub-sub of one program; a clone shares them.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    postgres: Lazy<Pool>,
    redis: Lazy<RedisPool>,
    pubsub: Lazy<PubSub>,
}

struct Lazy<T> {
    name: &'static str,
    how: &'static str,
    opener: Option<Opener<T>>,
    cell: OnceCell<T>,
}

impl<T: Clone> Lazy<T> {
    fn new(name: &'static str, how: &'static str, opener: Option<Opener<T>>) -> Lazy<T> {
        Lazy {
            name,
            how,
            opener,
            cell: OnceCell::new(),
        }
    }

    async fn get(&self) -> Result<T, ServiceError> {
        let Some(opener) = &self.opener else {
            return Err(ServiceError::NotConfigured {
                service: self.name,
                how: self.how,
            });
        };
        self.cell.get_or_try_init(|| opener()).await.cloned()
    }
}

/// Collects how each service is opened; what is left out is not configured.
#[derive(Default)]
pub struct ServicesBuilder {
    postgres: Option<Opener<Pool>>,
    redis: Option<Opener<RedisPool>>,
    pubsub: Option<Opener<PubSub>>,
}

impl ServicesBuilder {
    /// Opens PostgreSQL's pool by `opener`.
    pub fn postgres(mut self, opener: Opener<Pool>) -> Self {
        self.postgres = Some(opener);
        self
    }

    /// Opens Redis' pool by `opener`.
    pub fn redis(mut self, opener: Opener<RedisPool>) -> Self {
        self.redis = Some(opener);
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
                postgres: Lazy::new("PostgreSQL", "RuntimeConfig::set_postgres(true)", self.postgres),
                redis: Lazy::new("Redis", "RuntimeConfig::set_redis(true)", self.redis),
                pubsub: Lazy::new("pub-sub", "RuntimeConfig::set_pubsub(true)", self.pubsub),
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

    /// The PostgreSQL pool if it is open already.
    pub fn opened_postgres(&self) -> Option<&Pool> {
        self.inner.postgres.cell.get()
    }

    /// The Redis pool; as [`Services::postgres`].
    ///
    /// # Errors
    /// As [`Services::postgres`].
    pub async fn redis(&self) -> Result<RedisPool, ServiceError> {
        self.inner.redis.get().await
    }

    /// Pub-sub; as [`Services::postgres`].
    ///
    /// # Errors
    /// As [`Services::postgres`].
    pub async fn pubsub(&self) -> Result<PubSub, ServiceError> {
        self.inner.pubsub.get().await
    }
}
