//! A cluster of real nodes, whose slots move and whose nodes end.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use puff_redis::{RedisConfig, RedisPool, Reply};

use crate::common::{eventually, run};
use crate::node::{self, Node};

/// Three masters, and perhaps replicas behind them.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// To each node alone.
    pub(crate) pools: Vec<RedisPool>,
    pub(crate) ids: Vec<String>,
    buses: Vec<u16>,
}

pub(crate) async fn text(pool: &RedisPool, words: &str) -> String {
    match run(pool, words).await.unwrap() {
        Reply::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
        other => panic!("{other:?}"),
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::with_settings("").await
    }

    /// With settings for each node, one a line.
    pub(crate) async fn with_settings(settings: &str) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            pools: Vec::new(),
            ids: Vec::new(),
            buses: Vec::new(),
        };
        for _ in 0..3 {
            cluster.add(settings).await;
        }
        for (pool, slots) in cluster.pools.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            run(pool, &format!("CLUSTER ADDSLOTSRANGE {slots}"))
                .await
                .unwrap();
        }
        for (number, pool) in cluster.pools.iter().enumerate() {
            run(pool, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1))
                .await
                .unwrap();
        }
        for number in 1..3 {
            cluster.meet(number).await;
        }
        cluster.agree(3).await;
        cluster
    }

    async fn add(&mut self, settings: &str) {
        let bus = node::free_port();
        let settings =
            format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000\n{settings}");
        let node = Node::start(&settings, false);
        let pool = node.pool().await;
        self.ids.push(text(&pool, "CLUSTER MYID").await);
        self.nodes.push(node);
        self.pools.push(pool);
        self.buses.push(bus);
    }

    async fn meet(&self, number: usize) {
        let (port, bus) = (self.nodes[number].port, self.buses[number]);
        run(&self.pools[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))
            .await
            .unwrap();
    }

    /// Waits until all of so many nodes know each other.
    async fn agree(&self, known: usize) {
        for pool in &self.pools {
            eventually("the nodes know each other", async || {
                let info = text(pool, "CLUSTER INFO").await;
                info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{known}"))
            })
            .await;
        }
    }

    /// Adds a node that copies another. Its number.
    pub(crate) async fn replicate(&mut self, master: usize) -> usize {
        self.add("").await;
        let number = self.nodes.len() - 1;
        self.meet(number).await;
        self.agree(self.nodes.len()).await;
        let pool = &self.pools[number];
        run(pool, &format!("CLUSTER REPLICATE {}", self.ids[master]))
            .await
            .unwrap();
        eventually("the replica is in step", async || {
            text(pool, "INFO replication")
                .await
                .contains("master_link_status:up")
        })
        .await;
        eventually("all know that it is one", async || {
            let mut known = true;
            for pool in &self.pools {
                let nodes = text(pool, "CLUSTER NODES").await;
                let mut lines = nodes.lines();
                known &=
                    lines.any(|line| line.starts_with(&self.ids[number]) && line.contains(&self.ids[master]));
            }
            known
        })
        .await;
        number
    }

    pub(crate) fn config(&self) -> RedisConfig {
        // One of those that are named may be away.
        let away = node::free_port();
        let url = format!("redis+cluster://127.0.0.1:{away},{}", self.nodes[0].host());
        let mut config = RedisConfig::from_url(&url).unwrap();
        config.response_timeout = Duration::from_secs(5);
        config
    }

    pub(crate) fn pool(&self) -> RedisPool {
        RedisPool::new(self.config())
    }

    /// The slot of a key or a channel, and the number of the node that has it.
    pub(crate) async fn place_of(&self, key: &str) -> (i64, usize) {
        let Reply::Int(slot) = run(&self.pools[0], &format!("CLUSTER KEYSLOT {key}"))
            .await
            .unwrap()
        else {
            panic!("no slot")
        };
        (slot, self.owner(slot).await)
    }

    /// The number of the node that has a slot.
    async fn owner(&self, slot: i64) -> usize {
        // Twice: it may be handed over behind the back of who asks.
        for (number, pool) in self.pools.iter().enumerate().chain(self.pools.iter().enumerate()) {
            let nodes = text(pool, "CLUSTER NODES").await;
            let line = nodes.lines().find(|line| line.contains("myself")).unwrap();
            let has = line.split(' ').skip(8).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                match (from.parse::<i64>(), to.parse::<i64>()) {
                    (Ok(from), Ok(to)) => (from..=to).contains(&slot),
                    _ => false,
                }
            });
            if has {
                return number;
            }
        }
        panic!("nobody has slot {slot}")
    }

    /// Moves a slot with its keys, as `--cluster reshard` does.
    pub(crate) async fn move_slot(&self, slot: i64, from: usize, to: usize) {
        self.begin_move(slot, from, to).await;
        self.move_keys(slot, from, to).await;
        self.end_move(slot, from, to).await;
    }

    pub(crate) async fn begin_move(&self, slot: i64, from: usize, to: usize) {
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from]);
        run(&self.pools[to], &importing).await.unwrap();
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to]);
        run(&self.pools[from], &migrating).await.unwrap();
    }

    pub(crate) async fn move_keys(&self, slot: i64, from: usize, to: usize) {
        loop {
            let keys = format!("CLUSTER GETKEYSINSLOT {slot} 3");
            let Reply::Array(keys) = run(&self.pools[from], &keys).await.unwrap() else {
                panic!("no keys")
            };
            if keys.is_empty() {
                return;
            }
            for key in keys {
                let Reply::Bulk(key) = key else { panic!("{key:?}") };
                let key = String::from_utf8_lossy(&key).into_owned();
                let migrate = format!("MIGRATE 127.0.0.1 {} {key} 0 5000", self.nodes[to].port);
                run(&self.pools[from], &migrate).await.unwrap();
            }
        }
    }

    pub(crate) async fn end_move(&self, slot: i64, from: usize, to: usize) {
        let others = (0..3).filter(|number| ![from, to].contains(number));
        for number in [to, from].into_iter().chain(others) {
            let node = format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]);
            run(&self.pools[number], &node).await.unwrap();
        }
    }

    /// Kills a node without a goodbye.
    pub(crate) fn end(&mut self, number: usize) {
        self.nodes[number].end();
    }

    pub(crate) fn begin(&mut self, number: usize) {
        self.nodes[number].begin();
    }
}
