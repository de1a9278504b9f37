//! A body that is compressed while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

use super::encoder::Encoder;
use crate::errors::BoxError;
use crate::web::coding::Coding;

/// Compresses `inner`, which it keeps to its end: with it goes what the request holds.
///
/// What is there is compressed together; as soon as more has to be waited for, all of it is sent. So an event of
/// a stream is not held back until the next one.
pub(super) struct Encoded<B> {
    inner: B,
    state: State,
    /// What `inner` gave before it belonged to us.
    first: Option<Option<Result<Frame<Bytes>, BoxError>>>,
    /// Not compressed yet.
    input: Bytes,
    /// What the encoder keeps is not all sent.
    unflushed: bool,
    /// How much has been compressed since others had their turn.
    worked: usize,
    /// How much is to come as `Content-Length` had it, which nobody can check after us.
    left: Option<u64>,
}

enum State {
    Compressing(Encoder),
    /// All of it, in one piece.
    Whole(Bytes),
    Ending(Option<HeaderMap>),
}

/// How much is compressed at a time.
const PIECE: usize = 32 << 10;
/// How much is compressed before the thread does something else: a millisecond or two.
const TURN: usize = 128 << 10;
/// What is worth sending.
const FRAME: usize = 16 << 10;

impl<B> Encoded<B> {
    /// A body of which `bytes` is all there is; `inner` is at its end.
    pub(super) fn whole(inner: B, coding: Coding, bytes: &[u8]) -> std::io::Result<Encoded<B>> {
        let mut encoder = Encoder::new(coding, false)?;
        encoder.write(bytes)?;
        Ok(Encoded::new(inner, State::Whole(encoder.finish()?.into())))
    }

    /// A body of which the next frame is `first`, if it was there, and that is as long as `left` if anybody said.
    pub(super) fn stream(
        inner: B,
        first: Option<Option<Result<Frame<Bytes>, BoxError>>>,
        coding: Coding,
        left: Option<u64>,
    ) -> std::io::Result<Encoded<B>> {
        Ok(Encoded {
            first,
            left,
            ..Encoded::new(inner, State::Compressing(Encoder::new(coding, left.is_none())?))
        })
    }

    fn new(inner: B, state: State) -> Encoded<B> {
        Encoded {
            inner,
            state,
            first: None,
            input: Bytes::new(),
            unflushed: false,
            worked: 0,
            left: None,
        }
    }

    /// Notes that `length` bytes have come.
    fn count(&mut self, length: usize) -> Result<(), BoxError> {
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(length as u64)
                .ok_or("the body is longer than its Content-Length")?;
        }
        Ok(())
    }

    /// The last piece; the state is `Ending` afterwards.
    fn finish(&mut self, trailers: Option<HeaderMap>) -> Result<Option<Frame<Bytes>>, BoxError> {
        let State::Compressing(encoder) = std::mem::replace(&mut self.state, State::Ending(trailers)) else {
            return Ok(None);
        };
        if self.left.is_some_and(|left| left > 0) {
            return Err("the body is shorter than its Content-Length".into());
        }
        Ok(Some(Frame::data(encoder.finish()?.into())))
    }
}

impl<B> Body for Encoded<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let encoder = match &mut this.state {
                State::Compressing(encoder) => encoder,
                State::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.state = State::Ending(None);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                State::Ending(trailers) => {
                    return Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
            };
            if !this.input.is_empty() {
                if this.worked >= TURN {
                    this.worked = 0;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let piece = this.input.split_to(this.input.len().min(PIECE));
                this.worked += piece.len();
                this.unflushed = true;
                encoder.write(&piece)?;
                if encoder.waiting() >= FRAME {
                    return Poll::Ready(Some(Ok(Frame::data(encoder.take().into()))));
                }
                continue;
            }
            let polled = match this.first.take() {
                Some(first) => Poll::Ready(first),
                None => Pin::new(&mut this.inner).poll_frame(context),
            };
            if polled.is_pending() {
                this.worked = 0;
                if std::mem::take(&mut this.unflushed) {
                    encoder.flush()?;
                    return Poll::Ready(Some(Ok(Frame::data(encoder.take().into()))));
                }
            }
            match ready!(polled) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => {
                        this.count(bytes.len())?;
                        this.input = bytes;
                    }
                    Err(frame) => {
                        let last = this.finish(frame.into_trailers().ok())?;
                        return Poll::Ready(last.map(Ok));
                    }
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(this.finish(None)?.map(Ok)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ending(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            State::Ending(_) => SizeHint::with_exact(0),
            State::Compressing(_) => SizeHint::default(),
        }
    }
}
