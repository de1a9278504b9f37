//! TLS on a socket that no runtime watches.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use rustls::ClientConnection;

/// No more is encrypted at once than fits into one record of TLS.
const RECORD: usize = 16 * 1024;

/// A non-blocking TCP socket with the state of its encryption.
pub(super) struct TlsSocket {
    pub(super) socket: TcpStream,
    session: ClientConnection,
    /// Bytes that the encryption has taken, and whose caller was told to come again because the socket had no
    /// room for the result: a caller with nothing left to send would not wait for that room.
    taken: usize,
}

impl TlsSocket {
    pub(super) fn new(socket: TcpStream, session: ClientConnection) -> Self {
        Self {
            socket,
            session,
            taken: 0,
        }
    }

    /// Appends what has arrived to `buffer`, all that can be decrypted: what stayed inside would be invisible
    /// to who waits for the socket.
    pub(super) fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        loop {
            let state = self.session.process_new_packets();
            let state = state.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            let count = state.plaintext_bytes_to_read();
            if count > 0 {
                let start = buffer.len();
                buffer.resize(start + count, 0);
                self.session.reader().read_exact(&mut buffer[start..])?;
                return Ok(count);
            }
            if state.peer_has_closed() || self.session.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
        }
    }

    /// As `write` of a non-blocking socket: after [`ErrorKind::WouldBlock`] the same bytes must come again.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken == 0 {
            let piece = &bytes[..bytes.len().min(RECORD)];
            self.taken = self.session.writer().write(piece)?;
        }
        while self.session.wants_write() {
            self.session.write_tls(&mut self.socket)?;
        }
        Ok(std::mem::take(&mut self.taken))
    }
}
