//! What surrounds a connection string: variables, the home directory, service files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::parameter::Parameter;

/// What a connection string may lean on: libpq's environment variables and files in the home directory.
///
/// Reading them is a decision of the program: [`Config`](crate::Config)'s `FromStr` leans on nothing.
///
/// ```
/// use puff_postgres::{Ambient, Config};
///
/// let ambient = Ambient::default().with_variable("PGHOST", "db.example.com").with_variable("PGUSER", "ada");
/// let config = Config::parse_in("dbname=shop", &ambient)?;
/// assert_eq!(config.address(), "db.example.com:5432");
/// # Ok::<(), puff_postgres::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Ambient {
    variables: HashMap<String, String>,
    home: Option<PathBuf>,
    socket_directories: Vec<PathBuf>,
}

impl Ambient {
    /// This process' environment and home directory, and the usual directories of PostgreSQL's sockets.
    pub fn from_env() -> Self {
        let known = |name: &str| {
            name == "PGSYSCONFDIR"
                || Parameter::all()
                    .iter()
                    .any(|parameter| parameter.variable == Some(name))
        };
        let text = std::env::vars_os().filter_map(|(name, value)| {
            // A value that is no UTF-8 cannot be sent as a parameter; what does not parse is not used.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self {
            variables: text.filter(|(name, _)| known(name)).collect(),
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            socket_directories: vec!["/var/run/postgresql".into(), "/tmp".into()],
        }
    }

    /// Adds or replaces a variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the home directory, where `.pgpass`, `.pg_service.conf` and `.postgresql/` are looked for.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// A variable's value; empty ones count as not set, as with libpq.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A file below the home directory, if it exists.
    pub(super) fn home_file(&self, name: &str) -> Option<PathBuf> {
        let path = self.home.as_ref()?.join(name);
        path.exists().then_some(path)
    }

    /// The directory with the socket of a server on this machine that has this port's number.
    pub(super) fn socket_directory(&self, port: u16) -> Option<PathBuf> {
        let socket = format!(".s.PGSQL.{port}");
        let mut directories = self.socket_directories.iter();
        directories
            .find(|directory| directory.join(&socket).exists())
            .cloned()
    }

    /// The keys and values of a service, and the file that has them.
    pub(super) fn service(
        &self,
        service: &str,
        file: Option<&str>,
    ) -> Result<(PathBuf, Vec<(String, String)>), ConfigError> {
        let mut files = Vec::new();
        match file {
            // A file that was named must be there; the usual ones may be missing.
            Some(file) => files.push((PathBuf::from(file), true)),
            None => {
                files.extend(self.home_file(".pg_service.conf").map(|file| (file, false)));
                let system = self.variable("PGSYSCONFDIR").map(PathBuf::from);
                let usual = self.home.as_ref().map(|_| "/etc/postgresql-common".into());
                files.extend(
                    system
                        .or(usual)
                        .map(|folder| (folder.join("pg_service.conf"), false)),
                );
            }
        }
        for (file, required) in &files {
            if !required && !file.exists() {
                continue;
            }
            let text = std::fs::read_to_string(file).map_err(|error| ConfigError::ServiceFile {
                file: file.clone(),
                reason: error.to_string(),
            })?;
            if let Some(pairs) = section(&text, service, file)? {
                return Ok((file.clone(), pairs));
            }
        }
        Err(ConfigError::UnknownService {
            service: service.to_owned(),
            files: files.into_iter().map(|(file, _)| file).collect(),
        })
    }
}

/// Shows names only: a variable may be a password.
impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let variables: std::collections::BTreeSet<_> = self.variables.keys().collect();
        f.debug_struct("Ambient")
            .field("variables", &variables)
            .field("home", &self.home)
            .finish()
    }
}

/// The lines `key=value` below `[service]`; `None` if there is no such heading.
fn section(text: &str, service: &str, file: &Path) -> Result<Option<Vec<(String, String)>>, ConfigError> {
    let broken = |line: usize, what: &str| ConfigError::ServiceFile {
        file: file.to_owned(),
        reason: format!("line {}: {what}", line + 1),
    };
    let mut found = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            let heading = heading
                .strip_suffix(']')
                .ok_or_else(|| broken(number, "a heading has no ]"))?;
            found = (heading == service).then(Vec::new);
        } else if let Some(pairs) = &mut found {
            if line.starts_with("ldap://") {
                return Err(broken(number, "LDAP is not supported"));
            }
            // The line may hold a password: it is not repeated.
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| broken(number, "there is no ="))?;
            if matches!(key, "service" | "servicefile") {
                return Err(broken(number, "a service cannot name another"));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(found)
}
