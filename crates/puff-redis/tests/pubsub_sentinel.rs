//! Pub-sub while a master fails over, with real Sentinels and a checker over numbers on two nodes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/checker.rs"]
mod checker;
mod common;
#[path = "common/node.rs"]
mod node;

use std::time::Duration;

use checker::{Load, config};
use common::{PATIENCE, eventually, run};
use node::Node;
use puff_redis::{PubSub, RedisConfig, RedisPool, Reply};

/// The port of the master, as the Sentinel knows it.
async fn master(sentinel: &RedisPool) -> u16 {
    match run(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME shop")
        .await
        .unwrap()
    {
        Reply::Array(address) => match &address[..] {
            [_, Reply::Bulk(port)] => std::str::from_utf8(port).unwrap().parse().unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_master_each_message_arrives_or_is_covered_on_two_nodes() {
    let first = Node::start("repl-diskless-sync-delay 0", false);
    first.pool().await;
    let second = Node::start(
        &format!("repl-diskless-sync-delay 0\nreplicaof 127.0.0.1 {}", first.port),
        false,
    );
    let replica = second.pool().await;
    eventually("the replica is in step", async || {
        let info = run(&replica, "INFO replication").await.unwrap();
        format!("{info:?}").contains("master_link_status:up")
    })
    .await;
    let rules = format!(
        "sentinel monitor shop 127.0.0.1 {} 1\nsentinel down-after-milliseconds shop 500\n\
         sentinel failover-timeout shop 3000",
        first.port
    );
    let guard = Node::start(&rules, true);
    let sentinel = guard.pool().await;
    let is_ready = async || {
        let replicas = run(&sentinel, "SENTINEL REPLICAS shop").await.unwrap();
        let text = format!("{replicas:?}");
        text.contains("b\"ok\"") && !text.contains("s_down") && !text.contains("disconnected")
    };
    eventually("the Sentinel knows the replica", is_ready).await;

    let url = format!("redis+sentinel://{}/shop", guard.host());
    let mut redis = RedisConfig::from_url(&url).unwrap();
    redis.response_timeout = Duration::from_millis(400);
    redis.connect_timeout = Duration::from_secs(1);
    redis.breaker_pause = Duration::from_millis(200);
    let hub = || PubSub::redis_with(redis.clone(), config());
    let nodes = [hub(), hub()];
    let load = Load::start(&nodes, hub(), &["kept", "numbered"], PATIENCE).await;
    load.flows(200).await;

    // By order: the first one lives on, as a replica.
    eventually("it is ordered", async || {
        run(&sentinel, "SENTINEL FAILOVER shop").await.is_ok()
    })
    .await;
    eventually("the second is master", async || {
        master(&sentinel).await == second.port
    })
    .await;
    load.flows(200).await;
    eventually("the first one follows", is_ready).await;
    load.flows(200).await;

    // By death.
    second.kill();
    eventually("the first is master again", async || {
        master(&sentinel).await == first.port
    })
    .await;
    load.flows(200).await;
    let (messages, gaps) = load.finish().await;
    println!("{messages} messages and {gaps} gaps at twelve receivers");
    assert!(messages > 2000 && gaps >= 24, "{messages} messages, {gaps} gaps");
}
