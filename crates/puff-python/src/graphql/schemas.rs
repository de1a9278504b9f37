//! The schemas of a program: the default one, and those with names.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use pyo3::prelude::*;
use thiserror::Error;

use super::{GraphQl, GraphQlLoadError, GraphQlSource};
use crate::runtime::Runtime;

/// A program's schemas: where each is, and the schema once it is loaded.
#[derive(Default)]
pub struct Schemas {
    default: Option<Slot>,
    named: BTreeMap<String, Slot>,
}

struct Slot {
    source: GraphQlSource,
    loaded: OnceLock<GraphQl>,
}

impl Slot {
    fn new(source: GraphQlSource) -> Slot {
        Slot {
            source,
            loaded: OnceLock::new(),
        }
    }
}

/// Why a program does not have the schema that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoSchema {
    /// It has none at all.
    #[error(
        "this program has no GraphQL schema: give one with --graphql pkg.mod:Schema, with PUFF_GRAPHQL, in puff.toml, \
         or with RuntimeConfig::set_gql_schema_class"
    )]
    None,
    /// All that it has have names, and none was given.
    #[error("this program has no GraphQL schema without a name: it has {}", .known.join(", "))]
    Default {
        /// The names there are.
        known: Vec<String>,
    },
    /// None is called so.
    #[error("this program has no GraphQL schema {name:?}: {}", known_schemas(.known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// It is still to be loaded.
    #[error("the GraphQL schema {0} is not loaded yet")]
    NotLoaded(String),
}

impl NoSchema {
    /// That there is no schema called `name`, or no default one, beside those that have the names `known`.
    pub fn among<'a>(name: Option<&str>, known: impl Iterator<Item = &'a String>) -> NoSchema {
        let known: Vec<String> = known.cloned().collect();
        match name {
            Some(name) => NoSchema::Unknown {
                name: name.to_owned(),
                known,
            },
            None if known.is_empty() => NoSchema::None,
            None => NoSchema::Default { known },
        }
    }
}

fn known_schemas(known: &[String]) -> String {
    match known {
        [] => "it has none with a name (a schema is a table [graphql_schema.NAME] in puff.toml)".to_owned(),
        names => format!("it has {}", names.join(", ")),
    }
}

impl Schemas {
    /// No schema at all.
    pub const fn new() -> Schemas {
        Schemas {
            default: None,
            named: BTreeMap::new(),
        }
    }

    /// Adds the schema without a name.
    pub fn with_default(mut self, source: GraphQlSource) -> Schemas {
        self.default = Some(Slot::new(source));
        self
    }

    /// Adds the schema called `name`.
    pub fn with_named(mut self, name: impl Into<String>, source: GraphQlSource) -> Schemas {
        self.named.insert(name.into(), Slot::new(source));
        self
    }

    /// Loads all of them, the default one first. Their modules have been imported. Call it attached.
    ///
    /// # Errors
    /// [`GraphQlLoadError`] of the first that makes no sense.
    pub fn load(&self, py: Python<'_>, runtime: &Runtime) -> Result<(), GraphQlLoadError> {
        for slot in self.default.iter().chain(self.named.values()) {
            let _ = slot.loaded.set(GraphQl::load(py, runtime, &slot.source)?);
        }
        Ok(())
    }

    /// The classes: `pkg.mod:Schema`.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        let slots = self.default.iter().chain(self.named.values());
        slots.map(|slot| &*slot.source.path)
    }

    /// The schemas that are loaded, with their names; the default one has none.
    pub fn loaded(&self) -> impl Iterator<Item = (Option<&str>, &GraphQl)> {
        let named = self.named.iter().map(|(name, slot)| (Some(name.as_str()), slot));
        let all = self.default.iter().map(|slot| (None, slot)).chain(named);
        all.filter_map(|(name, slot)| Some((name, slot.loaded.get()?)))
    }

    /// The schema called `name`, or the default one.
    ///
    /// # Errors
    /// [`NoSchema`], which tells the names there are.
    pub fn get(&self, name: Option<&str>) -> Result<&GraphQl, NoSchema> {
        let loaded = self.slot(name)?.loaded.get();
        loaded.ok_or_else(|| NoSchema::NotLoaded(name.unwrap_or("default").to_owned()))
    }

    /// Where a schema is that is still to be loaded.
    pub(crate) fn pending(&self, name: Option<&str>) -> Option<&GraphQlSource> {
        let slot = self.slot(name).ok()?;
        slot.loaded.get().is_none().then_some(&slot.source)
    }

    /// Keeps a schema that was pending. The first one counts.
    pub(crate) fn set(&self, name: Option<&str>, graphql: GraphQl) {
        if let Ok(slot) = self.slot(name) {
            let _ = slot.loaded.set(graphql);
        }
    }

    fn slot(&self, name: Option<&str>) -> Result<&Slot, NoSchema> {
        match name {
            None => self.default.as_ref(),
            Some(name) => self.named.get(name),
        }
        .ok_or_else(|| NoSchema::among(name, self.named.keys()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::GraphQlOptions;

    fn source(path: &str) -> GraphQlSource {
        GraphQlSource {
            path: path.to_owned(),
            options: GraphQlOptions::default(),
        }
    }

    fn refusal(schemas: &Schemas, name: Option<&str>) -> String {
        schemas
            .get(name)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_is_not_there_tells_what_is() {
        let none = Schemas::default();
        assert_eq!(none.get(None).err(), Some(NoSchema::None));
        assert!(
            refusal(&none, Some("admin"))
                .ends_with("(a schema is a table [graphql_schema.NAME] in puff.toml)")
        );
        let named = none
            .with_named("shop", source("a:A"))
            .with_named("admin", source("b:B"));
        assert!(refusal(&named, None).ends_with("without a name: it has admin, shop"));
        assert!(refusal(&named, Some("x")).ends_with("no GraphQL schema \"x\": it has admin, shop"));
        let all = named.with_default(source("c:C"));
        assert_eq!(all.classes().collect::<Vec<_>>(), ["c:C", "b:B", "a:A"]);
        assert!(refusal(&all, None).ends_with("default is not loaded yet"));
        assert_eq!(all.pending(Some("shop")).map(|source| &*source.path), Some("a:A"));
    }
}
