//! Settings of GraphQL schemas: of the program's own, `graphql` and `graphql_max_depth`, and of those with a name,
//! `graphql_schema.admin.class` and `graphql_schema.admin.max_depth`.
//!
//! A schema with a name is a table of `puff.toml`, `[graphql_schema.admin]`, or just a variable,
//! `PUFF_GRAPHQL_SCHEMA_ADMIN_CLASS`. As with [`pools`](super::pools) it has no flags. What it does not say of how
//! it is served is as for the program's own schema.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::{self, GRAPHQL_KEYS};
use super::{SettingValue, Settings, pools};
use crate::errors::ConfigError;

/// The key of `puff.toml` below which the named schemas are.
pub(super) const TABLE: &str = "graphql_schema";

/// What only the table of a schema has: the class, and the path that it is served at.
const OWN_KEYS: &[&str] = &["class", "path"];

/// What is wrong with a schema that is no table, or a table that is no schema.
pub(super) const TABLE_RULE: &str =
    "a schema is a table, [graphql_schema.NAME]; the default one has graphql and its like";

/// What is wrong with a name that [`is_name`] refuses.
pub(super) const NAME_RULE: &str = "the name of a schema is lower-case letters, digits and _, a letter first, and \
    not \"default\", which is the one without a name";

/// Whether a schema may be called so.
pub(super) fn is_name(name: &str) -> bool {
    pools::is_name(name) && name != "default"
}

/// What a table of a schema may say.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    let shared = GRAPHQL_KEYS
        .iter()
        .filter_map(|key| key.name.strip_prefix("graphql_"));
    OWN_KEYS.iter().copied().chain(shared)
}

/// The variable of a setting of a named schema, `graphql_schema.admin.path`; `None` if `path` is none.
///
/// No two have the same one, as in [`pools`](super::pools).
pub(super) fn variable(path: &str) -> Option<String> {
    let (name, key) = path.strip_prefix(TABLE)?.strip_prefix('.')?.split_once('.')?;
    (is_name(name) && keys().any(|known| known == key))
        .then(|| format!("PUFF_{}", path.replace('.', "_").to_ascii_uppercase()))
}

/// The names of the schemas whose classes are among `variables`.
pub(super) fn named_by<'a>(variables: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    variables
        .filter_map(|variable| {
            let name = variable
                .strip_prefix("PUFF_GRAPHQL_SCHEMA_")?
                .strip_suffix("_CLASS")?;
            Some(name.to_ascii_lowercase())
        })
        .filter(|name| is_name(name))
        .collect()
}

/// The key of a schema's table that `key` may be a misspelling of.
pub(super) fn similar(key: &str) -> Option<&'static str> {
    keys::most_similar(key, keys())
}

/// The settings of one schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaSettings<'a> {
    settings: &'a Settings,
    name: Option<&'a str>,
}

impl<'a> SchemaSettings<'a> {
    /// All settings of the program.
    pub(crate) fn program(self) -> &'a Settings {
        self.settings
    }

    /// The schema's name; the default one has none.
    pub(crate) fn name(self) -> Option<&'a str> {
        self.name
    }

    /// The class, `pkg.mod:Schema`. The default schema need not be there.
    ///
    /// # Errors
    /// A schema with a name has none.
    pub(crate) fn class(self) -> Result<Option<String>, ConfigError> {
        let Some(name) = self.name else {
            return self.settings.get("graphql");
        };
        match self.settings.get(&format!("{TABLE}.{name}.class"))? {
            Some(class) => Ok(Some(class)),
            None => Err(ConfigError::Missing(format!(
                "the GraphQL schema {name:?} has no class: set class = \"pkg.mod:Schema\" in [{TABLE}.{name}], or \
                 PUFF_GRAPHQL_SCHEMA_{}_CLASS",
                name.to_ascii_uppercase()
            ))),
        }
    }

    /// Where its table says that it is served, and how an error names that.
    ///
    /// # Errors
    /// What is no path.
    pub(crate) fn path(self) -> Result<Option<String>, ConfigError> {
        let Some(name) = self.name else { return Ok(None) };
        self.settings.get_with(&format!("{TABLE}.{name}.path"), |path| {
            match is_path(path) {
                true => Ok(path.to_owned()),
                false => Err("a path is such as /admin/graphql: letters, digits and -._~ between slashes, none at the end"),
            }
        })
    }

    /// The value of `graphql_` and `key`, or what the schema's table has instead of it.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub(crate) fn get<T: SettingValue>(self, key: &str) -> Result<Option<T>, ConfigError> {
        let own = match self.name {
            Some(name) => self.settings.get(&format!("{TABLE}.{name}.{key}"))?,
            None => None,
        };
        match own {
            Some(value) => Ok(Some(value)),
            None => self.settings.get(&format!("graphql_{key}")),
        }
    }

    /// The value, or `default`.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub(crate) fn get_or<T: SettingValue>(self, key: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.get(key)?.unwrap_or(default))
    }
}

fn is_path(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        !matches!(segment, "" | "." | "..") && segment.chars().all(plain)
    };
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(is_segment))
}

impl Settings {
    /// The settings of the schema called `name`, or of the default one.
    pub(crate) fn schema<'a>(&'a self, name: Option<&'a str>) -> SchemaSettings<'a> {
        SchemaSettings { settings: self, name }
    }

    /// The names of the schemas beside the default one: of the file's tables, of variables such as
    /// `PUFF_GRAPHQL_SCHEMA_ADMIN_CLASS`, and those that the program has.
    ///
    /// # Errors
    /// A name of the program's that no schema may have, or that it has twice.
    pub(crate) fn schemas(&self) -> Result<BTreeSet<String>, ConfigError> {
        for (name, count) in &self.program_schemas {
            let refused = |reason: &str| ConfigError::Rejected {
                source_name: format!("the program's {TABLE}.{name}"),
                reason: reason.to_owned(),
            };
            if !is_name(name) {
                return Err(refused(NAME_RULE));
            }
            if *count > 1 {
                return Err(refused("two schemas have this name"));
            }
        }
        let mut names = named_by(self.environment.keys());
        names.extend(
            self.file
                .schemas
                .iter()
                .chain(self.program_schemas.keys())
                .cloned(),
        );
        Ok(names)
    }

    /// The schemas that the program's code names, as often as it names them.
    pub(crate) fn with_program_schemas(self, names: &[String]) -> Settings {
        let mut program_schemas = BTreeMap::new();
        for name in names {
            *program_schemas.entry(name.clone()).or_default() += 1;
        }
        Settings {
            program_schemas,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_variable_of_its_own() {
        assert_eq!(
            variable("graphql_schema.admin.max_depth").as_deref(),
            Some("PUFF_GRAPHQL_SCHEMA_ADMIN_MAX_DEPTH")
        );
        for wrong in [
            "graphql_schema",
            "graphql_schema.a",
            "graphql_schema.a.b",
            "graphql_schema.default.class",
        ] {
            assert_eq!(variable(wrong), None, "{wrong}");
        }
        let names = [
            "a",
            "max",
            "a_max",
            "list",
            "documents",
            "a_documents",
            "path",
            "server",
        ];
        let named = names.iter().flat_map(|name| {
            keys().map(move |key| variable(&format!("graphql_schema.{name}.{key}")).unwrap())
        });
        let all: Vec<String> = named.chain(keys::all_keys().map(keys::Key::variable)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn a_table_has_the_first_word() {
        let folder = tempfile::tempdir().unwrap();
        let text = "graphql_max_depth = 7\n[graphql_schema.admin]\nclass = 'a:A'\nmax_rows = 3\n";
        std::fs::write(folder.path().join(crate::settings::CONFIG_FILE), text).unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [
            variable("PUFF_GRAPHQL_MAX_ROWS", "5"),
            variable("PUFF_GRAPHQL_SCHEMA_SHOP_CLASS", "shop:Schema"),
        ];
        let settings = Settings::load(environment, None, folder.path()).unwrap();
        let names: Vec<_> = settings.schemas().unwrap().into_iter().collect();
        assert_eq!(names, ["admin", "shop"]);
        let number = |name, key| settings.schema(name).get::<usize>(key).unwrap();
        assert_eq!(number(Some("admin"), "max_rows"), Some(3));
        assert_eq!(number(Some("shop"), "max_rows"), Some(5));
        assert_eq!(number(None, "max_rows"), Some(5));
        assert_eq!(number(Some("admin"), "max_depth"), Some(7));
        let class = settings.schema(Some("shop")).class().unwrap();
        assert_eq!(class.as_deref(), Some("shop:Schema"));
        assert_eq!(settings.schema(None).class().unwrap(), None);
    }

    #[test]
    fn paths_are_plain() {
        for right in ["/a", "/graphql/admin", "/a-b/c.d_e~"] {
            assert!(is_path(right), "{right}");
        }
        for wrong in [
            "", "/", "a", "/a/", "//a", "/a?b", "/{a}", "/a b", "/../a", "/%61", "/*a",
        ] {
            assert!(!is_path(wrong), "{wrong}");
        }
    }
}
