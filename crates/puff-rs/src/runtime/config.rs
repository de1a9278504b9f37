//! [`RuntimeConfig`]: what the code of a program asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use super::{PostgresSettings, RedisSettings};

/// Makes the object behind `puff.global_state()`; called once, attached, when the program starts.
pub type GlobalStateFn = Arc<dyn for<'py> Fn(Python<'py>) -> PyResult<Py<PyAny>> + Send + Sync>;

/// Whether and when a program uses a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ServiceUse {
    /// Not at all; using it is an error that says so.
    #[default]
    Off,
    /// Opened on first use.
    Lazy,
    /// Opened when the program starts, which fails if it cannot be.
    Eager,
}

/// What a program asks of the runtime.
///
/// It is the weakest layer of settings: a flag, an environment variable or `puff.toml` overrules the values
/// here. A service that is asked for is opened at the start: at its URL if there is one, else privately
/// under `.puff/`.
///
/// ```
/// use puff_rs::prelude::*;
/// let rc = RuntimeConfig::default()
///     .add_env("DJANGO_SETTINGS_MODULE", "blog.settings")
///     .set_postgres(true)
///     .set_gql_schema_class("blog.schema.Schema");
/// # let _ = rc;
/// ```
#[derive(Clone, Default)]
pub struct RuntimeConfig {
    pub(crate) postgres: ServiceUse,
    pub(crate) redis: ServiceUse,
    pub(crate) pubsub: ServiceUse,
    pub(crate) global_state: Option<GlobalStateFn>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) python_path: Vec<PathBuf>,
    /// Values of settings, by their keys in `puff.toml`.
    pub(crate) values: Vec<(String, String)>,
    /// The names of PostgreSQL pools beside the default one.
    pub(crate) pools: BTreeSet<String>,
    /// The names of Redis pools beside the default one.
    pub(crate) redis_pools: BTreeSet<String>,
    /// The names of GraphQL schemas beside the default one, as often as they were given.
    pub(crate) schemas: Vec<String>,
}

impl RuntimeConfig {
    /// Whether the program uses PostgreSQL.
    pub fn set_postgres(mut self, on: bool) -> Self {
        self.postgres = eager(on);
        self
    }

    /// Whether the program uses Redis.
    pub fn set_redis(mut self, on: bool) -> Self {
        self.redis = eager(on);
        self
    }

    /// Whether the program uses pub-sub.
    pub fn set_pubsub(mut self, on: bool) -> Self {
        self.pubsub = eager(on);
        self
    }

    /// All services, each opened on first use. For runtimes that do not know their programs.
    pub(crate) fn lazy_services(mut self) -> Self {
        (self.postgres, self.redis, self.pubsub) = (ServiceUse::Lazy, ServiceUse::Lazy, ServiceUse::Lazy);
        self
    }

    /// The Python class of the GraphQL schema: `pkg.mod.Schema` or `pkg.mod:Schema`.
    pub fn set_gql_schema_class(self, path: impl Into<String>) -> Self {
        self.value("graphql", path)
    }

    /// A GraphQL schema beside the default one, as `class` names it: for administrators, for partners.
    ///
    /// Routes lead to it with [`handle_graphql().schema(name)`], Python asks for it with
    /// `puff.global_graphql(name)`. The name is lower-case letters, digits and `_`, a letter first, and not
    /// `default`; with another, or with one name twice, the program does not start. In `puff.toml` it is the table
    /// `[graphql_schema.NAME]`, and what that says wins, as do variables such as `PUFF_GRAPHQL_SCHEMA_NAME_CLASS`.
    ///
    /// ```
    /// use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
    /// use puff_rs::prelude::*;
    ///
    /// let rc = RuntimeConfig::default()
    ///     .set_gql_schema_class("shop.schema.Schema")
    ///     .set_gql_schema_named("admin", "shop.admin.Schema");
    /// let router: Router = Router::new()
    ///     .post("/graphql", handle_graphql())
    ///     .post("/admin", handle_graphql().schema("admin"))
    ///     .get("/admin/subscriptions", handle_subscriptions().schema("admin"))
    ///     .get("/admin", playground("/admin", "/admin/subscriptions"));
    /// # let _ = (rc, router);
    /// ```
    ///
    /// [`handle_graphql().schema(name)`]: crate::graphql::handlers::GraphQlHandler::schema
    pub fn set_gql_schema_named(mut self, name: impl Into<String>, class: impl Into<String>) -> Self {
        let name = name.into();
        self = self.value(&format!("graphql_schema.{name}.class"), class);
        self.schemas.push(name);
        self
    }

    /// What `puff.global_state()` returns in Python: the object that `make` makes, usually of a `#[pyclass]`.
    ///
    /// An error, or a Python exception, ends the program before it starts.
    pub fn set_global_state_fn<F>(mut self, make: F) -> Self
    where
        F: for<'py> Fn(Python<'py>) -> PyResult<Py<PyAny>> + Send + Sync + 'static,
    {
        self.global_state = Some(Arc::new(make));
        self
    }

    /// An environment variable for the program. A value that the environment has already is kept.
    pub fn add_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A folder for Python's module path, after the working directory.
    pub fn add_python_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.python_path.push(path.into());
        self
    }

    /// PostgreSQL's URL, for when the environment and `puff.toml` have none.
    pub fn set_postgres_url(self, url: impl Into<String>) -> Self {
        self.value("postgres_url", url)
    }

    /// Redis' URL, likewise.
    pub fn set_redis_url(self, url: impl Into<String>) -> Self {
        self.value("redis_url", url)
    }

    /// The URL of the Redis for pub-sub, likewise; the other Redis if there is none.
    pub fn set_pubsub_url(self, url: impl Into<String>) -> Self {
        self.value("pubsub_url", url)
    }

    /// The most connections to PostgreSQL, likewise; 10 if nobody says.
    pub fn set_postgres_pool_size(self, connections: usize) -> Self {
        self.value("postgres_pool_size", connections.to_string())
    }

    /// A PostgreSQL pool beside the program's own: for a replica, another database, or work that shall not
    /// take connections from the rest. It is opened on first use.
    ///
    /// Python asks for it with `puff.global_postgres(name)`, Rust with [`Services::postgres_named`]. The name
    /// is lower-case letters, digits and `_`, a letter first; with another the program does not start. In
    /// `puff.toml` the pool is the table `[postgres.NAME]`, and what that says wins, as do variables such as
    /// `PUFF_POSTGRES_NAME_URL`.
    ///
    /// [`Services::postgres_named`]: super::Services::postgres_named
    pub fn set_postgres_named(mut self, name: impl Into<String>, settings: PostgresSettings) -> Self {
        let name = name.into();
        for (key, text) in settings.texts() {
            self = self.value(&format!("postgres.{name}.{key}"), text);
        }
        self.pools.insert(name);
        self
    }

    /// A Redis pool beside the program's own: for another server, or work that shall not wait behind the rest. It is
    /// opened on first use.
    ///
    /// Python asks for it with `puff.global_redis(name)`, Rust with [`Services::redis_named`]. The name is as for
    /// [`set_postgres_named`](Self::set_postgres_named). In `puff.toml` the pool is the table `[redis.NAME]`, and what
    /// that says wins, as do variables such as `PUFF_REDIS_NAME_URL`.
    ///
    /// [`Services::redis_named`]: super::Services::redis_named
    pub fn set_redis_named(mut self, name: impl Into<String>, settings: RedisSettings) -> Self {
        let name = name.into();
        for (key, text) in settings.texts() {
            self = self.value(&format!("redis.{name}.{key}"), text);
        }
        self.redis_pools.insert(name);
        self
    }

    /// Where servers listen, likewise: `127.0.0.1:8000` if nobody says.
    pub fn set_bind(self, address: impl Into<String>) -> Self {
        self.value("bind", address)
    }

    fn value(mut self, key: &str, value: impl Into<String>) -> Self {
        self.values.retain(|(known, _)| known != key);
        self.values.push((key.to_owned(), value.into()));
        self
    }
}

impl fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be URLs with passwords, variables secrets: names only.
        f.debug_struct("RuntimeConfig")
            .field("postgres", &self.postgres)
            .field("redis", &self.redis)
            .field("pubsub", &self.pubsub)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field(
                "values",
                &self.values.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            )
            .field("pools", &self.pools)
            .field("schemas", &self.schemas)
            .finish_non_exhaustive()
    }
}

fn eager(on: bool) -> ServiceUse {
    if on { ServiceUse::Eager } else { ServiceUse::Off }
}
