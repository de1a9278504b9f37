//! WebSockets of Rust and of Python in one server. The Python module `chat` lies in the working directory.

use puff_rs::axum::Extension;
use puff_rs::axum::body::Bytes;
use puff_rs::axum::extract::Path;
use puff_rs::axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use puff_rs::axum::response::Response;
use puff_rs::prelude::*;
use puff_rs::program::commands::ServerCommand;
use puff_rs::runtime::Runtime;
use puff_rs::web::HandlerError;
use puff_rs::web::live::{self, BindOptions, Bound, EventOptions, EventStream, Format};

/// A handler in Rust is axum's, and sees to everything itself: here the server's end.
async fn echo(upgrade: WebSocketUpgrade, Extension(runtime): Extension<Runtime>) -> Response {
    // A WebSocket that is idle holds a buffer of this size; axum's own choice is 128 KiB.
    upgrade
        .read_buffer_size(4096)
        .on_upgrade(move |socket| repeat(socket, runtime))
}

async fn repeat(mut socket: WebSocket, runtime: Runtime) {
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            () = runtime.shutdown().cancelled() => {
                let close = CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
                let _ = socket.send(Message::Close(Some(close))).await;
                return;
            }
        }
    }
}

/// One that does not look whether the server stops; it is cut off.
async fn stubborn(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
}

/// What is published on a channel goes to the client, as objects of JSON.
async fn feed(
    upgrade: WebSocketUpgrade,
    Path(channel): Path<String>,
    Extension(runtime): Extension<Runtime>,
) -> Result<Response, HandlerError> {
    let pubsub = runtime.services().pubsub().await?;
    let bound = Bound::new(&pubsub, &pubsub.new_connection_id())?;
    bound.bind(&channel, BindOptions::new(Format::Json)).await?;
    Ok(upgrade
        .read_buffer_size(4096)
        .on_upgrade(move |socket| live::forward(socket, bound, runtime)))
}

/// The same as events.
async fn events(
    Path(channel): Path<String>,
    Extension(runtime): Extension<Runtime>,
) -> Result<Response, HandlerError> {
    let pubsub = runtime.services().pubsub().await?;
    let stream = EventStream::open(&pubsub, &[channel], EventOptions::default()).await?;
    Ok(live::event_stream(stream, &runtime))
}

/// Publishes what is posted.
async fn publish(
    Path(channel): Path<String>,
    Extension(runtime): Extension<Runtime>,
    body: Bytes,
) -> Result<String, HandlerError> {
    let pubsub = runtime.services().pubsub().await?;
    let receivers = pubsub.publish(&channel, body).await?;
    Ok(receivers.to_string())
}

fn main() -> ExitCode {
    let router = Router::new()
        // For every method: over HTTP/2 it is CONNECT.
        .any("/rust", echo)
        .any("/stubborn", stubborn)
        .any("/feed/{channel}", feed)
        .get("/events/{channel}", events)
        .post("/publish/{channel}", publish)
        .websocket("/chat/{room}", "chat:talk")
        .websocket("/missing", "chat:missing");
    Program::new("chat")
        .about("WebSockets of Rust and of Python")
        // One process: nothing is published to others.
        .runtime_config(
            RuntimeConfig::default()
                .set_pubsub(true)
                .set_pubsub_url("memory:"),
        )
        .command(ServerCommand::new(router))
        .run()
}
