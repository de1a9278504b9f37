//! One WebSocket from its first frame to its last: between tungstenite and whoever talks with the client.
//!
//! Reading and writing go on side by side in one task. A client that does not read stops the writing alone: its
//! messages are read until the function's inbox is full.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use puff_python::websocket::{Closed, Message, Outgoing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig as Limits};
use tokio_tungstenite::tungstenite::{Error, Message as Received, protocol::frame::Frame};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::config::WebSocketConfig;
use super::peer::Peer;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Longer messages are sent in frames of so many bytes: what a slow client has not taken of a frame is copied
/// about, and a buffer of this size is all that a WebSocket keeps.
const FRAME: usize = 16 << 10;

/// Short messages are given to the system so many bytes at a time, if more than one is there.
const BATCH: usize = 4 << 10;

/// What a frame has before its bytes, at most.
const HEAD: usize = 10;

/// How much is read at a time. A WebSocket that is idle holds it.
const READ: usize = 4 << 10;

/// Messages that are shorter are copied out of the read buffer, so that one does not hold on to all of it.
const SHORT: usize = 1 << 10;

/// How long the connection may take to change its protocol; it only has to send the answer.
const SWITCH: Duration = Duration::from_secs(10);

/// How long the client may take for its part of the closing handshake.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a broken conversation may take for its last words.
const FAREWELL: Duration = Duration::from_secs(1);

const BROKEN: &str = "the connection broke";

/// A conversation that is about to begin.
pub(super) struct Conversation<P> {
    pub(super) line: P,
    pub(super) config: Arc<WebSocketConfig>,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) place: OwnedSemaphorePermit,
}

/// Futures of which only those are polled that have been woken: a message that is published wakes a thousand
/// WebSockets for writing, and they need not all look whether there is something to read.
type Woken<F> = FuturesUnordered<F>;

/// What a conversation is told while it writes.
enum News {
    /// The reading has ended.
    Read(Reading),
    /// The server stops.
    Stop,
}

/// How the reading ended.
enum Reading {
    /// The client has closed, and our answer is out; or it has answered ours.
    Done,
    /// The connection broke.
    Lost,
    /// What came is wrong.
    Failed(Closed),
}

/// How the writing ended.
enum Writing {
    /// The close is out, nothing follows.
    Done,
    /// The connection broke, or the client has closed it.
    Lost,
    /// The client takes nothing, or does not answer a ping.
    Dead(&'static str),
}

/// When the client was last heard of; `None` while nobody listens.
struct Heard(Mutex<Option<Instant>>);

impl Heard {
    fn now(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    fn pause(&self) {
        *self.0.lock() = None;
    }

    /// While nobody listens, the client is taken to be talking.
    fn at(&self) -> Instant {
        self.0.lock().unwrap_or_else(Instant::now)
    }
}

impl<P: Peer> Conversation<P> {
    /// Talks until the end, and gives the function its time to end as well.
    pub(super) async fn run(self, upgrade: OnUpgrade) {
        let kill = self.kill.clone();
        let mut killed = Woken::from_iter([kill.cancelled()]);
        tokio::select! {
            () = self.talk(upgrade) => {}
            // The server's patience is at its end. The function is the hub's to end.
            _ = killed.next() => {}
        }
    }

    async fn talk(self, upgrade: OnUpgrade) {
        match timeout(SWITCH, upgrade).await {
            Ok(Ok(upgraded)) => self.over(TokioIo::new(upgraded)).await,
            Ok(Err(error)) => debug!("the connection did not become a WebSocket: {error}"),
            Err(_) => debug!("the connection did not become a WebSocket in time"),
        }
        let Conversation {
            line, config, place, ..
        } = self;
        line.lost(Closed::new(Closed::LOST, BROKEN));
        let _ = timeout(config.grace, line.ended()).await;
        // Now it is killed, if it has not ended.
        drop((line, place));
    }

    async fn over(&self, io: TokioIo<Upgraded>) {
        let limits = Limits::default()
            .read_buffer_size(READ)
            .write_buffer_size(BATCH)
            // A batch that grew by a frame, and the answers to pings that a client does not take.
            .max_write_buffer_size(2 * FRAME + BATCH)
            .max_message_size(Some(self.config.max_message))
            .max_frame_size(Some(self.config.max_message));
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        let (mut sink, mut stream) = socket.split();
        let last_word = self.exchange(&mut sink, &mut stream).await;
        let Ok(mut socket) = sink.reunite(stream) else {
            return;
        };
        let farewell = async {
            if let Some(closed) = last_word {
                let _ = socket.send(close(&closed)).await;
            }
            let io = socket.get_mut();
            io.shutdown().await?;
            // Bytes that are left unread would reset the connection, and the client might miss the close.
            let mut space = vec![0; 1024];
            while io.read(&mut space).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Reads and writes until one of them ends the conversation. Gives what is still to be said.
    async fn exchange(
        &self,
        sink: &mut SplitSink<Socket, Received>,
        stream: &mut SplitStream<Socket>,
    ) -> Option<Closed> {
        let heard = Heard(Mutex::new(Some(Instant::now())));
        let mut writing = pin!(self.write(sink, &heard));
        let mut closing = pin!(sleep(Duration::ZERO));
        let reading = async { News::Read(self.read(stream, &heard).await) };
        let stop = async {
            self.stop.cancelled().await;
            News::Stop
        };
        let halves: [Pin<Box<dyn Future<Output = News> + Send + '_>>; 2] =
            [Box::pin(reading), Box::pin(stop)];
        let mut news = Woken::from_iter(halves);
        let mut written = false;
        // What came was wrong: nothing more is read, and this is what remains to be said.
        let mut failed: Option<Closed> = None;
        loop {
            tokio::select! {
                Some(told) = news.next() => match told {
                    News::Read(Reading::Failed(closed)) if !written => {
                        debug!(code = closed.code, "a WebSocket is closed: {}", closed.reason);
                        self.line.fail(closed.clone());
                        failed = Some(closed);
                        closing.as_mut().reset(Instant::now() + FAREWELL);
                    }
                    News::Read(Reading::Lost | Reading::Failed(_)) => return self.lost(BROKEN),
                    News::Read(Reading::Done) => return None,
                    News::Stop => self.line.shut(Closed::new(Closed::GOING_AWAY, "the server stops")),
                },
                end = &mut writing, if !written => match end {
                    Writing::Done | Writing::Lost if failed.is_some() => return None,
                    Writing::Done => {
                        written = true;
                        closing.as_mut().reset(Instant::now() + CLOSING);
                    }
                    Writing::Lost => {
                        // The other half knows why, and may still find the client's close.
                        written = true;
                        closing.as_mut().reset(Instant::now() + FAREWELL);
                    }
                    Writing::Dead(reason) => {
                        debug!("a WebSocket is given up: {reason}");
                        return self.lost(reason);
                    }
                },
                () = closing.as_mut(), if written || failed.is_some() => {
                    if let Some(closed) = &failed {
                        self.line.lost(closed.clone());
                        return failed;
                    }
                    return self.lost(BROKEN);
                }
            }
        }
    }

    /// The connection is over, and there is nothing to be said.
    fn lost(&self, reason: &str) -> Option<Closed> {
        self.line.lost(Closed::new(Closed::LOST, reason));
        None
    }

    async fn read(&self, stream: &mut SplitStream<Socket>, heard: &Heard) -> Reading {
        loop {
            if !self.line.has_room() {
                heard.pause();
                self.line.room().await;
                heard.now();
            }
            let message = match stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return failure(&error),
                None => return Reading::Done,
            };
            heard.now();
            match message {
                Received::Text(text) => self.line.deliver(Message::Text(own(text.into()))),
                Received::Binary(data) => self.line.deliver(Message::Binary(own(data))),
                Received::Close(frame) => {
                    self.line.lost(match frame {
                        Some(frame) => Closed::new(frame.code.into(), frame.reason.as_str()),
                        None => Closed::new(Closed::NO_STATUS, ""),
                    });
                    // What is left is to send the answer, unless this is the answer to ours.
                    let _ = timeout(CLOSING, async { while let Some(Ok(_)) = stream.next().await {} }).await;
                    return Reading::Done;
                }
                // tungstenite answers pings as it goes on.
                Received::Ping(_) | Received::Pong(_) | Received::Frame(_) => {}
            }
        }
    }

    async fn write(&self, sink: &mut SplitSink<Socket, Received>, heard: &Heard) -> Writing {
        let ping = self.config.ping;
        // Made once: messages are many, and do not concern it.
        let mut alarm = pin!(sleep(ping.unwrap_or_default()));
        // When the ping that is not answered was sent.
        let mut asked: Option<Instant> = None;
        loop {
            tokio::select! {
                outgoing = self.line.next() => match self.say(sink, outgoing).await {
                    Ok(false) => {}
                    Ok(true) => return Writing::Done,
                    Err(end) => return end,
                },
                () = alarm.as_mut(), if ping.is_some() => {
                    let now = Instant::now();
                    if asked.is_some_and(|asked| heard.at() < asked) {
                        return Writing::Dead("the client does not answer");
                    }
                    let quiet_until = heard.at() + ping.unwrap_or_default();
                    if quiet_until > now {
                        asked = None;
                        alarm.as_mut().reset(quiet_until);
                        continue;
                    }
                    asked = Some(now);
                    alarm.as_mut().reset(now + self.config.timeout);
                    let sending = async {
                        sink.flush().await?;
                        sink.send(Received::Ping(Bytes::new())).await
                    };
                    if let Err(end) = within(self.config.timeout, sending).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Sends a message and those that are there behind it, up to a batch; whether a close was among them. The client has
    /// the time-out for each batch, and for each frame of a long message.
    async fn say(&self, sink: &mut SplitSink<Socket, Received>, first: Outgoing) -> Result<bool, Writing> {
        let limit = self.config.timeout;
        // Answers to pings may be in the way, and the buffer has a bound.
        within(limit, sink.flush()).await?;
        let mut next = Some(first);
        let mut batch = 0;
        while let Some(outgoing) = next.take() {
            let (mut kind, mut data) = match outgoing {
                Outgoing::Message(Message::Text(data)) => (Data::Text, data),
                Outgoing::Message(Message::Binary(data)) => (Data::Binary, data),
                Outgoing::Close(closed) => {
                    return within(limit, sink.send(close(&closed))).await.map(|()| true);
                }
            };
            loop {
                let piece = data.split_to(data.len().min(FRAME));
                batch += HEAD + piece.len();
                let is_last = data.is_empty();
                let full = batch >= BATCH;
                if is_last && !full {
                    next = self.line.try_next();
                }
                let frame = Received::Frame(Frame::message(piece, OpCode::Data(kind), is_last));
                match full || next.is_none() {
                    true => within(limit, sink.send(frame)).await?,
                    false => within(limit, sink.feed(frame)).await?,
                }
                if is_last {
                    break;
                }
                if full {
                    batch = 0;
                }
                kind = Data::Continue;
            }
        }
        Ok(false)
    }
}

/// What goes on with a socket, for which the client has `limit`.
async fn within(limit: Duration, work: impl Future<Output = Result<(), Error>>) -> Result<(), Writing> {
    match timeout(limit, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            debug!("a WebSocket cannot be written: {error}");
            Err(Writing::Lost)
        }
        Err(_) => Err(Writing::Dead("the client does not read")),
    }
}

fn close(closed: &Closed) -> Received {
    Received::Close(Some(CloseFrame {
        code: CloseCode::from(closed.code),
        reason: closed.reason.as_str().into(),
    }))
}

/// A message's bytes without those around it.
fn own(data: Bytes) -> Bytes {
    match data.len() < SHORT {
        true => Bytes::copy_from_slice(&data),
        false => data,
    }
}

fn failure(error: &Error) -> Reading {
    match error {
        Error::Utf8(_) => Reading::Failed(Closed::new(Closed::INVALID_TEXT, "the text is not UTF-8")),
        Error::Capacity(_) => Reading::Failed(Closed::new(Closed::TOO_BIG, "the message is too large")),
        Error::Protocol(problem) if !is_loss(problem) => {
            Reading::Failed(Closed::new(Closed::PROTOCOL, problem.to_string()))
        }
        other => {
            debug!("a WebSocket broke: {other}");
            Reading::Lost
        }
    }
}

fn is_loss(problem: &tokio_tungstenite::tungstenite::error::ProtocolError) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(problem, ProtocolError::ResetWithoutClosingHandshake)
}

#[cfg(test)]
mod tests {
    use puff_python::websocket::Line;

    use super::*;

    fn size<F>(_: impl FnOnce(Conversation<Line>, OnUpgrade) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_conversation_is_small() {
        // Thousands of them idle at a time.
        let size = size(Conversation::run);
        assert!(size < 4096, "{size}");
    }
}
