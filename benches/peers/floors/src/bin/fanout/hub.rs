//! Who listens to which channel.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Message;
use futures_util::StreamExt;
use puff_bench_floors::AnyError;
use redis::RedisResult;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::mpsc::Sender;

type Listeners = HashMap<String, Vec<(u64, Sender<Message>)>>;

/// The map, and the Redis connection that follows it.
pub(crate) struct Hub {
    listeners: Mutex<Listeners>,
    /// Held while the map gains or loses channels, so that both agree.
    redis: tokio::sync::Mutex<PubSubSink>,
    ids: AtomicU64,
}

impl Hub {
    /// Connects, and hands on what comes from then on.
    pub(crate) async fn connect(url: &str) -> Result<Arc<Self>, AnyError> {
        let (sink, stream) = redis::Client::open(url)?.get_async_pubsub().await?.split();
        let hub = Arc::new(Self {
            listeners: Mutex::default(),
            redis: tokio::sync::Mutex::new(sink),
            ids: AtomicU64::new(0),
        });
        tokio::spawn(pump(hub.clone(), stream));
        Ok(hub)
    }

    pub(crate) fn new_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns when Redis has confirmed the channels that nobody had before.
    pub(crate) async fn join(&self, id: u64, channels: &[&str], to: &Sender<Message>) -> RedisResult<()> {
        let mut redis = self.redis.lock().await;
        for channel in channels {
            let first = {
                let mut listeners = self.listeners();
                let all = listeners.entry((*channel).to_owned()).or_default();
                all.push((id, to.clone()));
                all.len() == 1
            };
            if first {
                redis.subscribe(*channel).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn leave(&self, id: u64, channels: &[&str]) -> RedisResult<()> {
        let mut redis = self.redis.lock().await;
        for channel in channels {
            let last = {
                let mut listeners = self.listeners();
                let Some(all) = listeners.get_mut(*channel) else {
                    continue;
                };
                all.retain(|(other, _)| *other != id);
                let last = all.is_empty();
                if last {
                    listeners.remove(*channel);
                }
                last
            };
            if last {
                redis.unsubscribe(*channel).await?;
            }
        }
        Ok(())
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pump(hub: Arc<Hub>, mut stream: PubSubStream) {
    while let Some(published) = stream.next().await {
        let Ok(text) = std::str::from_utf8(published.get_payload_bytes()) else {
            continue;
        };
        let message = Message::text(text);
        if let Some(all) = hub.listeners().get_mut(published.get_channel_name()) {
            // The queue of a socket that is too slow ends here, and with it the socket.
            all.retain(|(_, listener)| listener.try_send(message.clone()).is_ok());
        }
    }
}
