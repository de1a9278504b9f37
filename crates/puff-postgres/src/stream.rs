//! The socket to the server: TCP or Unix.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::config::{Config, Host};
use crate::error::Error;

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, without a limit of its own.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Error> {
        let connected = match &config.host {
            Host::Unix(_) => UnixStream::connect(config.socket_path()).await.map(Self::Unix),
            Host::Tcp(host) => match TcpStream::connect((host.as_str(), config.port)).await {
                Ok(stream) => set_options(&stream).map(|()| Self::Tcp(stream)),
                Err(error) => Err(error),
            },
        };
        connected.map_err(|source| Error::Connect {
            address: config.address(),
            source: Arc::new(source),
        })
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Requests are written as a whole: waiting to fill a segment would only add latency.
    stream.set_nodelay(true)?;
    // A peer that vanished without a word is noticed within two minutes, also while a query runs.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60));
    let keepalive = keepalive.with_interval(Duration::from_secs(15)).with_retries(4);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Neither kind of socket holds bytes back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
