//! One private server for the whole test program, and short ways to it.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use puff_embedded::Throwaway;
use puff_embedded::testing;
use puff_postgres::{Config, Connection, DirectConnection, Error, Param, Rows, Step};

/// Ends together with this process.
static SERVER: OnceLock<Throwaway> = OnceLock::new();

/// Runs a test on two threads and ends it when it hangs.
pub(crate) fn run(test: impl Future<Output = ()>) {
    run_within(Duration::from_secs(60), test);
}

/// As [`run`], with another limit.
pub(crate) fn run_within(limit: Duration, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        tokio::time::timeout(limit, test).await.expect("the test hangs");
    });
}

/// The shared server, with an `application_name` of the caller's own.
pub(crate) fn config() -> Config {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(|| testing::postgres_with(&[("max_connections", "80")]));
    let mut config: Config = server.url().parse().unwrap();
    config.application_name = Some(format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    config
}

pub(crate) async fn connect() -> Connection {
    Connection::connect(&config()).await.unwrap()
}

/// How many sessions the server counts under the application name of `config`.
pub(crate) async fn sessions(observer: &Connection, config: &Config) -> usize {
    let name = config.application_name.as_deref().unwrap();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    number(&observer.query(sql, &[name.into()]).await.unwrap())
}

/// The first cell as a number.
pub(crate) fn number(rows: &Rows) -> usize {
    rows.text(0, 0).unwrap().parse().unwrap()
}

/// All cells as text, for comparison.
pub(crate) fn table(rows: &Rows) -> Vec<Vec<Option<&str>>> {
    let columns = rows.columns().len();
    (0..rows.len())
        .map(|row| (0..columns).map(|column| rows.text(row, column)).collect())
        .collect()
}

/// Waits until `condition` holds, ten seconds at most.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(10), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the session of `pid` runs a statement just now.
pub(crate) async fn is_active(observer: &Connection, pid: i32) -> bool {
    let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active'";
    !observer.query(sql, &[Param::from(pid)]).await.unwrap().is_empty()
}

/// Drives an exchange to its end; collects what a copy sends, feeds it `input`.
pub(crate) fn drive(session: &mut DirectConnection, input: &[&[u8]]) -> (Result<Rows, Error>, Vec<u8>) {
    let (mut input, mut output) = (input.iter(), Vec::new());
    loop {
        match session.advance() {
            Step::Done(answer) => return (answer, output),
            Step::Wait { write } => drop(session.wait(write, Duration::from_secs(10)).unwrap()),
            Step::CopyOut(data) => output.extend_from_slice(&data),
            Step::CopyIn => match input.next() {
                Some(data) => drop(session.copy_data(Bytes::copy_from_slice(data))),
                None => session.copy_end(None),
            },
        }
    }
}
