//! The actor's half of `COPY`: data from a bounded channel to the socket, or the other way round.
//!
//! A copy has the connection for itself: nothing is sent behind it before its end, because a server that waits
//! for data takes any other message for a mistake. The socket is read, or the channel is emptied, only as fast
//! as the other side goes on; so the slower of the two sets the pace.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use super::{Actor, End};
use crate::codec::Message;
use crate::copy::{CHUNK, Piece};

/// The copy that is at the front.
pub(crate) struct Copy {
    channel: Channel,
    /// Closed when the connection is needed for other things.
    revoked: oneshot::Receiver<()>,
    /// Whether data was thrown away for that.
    lost: bool,
    phase: Phase,
    /// Data that has arrived and not yet been handed on.
    arrived: BytesMut,
    /// What follows that data.
    behind: Option<Message>,
}

pub(crate) enum Channel {
    In(mpsc::Receiver<Piece>),
    Out(PollSender<Bytes>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server has not yet said that it copies.
    Waiting,
    Running,
    /// No data goes either way any more.
    Over,
}

impl Copy {
    pub(super) fn new(channel: Channel, revoked: oneshot::Receiver<()>) -> Self {
        Self {
            channel,
            revoked,
            lost: false,
            phase: Phase::Waiting,
            arrived: BytesMut::new(),
            behind: None,
        }
    }

    /// The server takes data now; whether that was asked for.
    pub(super) fn begin_in(&mut self) -> bool {
        let expected = matches!(self.channel, Channel::In(_)) && self.phase == Phase::Waiting;
        if expected {
            self.phase = Phase::Running;
        }
        expected
    }

    /// The server sends data now; whether that was asked for.
    pub(super) fn begin_out(&mut self) -> bool {
        let expected = matches!(self.channel, Channel::Out(_)) && self.phase == Phase::Waiting;
        if expected {
            self.phase = Phase::Running;
        }
        expected
    }

    /// The server is done with the data, or has refused it.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Over;
        if let Channel::In(pieces) = &mut self.channel {
            // Whoever still sends learns why instead.
            pieces.close();
        }
    }

    /// Whether its reader has not got all of the data, although it is still there.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the server waits for data: then the end of the channel says that nobody sends it any more.
    pub(super) fn is_fed(&self) -> bool {
        matches!(self.channel, Channel::In(_)) && self.phase == Phase::Running
    }
}

impl Actor {
    /// Takes data for the server, up to a chunk; whether there may be more.
    pub(super) fn feed(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let Some(Copy {
            channel: Channel::In(pieces),
            revoked,
            phase: phase @ Phase::Running,
            ..
        }) = &mut self.copy
        else {
            return Ok(false);
        };
        while self.outgoing.len() < CHUNK {
            let piece = match Pin::new(&mut *revoked).poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => pieces.poll_recv(cx),
            };
            match piece {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(Piece::Data(data))) => {
                    self.outgoing.reserve(data.len() + 5);
                    self.outgoing.put_u8(b'd');
                    // A piece has at most `CHUNK` bytes.
                    self.outgoing.put_u32(data.len() as u32 + 4);
                    self.outgoing.put_slice(&data);
                }
                Poll::Ready(Some(Piece::End)) => {
                    frontend::copy_done(&mut self.outgoing);
                    *phase = Phase::Over;
                    return Ok(false);
                }
                Poll::Ready(None) => {
                    frontend::copy_fail("the client gave up", &mut self.outgoing)?;
                    pieces.close();
                    *phase = Phase::Over;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Reads messages out of the buffer until more bytes are needed; whether there were any. Pending while the
    /// reader of a copy has no room.
    pub(super) fn decode(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, End>> {
        let mut progress = false;
        loop {
            let message = match &mut self.copy {
                Some(copy) => {
                    ready!(copy.deliver(cx));
                    match copy.behind.take() {
                        Some(message) => Ok(Some(message)),
                        None if copy.phase == Phase::Running => {
                            let message = self.decoder.next_copied(&mut copy.arrived, CHUNK);
                            if !copy.arrived.is_empty() {
                                copy.behind = message?;
                                continue;
                            }
                            message
                        }
                        None => self.decoder.next(None),
                    }
                }
                None => {
                    let rows = self.in_flight.front_mut().and_then(|front| front.rows());
                    self.decoder.next(rows)
                }
            };
            let Some(message) = message? else {
                return Poll::Ready(Ok(progress));
            };
            self.receive(message)?;
            progress = true;
        }
    }
}

impl Copy {
    /// Hands on what has arrived.
    fn deliver(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.arrived.is_empty() {
            return Poll::Ready(());
        }
        if self.lost || Pin::new(&mut self.revoked).poll(cx).is_ready() {
            self.lost = true;
        } else if let Channel::Out(data) = &mut self.channel
            && ready!(data.poll_reserve(cx)).is_ok()
        {
            let _ = data.send_item(self.arrived.split().freeze());
        }
        // Nobody wants it.
        self.arrived.clear();
        Poll::Ready(())
    }
}
