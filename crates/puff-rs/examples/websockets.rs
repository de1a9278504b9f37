//! WebSockets of Rust and of Python in one server. The Python module `chat` lies in the working directory.

use puff_rs::axum::Extension;
use puff_rs::axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use puff_rs::axum::response::Response;
use puff_rs::prelude::*;
use puff_rs::program::commands::ServerCommand;
use puff_rs::runtime::Runtime;

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

fn main() -> ExitCode {
    let router = Router::new()
        // For every method: over HTTP/2 it is CONNECT.
        .any("/rust", echo)
        .any("/stubborn", stubborn)
        .websocket("/chat/{room}", "chat:talk")
        .websocket("/missing", "chat:missing");
    Program::new("chat")
        .about("WebSockets of Rust and of Python")
        .command(ServerCommand::new(router))
        .run()
}
