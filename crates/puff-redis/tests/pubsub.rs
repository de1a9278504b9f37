//! Publish and subscribe: one body of tests for both backends, then what only Redis can do.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Server, eventually, next, next_within, run};
use nix::sys::signal::Signal;
use puff_redis::{Error, Event, PubSub, PubSubConfig, RedisConfig, RedisPool, Reply};

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
        (&*message.body, message.from_connection_id),
        (&b"plain"[..], None)
    );
    run(&pool, "PUBLISH room \0puff\u{2}later-version").await.unwrap();
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
    let mut error = Ok(());
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
    connection.subscribe("a").await.unwrap();
    server.signal(Signal::SIGSTOP);
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.signal(Signal::SIGCONT);
    assert_eq!(next(&connection).await, "a?");
    pubsub.publish("a", "alive").await.unwrap();
    assert_eq!(next(&connection).await, "a:alive");
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
    assert_eq!((open, open2), (Ok(()), Ok(())));
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
    let publisher = tokio::spawn(async move {
        for number in 0..3000u32 {
            // Failures are the point: the numbers that are missing must be covered.
            let _ = sender.publish("n", number.to_string()).await;
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        while sender.publish("n", "end").await != Ok(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
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
        assert!(covered || expected == 3000, "the last ones are missing");
        (gaps, received)
    });
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart();
    }
    publisher.await.unwrap();
    let (gaps, received) = checker.await.unwrap();
    assert!(gaps >= 1 && received > 100, "{gaps} gaps, {received} messages");
}
