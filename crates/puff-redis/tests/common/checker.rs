//! Publishes numbers on channels and checks at receivers on several nodes that none is missing without a gap.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use puff_redis::{Event, History, Overflow, PubSub, PubSubConfig, PubSubConnection};
use tokio::task::JoinSet;

use crate::common::PATIENCE;

/// Channels whose names begin with `kept` have a history.
pub(crate) fn config() -> PubSubConfig {
    let mut config = PubSubConfig::default();
    config.ping_interval = Duration::from_millis(100);
    config.queue_messages = 200;
    config.history = vec![(
        "kept".into(),
        History {
            messages: 50,
            time: Duration::from_secs(60),
        },
    )];
    config
}

/// Which numbers were published for certain, per channel.
type Log = Arc<Mutex<HashSet<u64>>>;

/// Publishers and receivers at work.
pub(crate) struct Load {
    publisher: PubSub,
    channels: Vec<&'static str>,
    logs: Vec<Log>,
    stop: Arc<AtomicBool>,
    publishers: JoinSet<()>,
    checkers: JoinSet<(u64, u64)>,
}

impl Load {
    /// Three receivers of each channel on each node, one of which cannot keep up. Nothing may hang for longer than
    /// `patience`.
    pub(crate) async fn start(
        nodes: &[PubSub],
        publisher: PubSub,
        channels: &[&'static str],
        patience: Duration,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut publishers, mut checkers) = (JoinSet::new(), JoinSet::new());
        let mut logs = Vec::new();
        for channel in channels {
            let log = Log::default();
            for node in nodes {
                for policy in [Overflow::Gap, Overflow::DropOldest, Overflow::Gap] {
                    let pause = Duration::from_millis(if policy == Overflow::DropOldest { 3 } else { 0 });
                    let connection = node.connection_with(&node.new_connection_id(), policy).unwrap();
                    // Time-outs are short here: on a busy machine the first may be too short.
                    crate::common::eventually("it listens", async || {
                        connection.subscribe(channel).await.is_ok()
                    })
                    .await;
                    checkers.spawn(check(connection, log.clone(), pause, patience));
                }
            }
            let (publisher, log, stop) = (publisher.clone(), log.clone(), stop.clone());
            logs.push(log.clone());
            publishers.spawn(publish(publisher, channel, log, stop, nodes.len()));
        }
        Self {
            publisher,
            channels: channels.to_vec(),
            logs,
            stop,
            publishers,
            checkers,
        }
    }

    /// Waits until so many messages more have been published on each channel: it is well.
    pub(crate) async fn flows(&self, more: usize) {
        let before: Vec<usize> = self.logs.iter().map(|log| log.lock().len()).collect();
        crate::common::eventually("messages are published", async || {
            let logs = self.logs.iter().zip(&before);
            logs.into_iter()
                .all(|(log, before)| log.lock().len() >= before + more)
        })
        .await;
    }

    /// Ends it; how many messages and gaps the receivers have had.
    pub(crate) async fn finish(mut self) -> (u64, u64) {
        self.stop.store(true, SeqCst);
        while let Some(done) = self.publishers.join_next().await {
            done.unwrap();
        }
        // Repeated: who is behind may miss an end, behind a gap.
        let (publisher, channels) = (self.publisher, self.channels);
        let ending = tokio::spawn(async move {
            loop {
                for channel in &channels {
                    // One that fails is followed by others.
                    let _ = publisher.publish(channel, "end").await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let (mut messages, mut gaps) = (0, 0);
        while let Some(done) = self.checkers.join_next().await {
            let (more_messages, more_gaps) = done.unwrap();
            (messages, gaps) = (messages + more_messages, gaps + more_gaps);
        }
        ending.abort();
        (messages, gaps)
    }
}

/// Publishes numbers until it is told to stop and one has reached all nodes.
async fn publish(pubsub: PubSub, channel: &'static str, log: Log, stop: Arc<AtomicBool>, receivers: usize) {
    let (mut number, mut stopped) = (0, None);
    loop {
        let outcome = pubsub.publish(channel, number.to_string()).await;
        if outcome.is_ok() {
            log.lock().insert(number);
        }
        number += 1;
        if stop.load(SeqCst) {
            if outcome == Ok(receivers) {
                return;
            }
            let since = *stopped.get_or_insert_with(Instant::now);
            assert!(
                since.elapsed() < PATIENCE,
                "the nodes do not come back to {channel}: {outcome:?}"
            );
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads to the end; panics if something is missing without a gap, or out of order. Messages and gaps.
async fn check(connection: PubSubConnection, log: Log, pause: Duration, patience: Duration) -> (u64, u64) {
    let (mut next, mut covered, mut messages, mut gaps) = (0, false, 0, 0);
    let complete = |from: u64, to: u64| {
        let log = log.lock();
        (from..to).all(|number| !log.contains(&number))
    };
    loop {
        let event = tokio::time::timeout(patience, connection.receive()).await;
        let Event::Message(message) = event.expect("a receiver hangs").unwrap() else {
            (covered, gaps) = (true, gaps + 1);
            continue;
        };
        let channel = &message.channel;
        let body = std::str::from_utf8(&message.body).unwrap();
        let Ok(number) = body.parse::<u64>() else {
            assert!(
                covered || complete(next, next + 1_000_000),
                "the last of {channel} are missing"
            );
            return (messages, gaps);
        };
        assert!(number >= next, "{number} after {next} on {channel}");
        // The publisher notes a number a moment after it has arrived; those before it are noted.
        assert!(
            covered || complete(next, number),
            "{next} to {number} of {channel} are missing"
        );
        (next, covered, messages) = (number + 1, false, messages + 1);
        tokio::time::sleep(pause).await;
    }
}
