//! The body of a WSGI response: nothing, one piece, a stream with backpressure, or events.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::lifeline::Guard;
use crate::live::EventBody;

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
    Stream {
        chunks: mpsc::Receiver<Bytes>,
        left: Option<u64>,
        whole: Whole,
        /// Dropped with the body, before its end if the client has gone.
        _guard: Option<Guard>,
    },
    Events(EventBody),
}

/// Set when the application has sent all it had. A stream that ends without it broke off: the application
/// raised, or its greenlet was ended, and a clean end would pass half a body for a whole one.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole(Arc<AtomicBool>);

impl Whole {
    /// Before the stream's sender is dropped.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl WsgiBody {
    /// One piece.
    pub fn full(bytes: Bytes) -> WsgiBody {
        WsgiBody {
            kind: Kind::Full((!bytes.is_empty()).then_some(bytes)),
        }
    }

    pub(super) fn is_events(&self) -> bool {
        matches!(self.kind, Kind::Events(_))
    }

    pub(super) fn events(events: EventBody) -> WsgiBody {
        WsgiBody {
            kind: Kind::Events(events),
        }
    }

    pub(super) fn stream(
        chunks: mpsc::Receiver<Bytes>,
        length: Option<u64>,
        whole: Whole,
        guard: Option<Guard>,
    ) -> WsgiBody {
        WsgiBody {
            kind: Kind::Stream {
                chunks,
                left: length,
                whole,
                _guard: guard,
            },
        }
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
            Kind::Events(events) => Pin::new(events)
                .poll_next(context)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
            Kind::Stream {
                chunks, left, whole, ..
            } => match std::task::ready!(chunks.poll_recv(context)) {
                None if whole.get() => Poll::Ready(None),
                None => Poll::Ready(Some(Err(Aborted))),
                Some(chunk) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(chunk.len() as u64);
                    }
                    Poll::Ready(Some(Ok(Frame::data(chunk))))
                }
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
            Kind::Stream { left: None, .. } | Kind::Events(_) => SizeHint::default(),
        }
    }
}
