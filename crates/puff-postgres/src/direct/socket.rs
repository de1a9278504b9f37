//! The socket of a connection that no runtime watches: never blocks by itself.
#![allow(
    unsafe_code,
    reason = "reading into memory that is not initialised yet, as Tokio does inside"
)]

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::BytesMut;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::MsgFlags;
use nix::sys::time::TimeSpec;
use socket2::SockRef;

use super::tls_socket::TlsSocket;
use crate::error::Error;
use crate::stream::Stream;

/// A non-blocking socket.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsSocket>),
    Unix(UnixStream),
}

impl Socket {
    /// Takes a stream out of Tokio's hands.
    pub(crate) fn detach(stream: Stream) -> io::Result<Self> {
        match stream {
            Stream::Tcp(stream) => stream.into_std().map(Self::Tcp),
            Stream::Tls(stream) => {
                let (stream, session) = stream.into_inner();
                let socket = TlsSocket::new(stream.into_std()?, session);
                Ok(Self::Tls(Box::new(socket)))
            }
            Stream::Unix(stream) => stream.into_std().map(Self::Unix),
        }
    }

    /// Appends what has arrived to `buffer`, as far as it has room; 0 bytes are the peer's end.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        if let Self::Tls(socket) = self {
            return socket.read(buffer);
        }
        let this = &*self;
        let count = SockRef::from(this).recv(buffer.spare_capacity_mut())?;
        // SAFETY: `recv` has written the first `count` bytes of the spare capacity.
        unsafe { buffer.set_len(buffer.len() + count) };
        Ok(count)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    /// Writes two pieces at once; as `write`, but encryption takes none of it: it has a buffer of its own.
    pub(crate) fn write_pair(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if let Self::Tls(_) = self {
            return Ok(0);
        }
        let pieces = [IoSlice::new(first), IoSlice::new(second)];
        // As the standard library's `write`: no signal if the server has gone.
        let flags = MsgFlags::MSG_NOSIGNAL.bits();
        SockRef::from(&*self).send_vectored_with_flags(&pieces, flags)
    }

    pub(crate) fn shut_down(&self) {
        // It may be broken already.
        let _ = SockRef::from(self).shutdown(Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.socket.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Blocks the thread until `socket` can be read (or written, if `write` says so), the time is over or a signal
/// came; whether there is something to do. For a session's socket or a duplicate of it.
///
/// # Errors
/// What the system says.
pub fn wait_for_socket(socket: impl AsFd, write: bool, limit: Duration) -> Result<bool, Error> {
    let mut interest = PollFlags::POLLIN;
    interest.set(PollFlags::POLLOUT, write);
    let mut polled = [PollFd::new(socket.as_fd(), interest)];
    match ppoll(&mut polled, Some(TimeSpec::from_duration(limit)), None) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(io::Error::from(error).into()),
    }
}
