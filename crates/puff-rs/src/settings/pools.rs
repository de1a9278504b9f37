//! Settings of PostgreSQL's pools: those of the program's own, `postgres_url`, and of those with a name,
//! `postgres.reports.url`.
//!
//! A named pool is a table of `puff.toml`, `[postgres.reports]`, or just a variable,
//! `PUFF_POSTGRES_REPORTS_URL`. It has no flags: a command line is read before the file is, and could not tell
//! a flag of a pool from a misspelt one.

use std::collections::BTreeSet;

use super::keys;

/// The key of `puff.toml` below which the named pools are.
pub(super) const TABLE: &str = "postgres";

/// What a table of a pool may say; with `postgres_` in front, the settings of the program's own pool.
pub(super) const KEYS: &[&str] = &[
    "url",
    "pool_size",
    "min_size",
    "acquire_timeout",
    "max_lifetime",
    "idle_timeout",
];

/// What is wrong with a pool that is no table, or a table that is no pool.
pub(super) const TABLE_RULE: &str =
    "a pool is a table, [postgres.NAME]; the default one has postgres_url and its like";

/// What is wrong with a name that [`is_name`] refuses.
pub(super) const NAME_RULE: &str = "the name of a pool is lower-case letters, digits and _, a letter first";

/// Whether a pool, or a schema, may be called so: what can be part of a variable's name, and is the same there.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The variable of a setting of a named pool, `postgres.reports.url`; `None` if `path` is none.
///
/// No two have the same one, and none has that of another setting: no key ends in `_` and another key.
pub(super) fn variable(path: &str) -> Option<String> {
    let (name, key) = path.strip_prefix(TABLE)?.strip_prefix('.')?.split_once('.')?;
    (is_name(name) && KEYS.contains(&key))
        .then(|| format!("PUFF_{}", path.replace('.', "_").to_ascii_uppercase()))
}

/// The names of the pools whose URLs are among `variables`.
pub(super) fn named_by<'a>(variables: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    variables
        .filter_map(|variable| {
            let name = variable.strip_prefix("PUFF_POSTGRES_")?.strip_suffix("_URL")?;
            Some(name.to_ascii_lowercase())
        })
        .filter(|name| is_name(name))
        .collect()
}

/// The key of a pool's table that `key` may be a misspelling of.
pub(super) fn similar(key: &str) -> Option<&'static str> {
    keys::most_similar(key, KEYS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_variable_of_its_own() {
        assert_eq!(
            variable("postgres.reports.max_lifetime").as_deref(),
            Some("PUFF_POSTGRES_REPORTS_MAX_LIFETIME")
        );
        for wrong in [
            "postgres",
            "postgres.a",
            "postgres.a.b",
            "postgres.A.url",
            "redis.a.url",
        ] {
            assert_eq!(variable(wrong), None, "{wrong}");
        }
        let names = ["pool", "min", "url", "a", "a_url", "a_min", "acquire"];
        let named = names.iter().flat_map(|name| {
            let path = move |key: &&str| variable(&format!("postgres.{name}.{key}")).unwrap();
            KEYS.iter().map(path)
        });
        let all: Vec<String> = named.chain(keys::all_keys().map(keys::Key::variable)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_own_pool_has_the_same_keys() {
        for key in KEYS {
            assert!(keys::find(&format!("postgres_{key}")).is_some(), "{key}");
        }
    }

    #[test]
    fn variables_name_pools() {
        let variables = [
            "PUFF_POSTGRES_REPORTS_URL",
            "PUFF_POSTGRES_URL",
            "PUFF_POSTGRES_POOL_SIZE",
            "PUFF_POSTGRES_2_URL",
            "POSTGRES_OTHER_URL",
            "PUFF_POSTGRES__URL",
        ]
        .map(str::to_owned);
        assert_eq!(named_by(variables.iter()), BTreeSet::from(["reports".to_owned()]));
    }
}
