//! `COPY`: bulk data in both directions, in streams whose slower side sets the pace.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;

/// Data travels in pieces of about this size.
pub(crate) const CHUNK: usize = 64 * 1024;
/// How many pieces wait between a copy's user and its connection.
pub(crate) const MAX_PIECES: usize = 4;

/// What a [`CopyIn`] tells the connection.
pub(crate) enum Piece {
    /// At most [`CHUNK`] bytes.
    Data(Bytes),
    /// All has been sent.
    End,
}

/// How a copy ends: rows copied, or why not.
type Outcome = oneshot::Receiver<Result<u64, Error>>;

/// A `COPY ... FROM STDIN` that takes data; made by [`Connection::copy_in`](crate::Connection::copy_in).
///
/// Dropping it makes the copy fail, so that none of its rows remain; [`finish`](Self::finish) completes it.
/// Other requests on the connection wait until the copy has ended.
///
/// ```no_run
/// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
/// let mut copy = connection.copy_in("COPY users (id, name) FROM STDIN (FORMAT csv)").await?;
/// for (id, name) in [(1, "Ada"), (2, "Grace")] {
///     copy.send(format!("{id},{name}\n")).await?;
/// }
/// assert_eq!(copy.finish().await?, 2);
/// # Ok(())
/// # }
/// ```
#[must_use = "a copy that is dropped fails"]
pub struct CopyIn {
    pieces: mpsc::Sender<Piece>,
    /// Small data, until it is worth a piece.
    buffer: BytesMut,
    /// Large data on its way; before `buffer`.
    large: VecDeque<Bytes>,
    outcome: Option<Outcome>,
}

impl CopyIn {
    pub(crate) fn new(pieces: mpsc::Sender<Piece>, outcome: Outcome) -> Self {
        Self {
            pieces,
            buffer: BytesMut::new(),
            large: VecDeque::new(),
            outcome: Some(outcome),
        }
    }

    /// Hands over data, in the format that the statement names; its pieces need not be rows. Waits while the
    /// server is behind.
    ///
    /// **Cancel safety.** If the future is dropped before it is ready, nothing of `data` was taken.
    ///
    /// # Errors
    /// Why the copy has ended: the server's report on a bad row, for example. It may be about data that was
    /// sent some time before.
    pub async fn send(&mut self, data: impl Into<Bytes>) -> Result<(), Error> {
        self.flush(CHUNK).await?;
        let data = data.into();
        if data.len() < CHUNK {
            self.buffer.extend_from_slice(&data);
        } else {
            let before = self.buffer.split().freeze();
            self.large.extend([before, data]);
        }
        Ok(())
    }

    /// Ends the data and waits until the server has all of it; returns the number of rows.
    ///
    /// If the future is dropped, the copy fails or has just succeeded.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn finish(mut self) -> Result<u64, Error> {
        self.flush(1).await?;
        match self.pieces.send(Piece::End).await {
            Ok(()) => self.outcome().await,
            Err(_) => Err(self.failure().await),
        }
    }

    /// Sends what waits here, but for less than `limit` bytes.
    async fn flush(&mut self, limit: usize) -> Result<(), Error> {
        while !self.large.is_empty() || self.buffer.len() >= limit {
            let Ok(place) = self.pieces.reserve().await else {
                return Err(self.failure().await);
            };
            let piece = match self.large.front_mut() {
                Some(large) if large.len() > CHUNK => large.split_to(CHUNK),
                Some(_) => self.large.pop_front().unwrap_or_default(),
                None => {
                    let length = self.buffer.len().min(CHUNK);
                    self.buffer.split_to(length).freeze()
                }
            };
            if !piece.is_empty() {
                place.send(Piece::Data(piece));
            }
        }
        Ok(())
    }

    async fn outcome(&mut self) -> Result<u64, Error> {
        let Some(outcome) = &mut self.outcome else {
            return Err(ended());
        };
        let result = outcome.await;
        self.outcome = None;
        result.unwrap_or_else(|_| Err(ended()))
    }

    async fn failure(&mut self) -> Error {
        self.outcome().await.err().unwrap_or_else(ended)
    }
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn").finish_non_exhaustive()
    }
}

/// The data of a `COPY ... TO STDOUT`; made by [`Connection::copy_out`](crate::Connection::copy_out).
///
/// A [`Stream`] of pieces, which are not rows but whatever arrived together. Dropping it before its end has
/// the server cancel the copy. Other requests on the connection wait until it has ended; a stream that is kept
/// without being read holds them up.
///
/// ```no_run
/// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
/// let mut copy = connection.copy_out("COPY users TO STDOUT (FORMAT csv)").await?;
/// let mut size = 0;
/// while let Some(piece) = copy.next().await {
///     size += piece?.len();
/// }
/// println!("{size} bytes");
/// # Ok(())
/// # }
/// ```
pub struct CopyOut {
    data: mpsc::Receiver<Bytes>,
    /// `None` after the end.
    outcome: Option<Outcome>,
    rows: Option<u64>,
}

impl CopyOut {
    pub(crate) fn new(data: mpsc::Receiver<Bytes>, outcome: Outcome) -> Self {
        Self {
            data,
            outcome: Some(outcome),
            rows: None,
        }
    }

    /// The next piece; `None` at the end, which comes after one error at most.
    ///
    /// **Cancel safety.** No data is lost if the future is dropped.
    ///
    /// # Errors
    /// The server's report, or the loss of the connection.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// How many rows were copied; known after the end.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if let Some(piece) = ready!(self.data.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some(outcome) = &mut self.outcome else {
            return Poll::Ready(None);
        };
        let result = ready!(Pin::new(outcome).poll(cx));
        self.outcome = None;
        Poll::Ready(match result.unwrap_or_else(|_| Err(ended())) {
            Ok(rows) => {
                self.rows = Some(rows);
                None
            }
            Err(error) => Some(Err(error)),
        })
    }
}

impl Stream for CopyOut {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_piece(cx)
    }
}

impl std::fmt::Debug for CopyOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyOut")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

fn ended() -> Error {
    Error::Closed {
        reason: "the copy has ended".to_owned(),
    }
}
