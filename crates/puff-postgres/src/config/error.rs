//! What a connection string can do wrong.

use std::path::PathBuf;

/// What is wrong with a connection string, an environment variable or a service file. No message contains a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text cannot be read as a URL.
    #[error("not a PostgreSQL URL: {0}; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url(String),
    /// The text cannot be read as key-value pairs.
    #[error("not a PostgreSQL connection string: {0}; expected a URL or pairs such as host=... user=...")]
    Pairs(String),
    /// A key that has no meaning here.
    #[error("unknown connection parameter \"{key}\"{}", did_you_mean(.nearest))]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// A known key that looks like it.
        nearest: Option<&'static str>,
    },
    /// A value that its key cannot have.
    #[error("{key} cannot be \"{value}\": {reason}")]
    Value {
        /// The key, with the variable or file it comes from.
        key: String,
        /// The value; three dots if it must not be shown.
        value: String,
        /// What would be right.
        reason: String,
    },
    /// Lists of hosts, addresses and ports that do not match.
    #[error("{hosts} hosts cannot have {others} {what}: give one for each, in the same order")]
    Lists {
        /// How many hosts there are.
        hosts: usize,
        /// How many of the other list.
        others: usize,
        /// The other list.
        what: &'static str,
    },
    /// No user is given, and the system does not know who runs the program.
    #[error("no user is given: write postgres://USER@... or user=...")]
    NoUser,
    /// Something this client does not do.
    #[error("{key}={value} is not supported{advice}")]
    Unsupported {
        /// The key.
        key: String,
        /// The value; three dots if it must not be shown.
        value: String,
        /// Why, or what to do instead; begins with a separator.
        advice: &'static str,
    },
    /// A service that no file defines.
    #[error("the service \"{service}\" is not defined{}", looked_at(.files))]
    UnknownService {
        /// Its name.
        service: String,
        /// The files that were looked at.
        files: Vec<PathBuf>,
    },
    /// A service file that cannot be read.
    #[error("the service file {} cannot be used: {reason}", .file.display())]
    ServiceFile {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

fn did_you_mean(nearest: &Option<&'static str>) -> String {
    nearest.map_or(String::new(), |known| format!("; did you mean \"{known}\"?"))
}

fn looked_at(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return ": no service file is known; name it by servicefile=PATH".to_owned();
    }
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    format!(" in {}", files.join(" or "))
}
