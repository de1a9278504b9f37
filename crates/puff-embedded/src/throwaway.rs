//! A server for one test: fast, empty, gone afterwards.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::binaries::{Binaries, Readers, copy_tree};
use crate::server::{Durability, NotReady, tail, wait_ready};
use crate::{Error, Service, place, postgres};

/// How long the guard may take to stop the server and remove its directory.
const STOP: Duration = Duration::from_secs(10);

/// The guard: starts the server on the first line of its input, ends it on the second or at the end of the input,
/// which comes when the owner dies, however it dies. Removes the directory in any case.
///
/// A shell and not the supervisor, because it must be at hand in every test binary, and because a throw-away server
/// has exactly one owner: no locks, nothing to keep, nothing to restart.
const GUARD: &str = r#"
dir=$1 signal=$2; shift 2
exec 3<&0 </dev/null
read -r _ <&3 || { rm -rf "$dir"; exit 1; }
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -s "$signal" "$server"; } 2>/dev/null &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
rm -rf "$dir"
exit "$status"
"#;

/// How to start a [`Throwaway`].
#[derive(Clone, Debug)]
pub struct ThrowawayConfig {
    /// Folders of Python packages (`site-packages`) where the wheels' programs may lie; the system comes after them.
    pub search_dirs: Vec<PathBuf>,
    /// Where a freshly initialised PostgreSQL data directory is kept to be copied, which takes a tenth of the time
    /// of making one; without it each instance makes its own.
    pub cache_dir: Option<PathBuf>,
    /// Settings of the server: `("max_connections", "5")`.
    pub settings: Vec<(String, String)>,
    /// How long the server may take until it answers.
    pub start_timeout: Duration,
}

impl Default for ThrowawayConfig {
    fn default() -> Self {
        Self {
            search_dirs: Vec::new(),
            cache_dir: None,
            settings: Vec::new(),
            start_timeout: Duration::from_secs(30),
        }
    }
}

/// A private server for tests with its own temporary directory and no durability.
///
/// It listens on a Unix socket only. It is stopped and its files are removed when the value is dropped, and also when
/// this process dies in any other way. Blocks the calling thread on start and drop.
///
/// ```no_run
/// # fn main() -> Result<(), puff_embedded::Error> {
/// use puff_embedded::{Service, Throwaway, ThrowawayConfig};
/// let server = Throwaway::start(Service::Postgres, &ThrowawayConfig::default())?;
/// let url = server.create_database("puff")?; // a copy of the database `puff`
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Throwaway {
    service: Service,
    dir: PathBuf,
    url: String,
    guard: Guard,
    databases: AtomicU32,
}

impl Throwaway {
    /// Starts a server and returns when it answers.
    ///
    /// # Errors
    /// See [`Error`]; nothing stays behind.
    pub fn start(service: Service, config: &ThrowawayConfig) -> Result<Self, Error> {
        let account = Account::choose(&[])?;
        let binaries = Binaries::find(service, &config.search_dirs, account)?;
        let dir = place::make_temporary(account)?;
        let mut guard = Guard::spawn(service, &binaries, account, &dir, &config.settings)?;
        let deadline = Instant::now() + config.start_timeout;
        if service == Service::Postgres {
            let data = dir.join("data");
            let made = match &config.cache_dir {
                None => postgres::init(&binaries, account, &data, &guard.log, deadline, || false),
                Some(cache) => copy_data(&binaries, account, &data, cache, &guard.log, deadline),
            };
            made.map_err(|error| guard.with_log(error))?;
        }
        let url = service.url(&dir)?;
        guard.go();
        wait_ready(service, &dir, deadline, || guard.exited(), || false).map_err(|problem| {
            let reason = match problem {
                NotReady::Exited(how) => format!("it ended ({how})"),
                NotReady::TimedOut | NotReady::GivenUp => {
                    format!("no answer within {:?}", config.start_timeout)
                }
                NotReady::Refused(message) => message,
            };
            guard.with_log(Error::StartFailed {
                service,
                reason,
                log: String::new(),
            })
        })?;
        if service == Service::Postgres {
            postgres::ensure_database(&dir)?;
        }
        Ok(Self {
            service,
            dir,
            url,
            guard,
            databases: AtomicU32::new(0),
        })
    }

    /// The server's URL; PostgreSQL's leads to the empty database `puff`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.service.socket(&self.dir)
    }

    /// Creates a database as a copy of `template` and returns its URL. Nobody may be connected to the template.
    ///
    /// # Errors
    /// [`Error::Refused`] with PostgreSQL's reason, or because the server is not PostgreSQL.
    pub fn create_database(&self, template: &str) -> Result<String, Error> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("puff_{number}");
        let template = template.replace('"', "\"\"");
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE \"{template}\""))?;
        postgres::url(&self.dir, &name)
    }

    /// Runs a statement in the database `postgres` as the superuser, from outside the code under test.
    ///
    /// # Errors
    /// [`Error::Refused`] with PostgreSQL's reason, or because the server is not PostgreSQL.
    pub fn execute(&self, sql: &str) -> Result<(), Error> {
        if self.service != Service::Postgres {
            let message = "it does not speak SQL".to_owned();
            return Err(Error::Refused {
                service: self.service,
                message,
            });
        }
        postgres::execute(&self.dir, sql)
    }

    /// The id of the server's main process, or `None` when it is gone: for tests that kill it.
    pub fn server_pid(&self) -> Option<i32> {
        crate::wire::listener_pid(&self.socket())
    }

    /// The last `lines` lines of the server's log.
    pub fn log(&mut self, lines: usize) -> String {
        tail(&mut self.guard.log, lines).unwrap_or_default()
    }
}

/// Puts a new data directory at `data`, a copy of one that is kept in `cache`.
fn copy_data(
    binaries: &Binaries,
    account: Account,
    data: &Path,
    cache: &Path,
    log: &File,
    deadline: Instant,
) -> Result<(), Error> {
    fs::create_dir_all(cache).map_err(Error::io("create", cache))?;
    // The lock's file stays: removing it would let two processes lock two files of one name.
    let lock_path = cache.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&lock_path)
        .map_err(Error::io("open", &lock_path))?;
    lock.lock().map_err(Error::io("lock", &lock_path))?;
    let how = postgres::init_arguments(binaries).join(" ");
    let identity = format!(
        "{} {} {} {how}",
        binaries.server.display(),
        binaries.version,
        account.uid
    );
    let template = cache.join(format!(
        "postgres-{}-{:016x}",
        binaries.version,
        place::fingerprint(&identity)
    ));
    if !template.is_dir() {
        let partial = template.with_extension("partial");
        let _ = fs::remove_dir_all(&partial);
        // Made where the account may write, kept where this process may.
        postgres::init(binaries, account, data, log, deadline, || false)?;
        copy_tree(data, &partial, Readers::Same)?;
        return fs::rename(&partial, &template).map_err(Error::io("create", &template));
    }
    drop(lock);
    copy_tree(&template, data, Readers::Same)?;
    give_tree(account, data)
}

fn give_tree(account: Account, path: &Path) -> Result<(), Error> {
    if !account.is_dropped() {
        return Ok(());
    }
    account.give(path)?;
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            give_tree(account, &entry.map_err(Error::io("read", path))?.path())?;
        }
    }
    Ok(())
}

/// The owner's end of the guard process.
#[derive(Debug)]
struct Guard {
    process: Child,
    input: Option<ChildStdin>,
    log: File,
}

impl Guard {
    fn spawn(
        service: Service,
        binaries: &Binaries,
        account: Account,
        dir: &Path,
        settings: &[(String, String)],
    ) -> Result<Self, Error> {
        // Both ends without a goodbye: nobody needs the data.
        let signal = match service {
            Service::Postgres => "QUIT",
            Service::Valkey => "KILL",
        };
        let data = match service {
            Service::Postgres => dir.join("data"),
            Service::Valkey => dir.to_owned(),
        };
        let log_path = dir.join("log");
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .read(true)
                .open(&log_path)
        };
        let log = open().map_err(Error::io("create", &log_path))?;
        let output = || log.try_clone().map_err(Error::io("open", &log_path));
        let mut command = Command::new("/bin/sh");
        postgres::clean(&mut command);
        command
            .args(["-c", GUARD, "puff-throwaway"])
            .arg(dir)
            .arg(signal)
            .arg(&binaries.server);
        command.args(service.arguments(&data, dir, Durability::Throwaway, settings));
        command.stdin(Stdio::piped()).stdout(output()?).stderr(output()?);
        // A test runner that gives up kills its process group; the guard must live to clean up after it.
        command.process_group(0);
        account.apply(&mut command);
        let mut process = command.spawn().map_err(|source| {
            let _ = fs::remove_dir_all(dir);
            Error::Io {
                action: "run",
                path: "/bin/sh".into(),
                source,
            }
        })?;
        let input = process.stdin.take();
        Ok(Self { process, input, log })
    }

    fn go(&mut self) {
        if let Some(input) = &mut self.input {
            // A guard that is gone is noticed by `exited`.
            let _ = input.write_all(b"go\n");
        }
    }

    fn exited(&mut self) -> Option<String> {
        self.process
            .try_wait()
            .ok()
            .flatten()
            .map(|status| status.to_string())
    }

    /// The error with the last lines of the log, if it is of the kind that has them.
    fn with_log(&mut self, error: Error) -> Error {
        match error {
            Error::StartFailed { service, reason, .. } => Error::StartFailed {
                service,
                reason,
                log: tail(&mut self.log, 20).unwrap_or_default(),
            },
            other => other,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                _ => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
