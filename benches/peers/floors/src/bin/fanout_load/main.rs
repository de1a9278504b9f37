//! The load of the fan-out benchmark: opens WebSockets, publishes at a steady rate, checks and times what arrives.
//!
//! Its one argument is a JSON object, see [`Settings`]. It prints `begin` and `end` around what is measured, so that
//! whoever reads can take the server's CPU there, and at last [`Figures`] as JSON. All runs on one thread, so that one
//! core suffices and one clock stamps both ends of a message.

mod listener;
mod message;
mod publisher;
mod tally;

use std::rc::Rc;
use std::time::{Duration, Instant};

use puff_bench_floors::AnyError;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::publisher::Publisher;
use crate::tally::Tally;

/// Handshakes at a time.
const OPENING: usize = 32;
/// For all sockets to open.
const OPEN: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Deserialize)]
struct Settings {
    /// The server, without the query that names the channels.
    url: String,
    /// Where to publish, if no `publisher` does it.
    redis_url: String,
    /// A command that publishes each line of its standard input, `channel message`.
    publisher: Option<Vec<String>>,
    sockets: usize,
    channels: usize,
    /// How many of the channels each socket subscribes to.
    each: usize,
    /// Messages a second, to all channels in turn.
    rate: u32,
    warm_seconds: u64,
    seconds: u64,
    /// How long to wait for what is still missing after the last message.
    drain_seconds: u64,
    /// Bytes of a message.
    size: usize,
}

impl Settings {
    /// The channels of one socket: such that all channels have equally many, and no two sockets the same ones.
    fn wanted(&self, socket: usize) -> Vec<usize> {
        (0..self.each)
            .map(|nth| (socket + nth * 97) % self.channels)
            .collect()
    }
}

fn main() -> Result<(), AnyError> {
    let settings = std::env::args()
        .nth(1)
        .ok_or("usage: bench-fanout-load SETTINGS")?;
    let settings: Settings = serde_json::from_str(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, run(settings))
}

async fn run(settings: Settings) -> Result<(), AnyError> {
    let tally = Rc::new(Tally::new(settings.channels));
    let mut listeners = timeout(OPEN, open(&settings, &tally))
        .await
        .map_err(|_| "not all sockets were ready in time")??;
    let mut publisher = Publisher::open(&settings.redis_url, settings.publisher.as_deref()).await?;

    let warm = Duration::from_secs(settings.warm_seconds);
    publish(&settings, &tally, &mut publisher, warm).await?;
    println!("begin");
    let began = Instant::now();
    tally.measure(true);
    publish(
        &settings,
        &tally,
        &mut publisher,
        Duration::from_secs(settings.seconds),
    )
    .await?;
    tally.measure(false);
    let took = began.elapsed();
    println!("end");

    let drained = Instant::now() + Duration::from_secs(settings.drain_seconds);
    let subscribers = settings.sockets * settings.each / settings.channels;
    while tally.outstanding(subscribers) > 0 && Instant::now() < drained {
        sleep(Duration::from_millis(10)).await;
    }
    publisher.close().await?;
    let closed = listeners.try_join_next().is_some();
    listeners.shutdown().await;
    let mut figures = tally.figures(subscribers, took);
    figures.closed = closed;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// Opens all sockets; returns when each has been told that it is subscribed.
async fn open(settings: &Settings, tally: &Rc<Tally>) -> Result<JoinSet<()>, AnyError> {
    let opening = Rc::new(Semaphore::new(OPENING));
    let mut handshakes = JoinSet::new();
    for socket in 0..settings.sockets {
        let channels = settings.wanted(socket);
        let (opening, url) = (opening.clone(), settings.url.clone());
        handshakes.spawn_local(async move {
            let _turn = opening.acquire().await;
            listener::open(&url, &channels)
                .await
                .map(|socket| (socket, channels))
        });
    }
    let mut listeners = JoinSet::new();
    while let Some(opened) = handshakes.join_next().await {
        let (socket, channels) = opened??;
        listeners.spawn_local(listener::listen(socket, channels, tally.clone()));
    }
    Ok(listeners)
}

/// Publishes to all channels in turn, at the rate that is set.
async fn publish(
    settings: &Settings,
    tally: &Tally,
    publisher: &mut Publisher,
    during: Duration,
) -> Result<(), AnyError> {
    // A late tick is made up for: the rate holds on average.
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / settings.rate);
    let ends = Instant::now() + during;
    while Instant::now() < ends {
        ticks.tick().await;
        let (channel, number) = tally.next();
        let text = message::write(channel, number, tally.now(), settings.size);
        publisher.publish(&message::name(channel), &text).await?;
    }
    Ok(())
}
