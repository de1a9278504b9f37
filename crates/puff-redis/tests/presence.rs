//! Who is on a channel: within a process and over Redis.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::time::Duration;

use common::{PATIENCE, Server, eventually, run};
use puff_redis::{Change, Error, Event, PubSub, PubSubConfig, PubSubConnection, RedisPool};

fn short() -> PubSubConfig {
    let mut config = PubSubConfig::default();
    config.presence_ttl = Duration::from_secs(3);
    config.presence_max = 4;
    config
}

/// The next change: "+ada:info", "-ada:info" or "?".
async fn change(connection: &PubSubConnection) -> String {
    match tokio::time::timeout(PATIENCE, connection.receive())
        .await
        .unwrap()
    {
        Ok(Event::Presence(presence)) => {
            assert_eq!(&*presence.channel, "room");
            let show = |member: &puff_redis::Member| {
                format!("{}:{}", member.id, String::from_utf8_lossy(&member.info))
            };
            match &presence.change {
                Change::Joined(member) => format!("+{}", show(member)),
                Change::Left(member) => format!("-{}", show(member)),
                Change::Unknown => "?".to_owned(),
            }
        }
        other => panic!("{other:?}"),
    }
}

async fn who(pubsub: &PubSub) -> Vec<String> {
    let members = pubsub.presence("room").await.unwrap();
    let mut ids: Vec<_> = members.iter().map(|member| member.id.to_string()).collect();
    ids.sort();
    ids
}

/// What every backend does.
async fn contract(here: PubSub, there: PubSub) {
    let watcher = here.connection();
    watcher.watch("room").await.unwrap();
    assert!(watcher.channels().is_empty(), "that is no channel of its own");
    let (phone, laptop, bob) = (here.connection(), there.connection(), there.connection());
    phone.enter("room", "ada", "phone").await.unwrap();
    assert_eq!(change(&watcher).await, "+ada:phone");
    laptop.enter("room", "ada", "laptop").await.unwrap();
    bob.enter("room", "bob", "").await.unwrap();
    assert_eq!(change(&watcher).await, "+bob:", "ada is there once");
    assert_eq!(who(&there).await, ["ada", "bob"]);
    phone.enter("room", "ada", "telephone").await.unwrap();
    assert_eq!(who(&here).await.len(), 2);

    // The last connection of a member counts.
    assert_eq!(phone.leave("room").await, Ok(true));
    assert_eq!(phone.leave("room").await, Ok(false));
    assert_eq!(who(&there).await, ["ada", "bob"]);
    drop(laptop);
    assert!(change(&watcher).await.starts_with("-ada:"));
    assert_eq!(who(&here).await, ["bob"]);

    // One member for each connection.
    bob.enter("room", "robert", "new").await.unwrap();
    assert_eq!(change(&watcher).await, "-bob:");
    assert_eq!(change(&watcher).await, "+robert:new");

    assert!(watcher.unwatch("room"));
    assert!(!watcher.unwatch("room"));
    bob.close();
    eventually("robert has left", async || who(&here).await.is_empty()).await;
    assert_eq!(watcher.try_receive(), Ok(None));

    assert!(matches!(
        bob.enter("room", "bob", "").await,
        Err(Error::Closed { .. })
    ));
    for (member, info) in [("", 0), (&*"x".repeat(256), 0), ("x", 4097)] {
        let refused = phone.enter("room", member, vec![b' '; info]).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    assert!(phone.subscribe("puff:presence:{room}").await.is_err(), "reserved");
    assert!(who(&here).await.is_empty());
}

#[tokio::test]
async fn the_contract_in_process() {
    let pubsub = PubSub::in_process();
    contract(pubsub.clone(), pubsub).await;
}

#[tokio::test]
async fn the_contract_over_redis() {
    let server = Server::start();
    let hub = || PubSub::redis(server.config());
    contract(hub(), hub()).await;
}

#[tokio::test]
async fn members_of_a_process_that_dies_leave_by_themselves() {
    let server = Server::start();
    let hub = || PubSub::redis_with(server.config(), short());
    let (here, dies) = (hub(), hub());
    let (watcher, stays, gone) = (here.connection(), here.connection(), dies.connection());
    watcher.watch("room").await.unwrap();
    stays.enter("room", "stays", "").await.unwrap();
    assert_eq!(change(&watcher).await, "+stays:");
    gone.enter("room", "gone", "last words").await.unwrap();
    assert_eq!(change(&watcher).await, "+gone:last words");
    // Without a word: nothing is told to Redis.
    dies.close();
    assert_eq!(change(&watcher).await, "-gone:last words");
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert_eq!(who(&here).await, ["stays"], "the heart beats for those who live");
    assert_eq!(watcher.try_receive(), Ok(None));

    // Nobody asks, nobody watches: nothing stays in Redis.
    here.close();
    let pool = RedisPool::new(server.config());
    eventually("nothing is left", async || {
        run(&pool, "EXISTS puff:entries:{room} puff:members:{room}").await == Ok(puff_redis::Reply::Int(0))
    })
    .await;
}

#[tokio::test]
async fn a_full_channel_refuses_with_a_code() {
    let server = Server::start();
    let pubsub = PubSub::redis_with(server.config(), short());
    let connections: Vec<_> = (0..5).map(|_| pubsub.connection()).collect();
    for (number, connection) in connections[..4].iter().enumerate() {
        connection.enter("room", &number.to_string(), "").await.unwrap();
    }
    let refused = connections[4].enter("room", "late", "").await.unwrap_err();
    assert_eq!(refused.code(), Some("FULL"), "{refused}");
    connections[0].enter("room", "0", "again").await.unwrap();
    assert_eq!(who(&pubsub).await, ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn presence_is_back_after_the_server_lost_it() {
    let mut server = Server::start();
    let pubsub = PubSub::redis_with(server.config(), short());
    let (watcher, member) = (pubsub.connection(), pubsub.connection());
    watcher.watch("room").await.unwrap();
    member.enter("room", "ada", "").await.unwrap();
    assert_eq!(change(&watcher).await, "+ada:");
    server.kill();
    assert!(pubsub.presence("room").await.is_err());
    server.restart();
    assert_eq!(change(&watcher).await, "?");
    eventually("ada is back", async || {
        pubsub
            .presence("room")
            .await
            .is_ok_and(|members| members.len() == 1)
    })
    .await;
}
