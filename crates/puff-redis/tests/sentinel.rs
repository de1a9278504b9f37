//! A master that fails over, with real Sentinels.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "common/node.rs"]
mod node;

use std::time::Duration;

use common::{eventually, run};
use node::Node;
use puff_redis::{Error, RedisConfig, RedisPool, Reply};

fn config(sentinels: &str, master: &str) -> RedisConfig {
    let mut config = RedisConfig::from_url(&format!("redis+sentinel://{sentinels}/{master}")).unwrap();
    config.connect_timeout = Duration::from_secs(2);
    config.breaker_pause = Duration::from_millis(200);
    config
}

#[tokio::test]
async fn the_pool_follows_the_master() {
    let master = Node::start("", false);
    let direct = master.pool().await;
    let replica = Node::start(&format!("replicaof 127.0.0.1 {}", master.port), false);
    replica.pool().await;
    eventually("the replica is in step", async || {
        run(&direct, "WAIT 1 100").await == Ok(Reply::Int(1))
    })
    .await;
    let rules = format!(
        "sentinel monitor shop 127.0.0.1 {} 1\nsentinel down-after-milliseconds shop 400\n\
         sentinel failover-timeout shop 3000",
        master.port
    );
    let sentinel = Node::start(&rules, true);
    // One of those that are named may be away.
    let sentinels = format!("127.0.0.1:{},{}", node::free_port(), sentinel.host());
    let pool = RedisPool::new(config(&sentinels, "shop"));
    eventually("the pool has found it", async || pool.set("k", "v").await.is_ok()).await;
    assert_eq!(run(&pool, "BLPOP nothing 0.05").await, Ok(Reply::Nil));
    assert_eq!(direct.get("k").await, Ok(Some("v".into())));
    eventually("the Sentinel knows the replica", async || {
        let asked = sentinel.pool().await;
        matches!(run(&asked, "SENTINEL REPLICAS shop").await, Ok(Reply::Array(all)) if !all.is_empty())
    })
    .await;
    run(&direct, "WAIT 1 5000").await.unwrap();

    master.kill();
    let mut errors = Vec::new();
    eventually("the other one is master", async || {
        match pool.set("k2", "v2").await {
            Ok(()) => true,
            Err(error) => {
                errors.push(error);
                false
            }
        }
    })
    .await;
    for error in errors {
        let expected = matches!(
            error,
            Error::Connect { .. }
                | Error::Disconnected { .. }
                | Error::CircuitOpen { .. }
                | Error::Timeout { .. }
        ) || error.code() == Some("READONLY");
        assert!(expected, "{error:?}");
    }
    assert_eq!(pool.get("k").await, Ok(Some("v".into())), "nothing was lost");
    assert_eq!(replica.pool().await.get("k2").await, Ok(Some("v2".into())));
    eventually("dedicated connections too", async || {
        run(&pool, "BLPOP nothing 0.05").await == Ok(Reply::Nil)
    })
    .await;
}

#[tokio::test]
async fn what_the_sentinels_do_not_know_is_said() {
    let sentinel = Node::start("", true);
    eventually("it answers", async || {
        let error = RedisPool::new(config(&sentinel.host(), "shop"))
            .ping()
            .await
            .unwrap_err();
        let text = error.to_string();
        text.ends_with(&format!(
            "the Sentinel at {} knows no master called \"shop\"",
            sentinel.host()
        ))
    })
    .await;
    let port = node::free_port();
    let error = RedisPool::new(config(&format!("127.0.0.1:{port}"), "shop"))
        .ping()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(
        error.to_string().contains("Sentinel: cannot connect to Redis at"),
        "{error}"
    );
}
