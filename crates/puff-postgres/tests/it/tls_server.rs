//! PostgreSQL as a distribution builds it: with TLS and replication, which the wheel's has not.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

/// Ends the server when its input ends: when this process drops it, or dies.
const GUARD: &str = r#"
"$@" </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
"#;
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a directory, a free port and a superuser `postgres` of its own.
pub(crate) struct Server {
    directory: TempDir,
    pub(crate) port: u16,
    guard: Option<Child>,
}

impl Server {
    /// Makes a database cluster; `prepare` may put files into the directory before the server starts.
    pub(crate) fn new(settings: &[(&str, &str)], hba: &str, files: &[(&str, &str)]) -> Self {
        let mut server = Self::unmade();
        let data = server.path("data");
        let mut initdb = command("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
        ]);
        finish(initdb.args(["--locale=C", "-D"]).arg(&data));
        for (name, content) in files {
            server.write(name, content);
        }
        server.write("data/pg_hba.conf", &format!("local all all trust\n{hba}"));
        server.start(settings);
        server
    }

    /// A hot standby of this server.
    pub(crate) fn standby(&self) -> Self {
        let mut standby = Self::unmade();
        let mut copy = command("pg_basebackup");
        copy.args([
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "-U",
            "postgres",
        ]);
        copy.arg("-h")
            .arg(self.directory.path())
            .arg("-p")
            .arg(self.port.to_string());
        finish(copy.arg("-D").arg(standby.path("data")));
        standby.start(&[("hot_standby", "on")]);
        standby
    }

    fn unmade() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        own(directory.path());
        // Free until the server takes it, unless somebody else is very quick.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self {
            directory,
            port,
            guard: None,
        }
    }

    /// The path of a file in the server's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that only the server and root may read.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        own(&path);
    }

    /// A connection string for the server's socket.
    pub(crate) fn local(&self) -> String {
        format!(
            "host={} port={} user=postgres dbname=postgres",
            self.directory.path().display(),
            self.port
        )
    }

    /// The path of the server's socket.
    pub(crate) fn local_socket(&self) -> String {
        self.path(&format!(".s.PGSQL.{}", self.port))
            .display()
            .to_string()
    }

    fn start(&mut self, settings: &[(&str, &str)]) {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", GUARD, "guard"])
            .arg(bin().join("postgres"))
            .arg("-D")
            .arg(self.path("data"));
        let port = self.port.to_string();
        let sockets = self.directory.path().to_str().unwrap();
        let usual = [
            ("port", port.as_str()),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", sockets),
            ("fsync", "off"),
            ("shared_buffers", "16MB"),
        ];
        for (name, value) in usual.iter().chain(settings) {
            shell.arg("-c").arg(format!("{name}={value}"));
        }
        let log = fs::File::create(self.path("log")).unwrap();
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        self.guard = Some(as_nobody(&mut shell).spawn().unwrap());
        let start = Instant::now();
        let ready = || {
            let mut ask = command("pg_isready");
            ask.args(["-q", "-h"])
                .arg(self.directory.path())
                .args(["-p", &port]);
            ask.status().unwrap().success()
        };
        while !ready() {
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(start.elapsed() < PATIENCE, "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

/// The newest version of the distribution's packages, else whatever `pg_config` names.
fn bin() -> PathBuf {
    let packages = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = packages
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let bin = version.path().join("bin");
            bin.join("initdb").exists().then_some((number, bin))
        })
        .collect();
    found.sort();
    if let Some((_, bin)) = found.pop() {
        return bin;
    }
    let config = Command::new("pg_config").arg("--bindir").output();
    let config = config.expect("a PostgreSQL with TLS: scripts/postgres.sh installs one");
    PathBuf::from(String::from_utf8(config.stdout).unwrap().trim())
}

fn command(program: &str) -> Command {
    let mut command = Command::new(bin().join(program));
    as_nobody(&mut command);
    command
}

fn finish(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// PostgreSQL does not run as root.
fn nobody() -> Option<User> {
    geteuid()
        .is_root()
        .then(|| User::from_name("nobody").unwrap().expect("the user nobody"))
}

fn as_nobody(command: &mut Command) -> &mut Command {
    if let Some(user) = nobody() {
        command
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw())
            .current_dir("/");
    }
    command
}

fn own(path: &Path) {
    if let Some(user) = nobody() {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}
