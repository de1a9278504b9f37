//! Settings from four layers: flags, environment variables, `puff.toml`, the program's own code.
//!
//! A value in an earlier layer wins; an environment variable that is set but empty counts as not set.
//! All of it is read once, at the start, and handed on as values: nothing below asks the environment.

mod file;
mod graphql_keys;
pub mod keys;
mod listing;
mod log_keys;
mod pools;
mod process_keys;
mod pubsub_keys;
mod schemas;
mod server_keys;
mod static_keys;
mod value;
mod websocket_keys;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use puff_core::Environment;

pub use file::CONFIG_FILE;
pub(crate) use schemas::SchemaSettings;
pub use value::{BindAddress, ByteSize, Count, SettingValue};

use self::pools::Pools;
use crate::errors::ConfigError;

/// The layers of one run, read but not yet interpreted.
#[derive(Debug, Default, Clone)]
pub struct Settings {
    flags: HashMap<&'static str, String>,
    environment: HashMap<String, String>,
    file: file::File,
    file_path: PathBuf,
    /// Whether somebody has named the file, which must exist then.
    file_named: bool,
    program: HashMap<String, String>,
    /// The schemas that the program's code names, and how often it names them.
    program_schemas: BTreeMap<String, usize>,
}

impl Settings {
    /// Settings of `environment` and of the file.
    ///
    /// The file is `explicit_file` if given (it must exist then), else `PUFF_CONFIG` likewise, else
    /// `puff.toml` in `directory` if there is one.
    ///
    /// # Errors
    /// A file that is missing, unreadable, not TOML, or that has a key no command knows.
    pub fn load(
        environment: impl IntoIterator<Item = (String, String)>,
        explicit_file: Option<&str>,
        directory: &Path,
    ) -> Result<Settings, ConfigError> {
        let environment: HashMap<_, _> = environment
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let named = explicit_file
            .or(environment.get("PUFF_CONFIG").map(String::as_str))
            .map(PathBuf::from);
        let file_path = named.clone().unwrap_or_else(|| directory.join(CONFIG_FILE));
        let file = file_of(&file_path, named.is_some())?;
        Ok(Settings {
            environment,
            file,
            file_path,
            file_named: named.is_some(),
            ..Settings::default()
        })
    }

    /// The same layers with the file as it is now; the environment of a process does not change.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn reread(&self) -> Result<Settings, ConfigError> {
        Ok(Settings {
            file: file_of(&self.file_path, self.file_named)?,
            ..self.clone()
        })
    }

    /// The file of settings, whether it exists or not.
    pub(crate) fn file_path(&self) -> &Path {
        &self.file_path
    }

    /// Adds the flags that clap found; `matches` may lack any of the known options.
    pub fn with_flags(mut self, matches: &ArgMatches) -> Settings {
        for key in keys::all_keys() {
            if let Ok(Some(values)) = matches.try_get_many::<String>(key.name) {
                let all: Vec<&str> = values.map(String::as_str).collect();
                self.flags.insert(key.name, all.join(","));
            }
        }
        self
    }

    /// Sets a value as if its flag had been given, for what a command line says in other words.
    pub(crate) fn with_flag(mut self, name: &'static str, value: impl Into<String>) -> Settings {
        self.flags.insert(name, value.into());
        self
    }

    /// Sets the value that the program's code gives to `name`, the weakest layer.
    pub fn with_program_value(mut self, name: &str, value: Option<String>) -> Settings {
        if let Some(value) = value {
            self.program.insert(name.to_owned(), value);
        }
        self
    }

    /// The names of the PostgreSQL pools beside the default one: of the file's tables, of variables such as
    /// `PUFF_POSTGRES_REPORTS_URL`, and those that the `program` has.
    ///
    /// # Errors
    /// A name of the program's that no pool may have.
    pub fn pools(&self, program: &BTreeSet<String>) -> Result<BTreeSet<String>, ConfigError> {
        self.pools_of(&pools::POSTGRES, &self.file.pools, program)
    }

    /// The names of the Redis pools beside the default one, likewise.
    ///
    /// # Errors
    /// As [`Settings::pools`].
    pub fn redis_pools(&self, program: &BTreeSet<String>) -> Result<BTreeSet<String>, ConfigError> {
        self.pools_of(&pools::REDIS, &self.file.redis_pools, program)
    }

    fn pools_of(
        &self,
        pools: &Pools,
        tables: &BTreeSet<String>,
        program: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ConfigError> {
        if let Some(wrong) = program.iter().find(|name| !pools::is_name(name)) {
            return Err(ConfigError::Rejected {
                source_name: format!("the program's {}.{wrong}", pools.table),
                reason: pools::NAME_RULE.to_owned(),
            });
        }
        let mut names = pools.named_by(self.environment.keys());
        names.extend(tables.iter().chain(program).cloned());
        Ok(names)
    }

    /// The paths and functions of the file's table `[websockets]`, and how an error names it.
    pub fn websockets(&self) -> (&BTreeMap<String, String>, String) {
        let place = format!("{}: {}", self.file_path.display(), websocket_keys::TABLE);
        (&self.file.websockets, place)
    }

    /// The value of the setting `name`, `None` if no layer has one. Those of a named pool or schema are written as
    /// in the file: `postgres.reports.url`.
    ///
    /// # Errors
    /// A value that does not parse; the message names the flag, the variable or the file it came from.
    pub fn get<T: SettingValue>(&self, name: &str) -> Result<Option<T>, ConfigError> {
        let Some((text, source)) = self.find(name) else {
            return Ok(None);
        };
        match T::parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError::Invalid {
                source_name: source,
                value: text.to_owned(),
                expected: T::EXPECTED,
            }),
        }
    }

    /// The value of the setting `name`, or `default`.
    ///
    /// # Errors
    /// As [`Settings::get`].
    pub fn get_or<T: SettingValue>(&self, name: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// The value of the setting `name` as `parse` understands it. For values with secrets: an error shows what
    /// `parse` says, not the value.
    ///
    /// # Errors
    /// What `parse` says, with the name of the source.
    pub fn get_with<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, source_name)) = self.find(name) else {
            return Ok(None);
        };
        parse(text.trim())
            .map(Some)
            .map_err(|error| ConfigError::Rejected {
                source_name,
                reason: error.to_string(),
            })
    }

    /// Whether any layer has a value for the setting `name`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether the program runs in production, as `PUFF_ENV` says.
    pub fn is_production(&self) -> bool {
        Environment::parse(self.variable("PUFF_ENV")).is_production()
    }

    /// Whether the user has nothing against colours on a terminal (no-color.org).
    pub fn has_colours(&self) -> bool {
        self.variable("NO_COLOR").is_none() && self.variable("TERM") != Some("dumb")
    }

    /// The environment variable `name`, if it is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    fn find(&self, name: &str) -> Option<(&str, String)> {
        let variables = match keys::find(name) {
            Some(key) => {
                if let Some(text) = self.flags.get(name) {
                    return Some((text, format!("--{}", key.flag())));
                }
                [Some(key.variable()), key.fallback_variable.map(str::to_owned)]
            }
            None => [
                Some(pools::variable(name).or_else(|| schemas::variable(name))?),
                None,
            ],
        };
        for variable in variables.into_iter().flatten() {
            if let Some(text) = self.environment.get(&variable) {
                return Some((text, variable));
            }
        }
        if let Some(text) = self.file.values.get(name) {
            return Some((text, format!("{}: {name}", self.file_path.display())));
        }
        self.program
            .get(name)
            .map(|text| (text.as_str(), format!("the program's {name}")))
    }
}

fn file_of(path: &Path, named: bool) -> Result<file::File, ConfigError> {
    if named || path.exists() {
        file::read(path)
    } else {
        Ok(file::File::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn matches(args: &[&str]) -> ArgMatches {
        let command = keys::all_keys().fold(clap::Command::new("t"), |command, key| command.arg(key.arg()));
        command.get_matches_from(args)
    }

    #[test]
    fn flags_beat_variables_beat_the_file_beats_the_program() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(CONFIG_FILE),
            "bind = '127.0.0.1:3'\nthreads = 3\nmax_body = '3k'\n",
        )
        .unwrap();
        let settings = Settings::load(
            environment(&[("PUFF_BIND", "127.0.0.1:2"), ("PUFF_THREADS", "2")]),
            None,
            dir.path(),
        )
        .unwrap()
        .with_flags(&matches(&["t", "--bind", "127.0.0.1:1"]))
        .with_program_value("max_requests", Some("4".into()))
        .with_program_value("threads", Some("4".into()));
        let bind: BindAddress = settings.get("bind").unwrap().unwrap();
        assert_eq!(bind.socket_addr().port(), 1);
        assert_eq!(settings.get::<usize>("threads").unwrap(), Some(2));
        assert_eq!(
            settings.get::<ByteSize>("max_body").unwrap(),
            Some(ByteSize(3072))
        );
        assert_eq!(settings.get::<usize>("max_requests").unwrap(), Some(4));
        assert_eq!(settings.get::<String>("wsgi").unwrap(), None);
    }

    #[test]
    fn lists_are_flags_or_tables() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[static]\n'/static' = 'public'\n'/media' = 'up/loads'\n";
        std::fs::write(dir.path().join(CONFIG_FILE), text).unwrap();
        let settings = Settings::load(environment(&[]), None, dir.path()).unwrap();
        let list = |settings: &Settings| settings.get::<String>("static").unwrap();
        assert_eq!(list(&settings).as_deref(), Some("/media=up/loads,/static=public"));
        let flags = matches(&["t", "--static", "/a=b", "--static", "/c=d"]);
        assert_eq!(list(&settings.with_flags(&flags)).as_deref(), Some("/a=b,/c=d"));
    }

    #[test]
    fn the_usual_variables_are_the_second_choice() {
        let dir = tempfile::tempdir().unwrap();
        let both = environment(&[
            ("DATABASE_URL", "postgres://other"),
            ("PUFF_POSTGRES_URL", "postgres://own"),
        ]);
        let settings = Settings::load(both, None, dir.path()).unwrap();
        assert_eq!(
            settings.get::<String>("postgres_url").unwrap().as_deref(),
            Some("postgres://own")
        );
        let one = environment(&[("DATABASE_URL", "postgres://other"), ("PUFF_POSTGRES_URL", " ")]);
        let settings = Settings::load(one, None, dir.path()).unwrap();
        assert_eq!(
            settings.get::<String>("postgres_url").unwrap().as_deref(),
            Some("postgres://other")
        );
    }

    #[test]
    fn a_wrong_value_names_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let from_variable =
            Settings::load(environment(&[("PUFF_THREADS", "many")]), None, dir.path()).unwrap();
        let error = from_variable.get::<usize>("threads").unwrap_err().to_string();
        assert_eq!(error, "PUFF_THREADS: \"many\" is not a whole number above 0");
        let from_flag = Settings::default().with_flags(&matches(&["t", "--threads", "0"]));
        let error = from_flag.get::<usize>("threads").unwrap_err().to_string();
        assert_eq!(error, "--threads: \"0\" is not a whole number above 0");
    }

    #[test]
    fn a_named_file_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let named = environment(&[("PUFF_CONFIG", "/nonexistent/puff.toml")]);
        let error = Settings::load(named, None, dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/puff.toml: "), "{error}");
        assert!(Settings::load(environment(&[]), Some("nothing.toml"), dir.path()).is_err());
    }

    #[test]
    fn pools_have_names_and_layers() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[postgres.reports]\nurl = 'file'\npool_size = 3\nmin_size = 0";
        std::fs::write(dir.path().join(CONFIG_FILE), text).unwrap();
        let variables = environment(&[
            ("PUFF_POSTGRES_REPORTS_URL", "variable"),
            ("PUFF_POSTGRES_OTHER_URL", "other"),
        ]);
        let settings = Settings::load(variables, None, dir.path())
            .unwrap()
            .with_program_value("postgres.reports.pool_size", Some("5".into()))
            .with_program_value("postgres.own.pool_size", Some("none".into()));
        let own = BTreeSet::from(["own".to_owned()]);
        let names: Vec<_> = settings.pools(&own).unwrap().into_iter().collect();
        assert_eq!(names, ["other", "own", "reports"]);
        let url: Option<String> = settings.get("postgres.reports.url").unwrap();
        assert_eq!(url.as_deref(), Some("variable"));
        assert_eq!(settings.get("postgres.reports.pool_size").unwrap(), Some(3_usize));
        assert_eq!(settings.get("postgres.reports.min_size").unwrap(), Some(Count(0)));
        assert_eq!(
            settings.get::<usize>("postgres.reports.idle_timeout").unwrap(),
            None
        );
        let error = settings.get::<usize>("postgres.own.pool_size").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program's postgres.own.pool_size: \"none\" is not a whole number above 0"
        );
        let error = settings.pools(&BTreeSet::from(["My-DB".to_owned()])).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the program's postgres.My-DB: the name"),
            "{error}"
        );
    }
}
