//! Ending a statement that nobody waits for, on Tokio.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{DirectConnection, Step};
use crate::error::Error;

/// How soon the server is asked again to stop a statement.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long [`DirectConnection::wind_up`] goes on asking.
const WIND_UP_LIMIT: Duration = Duration::from_secs(5);

impl DirectConnection {
    /// Has the server stop what is under way, and throws the answer away; the session can be used again then.
    /// Must run on Tokio.
    ///
    /// The server is asked repeatedly: a request that comes before the statement has begun is lost on it. No
    /// request is on its way any more when this returns.
    ///
    /// # Errors
    /// [`Error::Closed`] and its like: the session is of no use any more.
    pub async fn settle(&mut self) -> Result<(), Error> {
        self.abandon();
        let mut pause = FIRST_PAUSE;
        while self.is_busy() {
            self.cancel_token().cancel().await?;
            // What was cancelled ends with an error, of which nobody hears.
            let _ = timeout(pause, drive(self)).await;
            pause *= 2;
        }
        self.closed().cloned().map_or(Ok(()), Err)
    }

    /// Ends the session; a statement that is under way is cancelled at the server, which would not notice
    /// for long that nobody listens. Must run on Tokio; takes some seconds at most.
    pub async fn wind_up(mut self) {
        match timeout(WIND_UP_LIMIT, self.settle()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("a statement could not be cancelled: {error}"),
            Err(_) => tracing::debug!("a statement could not be cancelled in time"),
        }
        self.close();
    }
}

/// Runs a statement whose answer does not matter.
pub(super) async fn run(connection: &mut DirectConnection, sql: &str) -> Result<(), Error> {
    connection.start(sql.as_bytes(), None)?;
    drive(connection).await
}

/// Drives an exchange to its end, or without one the session.
pub(super) async fn drive(connection: &mut DirectConnection) -> Result<(), Error> {
    // Only ever waited for, so that it does not matter whether it is a Unix socket.
    let socket = std::os::unix::net::UnixStream::from(connection.duplicate_socket()?);
    let socket = UnixStream::from_std(socket)?;
    loop {
        match connection.advance() {
            Step::Done(answer) => return answer.map(drop),
            Step::CopyOut(_) => {}
            Step::CopyIn => connection.copy_end(Some("the client gave up")),
            Step::Wait { write } => {
                let interest = if write {
                    Interest::READABLE | Interest::WRITABLE
                } else {
                    Interest::READABLE
                };
                socket.ready(interest).await?;
                // Forgets what was found, for `advance` goes on until the socket has no more.
                let _ = socket.try_io(interest, || Err::<(), _>(ErrorKind::WouldBlock.into()));
            }
        }
    }
}
