//! A cluster of real nodes: who has which key, and what happens when that changes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "common/node.rs"]
mod node;

use std::time::Duration;

use common::{eventually, run};
use node::Node;
use puff_redis::{Command, Error, RedisConfig, RedisPool, Reply};

/// The slot of `moving`.
const KEY: &str = "moving";

struct Cluster {
    nodes: Vec<Node>,
    pools: Vec<RedisPool>,
    ids: Vec<String>,
}

async fn text(pool: &RedisPool, words: &str) -> String {
    match run(pool, words).await.unwrap() {
        Reply::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("{other:?}"),
    }
}

impl Cluster {
    async fn start() -> Self {
        let buses: Vec<u16> = (0..3).map(|_| node::free_port()).collect();
        let start = |bus: &u16| {
            let settings = format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000");
            Node::start(&settings, false)
        };
        let nodes: Vec<Node> = buses.iter().map(start).collect();
        let (mut pools, mut ids) = (Vec::new(), Vec::new());
        for node in &nodes {
            let pool = node.pool().await;
            ids.push(text(&pool, "CLUSTER MYID").await);
            pools.push(pool);
        }
        for (pool, slots) in pools.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            run(pool, &format!("CLUSTER ADDSLOTSRANGE {slots}"))
                .await
                .unwrap();
        }
        for (number, pool) in pools.iter().enumerate() {
            run(pool, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))
                .await
                .unwrap();
        }
        for (other, bus) in nodes.iter().zip(buses).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", other.port);
            run(&pools[0], &meet).await.unwrap();
        }
        for pool in &pools {
            eventually("the nodes know each other", async || {
                let info = text(pool, "CLUSTER INFO").await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
            .await;
        }
        Self { nodes, pools, ids }
    }

    fn pool(&self) -> RedisPool {
        let mut config = RedisConfig::from_url(&format!(
            "redis+cluster://127.0.0.1:{},{}",
            node::free_port(),
            self.nodes[0].host()
        ))
        .unwrap();
        config.response_timeout = Duration::from_secs(5);
        RedisPool::new(config)
    }

    /// The number of the node that has a slot.
    async fn owner(&self, slot: i64) -> usize {
        let mine = |pool: RedisPool| async move {
            let nodes = text(&pool, "CLUSTER NODES").await;
            let line = nodes
                .lines()
                .find(|line| line.contains("myself"))
                .unwrap()
                .to_owned();
            line.split(' ').skip(8).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                match (from.parse::<i64>(), to.parse::<i64>()) {
                    (Ok(from), Ok(to)) => (from..=to).contains(&slot),
                    _ => false,
                }
            })
        };
        for (number, pool) in self.pools.iter().enumerate() {
            if mine(pool.clone()).await {
                return number;
            }
        }
        panic!("nobody has slot {slot}")
    }
}

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
    let Reply::Int(slot) = run(&pool, &format!("CLUSTER KEYSLOT {KEY}")).await.unwrap() else {
        panic!("no slot")
    };
    let from = cluster.owner(slot).await;
    let to = (from + 1) % 3;
    let (source, target) = (&cluster.pools[from], &cluster.pools[to]);
    run(
        target,
        &format!("CLUSTER SETSLOT {slot} IMPORTING {}", cluster.ids[from]),
    )
    .await
    .unwrap();
    run(
        source,
        &format!("CLUSTER SETSLOT {slot} MIGRATING {}", cluster.ids[to]),
    )
    .await
    .unwrap();
    let migrate = format!("MIGRATE 127.0.0.1 {} {KEY} 0 5000", cluster.nodes[to].port);
    run(source, &migrate).await.unwrap();
    assert_eq!(source.get(KEY).await.unwrap_err().code(), Some("ASK"));
    assert_eq!(
        pool.get(KEY).await,
        Ok(Some("v".into())),
        "it asks where it is told to"
    );
    for number in [to, from, 3 - to - from] {
        let node = &cluster.pools[number];
        run(node, &format!("CLUSTER SETSLOT {slot} NODE {}", cluster.ids[to]))
            .await
            .unwrap();
    }
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
