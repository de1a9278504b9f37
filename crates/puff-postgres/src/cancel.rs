//! Cancelling a running statement, over a second socket as the protocol wants it.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{ConnectFailure, Error};
use crate::startup::BackendKey;
use crate::stream::Stream;
use crate::tls::Negotiated;

/// Asks the server to stop what the session of `key` does; returns when the signal is under way.
///
/// The request goes to the address that the session is connected to, and is encrypted if that is: its key is
/// as good as a password for this one thing.
///
/// The server closes the socket after it has signalled the session's process, so waiting for that makes the
/// order certain: a later round trip on the session cannot be hit by this request.
pub(crate) async fn cancel(key: &BackendKey, limit: Duration) -> Result<(), Error> {
    let address = key.route.peer.to_string();
    match tokio::time::timeout(limit, request(key)).await {
        Ok(result) => result.map_err(|failure| Error::Connect { address, failure }),
        Err(_) => Err(Error::Timeout {
            operation: format!("asking PostgreSQL at {address} to cancel a statement"),
            after: limit,
        }),
    }
}

async fn request(key: &BackendKey) -> Result<(), ConnectFailure> {
    let route = &key.route;
    let stream = Stream::connect(&route.endpoint, &route.config).await?;
    let mut stream = match (stream, &route.tls) {
        (Stream::Tcp(stream), Some(tls)) => match tls.negotiate(stream).await? {
            Negotiated::Encrypted(stream) => Stream::Tls(stream),
            Negotiated::Plain(_) => return Err(ConnectFailure::TlsRefused),
        },
        (stream, _) => stream,
    };
    let mut buffer = BytesMut::new();
    frontend::cancel_request(key.process_id, key.secret_key, &mut buffer);
    stream.write_all(&buffer).await?;
    // Whatever ends the reading, the server is done with this socket.
    let _ = stream.read(&mut [0; 1]).await;
    Ok(())
}
