//! One WebSocket.

use std::rc::Rc;

use futures_util::StreamExt;
use puff_bench_floors::AnyError;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::message;
use crate::tally::{Expected, Tally};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects, and waits until the server says that all channels are subscribed to.
pub(crate) async fn open(url: &str, channels: &[usize]) -> Result<Socket, AnyError> {
    let names: Vec<String> = channels.iter().copied().map(message::name).collect();
    let (mut socket, _) = connect_async(format!("{url}?channels={}", names.join(","))).await?;
    match socket.next().await {
        Some(Ok(Message::Text(text))) if text == "ready" => Ok(socket),
        other => Err(format!("a socket's first message is not `ready`: {other:?}").into()),
    }
}

/// Takes what comes until the server closes.
pub(crate) async fn listen(mut socket: Socket, channels: Vec<usize>, tally: Rc<Tally>) {
    let mut expected = Expected::new(channels);
    while let Some(Ok(received)) = socket.next().await {
        if let Message::Text(text) = received {
            tally.arrived(&mut expected, message::read(&text));
        }
    }
}
