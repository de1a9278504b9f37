//! A cluster of real nodes: who has which key, and what happens when that changes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "common/node.rs"]
mod node;

use std::time::Duration;

use cluster::Cluster;
use common::run;
use puff_redis::{Command, Error, RedisConfig, RedisPool, Reply};

/// The slot of `moving`.
const KEY: &str = "moving";

#[tokio::test]
async fn commands_find_the_node_of_their_keys() {
    let cluster = Cluster::start().await;
    let pool = cluster.pool();
    for n in 0..100 {
        pool.set(format!("key:{n}"), n.to_string()).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(pool.get(format!("key:{n}")).await, Ok(Some(n.to_string().into())));
    }
    let many = (0..100)
        .map(|n| Command::new("INCR").arg(format!("key:{n}")))
        .collect();
    for (n, reply) in pool.pipeline(many).await.unwrap().into_iter().enumerate() {
        assert_eq!(reply, Ok(Reply::Int(n as i64 + 1)));
    }
    let values = pool
        .command(
            Command::new("MGET")
                .arg("key:1")
                .arg("key:2")
                .arg("key:3")
                .arg("none"),
        )
        .await;
    let bulk = |text: &'static str| Reply::Bulk(text.into());
    assert_eq!(
        values,
        Ok(Reply::Array(vec![bulk("2"), bulk("3"), bulk("4"), Reply::Nil]))
    );
    let one_slot = ["SET", "GET"].map(|name| match name {
        "SET" => Command::new(name).arg("{tag}a").arg("v"),
        _ => Command::new(name).arg("{tag}a"),
    });
    let replies = pool.transaction(one_slot.to_vec()).await.unwrap();
    assert_eq!(replies, [Ok(Reply::Status("OK".into())), Ok(bulk("v"))]);
    let two = vec![Command::new("INCR").arg("a"), Command::new("INCR").arg("b")];
    let error = pool.transaction(two).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("slot"), "{error}");
    let error = run(&pool, "LPUSH key:1 x").await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    // On whichever node the key is.
    for n in 0..20 {
        run(&pool, &format!("RPUSH list:{n} x")).await.unwrap();
        assert!(matches!(
            run(&pool, &format!("BLPOP list:{n} 5")).await,
            Ok(Reply::Array(_))
        ));
    }
    assert!(pool.status().dedicated.idle <= 4);
}

#[tokio::test]
async fn a_slot_may_move_meanwhile() {
    let cluster = Cluster::start().await;
    let pool = cluster.pool();
    pool.set(KEY, "v").await.unwrap();
    let (slot, from) = cluster.place_of(KEY).await;
    let to = (from + 1) % 3;
    let source = &cluster.pools[from];
    cluster.begin_move(slot, from, to).await;
    cluster.move_keys(slot, from, to).await;
    assert_eq!(source.get(KEY).await.unwrap_err().code(), Some("ASK"));
    assert_eq!(
        pool.get(KEY).await,
        Ok(Some("v".into())),
        "it asks where it is told to"
    );
    cluster.end_move(slot, from, to).await;
    assert_eq!(source.get(KEY).await.unwrap_err().code(), Some("MOVED"));
    assert_eq!(pool.get(KEY).await, Ok(Some("v".into())));
    run(&pool, &format!("DEL {KEY}")).await.unwrap();
    run(&pool, &format!("RPUSH {KEY} x")).await.unwrap();
    assert!(matches!(
        run(&pool, &format!("BLPOP {KEY} 5")).await,
        Ok(Reply::Array(_))
    ));
}

#[tokio::test]
async fn what_is_no_cluster_is_said() {
    let port = node::free_port();
    let mut config = RedisConfig::from_url(&format!("redis+cluster://127.0.0.1:{port}")).unwrap();
    config.connect_timeout = Duration::from_secs(2);
    let pool = RedisPool::new(config);
    let error = pool.get("k").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    let error = run(&pool, "BLPOP k 1").await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    pool.close();
    assert!(matches!(pool.get("k").await, Err(Error::Closed { .. })));
}
