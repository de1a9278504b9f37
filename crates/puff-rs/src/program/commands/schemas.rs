//! The GraphQL schemas that a server finds in its settings, and where the stock server has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use puff_python::Runtime;

use crate::errors::ConfigError;
use crate::graphql::handlers::{handle_graphql, handle_subscriptions, playground};
use crate::graphql::{DirectGraphQl, Endpoint, Endpoints, GraphQlConfig, Streams, SubscriptionConfig};
use crate::runtime::Console;
use crate::settings::{SchemaSettings, Settings};
use crate::web::{ASSETS_PATH, BodyLimits, DirectRoutes, Router, StaticFiles};

/// What the settings say of the program's schemas.
pub(super) struct SchemaPlan {
    schemas: Vec<Planned>,
    subscriptions: SubscriptionConfig,
}

struct Planned {
    name: Option<String>,
    class: String,
    config: GraphQlConfig,
    /// Where the server routes to it by itself.
    paths: Option<Paths>,
}

/// The places of one schema.
struct Paths {
    requests: String,
    subscriptions: String,
    playground: String,
}

impl Paths {
    /// Those that the settings say. The default schema leaves `/` to who else has it.
    fn new(settings: SchemaSettings<'_>, taken: bool) -> Result<Paths, ConfigError> {
        let Some(name) = settings.name() else {
            return Ok(Paths {
                requests: "/graphql".to_owned(),
                subscriptions: "/subscriptions".to_owned(),
                playground: if taken { "/playground" } else { "/" }.to_owned(),
            });
        };
        let path = settings.path()?.unwrap_or_else(|| format!("/graphql/{name}"));
        Ok(Paths {
            subscriptions: format!("{path}/subscriptions"),
            playground: format!("{path}/playground"),
            requests: path,
        })
    }

    fn all(&self) -> [&String; 3] {
        [&self.requests, &self.subscriptions, &self.playground]
    }
}

impl SchemaPlan {
    /// The plan of `settings`. `routed` is for a server that routes to the schemas by itself.
    ///
    /// # Errors
    /// A value that does not parse, a schema without a class, two on one path.
    pub(super) fn new(settings: &Settings, routed: bool) -> Result<SchemaPlan, ConfigError> {
        let files = StaticFiles::from_settings(settings)?;
        let taken = settings.is_set("wsgi") || files.is_some_and(|files| files.have_front_page());
        let names = settings.schemas()?;
        let mut schemas = Vec::new();
        for name in std::iter::once(None).chain(names.iter().map(|name| Some(name.as_str()))) {
            let settings = settings.schema(name);
            let config = GraphQlConfig::from_settings(settings)?;
            if let Some(class) = settings.class()? {
                schemas.push(Planned {
                    name: name.map(str::to_owned),
                    class,
                    config,
                    paths: match routed {
                        true => Some(Paths::new(settings, taken)?),
                        false => None,
                    },
                });
            }
        }
        apart(&schemas)?;
        Ok(SchemaPlan {
            schemas,
            subscriptions: SubscriptionConfig::from_settings(settings)?,
        })
    }

    /// Whether the server routes to a schema by itself.
    pub(super) fn is_routed(&self) -> bool {
        self.schemas.iter().any(|schema| schema.paths.is_some())
    }

    /// `router` with the routes to the schemas.
    pub(super) fn route(&self, router: Router) -> Router {
        let routes = self
            .schemas
            .iter()
            .filter_map(|schema| Some((schema, schema.paths.as_ref()?)));
        routes.fold(router, |router, (schema, paths)| {
            let (requests, subscriptions) = match &schema.name {
                Some(name) => (handle_graphql().schema(name), handle_subscriptions().schema(name)),
                None => (handle_graphql(), handle_subscriptions()),
            };
            router
                .any(&paths.requests, requests)
                .any(&paths.subscriptions, subscriptions)
                .get(
                    &paths.playground,
                    playground(&paths.requests, &paths.subscriptions),
                )
        })
    }

    /// The schemas, once they are loaded, as the handlers find them.
    pub(super) fn endpoints(&self, runtime: &Runtime, body: BodyLimits) -> Endpoints {
        let streams = Streams::new(&self.subscriptions);
        Endpoints::new(self.schemas.iter().filter_map(|schema| {
            let graphql = runtime.schemas().get(schema.name.as_deref()).ok()?;
            let endpoint = Endpoint {
                graphql: graphql.clone(),
                body,
                config: schema.config.clone(),
                subscriptions: self.subscriptions.clone(),
                streams: streams.clone(),
                stop: runtime.shutdown().clone(),
            };
            Some((schema.name.clone(), endpoint))
        }))
    }

    /// The same ones at the paths of their requests, for those that need no router. `limit`: until an answer begins.
    pub(super) fn direct(&self, endpoints: &Endpoints, limit: Option<Duration>) -> DirectRoutes {
        let mut routes = DirectRoutes::default();
        for schema in &self.schemas {
            let endpoint = endpoints.get(schema.name.as_deref());
            if let (Some(paths), Ok(endpoint)) = (&schema.paths, endpoint) {
                routes.insert(
                    &paths.requests,
                    Arc::new(DirectGraphQl::new(endpoint.clone(), limit)),
                );
            }
        }
        routes
    }

    /// Says where the schemas are, on the server at `url`.
    pub(super) fn banner(&self, console: Console, url: &str) {
        for schema in &self.schemas {
            if let Some(paths) = &schema.paths {
                console.step(format_args!(
                    "GraphQL of {} on {url}{}, its playground on {url}{}",
                    schema.class, paths.requests, paths.playground
                ));
            }
        }
    }
}

/// That no two schemas are in one place, which the router would not take.
fn apart(schemas: &[Planned]) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for schema in schemas {
        for path in schema.paths.iter().flat_map(Paths::all) {
            let refused = |reason: String| {
                let name = schema.name.as_deref().unwrap_or("default");
                Err(ConfigError::Rejected {
                    source_name: format!("the GraphQL schema {name:?}"),
                    reason: format!("{reason}: set another path in [graphql_schema.{name}]"),
                })
            };
            if path.starts_with(ASSETS_PATH) {
                return refused(format!("{path} is among the playground's own files"));
            }
            if let Some(other) = taken.insert(path, schema.name.as_deref()) {
                let other = other.unwrap_or("default");
                return refused(format!("it would be at {path}, where the schema {other:?} is"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CONFIG_FILE;

    fn plan(text: &str) -> Result<SchemaPlan, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG_FILE), text).unwrap();
        let settings = Settings::load([], None, folder.path()).unwrap();
        SchemaPlan::new(&settings, true).map_err(|error| error.to_string())
    }

    fn refusal(text: &str) -> String {
        plan(text).err().unwrap_or_default()
    }

    #[test]
    fn each_schema_has_its_places() {
        let plan = plan("graphql = 'a:A'\n[graphql_schema.b]\nclass = 'b:B'\n[graphql_schema.c]\nclass = 'c:C'\npath = '/c'").unwrap();
        let places: Vec<_> = plan
            .schemas
            .iter()
            .flat_map(|schema| schema.paths.as_ref().unwrap().all())
            .collect();
        assert_eq!(
            places,
            [
                "/graphql",
                "/subscriptions",
                "/",
                "/graphql/b",
                "/graphql/b/subscriptions",
                "/graphql/b/playground",
                "/c",
                "/c/subscriptions",
                "/c/playground"
            ]
        );
    }

    #[test]
    fn a_front_page_has_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let playground = |more: &str| {
            let served = format!("[static]\n'/' = '{}'", folder.path().display());
            let plan = plan(&format!("graphql = 'a:A'\n{more}\n{served}")).unwrap();
            plan.schemas[0].paths.as_ref().unwrap().playground.clone()
        };
        assert_eq!(playground("static_index = 'index.html'"), "/playground");
        assert_eq!(playground(""), "/");
    }

    #[test]
    fn places_are_apart() {
        let two = "[graphql_schema.a]\nclass = 'a:A'\npath = '/x'\n[graphql_schema.b]\nclass = 'b:B'\n";
        assert!(plan(&format!("{two}path = '/y'")).is_ok());
        assert_eq!(
            refusal(&format!("{two}path = '/x'")),
            "the GraphQL schema \"b\": it would be at /x, where the schema \"a\" is: set another path in \
             [graphql_schema.b]"
        );
        assert!(
            refusal(&format!("{two}path = '/x/playground'"))
                .contains("/x/playground, where the schema \"a\"")
        );
        let default = "graphql = 'a:A'\n[graphql_schema.b]\nclass = 'b:B'\npath = ";
        assert!(refusal(&format!("{default}'/graphql'")).contains("where the schema \"default\" is"));
        assert!(refusal(&format!("{default}'/subscriptions'")).contains("where the schema \"default\" is"));
        assert!(refusal(&format!("{default}'{ASSETS_PATH}x'")).contains("the playground's own files"));
        assert!(refusal(&format!("{default}'/a/'")).contains("graphql_schema.b.path: a path is such as"));
        assert!(
            refusal("[graphql_schema.b]\npath = '/b'").starts_with("the GraphQL schema \"b\" has no class")
        );
    }
}
