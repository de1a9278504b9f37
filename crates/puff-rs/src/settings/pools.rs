//! Settings of pools: those of the program's own, `postgres_url`, and of those with a name, `postgres.reports.url`.
//!
//! A named pool is a table of `puff.toml`, `[postgres.reports]`, or just a variable,
//! `PUFF_POSTGRES_REPORTS_URL`. It has no flags: a command line is read before the file is, and could not tell
//! a flag of a pool from a misspelt one.

use std::collections::BTreeSet;

use super::keys;

/// The pools of one service.
pub(super) struct Pools {
    /// The key of `puff.toml` below which the named pools are.
    pub(super) table: &'static str,
    /// What a table of a pool may say; with the table's name and `_` in front, the settings of the program's own pool.
    pub(super) keys: &'static [&'static str],
    /// What is wrong with a pool that is no table, or a table that is no pool.
    pub(super) rule: &'static str,
}

/// PostgreSQL's.
pub(super) const POSTGRES: Pools = Pools {
    table: "postgres",
    keys: &[
        "url",
        "pool_size",
        "min_size",
        "acquire_timeout",
        "max_lifetime",
        "idle_timeout",
    ],
    rule: "a pool is a table, [postgres.NAME]; the default one has postgres_url and its like",
};

/// Redis'.
pub(super) const REDIS: Pools = Pools {
    table: "redis",
    keys: &[
        "url",
        "connections",
        "dedicated",
        "connect_timeout",
        "response_timeout",
    ],
    rule: "a pool is a table, [redis.NAME]; the default one has redis_url and its like",
};

/// What is wrong with a name that [`is_name`] refuses.
pub(super) const NAME_RULE: &str = "the name of a pool is lower-case letters, digits and _, a letter first";

/// Whether a pool, or a schema, may be called so: what can be part of a variable's name, and is the same there.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The variable of a setting of a named pool of any service, `postgres.reports.url`; `None` if `path` is none.
pub(super) fn variable(path: &str) -> Option<String> {
    [POSTGRES, REDIS].iter().find_map(|pools| pools.variable(path))
}

impl Pools {
    /// The variable of a setting of a named pool of this service.
    ///
    /// No two have the same one, and none has that of another setting: no key ends in `_` and another key.
    fn variable(&self, path: &str) -> Option<String> {
        let (name, key) = path
            .strip_prefix(self.table)?
            .strip_prefix('.')?
            .split_once('.')?;
        (is_name(name) && self.keys.contains(&key))
            .then(|| format!("PUFF_{}", path.replace('.', "_").to_ascii_uppercase()))
    }

    /// The names of the pools whose URLs are among `variables`.
    pub(super) fn named_by<'a>(&self, variables: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
        let prefix = format!("PUFF_{}_", self.table.to_ascii_uppercase());
        variables
            .filter_map(|variable| {
                let name = variable.strip_prefix(&prefix)?.strip_suffix("_URL")?;
                Some(name.to_ascii_lowercase())
            })
            .filter(|name| is_name(name))
            .collect()
    }

    /// The key of a pool's table that `key` may be a misspelling of.
    pub(super) fn similar(&self, key: &str) -> Option<&'static str> {
        keys::most_similar(key, self.keys.iter().copied())
    }
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
        assert_eq!(
            variable("redis.cache.url").as_deref(),
            Some("PUFF_REDIS_CACHE_URL")
        );
        for service in ["postgres", "redis", "memcached"] {
            for wrong in ["", ".a", ".a.b", ".A.url"] {
                assert_eq!(variable(&format!("{service}{wrong}")), None, "{service}{wrong}");
            }
        }
        assert_eq!(variable("memcached.a.url"), None);
        assert_eq!(POSTGRES.variable("redis.a.url"), None);
        let names = [
            "pool",
            "min",
            "url",
            "a",
            "a_url",
            "a_min",
            "acquire",
            "cache",
            "connect",
            "response",
            "dedicated",
        ];
        let named = [POSTGRES, REDIS].into_iter().flat_map(|pools| {
            names.into_iter().flat_map(move |name| {
                let path = move |key: &&str| variable(&format!("{}.{name}.{key}", pools.table)).unwrap();
                pools.keys.iter().map(path)
            })
        });
        let all: Vec<String> = named.chain(keys::all_keys().map(keys::Key::variable)).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_own_pool_has_the_same_keys() {
        for pools in [POSTGRES, REDIS] {
            for key in pools.keys {
                let name = format!("{}_{key}", pools.table);
                assert!(keys::find(&name).is_some(), "{name}");
            }
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
            "PUFF_REDIS_CACHE_URL",
            "PUFF_REDIS_URL",
            "REDIS_OTHER_URL",
            "PUFF_REDIS__URL",
        ]
        .map(str::to_owned);
        for (pools, name) in [(POSTGRES, "reports"), (REDIS, "cache")] {
            assert_eq!(
                pools.named_by(variables.iter()),
                BTreeSet::from([name.to_owned()])
            );
        }
    }
}
