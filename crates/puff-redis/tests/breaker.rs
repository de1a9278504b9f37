//! The circuit breaker with a server that goes and comes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::time::Duration;

use common::{Server, eventually, run};
use puff_redis::{Error, RedisPool, Reply};

#[tokio::test]
async fn an_outage_costs_nobody_time_and_ends_by_itself() {
    let mut server = Server::start();
    let mut config = server.config();
    config.connections = 1;
    config.breaker_threshold = 3;
    config.breaker_pause = Duration::from_millis(300);
    let pool = RedisPool::new(config);
    pool.set("k", "v").await.unwrap();
    server.kill();
    eventually("it is open", async || {
        let error = pool.get("k").await.unwrap_err();
        matches!(error, Error::CircuitOpen { .. })
    })
    .await;
    assert!(pool.status().circuit.open);
    let failed = pool.status().circuit.failed;
    // However many ask, hardly anybody is sent.
    for _ in 0..1000 {
        assert!(pool.get("k").await.is_err());
    }
    let error = run(&pool, "BLPOP k 1").await.unwrap_err();
    assert!(
        matches!(error, Error::CircuitOpen { .. } | Error::Connect { .. }),
        "{error:?}"
    );
    let attempts = pool.status().circuit.failed - failed;
    assert!(attempts < 100, "{attempts} attempts");

    server.restart();
    eventually("it is back", async || pool.set("k", "w").await.is_ok()).await;
    let circuit = pool.status().circuit;
    assert!(!circuit.open);
    assert_eq!(circuit.retry_in, Duration::ZERO);
    assert_eq!(run(&pool, "BLPOP none 0.05").await, Ok(Reply::Nil));
}

#[tokio::test]
async fn commands_over_an_open_connection_are_not_its_business() {
    let server = Server::start();
    let mut config = server.config();
    config.connections = 1;
    config.breaker_threshold = 1;
    config.breaker_pause = Duration::from_secs(60);
    let pool = RedisPool::new(config);
    pool.set("k", "v").await.unwrap();
    // Dedicated connections cannot be had; those that commands share go on.
    run(&pool, "CONFIG SET maxclients 1").await.unwrap();
    let error = run(&pool, "BLPOP k 1").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    eventually("the circuit is open", async || {
        let refused = run(&pool, "BLPOP k 1").await;
        matches!(refused, Err(Error::CircuitOpen { .. }))
    })
    .await;
    assert_eq!(pool.get("k").await, Ok(Some("v".into())));
}
