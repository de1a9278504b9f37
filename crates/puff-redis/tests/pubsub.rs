//! Publish and subscribe: one body of tests for both backends, then what only Redis can do.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{PATIENCE, Server, eventually, next, next_within, run};
use nix::sys::signal::Signal;
use puff_embedded::testing;
use puff_redis::{
    Error, Event, History, Overflow, Position, PubSub, PubSubConfig, PubSubConnection, PublishOptions,
    RedisConfig, RedisPool, Reply, SubscribeOptions,
};

fn small_queues() -> PubSubConfig {
    let mut config = PubSubConfig::default();
    config.queue_messages = 3;
    config
}

/// What every backend does.
async fn contract(pubsub: PubSub) {
    let (alice, bob) = (pubsub.connection(), pubsub.connection());
    assert_ne!(alice.id(), bob.id());
    assert_eq!(pubsub.publish("news", "nobody listens").await, Ok(0));

    alice.subscribe("news").await.unwrap();
    alice.subscribe("news").await.unwrap();
    bob.subscribe("news").await.unwrap();
    bob.subscribe("other").await.unwrap();
    assert_eq!(
        pubsub.publish("news", "first").await,
        Ok(1),
        "one process, however many listen"
    );
    assert_eq!(alice.publish("news", "second").await, Ok(1));
    for connection in [&alice, &bob] {
        let Ok(Event::Message(first)) = connection.receive().await else {
            panic!("no message")
        };
        assert_eq!((&*first.channel, &*first.body), ("news", &b"first"[..]));
        assert_eq!(first.from_connection_id, None);
        let Ok(Event::Message(second)) = connection.receive().await else {
            panic!("no message")
        };
        assert_eq!(second.from_connection_id.as_deref(), Some(alice.id()));
    }
    assert_eq!(alice.try_receive(), Ok(None), "each once");

    // An id that was handed out earlier; a body that is no text; a sender that only exists as an id.
    let id = pubsub.new_connection_id();
    let carol = pubsub.connection_with_id(&id).unwrap();
    carol.subscribe("other").await.unwrap();
    pubsub.publish_as(&id, "other", vec![0, 0xff]).await.unwrap();
    let Ok(Event::Message(message)) = carol.receive().await else {
        panic!("no message")
    };
    assert_eq!(
        (message.from_connection_id.as_deref(), &*message.body),
        (Some(&*id), &[0, 0xff][..])
    );

    // Unsubscribing is final, also for what was under way.
    assert_eq!(next(&bob).await, "other:\0\u{fffd}");
    assert!(bob.unsubscribe("other"));
    assert!(!bob.unsubscribe("other"));
    pubsub.publish("other", "x").await.unwrap();
    assert_eq!(next(&carol).await, "other:x");
    assert_eq!(bob.try_receive(), Ok(None));

    // Overflow: what fits, one gap, and then again what comes.
    for number in 0..10 {
        pubsub.publish("other", number.to_string()).await.unwrap();
    }
    pubsub.publish("news", "marker").await.unwrap();
    assert_eq!(next(&bob).await, "news:marker");
    for expected in ["other:0", "other:1", "other:2", "other?"] {
        assert_eq!(next(&carol).await, expected);
    }
    pubsub.publish("other", "after").await.unwrap();
    assert_eq!(next(&carol).await, "other:after");

    // A receive that is given up loses nothing.
    assert_eq!(next_within(&carol, Duration::from_millis(10)).await, "nothing");
    pubsub.publish("other", "kept").await.unwrap();
    assert_eq!(next(&carol).await, "other:kept");

    for bad in ["", &"x".repeat(1025)] {
        assert!(matches!(alice.subscribe(bad).await, Err(Error::Invalid { .. })));
        assert!(matches!(
            pubsub.publish(bad, "x").await,
            Err(Error::Invalid { .. })
        ));
    }
    assert!(pubsub.connection_with_id("").is_err());
    assert!(pubsub.publish_as(&"x".repeat(256), "news", "x").await.is_err());

    // Closing wakes those who wait.
    let alice = Arc::new(alice);
    let waiting = tokio::spawn({
        let alice = alice.clone();
        async move { while alice.receive().await.is_ok() {} }
    });
    tokio::task::yield_now().await;
    alice.close();
    waiting.await.unwrap();
    assert!(matches!(alice.subscribe("news").await, Err(Error::Closed { .. })));
    drop(bob);
    eventually("the last listener is gone", async || {
        pubsub.publish("news", "x").await == Ok(0)
    })
    .await;

    pubsub.close();
    assert!(matches!(carol.receive().await, Err(Error::Closed { .. })));
    assert!(matches!(
        pubsub.publish("other", "x").await,
        Err(Error::Closed { .. })
    ));
    assert!(matches!(
        pubsub.connection().subscribe("other").await,
        Err(Error::Closed { .. })
    ));
}

#[tokio::test]
async fn the_contract_in_process() {
    contract(PubSub::in_process_with(small_queues())).await;
}

#[tokio::test]
async fn the_contract_over_redis() {
    let server = Server::start();
    contract(PubSub::redis_with(server.config(), small_queues())).await;
}

async fn numbers(connection: &PubSubConnection, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        match tokio::time::timeout(PATIENCE, connection.receive())
            .await
            .unwrap()
            .unwrap()
        {
            Event::Message(message) => numbers.push(message.position.unwrap().sequence()),
            other => panic!("{other:?}"),
        }
    }
    numbers
}

/// Positions, histories, policies and bad input: on every backend.
async fn positions(make: impl Fn(PubSubConfig) -> PubSub) {
    let mut config = small_queues();
    config.queue_messages = 8;
    config.max_message = 100;
    config.history = vec![(
        "kept".into(),
        History {
            messages: 4,
            time: Duration::from_secs(60),
        },
    )];
    let pubsub = make(config);
    let reader = pubsub.connection();
    let start = reader.subscribe("kept").await.unwrap();
    assert_eq!(start, Position::START);
    for body in ["1", "2", "3"] {
        pubsub.publish("kept", body).await.unwrap();
    }
    assert_eq!(numbers(&reader, 3).await, [1, 2, 3]);

    // From the start, from a position, from the head.
    let published = pubsub
        .publish_with("kept", "4", PublishOptions::default().from("somebody"))
        .await
        .unwrap();
    let fourth = published.position.unwrap();
    assert_eq!((published.receivers, fourth.sequence()), (1, 4));
    let late = pubsub.connection();
    late.subscribe_with("kept", SubscribeOptions::default().since(Position::START))
        .await
        .unwrap();
    assert_eq!(numbers(&late, 4).await, [1, 2, 3, 4]);
    assert!(late.unsubscribe("kept"));
    for body in ["5", "6"] {
        pubsub.publish("kept", body).await.unwrap();
    }
    let again = SubscribeOptions::default().since(fourth);
    assert_eq!(late.subscribe_with("kept", again).await, Ok(fourth));
    pubsub.publish("kept", "7").await.unwrap();
    assert_eq!(numbers(&late, 3).await, [5, 6, 7], "no hole, no duplicate");
    assert!(
        late.subscribe_with("kept", again).await.is_err(),
        "it listens already"
    );

    // Further back than the history reaches.
    late.unsubscribe("kept");
    for body in ["8", "9", "10"] {
        pubsub.publish("kept", body).await.unwrap();
    }
    late.subscribe_with("kept", again).await.unwrap();
    let Ok(Event::Gap(gap)) = late.receive().await else {
        panic!("no gap")
    };
    assert_eq!((gap.last, gap.missed()), (Some(fourth), Some(2)));
    assert_eq!(numbers(&late, 4).await, [7, 8, 9, 10]);

    // A position of another life of the channel.
    let other = "0123456789abcdef-3".parse().unwrap();
    let stranger = pubsub.connection();
    let since = SubscribeOptions::default().since(other);
    stranger.subscribe_with("kept", since).await.unwrap();
    assert_eq!(next(&stranger).await, "kept?");
    assert_eq!(numbers(&stranger, 4).await, [7, 8, 9, 10]);

    // A channel without history has numbers, and resumes where nothing was missed.
    let position = reader.subscribe("plain").await.unwrap();
    assert_eq!(position, Position::START);
    pubsub.publish("plain", "x").await.unwrap();
    let here = late.subscribe("plain").await.unwrap();
    assert_eq!(here.sequence(), 1);
    stranger
        .subscribe_with("plain", SubscribeOptions::default().since(here))
        .await
        .unwrap();
    pubsub.publish("plain", "y").await.unwrap();
    assert_eq!(next(&stranger).await, "plain:y");
    stranger.unsubscribe("plain");
    stranger
        .subscribe_with("plain", SubscribeOptions::default().since(here))
        .await
        .unwrap();
    assert_eq!(next(&stranger).await, "plain?");

    // A publication may ask for a history by itself.
    for body in ["1", "2", "3"] {
        let keep = PublishOptions::default().keep(2, Duration::from_secs(60));
        pubsub.publish_with("asked", body, keep).await.unwrap();
    }
    stranger
        .subscribe_with("asked", SubscribeOptions::default().since(Position::START))
        .await
        .unwrap();
    for expected in ["asked?", "asked:2", "asked:3"] {
        assert_eq!(next(&stranger).await, expected);
    }

    // Its own messages may be left out.
    let silent = pubsub.connection();
    silent
        .subscribe_with("echo", SubscribeOptions::default().without_echo())
        .await
        .unwrap();
    silent.publish("echo", "mine").await.unwrap();
    pubsub.publish_as(silent.id(), "echo", "mine too").await.unwrap();
    pubsub.publish("echo", "yours").await.unwrap();
    assert_eq!(next(&silent).await, "echo:yours");

    // The policies.
    let oldest = pubsub.connection_with("oldest", Overflow::DropOldest).unwrap();
    let ended = pubsub.connection_with("ended", Overflow::Disconnect).unwrap();
    for connection in [&oldest, &ended] {
        connection.subscribe("busy").await.unwrap();
    }
    let before = pubsub.status().received;
    for number in 0..20 {
        pubsub.publish("busy", number.to_string()).await.unwrap();
    }
    eventually("all have come", async || pubsub.status().received == before + 20).await;
    assert_eq!(pubsub.status().disconnected, 1);
    assert_eq!(next(&oldest).await, "busy?");
    assert_eq!(numbers(&oldest, 8).await, (13..=20).collect::<Vec<_>>());
    assert!(matches!(ended.receive().await, Err(Error::TooSlow { .. })));
    assert!(ended.subscribe("busy").await.is_err());

    // What is refused.
    let large = pubsub.publish("busy", vec![0; 101]).await.unwrap_err();
    assert_eq!(
        large.to_string(),
        "the message: it has 101 bytes, at most 100 are allowed"
    );
    let keep = PublishOptions::default().keep(0, Duration::from_secs(1));
    assert!(pubsub.publish_with("busy", "x", keep).await.is_err());

    let status = pubsub.status();
    assert_eq!((status.connections, status.connected), (5, true), "{status:?}");
    assert!(
        status.replayed >= 14 && status.gaps >= 5 && status.published >= 30,
        "{status:?}"
    );
}

#[tokio::test]
async fn positions_in_process() {
    positions(PubSub::in_process_with).await;
}

#[tokio::test]
async fn positions_over_redis() {
    let server = Server::start();
    positions(|config| PubSub::redis_with(server.config(), config)).await;
}

fn sharded(mut config: PubSubConfig) -> PubSubConfig {
    config.sharded = true;
    config
}

#[tokio::test]
async fn the_contract_and_positions_with_sharded_channels() {
    let server = Server::start();
    contract(PubSub::redis_with(server.config(), sharded(small_queues()))).await;
    positions(|config| PubSub::redis_with(server.config(), sharded(config))).await;
}

#[tokio::test]
async fn sharded_channels_are_apart_and_end_with_their_last_listener() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    let (shards, plain) = (
        PubSub::redis_with(server.config(), sharded(PubSubConfig::default())),
        PubSub::redis(server.config()),
    );
    let connection = shards.connection();
    connection.subscribe("c").await.unwrap();
    connection.subscribe("{tag}:1").await.unwrap();
    assert_eq!(plain.publish("c", "x").await, Ok(0));
    assert_eq!(shards.publish("{tag}:1", "y").await, Ok(1));
    assert_eq!(next(&connection).await, "{tag}:1:y");
    for channel in ["a}", "{}a"] {
        assert!(matches!(
            connection.subscribe(channel).await,
            Err(Error::Invalid { .. })
        ));
        assert!(matches!(
            shards.publish(channel, "x").await,
            Err(Error::Invalid { .. })
        ));
    }
    connection.close();
    eventually("unsubscribed", async || {
        run(&pool, "PUBSUB SHARDCHANNELS").await == Ok(Reply::Array(vec![]))
    })
    .await;

    // A forbidden channel fails alone here, too.
    run(&pool, "ACL SETUSER app on >pw ~* +@all resetchannels &open*")
        .await
        .unwrap();
    let url = format!("{}?username=app&password=pw", server.url());
    let config = sharded(PubSubConfig::default());
    let pubsub = PubSub::redis_with(RedisConfig::from_url(&url).unwrap(), config);
    let connection = pubsub.connection();
    let (open, closed) = tokio::join!(connection.subscribe("open"), connection.subscribe("closed"));
    assert!(open.is_ok());
    assert_eq!(closed.unwrap_err().code(), Some("NOPERM"));
}

#[tokio::test]
async fn a_server_without_sharded_channels_is_told_of() {
    // The server may run as another user, who has to be able to read it.
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        &settings,
        "rename-command SSUBSCRIBE a\nrename-command SPUBLISH b\n",
    )
    .unwrap();
    std::fs::set_permissions(&settings, std::fs::Permissions::from_mode(0o644)).unwrap();
    let server = testing::valkey_with(&[("include", settings.path().to_str().unwrap())]);
    let config = RedisConfig::from_url(server.url()).unwrap();
    let pubsub = PubSub::redis_with(config, sharded(PubSubConfig::default()));
    for error in [
        pubsub.connection().subscribe("c").await.map(drop),
        pubsub.publish("c", "x").await.map(drop),
    ] {
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "sharded pub-sub: this server has none; Redis 7 or Valkey does"
        );
    }
}

#[tokio::test]
async fn a_channel_with_history_heals_after_a_cut() {
    let server = Server::start();
    let mut config = PubSubConfig::default();
    config.history = vec![(
        "kept".into(),
        History {
            messages: 100,
            time: Duration::from_secs(60),
        },
    )];
    let here = PubSub::redis_with(server.config(), config.clone());
    let there = PubSub::redis_with(server.config(), config);
    let pool = RedisPool::new(server.config());
    let connection = here.connection();
    connection.subscribe("kept").await.unwrap();
    there.publish("kept", "0").await.unwrap();
    assert_eq!(next(&connection).await, "kept:0");
    for round in 0..5 {
        run(&pool, "CLIENT KILL TYPE pubsub").await.unwrap();
        // Some of these come before the link is back.
        for number in 1..=3 {
            there
                .publish("kept", (3 * round + number).to_string())
                .await
                .unwrap();
        }
        for number in 1..=3 {
            assert_eq!(next(&connection).await, format!("kept:{}", 3 * round + number));
        }
    }
    assert_eq!(here.status().gaps, 0);
}

#[tokio::test]
async fn what_the_server_loses_in_between_is_a_gap() {
    let server = Server::start();
    let (pubsub, pool) = (PubSub::redis(server.config()), RedisPool::new(server.config()));
    let connection = pubsub.connection();
    connection.subscribe("c").await.unwrap();
    pubsub.publish("c", "1").await.unwrap();
    assert_eq!(next(&connection).await, "c:1");
    // As if a message had been numbered and not sent.
    let Ok(Reply::Bulk(counter)) = run(&pool, "GET puff:counter:{c}").await else {
        panic!("no counter")
    };
    let counter = String::from_utf8(counter.to_vec()).unwrap();
    run(&pool, &format!("SET puff:counter:{{c}} {}4", &counter[..16]))
        .await
        .unwrap();
    pubsub.publish("c", "5").await.unwrap();
    let Ok(Event::Gap(gap)) = connection.receive().await else {
        panic!("no gap")
    };
    assert_eq!(gap.missed(), Some(3));
    assert_eq!(next(&connection).await, "c:5");
    // And as if it had lost its data while the connection lived on.
    run(&pool, "FLUSHALL").await.unwrap();
    pubsub.publish("c", "6").await.unwrap();
    let Ok(Event::Gap(gap)) = connection.receive().await else {
        panic!("no gap")
    };
    assert_eq!(gap.missed(), None);
    assert_eq!(next(&connection).await, "c:6");
}

#[tokio::test]
async fn hubs_on_one_server_see_each_other_and_foreign_messages() {
    let server = Server::start();
    let (here, there) = (PubSub::redis(server.config()), PubSub::redis(server.config()));
    let (a, b) = (here.connection(), there.connection());
    a.subscribe("room").await.unwrap();
    b.subscribe("room").await.unwrap();
    assert_eq!(a.publish("room", "hi").await, Ok(2), "two processes");
    for connection in [&a, &b] {
        let Ok(Event::Message(message)) = connection.receive().await else {
            panic!("no message")
        };
        assert_eq!(
            (&*message.body, message.from_connection_id.as_deref()),
            (&b"hi"[..], Some(a.id()))
        );
    }

    let pool = RedisPool::new(server.config());
    run(&pool, "PUBLISH room plain").await.unwrap();
    let Ok(Event::Message(message)) = b.receive().await else {
        panic!("no message")
    };
    assert_eq!(
        (
            &*message.body,
            message.from_connection_id.clone(),
            message.position
        ),
        (&b"plain"[..], None, None)
    );
    run(&pool, "PUBLISH room \0puff\u{3}later-version").await.unwrap();
    assert_eq!(next(&b).await, "room?");
}

async fn subscribers(pool: &RedisPool, channel: &str) -> Reply {
    let Ok(Reply::Array(reply)) = run(pool, &format!("PUBSUB NUMSUB {channel}")).await else {
        panic!("no count")
    };
    reply[1].clone()
}

#[tokio::test]
async fn one_subscription_per_channel_dropped_with_its_last_listener() {
    let server = Server::start();
    let (pubsub, pool) = (PubSub::redis(server.config()), RedisPool::new(server.config()));
    let connections: Vec<_> = (0..5).map(|_| pubsub.connection()).collect();
    for connection in &connections {
        connection.subscribe("c").await.unwrap();
    }
    assert_eq!(subscribers(&pool, "c").await, Reply::Int(1));
    for connection in &connections[1..] {
        assert!(connection.unsubscribe("c"));
    }
    connections[1].subscribe("c").await.unwrap();
    connections[1].unsubscribe("c");
    assert_eq!(subscribers(&pool, "c").await, Reply::Int(1));
    drop(connections);
    eventually("unsubscribed", async || {
        subscribers(&pool, "c").await == Reply::Int(0)
    })
    .await;
    let again = pubsub.connection();
    again.subscribe("c").await.unwrap();
    assert_eq!(subscribers(&pool, "c").await, Reply::Int(1));
    drop((pubsub, again));
    eventually("the hub is gone", async || {
        subscribers(&pool, "c").await == Reply::Int(0)
    })
    .await;
}

#[tokio::test]
async fn many_channels_at_once() {
    let server = Server::start();
    let (pubsub, pool) = (PubSub::redis(server.config()), RedisPool::new(server.config()));
    let connection = Arc::new(pubsub.connection());
    let tasks: Vec<_> = (0..1000)
        .map(|number: i32| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.subscribe(&format!("c{number}")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for number in 0..1000 {
        assert_eq!(pool_publish(&pool, &format!("c{number}")).await, Reply::Int(1));
    }
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        assert!(seen.insert(next(&connection).await));
    }
    connection.close();
    eventually("all unsubscribed", async || {
        run(&pool, "PUBSUB CHANNELS").await == Ok(Reply::Array(vec![]))
    })
    .await;
}

async fn pool_publish(pool: &RedisPool, channel: &str) -> Reply {
    run(pool, &format!("PUBLISH {channel} x")).await.unwrap()
}

#[tokio::test]
async fn a_restarted_server_means_a_gap_and_then_messages() {
    let mut server = Server::start();
    let pubsub = PubSub::redis(server.config());
    let connection = pubsub.connection();
    for channel in ["a", "b"] {
        connection.subscribe(channel).await.unwrap();
    }
    pubsub.publish("a", "before").await.unwrap();
    assert_eq!(next(&connection).await, "a:before");

    server.kill();
    eventually("publishing fails", async || {
        pubsub.publish("a", "x").await.is_err()
    })
    .await;
    let late = pubsub.connection();
    let mut error = Ok(Position::START);
    // Until the loss is noticed a subscription may still succeed; the gap will cover it.
    eventually("subscribing fails", async || {
        late.unsubscribe("a");
        error = late.subscribe("a").await;
        error.is_err()
    })
    .await;
    assert!(matches!(error, Err(Error::Connect { .. })), "{error:?}");
    assert!(late.channels().is_empty(), "a failed subscription leaves nothing");
    assert_eq!(
        connection.try_receive(),
        Ok(None),
        "no gap before there is an end to it"
    );

    server.restart();
    let gaps = HashSet::from([next(&connection).await, next(&connection).await]);
    assert_eq!(gaps, HashSet::from(["a?".to_owned(), "b?".to_owned()]));
    assert_eq!(pubsub.publish("a", "after").await, Ok(1));
    assert_eq!(next(&connection).await, "a:after");
    late.subscribe("a").await.unwrap();
    pubsub.publish("a", "both").await.unwrap();
    assert_eq!(next(&late).await, "a:both", "a new listener has no gap");
}

#[tokio::test]
async fn a_cut_connection_means_a_gap() {
    let server = Server::start();
    let (pubsub, pool) = (PubSub::redis(server.config()), RedisPool::new(server.config()));
    let connection = pubsub.connection();
    connection.subscribe("a").await.unwrap();
    for round in 0..3 {
        assert_eq!(run(&pool, "CLIENT KILL TYPE pubsub").await, Ok(Reply::Int(1)));
        assert_eq!(next(&connection).await, "a?", "round {round}");
        pubsub.publish("a", round.to_string()).await.unwrap();
        assert_eq!(next(&connection).await, format!("a:{round}"));
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed() {
    let server = Server::start();
    let mut redis = server.config();
    redis.response_timeout = Duration::from_millis(300);
    let mut config = PubSubConfig::default();
    config.ping_interval = Duration::from_millis(100);
    let pubsub = PubSub::redis_with(redis, config);
    let connection = pubsub.connection();
    eventually("it is there", async || connection.subscribe("a").await.is_ok()).await;
    server.signal(Signal::SIGSTOP);
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.signal(Signal::SIGCONT);
    assert_eq!(next(&connection).await, "a?");
    eventually("it is back", async || pubsub.publish("a", "alive").await == Ok(1)).await;
    // Another silence, of a busy machine, is another gap.
    loop {
        match &*next(&connection).await {
            "a?" => {}
            message => break assert_eq!(message, "a:alive"),
        }
    }
}

#[tokio::test]
async fn a_forbidden_channel_fails_alone() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    run(&pool, "ACL SETUSER app on >pw ~* +@all resetchannels &open*")
        .await
        .unwrap();
    let url = format!("{}?username=app&password=pw", server.url());
    let pubsub = PubSub::redis(RedisConfig::from_url(&url).unwrap());
    let connection = pubsub.connection();
    let (open, closed, open2) = tokio::join!(
        connection.subscribe("open1"),
        connection.subscribe("closed"),
        connection.subscribe("open2"),
    );
    assert!(open.is_ok() && open2.is_ok());
    assert_eq!(closed.unwrap_err().code(), Some("NOPERM"));
    assert_eq!(connection.channels().len(), 2);
    run(&pool, "PUBLISH open2 x").await.unwrap();
    assert_eq!(next(&connection).await, "open2:x");
}

#[tokio::test]
async fn a_subscription_given_up_leaves_nothing() {
    // Accepts and never answers, so the subscription waits.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = RedisConfig::from_url(&format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    let pubsub = PubSub::redis(config.clone());
    let connection = pubsub.connection();
    let given_up = tokio::time::timeout(Duration::from_millis(50), connection.subscribe("a")).await;
    assert!(given_up.is_err());
    assert!(connection.channels().is_empty());

    // Unsubscribing meanwhile answers the call.
    let (subscribed, ()) = tokio::join!(connection.subscribe("a"), async {
        tokio::task::yield_now().await;
        assert!(connection.unsubscribe("a"));
    });
    assert_eq!(subscribed.unwrap_err().to_string(), "the subscription is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_message_arrives_in_order_or_is_covered_by_a_gap() {
    let mut server = Server::start();
    let (sender, receiver) = (PubSub::redis(server.config()), PubSub::redis(server.config()));
    let connection = receiver.connection();
    connection.subscribe("n").await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let publisher = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            let (mut number, mut more) = (0u32, 200);
            // Until all is well again and some have come through.
            while more > 0 {
                // Failures are the point: the numbers that are missing must be covered.
                let sent = sender.publish("n", number.to_string()).await;
                number += 1;
                if sent == Ok(1) && is_over.load(Ordering::SeqCst) {
                    more -= 1;
                }
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            while sender.publish("n", "end").await != Ok(1) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            number
        }
    });
    let checker = tokio::spawn(async move {
        let (mut expected, mut covered, mut gaps, mut received) = (0, false, 0, 0);
        loop {
            match &*next(&connection).await {
                "n?" => (covered, gaps) = (true, gaps + 1),
                "n:end" => break,
                message => {
                    let number: u32 = message.strip_prefix("n:").unwrap().parse().unwrap();
                    assert!(
                        number == expected || (covered && number > expected),
                        "{number} after {expected}"
                    );
                    (expected, covered, received) = (number + 1, false, received + 1);
                }
            }
        }
        (gaps, received, covered, expected)
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart();
    }
    is_over.store(true, Ordering::SeqCst);
    let sent = publisher.await.unwrap();
    let (gaps, received, covered, expected) = checker.await.unwrap();
    assert!(covered || expected == sent, "the last ones are missing");
    assert!(gaps >= 1 && received > 100, "{gaps} gaps, {received} messages");
}
