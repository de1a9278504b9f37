//! The body of a WSGI response: nothing, one piece, or a stream with backpressure.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// The application failed after its headers were sent: the connection must be cut, so that the client does
/// not take half a body for a whole one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the WSGI application failed after it had sent its headers")]
pub struct Aborted;

/// The body of a WSGI response.
#[derive(Debug)]
pub struct WsgiBody {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Full(Option<Bytes>),
    Stream { chunks: mpsc::Receiver<Result<Bytes, Aborted>>, left: Option<u64> },
}

impl WsgiBody {
    /// One piece.
    pub fn full(bytes: Bytes) -> WsgiBody {
        WsgiBody { kind: Kind::Full((!bytes.is_empty()).then_some(bytes)) }
    }

    pub(super) fn stream(chunks: mpsc::Receiver<Result<Bytes, Aborted>>, length: Option<u64>) -> WsgiBody {
        WsgiBody { kind: Kind::Stream { chunks, left: length } }
    }
}

impl Body for WsgiBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.kind {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream { chunks, left } => match std::task::ready!(chunks.poll_recv(context)) {
                None if left.is_some_and(|left| left > 0) => Poll::Ready(Some(Err(Aborted))),
                None => Poll::Ready(None),
                Some(Ok(chunk)) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(chunk.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(chunk))))
                }
                Some(Err(aborted)) => Poll::Ready(Some(Err(aborted))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Kind::Stream { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}
