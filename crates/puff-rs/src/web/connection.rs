//! One connection from its first byte to its last: TLS, HTTP, time-outs, the end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use puff_python::wsgi::ConnectionInfo;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::debug;

use super::answer::{Working, answer};
use super::inspect::{Ends, Inspected};
use super::lease::Lease;
use super::proxy_protocol;
use super::pulse::{Patience, Pulse, Verdict};
use super::server::Shared;
use super::stream::{Rewound, Socket, Stream};
use super::trust::silence;
use crate::errors::BoxError;
use crate::metrics::Metrics;

/// How long a connection that was asked to end may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a connection without a request is left open when the server stops: a request that was on its way
/// then is answered, and the client learns from the answer that it was the last one.
const LINGER: Duration = Duration::from_millis(500);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Serves `socket`. The server waits for `token`, which goes with the connection, also when it has become another
/// protocol's.
pub(super) async fn serve_connection(shared: Arc<Shared>, socket: Socket, token: TaskTrackerToken) {
    let Ok(addresses) = socket.addresses() else { return };
    let metrics = shared.config.observe.metrics.clone();
    let _connected = metrics.as_ref().map(Metrics::connected);
    let info = ConnectionInfo {
        local: addresses.map(|(local, _)| local),
        peer: addresses.map(|(_, peer)| peer),
        tls: shared.tls.is_some(),
    };
    if let Socket::Tcp(stream) = &socket
        // Answers are written whole; waiting for more (Nagle) would only add latency.
        && let Err(error) = stream.set_nodelay(true)
    {
        debug!(?info.peer, "cannot set TCP_NODELAY: {error}");
    }
    let stopped = async {
        shared.stop.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    let opened = tokio::select! {
        biased;
        () = stopped => return,
        opened = tokio::time::timeout(shared.config.header_timeout, open(&shared, socket, info)) => opened,
    };
    match opened {
        Ok(Ok(opened)) => serve_http(shared, opened, token).await,
        Ok(Err(error)) => debug!(?info.peer, "the connection did not come about: {error}"),
        Err(_) => debug!(?info.peer, "the connection did not come about in time"),
    }
}

/// A connection that may be spoken on.
struct Opened {
    stream: Stream,
    info: ConnectionInfo,
    /// Its proxy does not know who the client is: that one is not to say it itself.
    is_nameless: bool,
}

/// What comes before HTTP.
async fn open(shared: &Shared, socket: Socket, mut info: ConnectionInfo) -> std::io::Result<Opened> {
    let mut socket = Rewound {
        early: Bytes::new(),
        socket,
    };
    let mut is_nameless = false;
    if shared.config.proxy_protocol {
        if !shared
            .config
            .trusted_proxies
            .contains(info.peer.map(|peer| peer.ip()))
        {
            return Err(std::io::Error::other("it is not from a trusted proxy"));
        }
        let said = proxy_protocol::read(&mut socket).await?;
        socket.early = said.rest;
        match said.addresses {
            Some((local, peer)) => {
                info.local = Some(local);
                info.peer = Some(peer);
            }
            None => is_nameless = true,
        }
    }
    let stream = match &shared.tls {
        Some(tls) => Stream::Tls(Box::new(tls.acceptor().accept(socket).await?)),
        None => Stream::Plain(socket),
    };
    Ok(Opened {
        stream,
        info,
        is_nameless,
    })
}

async fn serve_http(shared: Arc<Shared>, opened: Opened, token: TaskTrackerToken) {
    let Opened {
        stream,
        info,
        is_nameless,
    } = opened;
    let pulse = Arc::new(Pulse::new());
    let patience = Patience {
        head: shared.config.header_timeout,
        idle: shared.config.idle_timeout,
        write: shared.config.write_timeout,
    };
    let ends = Ends {
        lease: Lease::new(shared.kill.clone(), token),
        parting: shared.parting,
        reset: Stream::reset,
    };
    let io = TokioIo::new(Inspected::new(
        stream,
        shared.config.head,
        pulse.clone(),
        ends,
        shared.config.observe.metrics.clone(),
    ));
    let service = {
        let (shared, pulse) = (shared.clone(), pulse.clone());
        service_fn(move |mut request: Request<Incoming>| {
            if is_nameless {
                silence(request.headers_mut());
            }
            let working = Working::new(pulse.clone());
            answer(shared.clone(), working, request, info)
        })
    };
    let mut connection = pin!(shared.http.serve_connection_with_upgrades(io, service));
    // In a set, which polls only what has been woken: the connection is woken twice for each request, and hardly
    // ever by this.
    let patient = patience.head.min(patience.idle).min(patience.write);
    let mut news = FuturesUnordered::from_iter([watch(&shared, &pulse, patience, Watched::For(patient))]);
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => return log_end(info, result),
            Some(told) = news.next() => match told {
                News::Stop => break,
                News::Idle => {
                    // A request may be on its way; HTTP/2 tells its client which it has seen.
                    connection.as_mut().graceful_shutdown();
                    news.push(watch(&shared, &pulse, patience, Watched::Parting));
                }
                News::Over(reason) => {
                    debug!(?info.peer, "connection closed: {reason}");
                    return;
                }
            },
        }
    }
    // HTTP/2 tells its client which requests are still answered (GOAWAY). HTTP/1 can only say so in an answer.
    let begun = Instant::now();
    let mut asked = pulse.is_http2();
    if asked {
        connection.as_mut().graceful_shutdown();
    }
    loop {
        tokio::select! {
            biased;
            result = connection.as_mut() => return log_end(info, result),
            () = shared.kill.cancelled() => return,
            () = tokio::time::sleep(LOOK), if !asked => {
                if begun.elapsed().min(pulse.quiet()) >= LINGER {
                    connection.as_mut().graceful_shutdown();
                    asked = true;
                }
            }
        }
    }
}

/// What a connection is told besides what its client sends.
enum News {
    /// The server stops.
    Stop,
    /// Nothing has been going on for long enough: it is to part.
    Idle,
    /// It ends now.
    Over(&'static str),
}

/// Since when a connection is watched.
enum Watched {
    /// It begins; nothing can be wrong for that long.
    For(Duration),
    /// It has been told that it idles.
    Parting,
}

/// Waits for news.
async fn watch(shared: &Shared, pulse: &Pulse, patience: Patience, since: Watched) -> News {
    let (first, mut parting) = match since {
        Watched::For(patient) => (patient, false),
        Watched::Parting => (FAREWELL, true),
    };
    let mut stop = pin!(shared.stop.cancelled());
    let mut check = pin!(tokio::time::sleep(first));
    loop {
        tokio::select! {
            biased;
            () = stop.as_mut() => return News::Stop,
            () = check.as_mut() => match pulse.check(patience) {
                Verdict::Fine(next) => {
                    parting = false;
                    check.as_mut().reset(next.into());
                }
                Verdict::Idle if parting => return News::Over("it idles"),
                Verdict::Idle => return News::Idle,
                Verdict::Slow(reason) => return News::Over(reason),
            },
        }
    }
}

fn log_end(info: ConnectionInfo, result: Result<(), BoxError>) {
    if let Err(error) = result {
        debug!(?info.peer, "connection ended: {error}");
    }
}
