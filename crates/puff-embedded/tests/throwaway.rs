//! Throw-away servers: start, clone, stop, and nothing left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
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

#[test]
fn the_death_of_the_server_is_seen_and_cleaned_up() {
    let server = testing::valkey();
    let dir = server.socket().parent().unwrap().to_owned();
    let pid = nix::unistd::Pid::from_raw(server.server_pid().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(gone(&dir));
}
