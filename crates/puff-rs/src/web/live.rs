//! Live connections of handlers in Rust: what is published on channels goes to a WebSocket, or is the events of an
//! answer.
//!
//! A handler decides whether its client may hear a channel, binds it, and hands the client over. A message is encoded
//! once for all clients of the process; one that is too slow has a gap, which it is told of.
//!
//! ```no_run
//! use puff_rs::axum::Extension;
//! use puff_rs::axum::extract::Path;
//! use puff_rs::axum::extract::ws::WebSocketUpgrade;
//! use puff_rs::axum::response::Response;
//! use puff_rs::prelude::*;
//! use puff_rs::runtime::Runtime;
//! use puff_rs::web::HandlerError;
//! use puff_rs::web::live::{self, BindOptions, Bound, EventOptions, EventStream, Format};
//!
//! async fn chat(
//!     upgrade: WebSocketUpgrade, Path(room): Path<String>, Extension(runtime): Extension<Runtime>,
//! ) -> Result<Response, HandlerError> {
//!     let pubsub = runtime.services().pubsub().await?;
//!     let bound = Bound::new(&pubsub, &pubsub.new_connection_id())?;
//!     bound.bind(&format!("chat-{room}"), BindOptions::new(Format::Json)).await?;
//!     Ok(upgrade.on_upgrade(move |socket| live::forward(socket, bound, runtime)))
//! }
//!
//! async fn news(Extension(runtime): Extension<Runtime>) -> Result<Response, HandlerError> {
//!     let pubsub = runtime.services().pubsub().await?;
//!     let stream = EventStream::open(&pubsub, &["news"], EventOptions::default()).await?;
//!     Ok(live::event_stream(stream, &runtime))
//! }
//!
//! let router: Router = Router::new().any("/chat/{room}", chat).get("/news", news);
//! # let _ = router;
//! ```

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use puff_python::Runtime;
pub use puff_python::live::{
    BindOptions, Bound, EventOptions, EventStream, Format, OnGap, Said, UnknownFormat,
};
use puff_python::websocket::{self, Closed};
use tokio::time::{Instant, interval, timeout};

use super::too_many_event_streams;

/// How many messages are given to the system at once.
const BATCH: usize = 64;

/// How often the client is asked whether it is there, and how long it may take for a batch.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends what is bound to the client of `socket`, until it goes or the server stops; what the client says is passed over.
///
/// A client that takes nothing, or does not answer a ping, for 20 seconds is given up. For a conversation with the client
/// write a loop of your own around [`Bound::next`].
pub async fn forward(mut socket: WebSocket, bound: Bound, runtime: Runtime) {
    let mut alarm = interval(PATIENCE);
    let mut heard = Instant::now();
    let stop = runtime.shutdown();
    loop {
        let goes_on = tokio::select! {
            () = stop.cancelled() => {
                let going = Said::Last(Closed::new(Closed::GOING_AWAY, "the server stops"));
                send(&mut socket, going, &bound).await
            }
            message = socket.next() => {
                heard = Instant::now();
                matches!(message, Some(Ok(_)))
            }
            said = bound.next() => send(&mut socket, said, &bound).await,
            _ = alarm.tick() => {
                let ping = socket.send(Message::Ping(Bytes::new()));
                heard.elapsed() < 2 * PATIENCE && matches!(timeout(PATIENCE, ping).await, Ok(Ok(())))
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// Sends what there is; whether the conversation goes on.
async fn send(socket: &mut WebSocket, first: Said, bound: &Bound) -> bool {
    let sending = async {
        let mut next = Some(first);
        for left in (0..BATCH).rev() {
            match next.take() {
                Some(Said::Message(message)) => socket.feed(own(message)).await?,
                Some(Said::Last(Closed { code, reason })) => {
                    let reason = reason.into();
                    socket
                        .send(Message::Close(Some(CloseFrame { code, reason })))
                        .await?;
                    return Ok(false);
                }
                None => break,
            }
            next = if left > 0 { bound.try_next() } else { None };
        }
        socket.flush().await?;
        Ok::<_, axum::Error>(true)
    };
    matches!(timeout(PATIENCE, sending).await, Ok(Ok(true)))
}

/// A message as axum has it.
fn own(message: websocket::Message) -> Message {
    match message {
        websocket::Message::Text(data) => match data.clone().try_into() {
            Ok(text) => Message::Text(text),
            // What is text was looked at; there is nothing else in it.
            Err(_) => Message::Binary(data),
        },
        websocket::Message::Binary(data) => Message::Binary(data),
    }
}

/// The answer that is `stream`, until its client goes or the server stops; a 503 if there are too many of them
/// ([`Runtime::bound_event_streams`]).
pub fn event_stream(stream: EventStream, runtime: &Runtime) -> Response {
    match runtime.event_streams().body(stream) {
        Some(body) => super::event_stream(body),
        None => too_many_event_streams(),
    }
}
