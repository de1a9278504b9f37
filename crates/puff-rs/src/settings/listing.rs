//! All settings as text, each with where it comes from; for `--print-config`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Settings, keys, pools, schemas};

impl Settings {
    /// Every setting in the form of `puff.toml`, with its source or its default behind it. Passwords are not
    /// shown.
    pub(crate) fn listing(&self) -> String {
        let mut text = String::new();
        for key in keys::all_keys() {
            self.list(&mut text, key.name, key.default.unwrap_or("not set"));
        }
        for pools in [pools::POSTGRES, pools::REDIS] {
            let table = pools.table;
            for name in self.names(table, pools.named_by(self.environment.keys())) {
                for key in pools.keys {
                    self.list(&mut text, &format!("{table}.{name}.{key}"), "the pool's default");
                }
            }
        }
        for name in self.names(schemas::TABLE, schemas::named_by(self.environment.keys())) {
            for key in schemas::keys() {
                let default = match key {
                    "class" | "path" => "not set".to_owned(),
                    key => format!("as graphql_{key}"),
                };
                self.list(&mut text, &format!("{}.{name}.{key}", schemas::TABLE), &default);
            }
        }
        text
    }

    /// The names of the tables below `table`: those of the file, of the program, and `variables`.
    fn names(&self, table: &str, variables: BTreeSet<String>) -> BTreeSet<String> {
        let mut names = variables;
        let keys = self.file.values.keys().chain(self.program.keys());
        names.extend(keys.filter_map(|key| {
            let (name, _) = key.strip_prefix(table)?.strip_prefix('.')?.split_once('.')?;
            Some(name.to_owned())
        }));
        names
    }

    fn list(&self, text: &mut String, name: &str, default: &str) {
        // Writing to a string does not fail.
        let _ = match self.find(name) {
            Some((value, source)) => {
                let source = source.trim_end_matches(&format!(": {name}")).to_owned();
                let value = toml::Value::String(shown(name, value));
                writeln!(text, "{name} = {value}  # {source}")
            }
            None => writeln!(text, "# {name}: {default}"),
        };
    }
}

/// A value without its password.
fn shown(name: &str, value: &str) -> String {
    if !name.ends_with("url") {
        return value.to_owned();
    }
    match url::Url::parse(value) {
        Ok(mut url) => {
            if url.password().is_some() {
                // An error means that the URL cannot have a password.
                let _ = url.set_password(Some("***"));
            }
            if url.query().is_some_and(|query| query.contains("password")) {
                url.set_query(Some("***"));
            }
            url.into()
        }
        // One with several hosts is none, and may have a password all the same.
        Err(_) if value.contains("password") || value.contains('@') => "***".to_owned(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CONFIG_FILE;

    #[test]
    fn values_have_sources_and_no_passwords() {
        let dir = tempfile::tempdir().unwrap();
        let text = "threads = 3\n[postgres.reports]\nurl = 'host=db password=hush'\n";
        std::fs::write(dir.path().join(CONFIG_FILE), text).unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = [
            variable("PUFF_POSTGRES_URL", "postgres://me:hush@db/shop"),
            variable("REDIS_URL", "redis://db/0?password=hush"),
        ];
        let settings = Settings::load(environment, None, dir.path()).unwrap();
        let listing = settings.listing();
        let file = dir.path().join(CONFIG_FILE).display().to_string();
        assert!(!listing.contains("hush"), "{listing}");
        for line in [
            format!("threads = \"3\"  # {file}"),
            format!("postgres.reports.url = \"***\"  # {file}"),
            "postgres_url = \"postgres://me:***@db/shop\"  # PUFF_POSTGRES_URL".to_owned(),
            "redis_url = \"redis://db/0?***\"  # REDIS_URL".to_owned(),
            "# bind: 127.0.0.1:8000".to_owned(),
        ] {
            assert!(listing.lines().any(|found| found == line), "{line}\n{listing}");
        }
    }
}
