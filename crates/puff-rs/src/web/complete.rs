//! Bodies of requests that broke off are told from those that came to their end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use hyper::body::{Body, Frame, SizeHint};

use super::body::BodyError;
use crate::errors::BoxError;

/// The body of a request, which ends only where its client has ended it.
///
/// hyper has a body of HTTP/2 end also where its stream was reset with `NO_ERROR`. That is meant for a client that reads
/// an answer which comes before its request is sent (RFC 9113, 8.1); on this side it would be half an upload that looks
/// like a whole one. HTTP/1 has no such reset: bytes that are missing are an error there.
pub(super) struct Complete<B> {
    body: B,
    is_stream: bool,
}

impl<B> Complete<B> {
    pub(super) fn new(body: B, version: Version) -> Complete<B> {
        Complete {
            body,
            is_stream: version == Version::HTTP_2,
        }
    }
}

impl<B> Body for Complete<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(match frame {
            None if self.is_stream && !self.body.is_end_stream() => Some(Err(BodyError::Broken.into())),
            frame => frame.map(|frame| frame.map_err(Into::into)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
