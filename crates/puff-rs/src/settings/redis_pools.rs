//! Settings of Redis' pools: those of the program's own, `redis_url`, and of those with a name, `redis.cache.url`.
//!
//! As with [`pools`](super::pools), one with a name is a table of `puff.toml`, `[redis.cache]`, or just a variable,
//! `PUFF_REDIS_CACHE_URL`, and has no flags.

use std::collections::BTreeSet;

use super::{keys, pools};

/// The key of `puff.toml` below which the named pools are.
pub(super) const TABLE: &str = "redis";

/// What a table of a pool may say; with `redis_` in front, the settings of the program's own pool.
pub(super) const KEYS: &[&str] = &[
    "url",
    "connections",
    "dedicated",
    "connect_timeout",
    "response_timeout",
];

/// What is wrong with a pool that is no table, or a table that is no pool.
pub(super) const TABLE_RULE: &str =
    "a pool is a table, [redis.NAME]; the default one has redis_url and its like";

/// The variable of a setting of a named pool, `redis.cache.url`; `None` if `path` is none.
///
/// No two have the same one, as in [`pools::variable`]: no key ends in `_` and another key.
pub(super) fn variable(path: &str) -> Option<String> {
    let (name, key) = path.strip_prefix(TABLE)?.strip_prefix('.')?.split_once('.')?;
    (pools::is_name(name) && KEYS.contains(&key))
        .then(|| format!("PUFF_{}", path.replace('.', "_").to_ascii_uppercase()))
}

/// The names of the pools whose URLs are among `variables`.
pub(super) fn named_by<'a>(variables: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    variables
        .filter_map(|variable| {
            let name = variable.strip_prefix("PUFF_REDIS_")?.strip_suffix("_URL")?;
            Some(name.to_ascii_lowercase())
        })
        .filter(|name| pools::is_name(name))
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
            variable("redis.cache.url").as_deref(),
            Some("PUFF_REDIS_CACHE_URL")
        );
        for wrong in ["redis", "redis.a", "redis.a.b", "redis.A.url"] {
            assert_eq!(variable(wrong), None, "{wrong}");
        }
        let names = ["cache", "url", "connect", "response", "dedicated", "pool"];
        let named = names.iter().flat_map(|name| {
            let path = move |key: &&str| variable(&format!("redis.{name}.{key}")).unwrap();
            KEYS.iter().map(path)
        });
        let all: Vec<String> = named.chain(keys::all_keys().map(keys::Key::variable)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_own_pool_has_the_same_keys() {
        for key in KEYS {
            assert!(keys::find(&format!("redis_{key}")).is_some(), "{key}");
        }
    }

    #[test]
    fn variables_name_pools() {
        let variables = [
            "PUFF_REDIS_CACHE_URL",
            "PUFF_REDIS_URL",
            "REDIS_OTHER_URL",
            "PUFF_REDIS__URL",
        ]
        .map(str::to_owned);
        assert_eq!(named_by(variables.iter()), BTreeSet::from(["cache".to_owned()]));
    }
}
