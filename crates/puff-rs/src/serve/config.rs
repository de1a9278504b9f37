//! Which processes serve, and when one is replaced.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::stat::{Mode, umask};

use super::account::Account;
use super::pid_file::PidFile;
use crate::errors::{ConfigError, ProgramError};
use crate::settings::{ByteSize, SettingValue, Settings};

/// The resolved settings of a server's processes.
#[derive(Debug, Clone)]
pub(crate) struct ProcessConfig {
    /// How many workers a supervisor has; `None` for a server without one.
    pub(super) workers: Option<usize>,
    /// Whether changed files start the workers anew.
    pub(super) reload: bool,
    /// What is watched beside the modules.
    pub(super) reload_paths: Vec<PathBuf>,
    pub(super) limits: WorkerLimits,
    /// How long a worker may take until it serves.
    pub(super) start_timeout: Duration,
    /// How long a worker that was asked to stop may take.
    pub(super) stop_timeout: Duration,
    pid_file: Option<PathBuf>,
    pub(crate) account: Option<Account>,
    umask: Option<u32>,
}

/// When a worker has served long enough. Each worker keeps a limit of its own, at most a tenth below.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerLimits {
    pub(super) requests: Option<u64>,
    pub(super) lifetime: Option<Duration>,
    /// Resident memory in bytes.
    pub(super) memory: Option<u64>,
}

/// What ending takes beside the requests: greenlets, Rust work, pools and Tokio have two seconds each.
const FAREWELL: Duration = Duration::from_secs(10);

impl ProcessConfig {
    /// The configuration that `settings` describe; `drain` is how long requests may take to finish.
    ///
    /// # Errors
    /// A value that does not parse, a user that there is not, limits for workers without workers.
    pub(crate) fn from_settings(settings: &Settings, drain: Duration) -> Result<ProcessConfig, ConfigError> {
        let reload = settings.get_or("reload", false)?;
        let workers = settings
            .get::<Workers>("workers")?
            .map(|Workers(count)| count)
            .filter(|count| *count > 0)
            .or(reload.then_some(1));
        let limits = WorkerLimits {
            requests: settings
                .get::<usize>("worker_requests")?
                .map(|requests| requests as u64),
            lifetime: settings
                .get::<Duration>("worker_lifetime")?
                .filter(|time| !time.is_zero()),
            memory: settings
                .get::<ByteSize>("worker_memory")?
                .map(|ByteSize(bytes)| bytes as u64)
                .filter(|bytes| *bytes > 0),
        };
        if workers.is_none() {
            let limited = ["worker_requests", "worker_lifetime", "worker_memory"]
                .into_iter()
                .find(|name| settings.is_set(name));
            if let Some(name) = limited {
                return Err(ConfigError::Missing(format!(
                    "{name} is for workers, which a supervisor replaces: it needs --workers N, at least 1"
                )));
            }
        }
        let Paths(reload_paths) = settings.get_or("reload_paths", Paths::default())?;
        Ok(ProcessConfig {
            workers,
            reload,
            reload_paths,
            limits,
            start_timeout: settings.get_or("worker_start_timeout", Duration::from_secs(120))?,
            stop_timeout: drain + FAREWELL,
            pid_file: settings.get::<String>("pid_file")?.map(PathBuf::from),
            account: Account::from_settings(settings)?,
            umask: settings.get::<Umask>("umask")?.map(|Umask(mask)| mask),
        })
    }

    /// Sets the mask for the modes of new files.
    pub(crate) fn apply_umask(&self) {
        if let Some(mask) = self.umask {
            umask(Mode::from_bits_truncate(mask));
        }
    }

    /// Writes the pid file, if there is to be one.
    ///
    /// # Errors
    /// As [`PidFile::create`].
    pub(crate) fn write_pid_file(&self) -> Result<Option<PidFile>, ProgramError> {
        self.pid_file.as_deref().map(PidFile::create).transpose()
    }

    /// Whether a supervisor looks after the processes that serve.
    pub(crate) fn is_supervised(&self) -> bool {
        self.workers.is_some()
    }
}

/// A number of workers; 0 is no supervisor, `auto` the number of CPUs.
struct Workers(usize);

/// No machine has a use for more processes.
const MOST_WORKERS: usize = 1024;

impl SettingValue for Workers {
    const EXPECTED: &'static str = "a number of processes up to 1024, or auto";

    fn parse(text: &str) -> Option<Self> {
        let count = match text.trim() {
            "auto" => std::thread::available_parallelism().map_or(1, usize::from),
            number => number.parse().ok()?,
        };
        (count <= MOST_WORKERS).then_some(Workers(count))
    }
}

#[derive(Default)]
struct Paths(Vec<PathBuf>);

impl SettingValue for Paths {
    const EXPECTED: &'static str = "files and folders, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let paths = text.split(',').map(str::trim).filter(|path| !path.is_empty());
        Some(Paths(paths.map(PathBuf::from).collect()))
    }
}

struct Umask(u32);

impl SettingValue for Umask {
    const EXPECTED: &'static str = "a mask such as 027";

    fn parse(text: &str) -> Option<Self> {
        let mask = u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok()?;
        (mask <= 0o777).then_some(Umask(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<ProcessConfig, String> {
        let set = |settings: Settings, (name, value): &(&str, &str)| {
            settings.with_program_value(name, Some((*value).to_owned()))
        };
        let settings = pairs.iter().fold(Settings::default(), set);
        ProcessConfig::from_settings(&settings, Duration::ZERO).map_err(|error| error.to_string())
    }

    #[test]
    fn a_supervisor_is_asked_for() {
        assert!(!config(&[]).unwrap().is_supervised());
        assert!(!config(&[("workers", "0")]).unwrap().is_supervised());
        assert_eq!(config(&[("workers", "3")]).unwrap().workers, Some(3));
        assert_eq!(config(&[("reload", "true")]).unwrap().workers, Some(1));
        assert!(config(&[("workers", "auto")]).unwrap().is_supervised());
        assert!(config(&[("workers", "5000")]).is_err());
        assert!(config(&[("workers", "-1")]).is_err());
    }

    #[test]
    fn limits_of_workers_need_workers() {
        let error = config(&[("worker_memory", "1GiB")]).unwrap_err();
        assert!(
            error.contains("worker_memory") && error.contains("--workers"),
            "{error}"
        );
        assert!(config(&[("worker_memory", "1GiB"), ("workers", "1")]).is_ok());
    }

    #[test]
    fn masks_are_octal() {
        assert_eq!(config(&[("umask", "027")]).unwrap().umask, Some(0o27));
        assert!(config(&[("umask", "888")]).is_err());
    }
}
