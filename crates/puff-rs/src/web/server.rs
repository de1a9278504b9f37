//! The server: accepts connections on all its sockets, stops gracefully.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use puff_python::wsgi::WsgiApp;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::config::ServerConfig;
use super::connection::serve_connection;
use super::direct::DirectRoutes;
use super::listener::{Listener, ListeningSocket};
use super::observe::Observe;
use super::stream::Socket;
use super::streams::Streams;
use super::tls::Tls;
use super::turns::Turns;
use super::websocket::{Sockets, Surroundings, WebSockets};
use crate::errors::BoxError;
use crate::serve::Seat;

/// What answers the requests.
pub enum Application {
    /// Only a WSGI application: requests go to it without passing a router.
    Wsgi(WsgiApp),
    /// Routes; a WSGI application may be the fallback among them.
    Router(axum::Router),
}

/// What a server serves.
pub(crate) struct Site {
    pub(crate) app: Application,
    /// Where requests find their handler before `app`'s router does. Only with a router.
    pub(crate) direct: DirectRoutes,
    /// WebSockets to Python functions, which come before `app`.
    pub(crate) websockets: Option<WebSockets>,
}

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) app: Application,
    pub(super) direct: DirectRoutes,
    pub(super) http: auto::Builder<Streams>,
    pub(super) config: ServerConfig,
    /// What looks at each request, if anything does.
    pub(super) observe: Option<Arc<Observe>>,
    pub(super) turns: Turns,
    /// WebSockets to Python functions.
    pub(super) websockets: Option<Arc<Sockets>>,
    pub(super) tls: Option<Tls>,
    /// The place under a supervisor, if there is one.
    pub(super) seat: Option<Arc<Seat>>,
    /// How long a client that sends nothing more may wait for its answer; `None`: it is taken for gone.
    pub(super) parting: Option<Duration>,
    /// Finish what you have.
    pub(super) stop: CancellationToken,
    /// Whether `stop` has been cancelled: to ask that costs a lock, this nothing.
    pub(super) leaving: AtomicBool,
    /// Go.
    pub(super) kill: CancellationToken,
}

/// Serves `app` on `listeners` until `stop` is cancelled, then lets running requests finish. `websockets` come
/// before it, where there are any.
///
/// Returns once every connection is closed, or when `config.shutdown_timeout` has passed since `stop`; what
/// still runs then is cut off, with a warning. Dropping the future cuts off everything at once.
///
/// # Errors
/// If a socket cannot be handed to Tokio, or the files of [`ServerConfig::tls`] are wrong. Later failures
/// concern one connection each and are logged.
pub async fn serve(
    listeners: Vec<Listener>,
    app: Application,
    websockets: Option<WebSockets>,
    config: ServerConfig,
    stop: CancellationToken,
) -> Result<(), BoxError> {
    let site = Site {
        app,
        direct: DirectRoutes::default(),
        websockets,
    };
    serve_on_seat(listeners, site, config, stop, None).await
}

/// As [`serve`], and tells the supervisor that `seat` is a place under what it wants to know.
pub(crate) async fn serve_on_seat(
    listeners: Vec<Listener>,
    site: Site,
    config: ServerConfig,
    stop: CancellationToken,
    seat: Option<Arc<Seat>>,
) -> Result<(), BoxError> {
    let Site {
        app,
        direct,
        websockets,
    } = site;
    let tls = config.tls.clone().map(Tls::open).transpose()?;
    // Also when this future is dropped, no connection outlives it.
    let (stop, kill) = (stop.child_token(), CancellationToken::new());
    let _ends_on_drop = (stop.clone().drop_guard(), kill.clone().drop_guard());
    let connections = TaskTracker::new();
    let websockets = websockets.map(|websockets| {
        let surroundings = Surroundings {
            stop: stop.clone(),
            kill: kill.clone(),
            connections: connections.clone(),
            time_limit: config.request_timeout,
            metrics: config.observe.metrics.clone(),
        };
        Arc::new(Sockets::new(websockets, surroundings))
    });
    let mut http = protocols(&config);
    if websockets.is_some() || matches!(app, Application::Router(_)) {
        // WebSockets over HTTP/2.
        http.http2().enable_connect_protocol();
    }
    let shared = Arc::new(Shared {
        // A WSGI application runs to the end of a request whoever waits for it. What ends with its client must be
        // told at once.
        parting: matches!(app, Application::Wsgi(_) if !config.wsgi.kill_gone)
            .then_some(config.write_timeout),
        turns: Turns::new(&config),
        observe: config.observe.of_requests(),
        app,
        direct,
        http,
        websockets,
        config,
        tls,
        seat,
        stop: stop.clone(),
        leaving: AtomicBool::new(false),
        kill: kill.clone(),
    });
    if let Some(tls) = shared.tls.clone() {
        puff_core::task::spawn(&Handle::current(), "TLS certificates", tls.watch(stop));
    }
    let mut accepting = Vec::with_capacity(listeners.len());
    for listener in listeners {
        accepting.push(accept(Acceptor::new(listener)?, &shared, &connections));
    }
    if let Some(seat) = &shared.seat {
        seat.ready();
    }
    join_all(accepting).await;
    connections.close();
    if !connections.is_empty() {
        info!(
            connections = connections.len(),
            "waiting for connections to finish"
        );
    }
    if tokio::time::timeout(shared.config.shutdown_timeout, connections.wait())
        .await
        .is_err()
    {
        warn!(
            connections = connections.len(),
            "cutting off requests that did not finish in time"
        );
        kill.cancel();
        // A connection that became another protocol is in the hands of a handler, which may be slow to look.
        let _ = tokio::time::timeout(Duration::from_secs(1), connections.wait()).await;
    }
    if let Some(log) = &shared.config.observe.access_log {
        log.close().await;
    }
    Ok(())
}

/// HTTP/1 and HTTP/2 as the server speaks them. The connection's beginning tells which it is, in TLS (where
/// ALPN has settled it) as without ("prior knowledge").
fn protocols(config: &ServerConfig) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(Streams::new(config.write_timeout));
    http.http1()
        .timer(TokioTimer::new())
        // The connection has time-outs of its own for all phases (`Pulse`).
        .header_read_timeout(None)
        // While it answers it does not read: `Inspected` does.
        .half_close(true)
        .max_headers(config.head.fields)
        .max_buf_size((2 * config.head.bytes).max(64 << 10));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.http2_streams)
        .max_header_list_size(u32::try_from(config.head.bytes).unwrap_or(u32::MAX))
        // "Rapid reset": streams that the client opens and resets at once, before anybody works on them.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}

/// A socket in Tokio's hands; the file of a Unix socket goes with it.
struct Acceptor {
    socket: AcceptorSocket,
    _file: Option<super::listener::SocketFile>,
}

enum AcceptorSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(listener: Listener) -> std::io::Result<Acceptor> {
        Ok(Acceptor {
            socket: match listener.socket {
                ListeningSocket::Tcp(socket) => AcceptorSocket::Tcp(TcpListener::from_std(socket)?),
                ListeningSocket::Unix(socket) => AcceptorSocket::Unix(UnixListener::from_std(socket)?),
            },
            _file: listener.file,
        })
    }

    async fn next(&self) -> std::io::Result<Socket> {
        Ok(match &self.socket {
            AcceptorSocket::Tcp(listener) => Socket::Tcp(listener.accept().await?.0),
            AcceptorSocket::Unix(listener) => Socket::Unix(listener.accept().await?.0),
        })
    }

    /// The connections that the system has made for us already, which would be reset with the socket.
    fn last(self) -> Vec<Socket> {
        // Not Tokio's `accept`, which waits for Tokio to notice them.
        fn all<T>(accept: impl Fn() -> std::io::Result<T>) -> impl Iterator<Item = T> {
            std::iter::from_fn(move || accept().ok()).take(MOST_LAST)
        }
        let sockets = || -> std::io::Result<Vec<Socket>> {
            match self.socket {
                AcceptorSocket::Tcp(listener) => {
                    let listener = listener.into_std()?;
                    all(|| listener.accept())
                        .map(|(stream, _)| {
                            stream.set_nonblocking(true)?;
                            TcpStream::from_std(stream).map(Socket::Tcp)
                        })
                        .collect()
                }
                AcceptorSocket::Unix(listener) => {
                    let listener = listener.into_std()?;
                    all(|| listener.accept())
                        .map(|(stream, _)| {
                            stream.set_nonblocking(true)?;
                            UnixStream::from_std(stream).map(Socket::Unix)
                        })
                        .collect()
                }
            }
        };
        sockets().unwrap_or_else(|error| {
            debug!("connections that were waiting are lost: {error}");
            Vec::new()
        })
    }
}

/// As many connections as the system queues; who shares the socket with other processes takes no more.
const MOST_LAST: usize = 2048;

/// How often a listener says that it cannot accept.
const REMINDER: Duration = Duration::from_secs(10);

async fn accept(acceptor: Acceptor, shared: &Arc<Shared>, connections: &TaskTracker) {
    let mut said: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            accepted = acceptor.next() => accepted,
        };
        match accepted {
            Ok(socket) => {
                tokio::spawn(serve_connection(shared.clone(), socket, connections.token()));
            }
            Err(error) if is_connection_error(&error) => {
                debug!("a connection broke before it was accepted: {error}")
            }
            Err(error) => {
                // Out of descriptors or memory: closing connections free some; trying at once would spin.
                if said.is_none_or(|said| said.elapsed() > REMINDER) {
                    warn!("cannot accept connections until others end: {error}");
                    said = Some(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    shared.leaving.store(true, Relaxed);
    for socket in acceptor.last() {
        tokio::spawn(serve_connection(shared.clone(), socket, connections.token()));
    }
}

fn is_connection_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}
