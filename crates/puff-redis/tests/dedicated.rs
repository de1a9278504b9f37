//! Connections that one has alone, against a real Valkey.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::time::Duration;

use common::{PATIENCE, Server, eventually, run};
use nix::sys::signal::Signal;
use puff_redis::{Command, Error, Incoming, RedisPool, Reply};

fn words(line: &str) -> Command {
    let mut command = Command::default();
    line.split(' ').for_each(|word| command.push(word));
    command
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

/// A pool with one shared connection and so many dedicated ones.
fn pool(server: &Server, dedicated: usize) -> RedisPool {
    let mut config = server.config();
    config.connections = 1;
    config.dedicated_connections = dedicated;
    config.dedicated_timeout = Duration::from_millis(200);
    RedisPool::new(config)
}

async fn client_id(connection: &puff_redis::DedicatedConnection) -> Reply {
    connection.command(words("CLIENT ID")).await.unwrap()
}

#[tokio::test]
async fn commands_that_wait_do_not_keep_others_waiting() {
    let server = Server::start();
    let pool = pool(&server, 30);
    let tasks: Vec<_> = (0..30)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.command(words(&format!("BLPOP list{n} 0"))).await })
        })
        .collect();
    eventually("all wait", async || pool.status().dedicated.in_use == 30).await;
    assert_eq!(pool.get("k").await, Ok(None));
    // The server has them all.
    eventually("all are blocked", async || {
        let Ok(Reply::Bulk(info)) = run(&pool, "INFO clients").await else {
            return false;
        };
        String::from_utf8_lossy(&info).contains("blocked_clients:30")
    })
    .await;
    for (n, task) in tasks.into_iter().enumerate() {
        run(&pool, &format!("RPUSH list{n} x")).await.unwrap();
        assert!(matches!(task.await.unwrap(), Ok(Reply::Array(_))));
    }
    let status = pool.status().dedicated;
    assert_eq!((status.in_use, status.idle), (0, 30));
}

#[tokio::test]
async fn what_waits_longer_than_the_time_out_for_answers_may() {
    let server = Server::start();
    let mut config = server.config();
    config.response_timeout = Duration::from_millis(100);
    let pool = RedisPool::new(config);
    for command in ["BLPOP nothing 0.4", "XREAD BLOCK 300 STREAMS nothing $"] {
        // More often, because what it may take longer is not much.
        eventually(command, async || run(&pool, command).await == Ok(Reply::Nil)).await;
    }
    server.signal(Signal::SIGSTOP);
    let error = run(&pool, "BLPOP nothing 0.1").await.unwrap_err();
    server.signal(Signal::SIGCONT);
    assert!(
        matches!(error, Error::Timeout { .. } | Error::Connect { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_clean_connection_is_used_again_and_another_is_closed() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let connection = pool.dedicated().await.unwrap();
    let first = client_id(&connection).await;
    assert!(connection.is_clean());
    drop(connection);

    let connection = pool.dedicated().await.unwrap();
    assert_eq!(client_id(&connection).await, first, "the same one");
    connection.command(words("WATCH k")).await.unwrap();
    assert!(!connection.is_clean());
    connection.command(words("MULTI")).await.unwrap();
    connection.command(words("INCR k")).await.unwrap();
    assert_eq!(
        connection.command(words("EXEC")).await,
        Ok(Reply::Array(vec![Reply::Int(1)]))
    );
    assert!(connection.is_clean());
    drop(connection);

    for dirty in [
        "WATCH k",
        "MULTI",
        "SELECT 1",
        "CLIENT TRACKING ON",
        "CLIENT SETNAME me",
    ] {
        let connection = pool.dedicated().await.unwrap();
        let before = client_id(&connection).await;
        connection.command(words(dirty)).await.unwrap();
        drop(connection);
        let next = pool.dedicated().await.unwrap();
        assert_ne!(client_id(&next).await, before, "after {dirty}");
    }

    // Answers that nobody took.
    let connection = pool.dedicated().await.unwrap();
    let before = client_id(&connection).await;
    connection.send(&[words("PING"), words("PING")]).await.unwrap();
    assert_eq!(
        connection.receive().await,
        Ok(Incoming::Reply(Reply::Status("PONG".into())))
    );
    drop(connection);
    let next = pool.dedicated().await.unwrap();
    assert_ne!(client_id(&next).await, before);
}

#[tokio::test]
async fn a_change_to_a_watched_key_undoes_the_transaction() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let connection = pool.dedicated().await.unwrap();
    connection.command(words("WATCH k")).await.unwrap();
    pool.set("k", "other").await.unwrap();
    connection.command(words("MULTI")).await.unwrap();
    connection.command(words("SET k mine")).await.unwrap();
    assert_eq!(connection.command(words("EXEC")).await, Ok(Reply::Nil));
    assert_eq!(pool.get("k").await, Ok(Some("other".into())));
}

#[tokio::test]
async fn there_are_only_so_many_and_waiting_for_one_ends() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let (first, _second) = (pool.dedicated().await.unwrap(), pool.dedicated().await.unwrap());
    let error = run(&pool, "BLPOP k 1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the pool's 2 dedicated connections to Redis has become free within 200ms"
    );
    let status = pool.status().dedicated;
    assert_eq!((status.in_use, status.waiting, status.timed_out), (2, 0, 1));
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.dedicated().await.map(drop) }
    });
    eventually("it waits", async || pool.status().dedicated.waiting == 1).await;
    drop(first);
    waiting.await.unwrap().unwrap();
    assert_eq!(pool.get("k").await, Ok(None), "the others never wait");
}

#[tokio::test]
async fn giving_up_frees_the_connection() {
    let server = Server::start();
    let pool = pool(&server, 1);
    for _ in 0..5 {
        let task = tokio::spawn({
            let pool = pool.clone();
            async move { pool.command(words("BLPOP k 0")).await }
        });
        eventually("it has the connection", async || {
            pool.status().dedicated.in_use == 1
        })
        .await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        eventually("it is free", async || pool.status().dedicated.in_use == 0).await;
    }
    // Nobody is left who takes the element.
    eventually("the server knows", async || {
        let Ok(Reply::Bulk(info)) = run(&pool, "INFO clients").await else {
            return false;
        };
        String::from_utf8_lossy(&info).contains("blocked_clients:0")
    })
    .await;
    run(&pool, "RPUSH k x").await.unwrap();
    assert_eq!(
        run(&pool, "BLPOP k 1").await,
        Ok(Reply::Array(vec![bulk("k"), bulk("x")]))
    );
}

#[tokio::test]
async fn messages_come_between_answers() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let connection = pool.dedicated().await.unwrap();
    let error = connection.command(words("SUBSCRIBE c")).await.unwrap_err();
    assert!(error.to_string().contains("use send and receive"), "{error}");
    connection.send(&[words("SUBSCRIBE c")]).await.unwrap();
    let push = |items: &[Reply]| Ok(Incoming::Push(items.to_vec()));
    assert_eq!(
        connection.receive().await,
        push(&[bulk("subscribe"), bulk("c"), Reply::Int(1)])
    );
    run(&pool, "PUBLISH c one").await.unwrap();
    assert_eq!(
        connection.command(words("ECHO x")).await,
        Ok(bulk("x")),
        "a message is no answer"
    );
    connection.ready().await.unwrap();
    assert_eq!(
        connection.receive().await,
        push(&[bulk("message"), bulk("c"), bulk("one")])
    );
    // A reader may be given up at any time, and another task may send meanwhile.
    assert!(
        tokio::time::timeout(Duration::from_millis(50), connection.receive())
            .await
            .is_err()
    );
    let (came, ()) = tokio::join!(connection.receive(), async {
        tokio::task::yield_now().await;
        connection.send(&[words("UNSUBSCRIBE c")]).await.unwrap();
    });
    assert_eq!(came, push(&[bulk("unsubscribe"), bulk("c"), Reply::Int(0)]));
    assert!(!connection.is_clean());
}

#[tokio::test]
async fn monitor_sees_what_others_do() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let connection = pool.dedicated().await.unwrap();
    assert_eq!(
        connection.command(words("MONITOR")).await,
        Ok(Reply::Status("OK".into()))
    );
    pool.set("key", "value").await.unwrap();
    loop {
        let Incoming::Reply(Reply::Status(line)) = connection.receive().await.unwrap() else {
            panic!("no line")
        };
        if line.ends_with(r#""SET" "key" "value""#) {
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_restarts_ends_the_leases_and_new_ones_come() {
    let mut server = Server::start();
    let pool = pool(&server, 3);
    let idle = pool.dedicated().await.unwrap();
    client_id(&idle).await;
    drop(idle);
    let kept = pool.dedicated().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.command(words("BLPOP k 0")).await }
    });
    eventually("it waits", async || pool.status().dedicated.in_use == 2).await;
    server.kill();
    let error = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(error, Error::Disconnected { .. } | Error::Connect { .. }),
        "{error:?}"
    );
    assert!(kept.command(words("PING")).await.is_err());
    assert!(!kept.is_clean());
    drop(kept);
    server.restart();
    assert_eq!(run(&pool, "BLPOP k 0.1").await, Ok(Reply::Nil));
    assert_eq!(pool.status().dedicated.in_use, 0);
}

#[tokio::test]
async fn closing_the_pool_ends_what_waits_for_ever() {
    let server = Server::start();
    let pool = pool(&server, 2);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { run(&pool, "BLPOP nothing 0").await }
    });
    let listener = pool.dedicated().await.unwrap();
    listener.send(&[words("SUBSCRIBE c")]).await.unwrap();
    assert!(matches!(listener.receive().await, Ok(Incoming::Push(_))));
    let listening = tokio::spawn(async move { listener.receive().await });
    eventually("both wait", async || {
        let Ok(Reply::Bulk(info)) = run(&pool, "INFO clients").await else {
            return false;
        };
        String::from_utf8_lossy(&info).contains("blocked_clients:1")
    })
    .await;
    pool.close();
    for error in [
        waiting.await.unwrap().unwrap_err(),
        listening.await.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "the Redis pool is closed");
    }
    assert_eq!(pool.status().dedicated.in_use, 0);
    let other = RedisPool::new(server.config());
    eventually("their connections are closed", async || {
        let Ok(Reply::Bulk(clients)) = run(&other, "CLIENT LIST").await else {
            return false;
        };
        let clients = String::from_utf8_lossy(&clients).into_owned();
        !clients.contains("cmd=blpop") && !clients.contains("cmd=subscribe")
    })
    .await;
}

#[tokio::test]
async fn closing_the_pool_ends_the_waiting_for_one() {
    let server = Server::start();
    let pool = pool(&server, 1);
    let connection = pool.dedicated().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.dedicated().await.map(drop) }
    });
    eventually("it waits", async || pool.status().dedicated.waiting == 1).await;
    pool.close();
    assert_eq!(
        waiting.await.unwrap().unwrap_err().to_string(),
        "the Redis pool is closed"
    );
    // Who has one waits no more either: what comes next might be waited for for ever.
    assert_eq!(
        connection
            .command(words("BLPOP nothing 0"))
            .await
            .unwrap_err()
            .to_string(),
        "the Redis pool is closed"
    );
    drop(connection);
    assert_eq!(pool.status().dedicated.idle, 0);
}
