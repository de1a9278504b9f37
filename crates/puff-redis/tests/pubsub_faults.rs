//! Pub-sub on a server that is killed, paused and cut off under load, with a checker over numbers on two nodes.
//!
//! `PUFF_TEST_PAUSE` is for how many seconds the server is paused, 1 if nobody says.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/checker.rs"]
mod checker;
mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use checker::{Load, config};
use common::{PATIENCE, Server, eventually};
use nix::sys::signal::Signal;
use puff_redis::{Event, Form, PubSub, RedisConfig, SubscribeOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// A way to the server over TCP that can be cut.
struct Proxy {
    port: u16,
    cut: Arc<tokio::sync::Notify>,
    task: JoinHandle<()>,
}

impl Proxy {
    async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(tokio::sync::Notify::new());
        let cuts = cut.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let (mut client, _) = accepted.unwrap();
                        let socket = socket.clone();
                        connections.spawn(async move {
                            if let Ok(mut server) = UnixStream::connect(socket).await {
                                let _ = copy_bidirectional(&mut client, &mut server).await;
                            }
                        });
                    }
                    () = cuts.notified() => connections.abort_all(),
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { port, cut, task }
    }

    fn cut(&self) {
        self.cut.notify_one();
    }

    fn config(&self) -> RedisConfig {
        let mut config = RedisConfig::from_url(&format!("redis://127.0.0.1:{}", self.port)).unwrap();
        config.response_timeout = Duration::from_millis(400);
        config.connect_timeout = Duration::from_secs(1);
        config
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How long the server is paused.
fn paused() -> Duration {
    let seconds = std::env::var("PUFF_TEST_PAUSE").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_server_each_message_arrives_or_is_covered_on_two_nodes() {
    let mut server = Server::start();
    let proxies = [
        Proxy::start(server.link()).await,
        Proxy::start(server.link()).await,
    ];
    let nodes = proxies
        .each_ref()
        .map(|proxy| PubSub::redis_with(proxy.config(), config()));
    let mut redis = server.config();
    redis.response_timeout = Duration::from_millis(400);
    let publisher = PubSub::redis_with(redis, config());

    // Two pauses may follow each other with nothing between them but attempts to connect.
    let load = Load::start(&nodes, publisher, &["kept", "numbered"], PATIENCE + 2 * paused()).await;
    for round in 0..2 {
        load.flows(100).await;
        proxies[round].cut();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.signal(Signal::SIGSTOP);
        tokio::time::sleep(paused()).await;
        server.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxies.iter().for_each(Proxy::cut);
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (messages, gaps) = load.finish().await;
    println!("{messages} messages and {gaps} gaps at twelve receivers");
    assert!(messages > 1000 && gaps > 10, "{messages} messages, {gaps} gaps");
}

#[tokio::test]
async fn a_stalled_subscriber_neither_slows_others_nor_grows() {
    const ROUNDS: usize = 200;
    let server = Server::start();
    let pubsub = PubSub::redis_with(server.config(), config());
    let (fast, stalled) = (pubsub.connection(), pubsub.connection());
    fast.subscribe("c").await.unwrap();
    stalled.subscribe("c").await.unwrap();
    let body = vec![b'x'; 1000];
    let mut events = Vec::new();
    for _ in 0..ROUNDS {
        for _ in 0..50 {
            pubsub.publish("c", body.clone()).await.unwrap();
        }
        while events.len() < 50 {
            tokio::time::timeout(PATIENCE, fast.receive_many(&mut events, 50))
                .await
                .unwrap()
                .unwrap();
        }
        assert!(events.iter().all(|event| matches!(event, Event::Message(_))));
        events.clear();
    }
    let status = pubsub.status();
    assert_eq!(status.dropped as usize, ROUNDS * 50 - 200, "{status:?}");
    assert_eq!(status.gaps, 1);
    assert_eq!(stalled.receive_many(&mut events, 1000).await, Ok(201));
    assert!(matches!(events.last(), Some(Event::Gap(gap)) if gap.last.is_some()));
}

#[tokio::test]
async fn many_receivers_share_one_message_and_its_encoding() {
    let pubsub = PubSub::in_process();
    let connections: Vec<_> = (0..100).map(|_| pubsub.connection()).collect();
    for connection in &connections {
        connection.subscribe("c").await.unwrap();
    }
    pubsub.publish("c", "body").await.unwrap();
    let mut encodings = 0;
    for connection in &connections {
        let Ok(Event::Message(message)) = connection.receive().await else {
            panic!("no message")
        };
        let frame = message.encoded(Form::Other, |message| {
            encodings += 1;
            message.body.clone()
        });
        assert_eq!(frame, "body");
    }
    assert_eq!(encodings, 1);
}

#[tokio::test]
async fn a_client_goes_on_at_another_node_where_it_was() {
    let server = Server::start();
    let nodes = [0, 1].map(|_| PubSub::redis_with(server.config(), config()));
    let sending = nodes[0].clone();
    let publisher = tokio::spawn(async move {
        for number in 0..400 {
            sending.publish("kept", number.to_string()).await.unwrap();
        }
    });
    let mut position = puff_redis::Position::START;
    let mut expected = 0;
    while expected < 400 {
        let node = &nodes[expected % 2];
        let client = node.connection();
        let since = SubscribeOptions::default().since(position);
        client.subscribe_with("kept", since).await.unwrap();
        for _ in 0..7 {
            let event = tokio::time::timeout(PATIENCE, client.receive()).await;
            match event {
                Ok(Ok(Event::Message(message))) => {
                    assert_eq!(message.body, expected.to_string());
                    position = message.position.unwrap();
                    expected += 1;
                }
                // So far behind that the history does not reach back: the next is where the gap ends.
                Ok(Ok(Event::Gap(gap))) => expected += usize::try_from(gap.missed().unwrap()).unwrap(),
                other => assert_eq!(expected, 400, "{other:?}"),
            }
            if expected == 400 {
                break;
            }
        }
    }
    publisher.await.unwrap();
    eventually("nobody is left", async || {
        nodes.iter().all(|node| node.status().connections == 0)
    })
    .await;
}
