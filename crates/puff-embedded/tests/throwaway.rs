//! Throw-away servers: start, clone, stop, and nothing left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use puff_embedded::testing;

fn gone(path: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while path.exists() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

#[test]
fn postgres_starts_clones_and_leaves_nothing() {
    let server = testing::postgres();
    assert!(
        server
            .url()
            .starts_with("postgres://puff@/puff?host=%2Ftmp%2Fpuff-t-")
    );
    server.execute("CREATE DATABASE model").unwrap();
    let first = server.create_database("model").unwrap();
    let second = server.create_database("model").unwrap();
    assert_ne!(first, second);
    let error = server.create_database("no\"such").unwrap_err().to_string();
    assert!(error.contains("3D000"), "{error}");
    let (socket, pid) = (server.socket(), server.server_pid().unwrap());
    drop(server);
    assert!(!socket.parent().unwrap().exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn valkey_starts_answers_and_leaves_nothing() {
    let server = testing::valkey();
    let mut stream = UnixStream::connect(server.socket()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "+PONG\r\n");
    assert!(server.execute("SELECT 1").is_err());
    let socket = server.socket();
    drop(server);
    assert!(!socket.parent().unwrap().exists());
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_setting_that_the_server_refuses_is_an_error_with_its_log() {
    let result = std::panic::catch_unwind(|| testing::postgres_with(&[("no_such_setting", "1")]));
    let text = result.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("no_such_setting"), "{text}");
}

/// Does nothing in a test run of its own; another test starts it as a program and kills it.
#[test]
fn another_program() {
    if std::env::var_os("PUFF_TEST_OWNER").is_some() {
        let server = testing::postgres();
        println!("\nsocket: {}", server.socket().display());
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn the_death_of_the_owner_takes_the_server_along() {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["another_program", "--exact", "--nocapture"])
        .env("PUFF_TEST_OWNER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let socket = lines
        .map(|line| line.unwrap())
        .find_map(|line| Some(line.strip_prefix("socket: ")?.to_owned()));
    let dir = Path::new(&socket.unwrap()).parent().unwrap().to_owned();
    assert!(dir.exists());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(gone(&dir));
}

#[test]
fn the_death_of_the_server_is_seen_and_cleaned_up() {
    let server = testing::valkey();
    let dir = server.socket().parent().unwrap().to_owned();
    let pid = nix::unistd::Pid::from_raw(server.server_pid().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(gone(&dir));
}
