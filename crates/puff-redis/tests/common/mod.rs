//! A Valkey of the test's own at an address that survives the server.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use puff_embedded::{Throwaway, testing};
use puff_redis::{Command, Event, PubSubConnection, RedisConfig, RedisPool, Reply};
use tempfile::TempDir;

/// Longer than anything that succeeds takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server behind a symbolic link, so that the next one can take its place at the same address.
pub(crate) struct Server {
    dir: TempDir,
    running: Option<Throwaway>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut server = Self {
            dir: TempDir::new().unwrap(),
            running: None,
        };
        server.restart();
        server
    }

    /// Where its socket is found, whichever server is there.
    pub(crate) fn link(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// Kills the server without a goodbye. Its address refuses connections until `restart`.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        drop(self.running.take());
    }

    /// Starts an empty server at the same address.
    pub(crate) fn restart(&mut self) {
        let server = testing::valkey();
        let _ = fs::remove_file(self.link());
        symlink(server.socket(), self.link()).unwrap();
        self.running = Some(server);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self
            .running
            .as_ref()
            .and_then(Throwaway::server_pid)
            .expect("the server runs");
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.link().display())
    }

    pub(crate) fn config(&self) -> RedisConfig {
        RedisConfig::from_url(&self.url()).unwrap()
    }
}

/// Sends a command given as words.
pub(crate) async fn run(pool: &RedisPool, words: &str) -> Result<Reply, puff_redis::Error> {
    let mut command = Command::default();
    words.split(' ').for_each(|word| command.push(word));
    pool.command(command).await
}

/// The next event, as "channel:body" or "channel?" for a gap; "nothing" if none comes in time.
pub(crate) async fn next_within(connection: &PubSubConnection, limit: Duration) -> String {
    match tokio::time::timeout(limit, connection.receive()).await {
        Err(_) => "nothing".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(Event::Gap(gap))) => format!("{}?", gap.channel),
        Ok(Ok(Event::Message(message))) => {
            format!("{}:{}", message.channel, String::from_utf8_lossy(&message.body))
        }
        Ok(Ok(other)) => format!("{other:?}"),
    }
}

pub(crate) async fn next(connection: &PubSubConnection) -> String {
    next_within(connection, PATIENCE).await
}

/// Repeats a check until it is true; panics when it never is.
pub(crate) async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
