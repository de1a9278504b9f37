//! What can go wrong between the command line and the first request, as data.
//!
//! [`ConfigError`] is the user's input: one line, exit status 2. [`ProgramError`] is everything that keeps
//! a program from starting; it knows its exit status and prints as one line without our own traceback.

use std::path::PathBuf;

/// An error of any kind, for handlers and futures that only pass it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A setting, an option or a file that the user has to correct.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that does not parse; `source_name` is the flag, the variable or the key that brought it.
    #[error("{source_name}: {value:?} is not {expected}")]
    Invalid {
        /// The flag, environment variable or key in the file.
        source_name: String,
        /// What was given.
        value: String,
        /// What would be right, for example "a whole number".
        expected: &'static str,
    },
    /// A value that parses but cannot be used, and that may hold a secret, so that it is not shown.
    #[error("{source_name}: {reason}")]
    Rejected {
        /// The flag, environment variable or key in the file.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key in the file that no command knows.
    #[error("{}: unknown key {key:?}{}", file.display(), suggestion(*.similar))]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key as written.
        key: String,
        /// A known key that is spelled alike.
        similar: Option<&'static str>,
    },
    /// The file is not there, cannot be read or is not TOML.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The system's or the parser's message, on one line.
        reason: String,
    },
    /// The command line itself: unknown flag, missing argument, unknown command.
    #[error("{0}")]
    Usage(String),
    /// A setting that the command cannot do without.
    #[error("{0}")]
    Missing(String),
}

fn suggestion(similar: Option<&'static str>) -> String {
    similar
        .map(|key| format!(" (did you mean {key:?}?)"))
        .unwrap_or_default()
}

/// Why a program did not start or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The user's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address to listen on is not to be had.
    #[error("cannot listen on {address}: {}", listen_reason(.error))]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A service (PostgreSQL, Redis, pub-sub) that the program asked for did not answer or did not start.
    #[error("{0}")]
    Service(String),
    /// The interpreter did not start.
    #[error("cannot start Python: {0}")]
    Interpreter(String),
    /// A module, an attribute or a schema that the program names does not exist or is not right.
    #[error("{0}")]
    Load(String),
    /// User code raised while the program was starting; its traceback has been printed.
    #[error("{context}")]
    Raised {
        /// What the program was doing, for example "importing demo.app".
        context: String,
    },
    /// Ctrl-C or SIGTERM while the program was starting; the number of the signal.
    #[error("interrupted")]
    Interrupted(u8),
    /// The system refused something that a program takes for granted.
    #[error("{context}: {error}")]
    System {
        /// What was asked for.
        context: &'static str,
        /// The answer.
        error: std::io::Error,
    },
    /// A command's own failure.
    #[error("{0}")]
    Failed(String),
}

impl ProgramError {
    /// The exit status that this error ends the process with: 2 for what the user can correct before
    /// starting again, 1 for failures of code, 128 + signal for an interruption.
    pub fn exit_status(&self) -> u8 {
        match self {
            ProgramError::Config(_)
            | ProgramError::Listen { .. }
            | ProgramError::Service(_)
            | ProgramError::Interpreter(_)
            | ProgramError::Load(_) => 2,
            ProgramError::Raised { .. } | ProgramError::System { .. } | ProgramError::Failed(_) => 1,
            ProgramError::Interrupted(signal) => 128 + (signal & 0x7f),
        }
    }
}

fn listen_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => {
            "address already in use (another program uses this port; choose one with --bind)".to_owned()
        }
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        ErrorKind::PermissionDenied => {
            "permission denied (ports below 1024 are the system's; choose another with --bind)".to_owned()
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address (choose one with --bind)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let error = ProgramError::Listen {
            address: "127.0.0.1:8000".into(),
            error: std::io::ErrorKind::AddrInUse.into(),
        };
        assert_eq!(
            error.to_string(),
            "cannot listen on 127.0.0.1:8000: address already in use (another program uses this port; choose \
             one with --bind)"
        );
        assert_eq!(error.exit_status(), 2);
    }
}
