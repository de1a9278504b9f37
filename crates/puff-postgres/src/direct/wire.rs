//! The socket of a session together with what is to be sent on it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::{Buf, Bytes, BytesMut};

use super::socket::Socket;
use crate::stream::Stream;

/// What the write buffer begins with.
const OUTGOING_SIZE: usize = 4096;
/// A larger write buffer is given back when it is empty.
const MAX_IDLE: usize = 256 * 1024;
/// Data of a copy in is sent in pieces of this size, as libpq does. Larger ones save calls, but not time: the
/// kernel has to find that much memory at once, and the data has left the cache by then.
const COPY_IN_CHUNK: usize = 8 * 1024;
/// How many of these are sent before others get their turn, should the server be as fast as we are.
const COPY_IN_PIECES: usize = 64;

/// A socket and its write buffer; never blocks.
pub(super) struct Wire {
    pub(super) socket: Socket,
    /// What is to be sent.
    pub(super) outgoing: BytesMut,
    /// The socket has said that it has no room, and nobody has waited since.
    full: bool,
}

impl Wire {
    /// Takes a stream out of Tokio's hands.
    pub(super) fn detach(stream: Stream) -> io::Result<Wire> {
        Ok(Wire {
            socket: Socket::detach(stream)?,
            outgoing: BytesMut::with_capacity(OUTGOING_SIZE),
            full: false,
        })
    }

    /// Whether something is to be sent yet.
    pub(super) fn is_sending(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Sends what is to be sent, as far as the socket has room.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            if self.full {
                return Ok(());
            }
            match self.socket.write(&self.outgoing) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.outgoing.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.outgoing.try_reclaim(MAX_IDLE) {
            self.outgoing = BytesMut::with_capacity(OUTGOING_SIZE);
        }
        Ok(())
    }

    /// Somebody is about to wait until there is room.
    pub(super) fn waits(&mut self) {
        self.full = false;
    }

    /// Sends the data of a copy in as far as the socket has room, and takes it out of `data`; whether there is
    /// room for more. If not, something is left of `data` or to be sent. What fails here fails again in `write`.
    pub(super) fn send_copied(&mut self, data: &mut Bytes) -> bool {
        for _ in 0..COPY_IN_PIECES {
            if self.outgoing.len() >= COPY_IN_CHUNK && (self.write().is_err() || self.is_sending()) {
                return false;
            }
            if data.is_empty() {
                return true;
            }
            let piece = data.split_to(data.len().min(COPY_IN_CHUNK));
            self.send_piece(piece);
        }
        data.is_empty()
    }

    /// Sends one message of copied data from where it is; only what the socket has no room for is copied. A
    /// small piece waits for others.
    fn send_piece(&mut self, mut piece: Bytes) {
        let mut header = [b'd', 0, 0, 0, 0];
        header[1..].copy_from_slice(&(piece.len() as u32 + 4).to_be_bytes());
        let mut header = header.as_slice();
        if self.outgoing.is_empty() && piece.len() == COPY_IN_CHUNK {
            match self.socket.write_pair(header, &piece) {
                Ok(sent) => {
                    let of_header = sent.min(header.len());
                    header.advance(of_header);
                    piece.advance(sent - of_header);
                }
                Err(error) => self.full = error.kind() == ErrorKind::WouldBlock,
            }
        }
        self.outgoing.extend_from_slice(header);
        self.outgoing.extend_from_slice(&piece);
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nonblocking(true).unwrap();
        let wire = Wire {
            socket: Socket::Tcp(near),
            outgoing: BytesMut::new(),
            full: false,
        };
        (wire, listener.accept().unwrap().0)
    }

    /// Whoever is told that there is no room waits until what is left can be sent: it must be there.
    #[test]
    fn without_room_something_is_left() {
        const MOST: usize = COPY_IN_CHUNK * COPY_IN_PIECES;
        for size in [0, 1, COPY_IN_CHUNK, MOST - 1, MOST, MOST + 1, 2 * MOST, 5_000_000] {
            let (mut wire, mut far) = pair();
            let reader = std::thread::spawn(move || {
                let mut all = Vec::new();
                far.read_to_end(&mut all).map(|_| all).unwrap()
            });
            let mut data = Bytes::from(vec![b'x'; size]);
            while !wire.send_copied(&mut data) {
                assert!(wire.is_sending() || !data.is_empty(), "{size} bytes");
                wire.waits();
                std::thread::yield_now();
            }
            while wire.is_sending() {
                wire.waits();
                wire.write().unwrap();
            }
            drop(wire);
            let copied = reader
                .join()
                .unwrap()
                .iter()
                .filter(|byte| **byte == b'x')
                .count();
            assert_eq!(copied, size);
        }
    }
}
