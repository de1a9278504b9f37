//! `puff.toml`: a flat table of settings, a table for each PostgreSQL pool and each GraphQL schema with a name, and
//! one of WebSockets.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use toml::Value;

use super::{keys, pools, schemas, websocket_keys};
use crate::errors::ConfigError;

/// The name of the file in the working directory.
pub const CONFIG_FILE: &str = "puff.toml";

/// What is in the file.
#[derive(Debug, Default, Clone)]
pub(super) struct File {
    /// Each setting as the text that a flag would have; those of a named pool as `postgres.reports.url`, of a schema
    /// likewise.
    pub(super) values: HashMap<String, String>,
    /// The pools that have a table, be it an empty one.
    pub(super) pools: BTreeSet<String>,
    /// Redis' pools likewise.
    pub(super) redis_pools: BTreeSet<String>,
    /// The schemas likewise.
    pub(super) schemas: BTreeSet<String>,
    /// Paths of WebSockets and the functions that serve them.
    pub(super) websockets: BTreeMap<String, String>,
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let problem = |reason: String| ConfigError::File {
        file: path.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        problem(format!("{place}{}", error.message().replace('\n', " ")))
    })?;
    let mut file = File::default();
    for (name, value) in table {
        if name == pools::POSTGRES.table {
            file.pools = file.read_tables(path, value, &POOLS)?;
        } else if name == pools::REDIS.table {
            file.redis_pools = file.read_tables(path, value, &REDIS_POOLS)?;
        } else if name == schemas::TABLE {
            file.schemas = file.read_tables(path, value, &SCHEMAS)?;
        } else if name == websocket_keys::TABLE {
            file.websockets = read_websockets(path, value)?;
        } else if let Some(key) = keys::find(&name) {
            let text = match value {
                Value::Table(entries) if key.list => list_of(path, &name, entries)?,
                value => text_of(path, &name, value)?,
            };
            file.values.insert(name, text);
        } else {
            let similar = keys::similar(&name);
            return Err(unknown(path, name, similar));
        }
    }
    Ok(file)
}

/// Tables below one key, each with a name and with settings that the others have as well.
struct Tables {
    key: &'static str,
    rule: &'static str,
    name_rule: &'static str,
    is_name: fn(&str) -> bool,
    has: fn(&str) -> bool,
    similar: fn(&str) -> Option<&'static str>,
}

const POOLS: Tables = Tables {
    has: |setting| pools::POSTGRES.keys.contains(&setting),
    similar: |setting| pools::POSTGRES.similar(setting),
    key: pools::POSTGRES.table,
    rule: pools::POSTGRES.rule,
    name_rule: pools::NAME_RULE,
    is_name: pools::is_name,
};

const REDIS_POOLS: Tables = Tables {
    has: |setting| pools::REDIS.keys.contains(&setting),
    similar: |setting| pools::REDIS.similar(setting),
    key: pools::REDIS.table,
    rule: pools::REDIS.rule,
    name_rule: pools::NAME_RULE,
    is_name: pools::is_name,
};

const SCHEMAS: Tables = Tables {
    key: schemas::TABLE,
    rule: schemas::TABLE_RULE,
    name_rule: schemas::NAME_RULE,
    is_name: schemas::is_name,
    has: |setting| schemas::keys().any(|key| key == setting),
    similar: schemas::similar,
};

impl File {
    /// Keeps the settings of the tables; their names.
    fn read_tables(
        &mut self,
        path: &Path,
        value: Value,
        kind: &Tables,
    ) -> Result<BTreeSet<String>, ConfigError> {
        let refused = |key: &str, reason: &str| ConfigError::Rejected {
            source_name: format!("{}: {key}", path.display()),
            reason: reason.to_owned(),
        };
        let Value::Table(tables) = value else {
            return Err(refused(kind.key, kind.rule));
        };
        let mut names = BTreeSet::new();
        for (name, value) in tables {
            let key = format!("{}.{name}", kind.key);
            let Value::Table(table) = value else {
                return Err(refused(&key, kind.rule));
            };
            if !(kind.is_name)(&name) {
                return Err(refused(&key, kind.name_rule));
            }
            for (setting, value) in table {
                let path_in_file = format!("{key}.{setting}");
                if !(kind.has)(&setting) {
                    return Err(unknown(path, path_in_file, (kind.similar)(&setting)));
                }
                let text = text_of(path, &path_in_file, value)?;
                self.values.insert(path_in_file, text);
            }
            names.insert(name);
        }
        Ok(names)
    }
}

fn read_websockets(path: &Path, value: Value) -> Result<BTreeMap<String, String>, ConfigError> {
    let refused = |key: &str| ConfigError::Rejected {
        source_name: format!("{}: {key}", path.display()),
        reason: websocket_keys::TABLE_RULE.to_owned(),
    };
    let Value::Table(table) = value else {
        return Err(refused(websocket_keys::TABLE));
    };
    let routes = table.into_iter().map(|(route, value)| match value {
        Value::String(function) => Ok((route, function)),
        _ => Err(refused(&format!("{}.{route:?}", websocket_keys::TABLE))),
    });
    routes.collect()
}

fn unknown(path: &Path, key: String, similar: Option<&'static str>) -> ConfigError {
    ConfigError::UnknownKey {
        file: path.to_owned(),
        key,
        similar,
    }
}

/// A table as a list would have it: `NAME=VALUE`, with commas.
fn list_of(path: &Path, name: &str, entries: toml::Table) -> Result<String, ConfigError> {
    let mut list = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let value = text_of(path, &format!("{name}.{key:?}"), value)?;
        let entry = format!("{key}={value}");
        if entry.contains(',') {
            return Err(ConfigError::Rejected {
                source_name: format!("{}: {name}", path.display()),
                reason: format!("{entry:?} must have no comma"),
            });
        }
        list.push(entry);
    }
    Ok(list.join(","))
}

/// A value as a flag would have it.
fn text_of(path: &Path, name: &str, value: Value) -> Result<String, ConfigError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(ConfigError::Invalid {
            source_name: format!("{}: {name}", path.display()),
            value: other.type_str().to_owned(),
            expected: "a text or a number",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error.replace(&path.display().to_string(), "puff.toml")
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert_eq!(
            error_of("bnd = '1'"),
            "puff.toml: unknown key \"bnd\" (did you mean \"bind\"?)"
        );
        assert_eq!(
            error_of("max-body = 1"),
            "puff.toml: unknown key \"max-body\" (did you mean \"max_body\"?)"
        );
        assert_eq!(error_of("colour = 'red'"), "puff.toml: unknown key \"colour\"");
    }

    #[test]
    fn broken_toml_names_the_line() {
        assert!(error_of("bind = '1'\nthreads = = 3\n").starts_with("puff.toml: line 2: "));
    }

    #[test]
    fn tables_are_no_values() {
        assert_eq!(
            error_of("[bind]\nhost = 1"),
            "puff.toml: bind: \"table\" is not a text or a number"
        );
    }

    #[test]
    fn pools_have_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, "[postgres.reports]\npool_size = 3\n[postgres.same]\n").unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.values["postgres.reports.pool_size"], "3");
        assert_eq!(file.pools.into_iter().collect::<Vec<_>>(), ["reports", "same"]);
    }

    #[test]
    fn schemas_have_tables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, "[graphql_schema.admin]\nclass = 'a:A'\nmax_depth = 3\n").unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.values["graphql_schema.admin.class"], "a:A");
        assert_eq!(file.values["graphql_schema.admin.max_depth"], "3");
        assert_eq!(file.schemas.into_iter().collect::<Vec<_>>(), ["admin"]);
        assert_eq!(
            error_of("[graphql_schema.admin]\nmax_deph = 1"),
            "puff.toml: unknown key \"graphql_schema.admin.max_deph\" (did you mean \"max_depth\"?)"
        );
        assert_eq!(
            error_of("[graphql_schema]\nclass = 'a:A'"),
            "puff.toml: graphql_schema.class: a schema is a table, [graphql_schema.NAME]; the default one has graphql \
             and its like"
        );
        assert!(error_of("[graphql_schema.default]").ends_with("which is the one without a name"));
    }

    #[test]
    fn websockets_have_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, "[websockets]\n\"/chat/{room}\" = 'chat:chat'\n").unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.websockets["/chat/{room}"], "chat:chat");
        let rule = "a table of paths and functions: \"/chat/{room}\" = \"chat.views:chat\"";
        assert_eq!(
            error_of("websockets = 1"),
            format!("puff.toml: websockets: {rule}")
        );
        assert_eq!(
            error_of("[websockets]\n'/a' = 1"),
            format!("puff.toml: websockets.\"/a\": {rule}")
        );
    }

    #[test]
    fn tables_that_are_no_pools() {
        let rule = "a pool is a table, [postgres.NAME]; the default one has postgres_url and its like";
        assert_eq!(
            error_of("[postgres]\npool_size = 3"),
            format!("puff.toml: postgres.pool_size: {rule}")
        );
        assert_eq!(
            error_of("postgres = 'postgres://localhost'"),
            format!("puff.toml: postgres: {rule}")
        );
        assert_eq!(
            error_of("[postgres.Reports]"),
            "puff.toml: postgres.Reports: the name of a pool is lower-case letters, digits and _, a letter first"
        );
        assert_eq!(
            error_of("[postgres.reports]\npool-siz = 1"),
            "puff.toml: unknown key \"postgres.reports.pool-siz\" (did you mean \"pool_size\"?)"
        );
        assert_eq!(
            error_of("[postgres.reports]\nurl = []"),
            "puff.toml: postgres.reports.url: \"array\" is not a text or a number"
        );
    }
}
