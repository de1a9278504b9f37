//! The socket to the server: TCP, TCP with TLS, or Unix.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::config::Config;

/// Where a socket leads, after names have been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    /// A path, or `@` and a name in the abstract namespace.
    Unix(PathBuf),
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, without encryption and without a limit of its own.
    pub(crate) async fn connect(endpoint: &Endpoint, config: &Config) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(in_namespace(path)).await.map(Self::Unix),
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                set_options(&stream, config)?;
                Ok(Self::Tcp(stream))
            }
        }
    }
}

/// Linux marks an abstract name by a NUL, people by `@`.
fn in_namespace(path: &std::path::Path) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => path.to_owned(),
    }
}

fn set_options(stream: &TcpStream, config: &Config) -> io::Result<()> {
    // Requests are written as a whole: waiting to fill a segment would only add latency.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    if let Some(keepalive) = &config.keepalive {
        let probes = TcpKeepalive::new().with_time(keepalive.idle);
        let probes = probes
            .with_interval(keepalive.interval)
            .with_retries(keepalive.count);
        socket.set_tcp_keepalive(&probes)?;
    }
    #[cfg(target_os = "linux")]
    if let Some(limit) = config.tcp_user_timeout {
        socket.set_tcp_user_timeout(Some(limit))?;
    }
    Ok(())
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
            Self::Tls(stream) => {
                // TLS keeps what the socket had no room for. Whoever waits for an answer sees to it that the
                // question goes out, so that no caller has to know the difference.
                if let Poll::Ready(Err(error)) = Pin::new(&mut **stream).poll_flush(cx) {
                    // The server's last words, if it has said any, explain more than a broken pipe.
                    return match Pin::new(&mut **stream).poll_read(cx, buffer) {
                        Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                        _ => Poll::Ready(Err(error)),
                    };
                }
                Pin::new(&mut **stream).poll_read(cx, buffer)
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // These hold nothing back.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
