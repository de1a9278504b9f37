//! Pub-sub in a cluster of real nodes, whose slots move, whose nodes end and whose replicas take over.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/checker.rs"]
mod checker;
#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "common/node.rs"]
mod node;

use std::collections::HashSet;
use std::time::Duration;

use checker::{Load, config};
use cluster::{Cluster, text};
use common::{PATIENCE, eventually, next, next_within, run};
use puff_redis::{Error, Position, PubSub, RedisConfig, SubscribeOptions};

fn hub(cluster: &Cluster) -> PubSub {
    let mut redis = cluster.config();
    redis.response_timeout = Duration::from_secs(1);
    redis.connect_timeout = Duration::from_secs(1);
    redis.breaker_pause = Duration::from_millis(200);
    PubSub::redis_with(redis, config())
}

/// How many connections with subscriptions each node has.
async fn links(cluster: &Cluster) -> Vec<usize> {
    let mut links = Vec::new();
    for pool in &cluster.pools {
        let clients = text(pool, "CLIENT LIST").await;
        links.push(clients.lines().filter(|line| !line.contains(" ssub=0 ")).count());
    }
    links
}

#[tokio::test]
async fn channels_are_where_their_slots_are() {
    let cluster = Cluster::start().await;
    let (alice, bob) = (hub(&cluster), hub(&cluster));
    let (reader, watcher) = (alice.connection(), bob.connection());
    let channels: Vec<String> = (0..60).map(|number| format!("kept:{number}")).collect();
    for channel in &channels {
        reader.subscribe(channel).await.unwrap();
    }
    assert_eq!(
        links(&cluster).await,
        [1, 1, 1],
        "one to each node that is needed"
    );
    for channel in &channels {
        assert_eq!(bob.publish(channel, "x").await, Ok(1));
        assert_eq!(next(&reader).await, format!("{channel}:x"));
    }
    // A history, and who is there.
    for channel in &channels[..9] {
        let late = bob.connection();
        let since = SubscribeOptions::default().since(Position::START);
        let position = late.subscribe_with(channel, since).await.unwrap();
        assert_eq!(position.sequence(), 0);
        assert_eq!(next(&late).await, format!("{channel}:x"));
        watcher.watch(channel).await.unwrap();
        reader.enter(channel, "ada", "").await.unwrap();
        assert!(next(&watcher).await.contains("Joined"));
        assert_eq!(alice.presence(channel).await.unwrap().len(), 1);
        assert!(reader.leave(channel).await.unwrap());
        assert!(next(&watcher).await.contains("Left"));
    }
    // With nobody who listens nothing stays open.
    watcher.close();
    for channel in &channels[1..] {
        reader.unsubscribe(channel);
    }
    let (_, owner) = cluster.place_of(&channels[0]).await;
    let mut one = vec![0; 3];
    one[owner] = 1;
    eventually("one node is needed", async || links(&cluster).await == one).await;
    eventually("the others' links have ended", async || {
        let status = alice.status();
        status.connected && status.channels == 1
    })
    .await;
    alice.close();
    eventually("none is needed", async || links(&cluster).await == [0; 3]).await;
}

#[tokio::test]
async fn a_channel_follows_its_slot() {
    let cluster = Cluster::start().await;
    let pubsub = hub(&cluster);
    for (channel, replayed) in [("kept", true), ("numbered", false)] {
        let (reader, other) = (pubsub.connection(), hub(&cluster));
        let others = other.connection();
        reader.subscribe(channel).await.unwrap();
        others.subscribe(channel).await.unwrap();
        assert_eq!(pubsub.publish(channel, "1").await, Ok(2));
        assert_eq!(next(&reader).await, format!("{channel}:1"));
        let (slot, from) = cluster.place_of(channel).await;
        let to = (from + 1) % 3;
        cluster.begin_move(slot, from, to).await;
        assert_eq!(pubsub.publish(channel, "2").await, Ok(2));
        assert_eq!(next(&reader).await, format!("{channel}:2"));
        cluster.move_keys(slot, from, to).await;
        // It is numbered where its subscribers are not, and found when they come.
        assert_eq!(pubsub.publish(channel, "3").await, Ok(0));
        let late = hub(&cluster);
        let later = late.connection();
        let stands = later.subscribe(channel).await.unwrap();
        assert_eq!(stands.sequence(), 3, "it is told by who has it");
        assert_eq!(next_within(&reader, Duration::from_millis(50)).await, "nothing");
        cluster.end_move(slot, from, to).await;
        eventually("all have followed", async || {
            pubsub.publish(channel, "4").await == Ok(3)
        })
        .await;
        for connection in [&reader, &others] {
            let mut events = Vec::new();
            while events.last() != Some(&format!("{channel}:4")) {
                events.push(next(connection).await);
            }
            let before = events
                .iter()
                .position(|event| !event.ends_with(['1', '2']))
                .unwrap();
            match replayed {
                true => assert_eq!(
                    events[before..],
                    [format!("{channel}:3"), format!("{channel}:4")],
                    "no gap"
                ),
                false => assert_eq!(events[before..], [format!("{channel}?"), format!("{channel}:4")]),
            }
        }
        // Back, with everything at once if the server can do that.
        let migrate = format!(
            "CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {}",
            cluster.ids[from]
        );
        match run(&cluster.pools[to], &migrate).await {
            Ok(_) => {
                eventually("the slot is back", async || {
                    cluster.place_of(channel).await.1 == from
                })
                .await
            }
            Err(error) => {
                assert!(error.to_string().contains("unknown subcommand"), "{error}");
                cluster.move_slot(slot, to, from).await;
            }
        }
        eventually("all are back", async || {
            pubsub.publish(channel, "5").await == Ok(3)
        })
        .await;
        let mut events = Vec::new();
        while events.last() != Some(&format!("{channel}:5")) {
            events.push(next(&reader).await);
        }
        let gaps = events.iter().filter(|event| event.ends_with('?')).count();
        assert_eq!(gaps, usize::from(!replayed), "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_cluster_each_message_arrives_or_is_covered_on_two_nodes() {
    let mut cluster = Cluster::start().await;
    let channels = [
        "kept:1",
        "kept:2",
        "kept:3",
        "numbered:1",
        "numbered:2",
        "numbered:3",
    ];
    let mut slots = Vec::new();
    for channel in channels {
        slots.push(cluster.place_of(channel).await);
    }
    let owners: HashSet<usize> = slots.iter().map(|(_, owner)| *owner).collect();
    assert!(owners.len() > 1, "{slots:?}");
    let copy = cluster.replicate(0).await;
    let nodes = [hub(&cluster), hub(&cluster)];
    let load = Load::start(&nodes, hub(&cluster), &channels, PATIENCE).await;
    load.flows(100).await;

    // Slots move.
    for (slot, owner) in &slots {
        cluster.move_slot(*slot, *owner, (owner + 1) % 3).await;
        load.flows(20).await;
    }
    for (slot, owner) in &slots {
        cluster.move_slot(*slot, (owner + 1) % 3, *owner).await;
    }
    load.flows(100).await;

    // A node without a replica ends, and comes back without what it had.
    cluster.end(1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.begin(1);
    load.flows(100).await;

    // It is away for so long that the others notice.
    cluster.end(2);
    eventually("the cluster is down", async || {
        let info = text(&cluster.pools[0], "CLUSTER INFO").await;
        info.contains("cluster_state:fail")
    })
    .await;
    cluster.begin(2);
    load.flows(100).await;

    // A replica takes over by order, and the first one by death of the replica.
    run(&cluster.pools[copy], "CLUSTER FAILOVER").await.unwrap();
    eventually("the replica is master", async || {
        text(&cluster.pools[copy], "INFO replication")
            .await
            .contains("role:master")
    })
    .await;
    load.flows(100).await;
    eventually("the first one follows", async || {
        text(&cluster.pools[0], "INFO replication")
            .await
            .contains("master_link_status:up")
    })
    .await;
    cluster.end(copy);
    eventually("the first one is master again", async || {
        text(&cluster.pools[0], "INFO replication")
            .await
            .contains("role:master")
    })
    .await;
    load.flows(100).await;
    let (messages, gaps) = load.finish().await;
    println!("{messages} messages and {gaps} gaps at 36 receivers");
    assert!(messages > 5000 && gaps > 36, "{messages} messages, {gaps} gaps");
}

#[tokio::test]
async fn what_is_wrong_with_a_cluster_is_said() {
    let cluster = Cluster::with_settings("rename-command SSUBSCRIBE a\nrename-command SPUBLISH b").await;
    let pubsub = hub(&cluster);
    for outcome in [
        pubsub.connection().subscribe("c").await.map(drop),
        pubsub.publish("c", "x").await.map(drop),
    ] {
        let text = outcome.unwrap_err().to_string();
        assert_eq!(
            text,
            "sharded pub-sub: in a cluster channels need it, and this one has none; Redis 7 or Valkey does"
        );
    }

    // Somebody names a node as if it were alone.
    let (_, owner) = cluster.place_of("c").await;
    let stranger = &cluster.nodes[(owner + 1) % 3];
    let config = RedisConfig::from_url(&format!("redis://{}", stranger.host())).unwrap();
    let pubsub = PubSub::redis(config);
    for outcome in [
        pubsub.connection().subscribe("c").await.map(drop),
        pubsub.publish("c", "x").await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(error.to_string().contains("redis+cluster://"), "{error}");
    }

    // One that is not there, and one that is no cluster.
    let alone = node::Node::start("", false);
    alone.pool().await;
    for (port, word) in [
        (node::free_port(), "cannot connect"),
        (alone.port, "cluster support disabled"),
    ] {
        let mut config = RedisConfig::from_url(&format!("redis+cluster://127.0.0.1:{port}")).unwrap();
        config.connect_timeout = Duration::from_secs(2);
        let pubsub = PubSub::redis(config);
        for outcome in [
            pubsub.connection().subscribe("c").await.map(drop),
            pubsub.publish("c", "x").await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Connect { .. }), "{error:?}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
