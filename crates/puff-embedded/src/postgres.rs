//! How PostgreSQL is initialised, run and asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::server::Durability;
use crate::{Error, Service, place, wire};

/// The superuser and the name of the database that every private server has.
pub(crate) const NAME: &str = "puff";

/// The socket that a server with the default port makes in its directory.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join(".s.PGSQL.5432")
}

/// The URL of a database of the server whose socket lies in `dir`.
pub(crate) fn url(dir: &Path, database: &str) -> Result<String, Error> {
    let mut host = String::new();
    for byte in place::text(dir)?.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                host.push(char::from(byte))
            }
            _ => host.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(format!("postgres://{NAME}@/{database}?host={host}"))
}

/// Makes a new data directory at `data`, which must not exist; its parent must be the account's.
///
/// Initialises under a temporary name and renames, so that a half-made directory is never taken for a whole one.
/// Ends `initdb` at the deadline or when the caller has `given_up`; its words go to `output`.
pub(crate) fn init(
    binaries: &Binaries,
    account: Account,
    data: &Path,
    output: &File,
    deadline: Instant,
    given_up: impl Fn() -> bool,
) -> Result<(), Error> {
    account.require_passwd_entry()?;
    let partial = data.with_extension(format!("init-{}", std::process::id()));
    let result = init_at(binaries, account, &partial, output, || {
        given_up() || Instant::now() >= deadline
    })
    .and_then(|()| fs::rename(&partial, data).map_err(Error::io("create", data)));
    if result.is_err() {
        // The error matters more than what stays behind.
        let _ = fs::remove_dir_all(&partial);
    }
    result
}

/// The arguments of `initdb` but for the directory.
pub(crate) fn init_arguments(binaries: &Binaries) -> Vec<&'static str> {
    let mut arguments = vec!["-U", NAME, "--encoding=UTF8", "--no-sync", "--no-instructions"];
    // Local sockets lie in a directory that only the account can enter, which is the authentication.
    arguments.extend(["--auth-local=trust", "--auth-host=reject"]);
    // Sorts the same on every machine, whatever locales it has. Before 17 the closest is C: bytes in order.
    arguments.push("--locale=C");
    if binaries.major() >= 17 {
        arguments.extend(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    }
    arguments
}

fn init_at(
    binaries: &Binaries,
    account: Account,
    data: &Path,
    output: &File,
    too_late: impl Fn() -> bool,
) -> Result<(), Error> {
    let initdb = binaries.sibling("initdb");
    let share = || {
        output
            .try_clone()
            .map_err(Error::io("share the log with", &initdb))
    };
    let mut command = Command::new(&initdb);
    command.arg("-D").arg(data).args(init_arguments(binaries));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(share()?);
    clean(&mut command);
    account.apply(&mut command);
    // A group of its own, to be ended with the server that it runs.
    command.process_group(0);
    let mut process = command.spawn().map_err(Error::io("run", &initdb))?;
    let failed = |how: String| {
        let reason = format!("initdb could not make {} ({how})", data.display());
        Error::StartFailed {
            service: Service::Postgres,
            reason,
            log: String::new(),
        }
    };
    loop {
        match process.try_wait().map_err(Error::io("wait for", &initdb))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(failed(status.to_string())),
            None => {}
        }
        if too_late() {
            end_group(&mut process);
            return Err(failed(
                "it took too long, or nobody waits for it any more".to_owned(),
            ));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a process and what it has started, which is in its group: `initdb` feeds a server, and that one writes on
/// after the end of `initdb`, also into a directory that is just being removed.
fn end_group(process: &mut Child) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let Ok(group) = i32::try_from(process.id()).map(Pid::from_raw) else {
        return;
    };
    let _ = killpg(group, Signal::SIGKILL);
    let _ = process.wait();
    // The others are not our children, so there is nothing to wait for but that they are gone.
    let end = Instant::now() + PATIENCE;
    while killpg(group, None).is_ok() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
}

/// The arguments of a server on `data` with its socket in `dir`.
pub(crate) fn arguments(
    data: &Path,
    dir: &Path,
    durability: Durability,
    settings: &[(String, String)],
) -> Vec<OsString> {
    let mut arguments = vec![
        OsString::from("-D"),
        data.into(),
        OsString::from("-k"),
        dir.into(),
    ];
    let mut set =
        |name: &str, value: &str| arguments.extend(["-c".into(), OsString::from(format!("{name}={value}"))]);
    set("listen_addresses", "");
    set("port", "5432");
    set("unix_socket_permissions", "0700");
    set("cluster_name", "puff");
    if durability == Durability::Throwaway {
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            set(name, "off");
        }
        set("wal_level", "minimal");
        set("max_wal_senders", "0");
    }
    for (name, value) in settings {
        set(name, value);
    }
    arguments
}

/// Removes what would make the programs behave otherwise: `PGOPTIONS`, `PGDATA`, locales, a time zone.
pub(crate) fn clean(command: &mut Command) {
    command
        .env_clear()
        .current_dir("/")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Whether the server answers; `Ok(false)` while it is starting or stopping or does not listen yet.
pub(crate) fn is_ready(dir: &Path) -> io::Result<bool> {
    match wire::Postgres::connect(&socket(dir), NAME, "postgres")? {
        Ok(_) => Ok(true),
        // Starting up, shutting down, in recovery; and too many connections, which only a ready server has.
        Err(refusal) if refusal.code == "57P03" => Ok(false),
        Err(refusal) if refusal.code == "53300" => Ok(true),
        Err(refusal) => Err(io::Error::other(refusal.to_string())),
    }
}

/// Runs a statement in the database `postgres` as the superuser.
pub(crate) fn execute(dir: &Path, sql: &str) -> Result<(), Error> {
    let path = socket(dir);
    let failed = |source| Error::Io {
        action: "talk to",
        path: path.clone(),
        source,
    };
    wire::Postgres::connect(&path, NAME, "postgres")
        .and_then(|session| {
            session.map_or_else(|refusal| Ok(Err(refusal)), |mut session| session.execute(sql))
        })
        .map_err(failed)?
        .map_err(refused)
}

/// Creates the database that every private server has, unless it exists.
pub(crate) fn ensure_database(dir: &Path) -> Result<(), Error> {
    let path = socket(dir);
    // Asked first: a CREATE DATABASE that fails would be an error in the log of every start.
    match wire::Postgres::connect(&path, NAME, NAME).map_err(Error::io("talk to", &path))? {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.code == "3D000" => execute(dir, &format!("CREATE DATABASE {NAME}")),
        Err(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: wire::Refusal) -> Error {
    Error::Refused {
        service: Service::Postgres,
        message: refusal.to_string(),
    }
}
