//! The pool against a real Valkey.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{Server, eventually, run};
use nix::sys::signal::Signal;
use puff_redis::{Command, Error, RedisConfig, RedisPool, Reply};

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

#[tokio::test]
async fn replies_keep_their_types() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    assert_eq!(run(&pool, "SET k v").await, Ok(Reply::Status("OK".into())));
    assert_eq!(run(&pool, "GET k").await, Ok(bulk("v")));
    assert_eq!(run(&pool, "GET none").await, Ok(Reply::Nil));
    assert_eq!(run(&pool, "INCRBY n 41").await, Ok(Reply::Int(41)));
    assert_eq!(run(&pool, "RPUSH l a b").await, Ok(Reply::Int(2)));
    assert_eq!(
        run(&pool, "LRANGE l 0 -1").await,
        Ok(Reply::Array(vec![bulk("a"), bulk("b")]))
    );
    assert_eq!(run(&pool, "HSET h f 1").await, Ok(Reply::Int(1)));
    assert_eq!(
        run(&pool, "HGETALL h").await,
        Ok(Reply::Map(vec![(bulk("f"), bulk("1"))]))
    );
    assert_eq!(run(&pool, "SADD s m").await, Ok(Reply::Int(1)));
    assert_eq!(run(&pool, "SMEMBERS s").await, Ok(Reply::Set(vec![bulk("m")])));
    assert_eq!(run(&pool, "ZADD z 1.5 m").await, Ok(Reply::Int(1)));
    assert_eq!(run(&pool, "ZSCORE z m").await, Ok(Reply::Double(1.5)));
    assert!(matches!(run(&pool, "INFO server").await, Ok(Reply::Bulk(_))));
}

#[tokio::test]
async fn shorthands_carry_any_bytes() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    let (key, value) = (b"\0\r\n\xff", vec![0u8; 1 << 20]);
    assert_eq!(pool.get(key).await, Ok(None));
    assert_eq!(pool.set(key, &value).await, Ok(()));
    assert_eq!(pool.get(key).await, Ok(Some(Bytes::from(value))));
    assert_eq!(pool.del(key).await, Ok(true));
    assert_eq!(pool.del(key).await, Ok(false));
}

#[tokio::test]
async fn the_servers_errors_have_their_code() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    run(&pool, "RPUSH list a").await.unwrap();
    let error = pool.get("list").await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    assert!(
        error.to_string().starts_with("WRONGTYPE Operation against a key"),
        "{error}"
    );
    assert_eq!(run(&pool, "NOSUCHCOMMAND").await.unwrap_err().code(), Some("ERR"));
    let script = Command::new("EVAL")
        .arg("return {1, redis.error_reply('MINE no')}")
        .arg("0");
    let failed = Reply::Failed {
        code: "MINE".into(),
        message: "no".into(),
    };
    assert_eq!(
        pool.command(script).await,
        Ok(Reply::Array(vec![Reply::Int(1), failed]))
    );
    assert_eq!(pool.ping().await, Ok(()), "the connection is still good");
}

#[tokio::test]
async fn what_would_disturb_others_is_not_sent() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    for (command, reason) in [
        ("MULTI", "it changes the state"),
        ("SUBSCRIBE c", "subscriptions need"),
    ] {
        let error = run(&pool, command).await.unwrap_err().to_string();
        let name = command.split(' ').next().unwrap();
        assert!(
            error.starts_with(&format!("{name} is not possible here: {reason}")),
            "{error}"
        );
    }
    assert!(pool.command(Command::default()).await.is_err());
    assert!(pool.pipeline(vec![Command::new("WATCH").arg("k")]).await.is_err());
    assert!(pool.transaction(vec![Command::new("EXEC")]).await.is_err());
}

#[tokio::test]
async fn a_crowd_shares_the_connections() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    let tasks: Vec<_> = (0..200)
        .map(|number: i32| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let key = format!("key{number}");
                pool.set(&key, number.to_string()).await?;
                pool.get(&key).await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(Some(number.to_string().into())));
    }
    let Reply::Bulk(list) = run(&pool, "CLIENT LIST").await.unwrap() else {
        panic!("no list")
    };
    assert_eq!(
        String::from_utf8_lossy(&list).lines().count(),
        pool.config().connections
    );
}

#[tokio::test]
async fn database_and_login_come_from_the_url() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    run(&pool, "ACL SETUSER app on >secret ~* +@all").await.unwrap();
    let url = format!("{}?db=3&username=app&password=secret", server.url());
    let app = RedisPool::new(RedisConfig::from_url(&url).unwrap());
    assert_eq!(run(&app, "ACL WHOAMI").await, Ok(bulk("app")));
    app.set("k", "v").await.unwrap();
    assert_eq!(pool.get("k").await, Ok(None), "another database");

    let wrong = RedisConfig::from_url(&url.replace("secret", "hunter2")).unwrap();
    let error = RedisPool::new(wrong).ping().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(error.code(), Some("WRONGPASS"));
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let absent = RedisConfig::from_url(&format!("{}?db=99", server.url())).unwrap();
    let error = RedisPool::new(absent).ping().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn unreachable_servers_are_named() {
    let unix = RedisConfig::from_url("unix:///nowhere/redis.sock?password=hunter2").unwrap();
    let error = RedisPool::new(unix).ping().await.unwrap_err();
    let expected = "cannot connect to Redis at /nowhere/redis.sock: No such file or directory";
    assert!(error.to_string().starts_with(expected), "{error}");

    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let tcp = RedisConfig::from_url(&format!("redis://127.0.0.1:{port}")).unwrap();
    let error = RedisPool::new(tcp).ping().await.unwrap_err();
    let expected = format!("cannot connect to Redis at 127.0.0.1:{port}: Connection refused");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_crowd_waits_for_one_connect_timeout() {
    // Accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = RedisConfig::from_url(&format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    config.connect_timeout = Duration::from_millis(300);
    config.connections = 1;
    let pool = RedisPool::new(config);
    let start = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.ping().await })
        })
        .collect();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(
            error.to_string().ends_with("no connection within 300ms"),
            "{error}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test]
async fn commands_recover_when_the_server_restarts() {
    let mut server = Server::start();
    let pool = RedisPool::new(server.config());
    pool.set("k", "before").await.unwrap();
    server.kill();
    // One of the two connections was open and may learn of its end only now.
    for _ in 0..4 {
        let error = pool.get("k").await.unwrap_err();
        assert!(
            matches!(error, Error::Connect { .. } | Error::Disconnected { .. }),
            "{error:?}"
        );
    }
    server.restart();
    assert_eq!(pool.get("k").await, Ok(None), "an empty server, on the first try");
}

#[tokio::test]
async fn a_silent_server_times_out_and_comes_back() {
    let server = Server::start();
    let mut config = server.config();
    config.response_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_secs(10);
    config.connections = 1;
    let pool = RedisPool::new(config);
    eventually("it answers", async || pool.set("k", "v").await.is_ok()).await;
    server.signal(Signal::SIGSTOP);
    let error = pool.get("k").await.unwrap_err();
    assert!(
        error.to_string().ends_with("did not answer GET within 200ms"),
        "{error}"
    );
    server.signal(Signal::SIGCONT);
    eventually("it answers again", async || {
        pool.get("k").await == Ok(Some("v".into()))
    })
    .await;
}

#[tokio::test]
async fn a_closed_pool_says_so() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    pool.ping().await.unwrap();
    pool.clone().close();
    assert_eq!(
        pool.ping().await.unwrap_err().to_string(),
        "the Redis pool is closed"
    );
}

fn commands(lines: &[&str]) -> Vec<Command> {
    lines
        .iter()
        .map(|line| {
            let mut command = Command::default();
            line.split(' ').for_each(|word| command.push(word));
            command
        })
        .collect()
}

#[tokio::test]
async fn a_pipeline_answers_in_order_and_goes_on_after_errors() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    let replies = pool
        .pipeline(commands(&["SET k v", "LPUSH k x", "GET k", "NOSUCH", "INCR n"]))
        .await
        .unwrap();
    assert_eq!(replies.len(), 5);
    assert_eq!(replies[0], Ok(Reply::Status("OK".into())));
    assert_eq!(replies[1].as_ref().unwrap_err().code(), Some("WRONGTYPE"));
    assert_eq!(replies[2], Ok(bulk("v")));
    assert_eq!(replies[3].as_ref().unwrap_err().code(), Some("ERR"));
    assert_eq!(replies[4], Ok(Reply::Int(1)));
    assert_eq!(pool.pipeline(Vec::new()).await, Ok(Vec::new()));

    let many: Vec<_> = (0..10_000)
        .map(|n| Command::new("ECHO").arg(n.to_string()))
        .collect();
    for (n, reply) in pool.pipeline(many).await.unwrap().into_iter().enumerate() {
        assert_eq!(reply, Ok(Reply::Bulk(n.to_string().into())));
    }
}

#[tokio::test]
async fn a_pipeline_that_waits_keeps_nobody_waiting() {
    let server = Server::start();
    let mut config = server.config();
    config.connections = 1;
    let pool = RedisPool::new(config);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.pipeline(commands(&["BLPOP jobs 20", "SET done yes"])).await }
    });
    common::eventually("it waits", async || pool.status().dedicated.in_use == 1).await;
    assert_eq!(pool.get("done").await, Ok(None));
    run(&pool, "RPUSH jobs one").await.unwrap();
    let replies = waiting.await.unwrap().unwrap();
    assert_eq!(replies[0], Ok(Reply::Array(vec![bulk("jobs"), bulk("one")])));
    assert_eq!(pool.get("done").await, Ok(Some("yes".into())));
}

#[tokio::test]
async fn transactions_of_a_crowd_do_not_mix() {
    let server = Server::start();
    let mut config = server.config();
    config.connections = 1;
    let pool = RedisPool::new(config);
    let tasks: Vec<_> = (0..50)
        .map(|n: usize| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let id = n.to_string();
                let twice = vec![
                    Command::new("RPUSH").arg("list").arg(&id),
                    Command::new("INCR").arg("n"),
                    Command::new("RPUSH").arg("list").arg(&id),
                ];
                let replies = pool.transaction(twice).await?;
                let plain = pool.command(Command::new("ECHO").arg(&id)).await?;
                Ok::<_, Error>((replies, plain, id))
            })
        })
        .collect();
    for task in tasks {
        let (replies, plain, id) = task.await.unwrap().unwrap();
        assert_eq!(replies.len(), 3);
        assert_eq!(plain, Reply::Bulk(id.into()));
    }
    let Reply::Array(list) = run(&pool, "LRANGE list 0 -1").await.unwrap() else {
        panic!("no list")
    };
    assert!(list.chunks(2).all(|pair| pair[0] == pair[1]), "{list:?}");
    assert_eq!(pool.get("n").await, Ok(Some("50".into())));
}

#[tokio::test]
async fn a_transaction_that_is_not_taken_changes_nothing() {
    let server = Server::start();
    let pool = RedisPool::new(server.config());
    let error = pool
        .transaction(commands(&["SET k v", "NOSUCH", "SET k w"]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Aborted { index: 1, .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("command 2 of the transaction: ERR unknown command"),
        "{error}"
    );
    assert_eq!(pool.get("k").await, Ok(None));

    let replies = pool
        .transaction(commands(&["SET k v", "LPUSH k x", "GET k"]))
        .await
        .unwrap();
    assert_eq!(replies[1].as_ref().unwrap_err().code(), Some("WRONGTYPE"));
    assert_eq!(
        replies[2],
        Ok(bulk("v")),
        "one that fails does not undo the others"
    );
}
