//! Cancelling a running statement, over a second socket as the protocol wants it.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::Config;
use crate::error::Error;
use crate::startup::BackendKey;
use crate::stream::Stream;

/// Asks the server to stop what the session of `key` does; returns when the signal is under way.
///
/// The server closes the socket after it has signalled the session's process, so waiting for that makes the
/// order certain: a later round trip on the session cannot be hit by this request.
pub(crate) async fn cancel(config: &Config, key: BackendKey, limit: Duration) -> Result<(), Error> {
    let request = async {
        let mut stream = Stream::connect(config).await?;
        let mut buffer = BytesMut::new();
        frontend::cancel_request(key.process_id, key.secret_key, &mut buffer);
        stream.write_all(&buffer).await?;
        // Whatever ends the reading, the server is done with this socket.
        let _ = stream.read(&mut [0; 1]).await;
        Ok(())
    };
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout {
            operation: format!("asking PostgreSQL at {} to cancel a statement", config.address()),
            after: limit,
        }),
    }
}
