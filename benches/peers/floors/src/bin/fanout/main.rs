//! Fan-out in bare Rust: what the same deliveries cost with axum's WebSockets and redis-rs, and nothing else.
//!
//! `ws://.../fanout?channels=a,b` says `ready` once Redis has confirmed, then sends what is published to these channels.
//! There is one Redis connection for all subscriptions and one subscription for each channel. A message becomes a text
//! once; every socket has a bounded queue, and is closed when that is full.

mod hub;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use futures_util::SinkExt;
use puff_bench_floors::{AnyError, serve};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::hub::Hub;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages that wait for one socket.
const QUEUE: usize = 1024;

const READ_BUFFER: usize = 4096;

#[derive(Deserialize)]
struct Wanted {
    channels: String,
}

async fn fanout(
    State(hub): State<Arc<Hub>>,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Each look for what the client says clears this buffer first. With the 128 KiB that it has otherwise, that would
    // be half of all the CPU.
    let upgrade = upgrade.read_buffer_size(READ_BUFFER);
    upgrade.on_upgrade(async move |socket| {
        let channels: Vec<&str> = wanted.channels.split(',').collect();
        let (sender, queue) = mpsc::channel(QUEUE);
        let id = hub.new_id();
        // An error is the end of this client, whom the load generator then misses.
        if hub.join(id, &channels, &sender).await.is_ok() {
            drop(sender);
            let _ = talk(socket, queue).await;
        }
        let _ = hub.leave(id, &channels).await;
    })
}

/// Until the client goes, or was too slow.
async fn talk(mut socket: WebSocket, mut queue: mpsc::Receiver<Message>) -> Result<(), axum::Error> {
    socket.send(Message::text("ready")).await?;
    loop {
        tokio::select! {
            message = queue.recv() => {
                let Some(message) = message else { return Ok(()) };
                socket.feed(message).await?;
                while let Ok(message) = queue.try_recv() {
                    socket.feed(message).await?;
                }
                socket.flush().await?;
            }
            said = socket.recv() => match said {
                Some(said) => drop(said?),
                None => return Ok(()),
            },
        }
    }
}

fn main() -> Result<(), AnyError> {
    serve(async || {
        let url = std::env::var("BENCH_REDIS_URL")?;
        let hub = Hub::connect(&url).await?;
        Ok(Router::new().route("/fanout", get(fanout)).with_state(hub))
    })
}
