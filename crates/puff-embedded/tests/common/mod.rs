//! What the tests of this crate share: projects in temporary directories, and programs that use their services.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    reason = "these are helpers of tests, which fail by panicking"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use puff_embedded::{EmbeddedConfig, Lease, Service, acquire, psql_command, testing};

/// The test that is another program when this variable names a project; see [`User`].
pub(crate) const USER: &str = "PUFF_TEST_USER_OF";

/// A project in a directory that the servers' account can enter, as a checkout usually is.
pub(crate) struct Project {
    pub(crate) dir: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("puff-project-")
            .tempdir()
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    pub(crate) fn config(&self) -> EmbeddedConfig {
        config(self.dir.path())
    }

    pub(crate) fn acquire(&self, service: Service) -> Lease {
        acquire(&self.config(), service).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A failed test must leave no server either.
        for service in [Service::Postgres, Service::Valkey] {
            let _ = puff_embedded::stop(&self.config(), service);
        }
    }
}

pub(crate) fn config(project: &Path) -> EmbeddedConfig {
    EmbeddedConfig {
        search_dirs: vec![testing::site_dir()],
        linger: Duration::ZERO,
        ..EmbeddedConfig::new(project, [env!("CARGO_BIN_EXE_puff-supervisor")])
    }
}

/// Another process that uses a service: this test binary, running its test `another_program`.
pub(crate) struct User {
    pub(crate) process: Child,
    pub(crate) outcome: String,
}

impl User {
    pub(crate) fn command(project: &Path, service: Service) -> Command {
        Self::command_of(&std::env::current_exe().unwrap(), project, service)
    }

    pub(crate) fn command_of(program: &Path, project: &Path, service: Service) -> Command {
        let mut command = Command::new(program);
        command.args(["another_program", "--exact", "--nocapture", "--test-threads=1"]);
        command
            .env(USER, project)
            .env("PUFF_TEST_SERVICE", service.name())
            .process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Starts the program and waits until it has the service or an error, which is in `outcome`.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let outcome = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map(|line| line.unwrap())
            .find_map(|line| line.split_once("outcome: ").map(|(_, rest)| rest.to_owned()))
            .unwrap_or_else(|| "it died".to_owned());
        Self { process, outcome }
    }

    pub(crate) fn kill(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of the test `another_program`: does nothing in a test run of its own.
pub(crate) fn be_another_program() {
    let Some(project) = std::env::var_os(USER) else {
        return;
    };
    let service = match std::env::var("PUFF_TEST_SERVICE").unwrap().as_str() {
        "postgres" => Service::Postgres,
        _ => Service::Valkey,
    };
    let mut config = config(Path::new(&project));
    if let Some(supervisor) = std::env::var_os("PUFF_TEST_SUPERVISOR") {
        config.supervisor = vec![supervisor];
    }
    match acquire(&config, service) {
        Ok(lease) => {
            println!("\noutcome: {}", serde_json::to_string(lease.state()).unwrap());
            std::thread::sleep(Duration::from_secs(60));
        }
        Err(error) => println!("\noutcome: error: {}", error.to_string().replace('\n', " / ")),
    }
}

pub(crate) fn alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
        && fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits up to ten seconds, the time in which everything of ours must be gone.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the server, its supervisor and its socket directory are gone.
pub(crate) fn all_gone(state: &puff_embedded::State) {
    eventually("the server is gone", || !alive(state.server_pid));
    eventually("the supervisor is gone", || !alive(state.supervisor_pid));
    assert!(
        !state.socket_dir.exists(),
        "{} stays behind",
        state.socket_dir.display()
    );
}

/// What psql prints for a statement.
pub(crate) fn sql(lease: &Lease, statement: &str) -> String {
    let output = psql_command(lease).args(["-XAtqc", statement]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}

/// A copy of a program where every user can run it.
pub(crate) fn for_everyone(dir: &Path, program: &Path) -> PathBuf {
    let copy = dir.join(program.file_name().unwrap());
    if copy.exists() {
        return copy;
    }
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}
