//! A connection's bytes: TCP or a Unix socket, plain or in TLS, as one type.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A socket that was accepted.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Both addresses, of TCP.
    pub(super) fn addresses(&self) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
        match self {
            Socket::Tcp(stream) => Ok(Some((stream.local_addr()?, stream.peer_addr()?))),
            Socket::Unix(_) => Ok(None),
        }
    }
}

/// A socket, and bytes that were read from it too early.
pub(super) struct Rewound {
    pub(super) early: Bytes,
    pub(super) socket: Socket,
}

/// What HTTP goes over.
pub(super) enum Stream {
    Plain(Rewound),
    Tls(Box<TlsStream<Rewound>>),
}

impl Stream {
    /// Makes the end of the connection a reset, which nobody takes for a proper end.
    pub(super) fn reset(&self) {
        let socket = match self {
            Stream::Plain(rewound) => &rewound.socket,
            Stream::Tls(stream) => &stream.get_ref().0.socket,
        };
        if let Socket::Tcp(stream) = socket
            && let Err(error) = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO))
        {
            tracing::debug!("cannot reset a connection: {error}");
        }
    }
}

macro_rules! delegate {
    ($self:ident, $type:ident { $($variant:ident),* }, $stream:ident => $call:expr) => {
        match &mut *$self {
            $($type::$variant($stream) => $call,)*
        }
    };
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

macro_rules! write_through {
    ($type:ident, $self:ident => $target:expr, $kind:ident { $($variant:ident),* }) => {
        impl AsyncWrite for $type {
            fn poll_write(mut $self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                let target = $target;
                delegate!(target, $kind { $($variant),* }, stream => Pin::new(stream).poll_write(context, bytes))
            }

            fn poll_flush(mut $self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let target = $target;
                delegate!(target, $kind { $($variant),* }, stream => Pin::new(stream).poll_flush(context))
            }

            fn poll_shutdown(mut $self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let target = $target;
                delegate!(target, $kind { $($variant),* }, stream => Pin::new(stream).poll_shutdown(context))
            }

            fn poll_write_vectored(
                mut $self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let target = $target;
                delegate!(target, $kind { $($variant),* }, stream => Pin::new(stream).poll_write_vectored(context, pieces))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }
        }
    };
}

write_through!(Rewound, self => &mut self.socket, Socket { Tcp, Unix });
write_through!(Stream, self => &mut *self, Stream { Plain, Tls });

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, Stream { Plain, Tls }, stream => Pin::new(stream).poll_read(context, buffer))
    }
}
