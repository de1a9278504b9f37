//! Bodies: requests read whole within limits, responses of every source as one type.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as AxumBody;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
pub use puff_python::wsgi::BodyError;
pub(crate) use puff_python::wsgi::LongLived;
use puff_python::wsgi::WsgiBody;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, timeout_at};

use super::answer::Working;
use super::config::BodyLimits;
use super::observe::Visit;
use super::streams::Stall;
use crate::errors::BoxError;

/// Reads `body` whole. A request without a body costs nothing; one that announces too much is not read.
///
/// # Errors
/// [`BodyError`]; the connection should then be closed, as bytes of the body may be on their way.
pub async fn read_body<B>(headers: &HeaderMap, mut body: B, limits: BodyLimits) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.bytes as u64) {
        return Err(BodyError::TooLarge);
    }
    let deadline = Instant::now() + limits.time;
    // Most bodies are one piece that is there already, and is not copied then.
    let Some(first) = prompt(next_piece(&mut body, limits.bytes), deadline).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = async {
        let mut whole = BytesMut::from(first);
        while let Some(piece) = next_piece(&mut body, limits.bytes - whole.len()).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    timeout_at(deadline, rest)
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}

/// The next piece of a body, if one comes; it may have so many bytes.
async fn next_piece<B>(body: &mut B, most: usize) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    while let Some(frame) = body.frame().await {
        // Else it is one of trailers, which nobody wants.
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            BodyError::behind(&*error)
        })?;
        if let Ok(piece) = frame.into_data() {
            return if piece.len() > most {
                Err(BodyError::TooLarge)
            } else {
                Ok(Some(piece))
            };
        }
    }
    Ok(None)
}

/// Waits for what is probably there already: a timer is made only if it is not there at the second look, which is as
/// soon as others had their turn.
///
/// hyper reads a body only when it has been asked for, which a handler does first; a timer for just that moment would
/// be half of what such a wait costs.
async fn prompt<T>(
    waited: impl Future<Output = Result<T, BodyError>>,
    deadline: Instant,
) -> Result<T, BodyError> {
    let mut waited = pin!(waited);
    let mut looked = false;
    let soon = poll_fn(|cx| match waited.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if looked => Poll::Ready(None),
        Poll::Pending => {
            looked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match soon.await {
        Some(result) => result,
        None => timeout_at(deadline, waited)
            .await
            .unwrap_or(Err(BodyError::TooSlow)),
    }
}

/// A short plain-text answer of the server's own.
pub(crate) fn text_response<B: From<String>>(status: StatusCode, text: impl Into<String>) -> Response<B> {
    let mut text = text.into();
    text.push('\n');
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response
}

/// The body of an answer on its way to the client.
///
/// It holds the request's turn until the last byte is out. So it gives large pieces out bit by bit: hyper takes
/// what it is given, and a body that has been given away whole says nothing about its client any more.
pub(crate) struct ServerBody {
    source: Source,
    /// The rest of a large piece.
    rest: Bytes,
    /// The source has failed, and the connection does not know it yet.
    failed: Option<BoxError>,
    held: Option<Held>,
    /// On HTTP/2; it is with the outermost body, which is the one that the connection asks.
    stall: Option<Arc<Stall>>,
    visit: Option<Box<Visit>>,
}

/// What a request has until its answer is out, so that slow readers count as running.
pub(super) struct Held {
    pub(super) turn: Option<OwnedSemaphorePermit>,
    pub(super) working: Working,
    /// On HTTP/2.
    pub(super) stall: Option<Arc<Stall>>,
}

/// The most that is given out at once.
const PIECE: usize = 64 << 10;

enum Source {
    Wsgi(WsgiBody),
    Router(AxumBody),
}

impl ServerBody {
    pub(super) fn wsgi(body: WsgiBody, held: Held) -> ServerBody {
        ServerBody::new(Source::Wsgi(body), Some(held))
    }

    pub(super) fn router(body: AxumBody, held: Held) -> ServerBody {
        ServerBody::new(Source::Router(body), Some(held))
    }

    /// Has the request what it has until all of this is out.
    pub(super) fn hold(&mut self, mut held: Held) {
        self.stall = held.stall.take();
        self.held = Some(held);
    }

    /// Before this becomes the body within another, to which it is given.
    pub(super) fn take_stall(&mut self) -> Option<Arc<Stall>> {
        self.stall.take()
    }

    pub(super) fn give_stall(&mut self, stall: Option<Arc<Stall>>) {
        self.stall = stall;
    }

    /// The answer lasts: it is no longer one of the requests that are worked on.
    pub(super) fn give_up_turn(&mut self) {
        if let Some(held) = &mut self.held {
            held.turn = None;
        }
    }

    /// No body at all.
    pub(super) fn empty() -> ServerBody {
        ServerBody::new(Source::Router(AxumBody::empty()), None)
    }

    fn new(source: Source, mut held: Option<Held>) -> ServerBody {
        let stall = held.as_mut().and_then(|held| held.stall.take());
        ServerBody {
            source,
            rest: Bytes::new(),
            failed: None,
            held,
            stall,
            visit: None,
        }
    }

    /// The client knows its end by the end of the connection: one that comes too early has to look different.
    pub(super) fn ends_with_connection(&mut self) {
        if let Some(held) = &mut self.held {
            held.working.unframed();
        }
    }

    /// The beginning of a large piece; the rest is kept.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) => {
                if data.len() > PIECE {
                    self.rest = data.split_off(PIECE);
                }
                Frame::data(data)
            }
            Err(frame) => frame,
        }
    }
}

impl ServerBody {
    /// Counts what is sent for `visit`, which is over with the body.
    pub(super) fn observe(&mut self, visit: Box<Visit>) {
        self.visit = Some(visit);
    }
}

impl From<AxumBody> for ServerBody {
    fn from(body: AxumBody) -> Self {
        ServerBody::new(Source::Router(body), None)
    }
}

impl From<Bytes> for ServerBody {
    fn from(bytes: Bytes) -> Self {
        ServerBody {
            rest: bytes,
            ..ServerBody::empty()
        }
    }
}

impl From<String> for ServerBody {
    fn from(text: String) -> Self {
        ServerBody::from(AxumBody::from(text))
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(error) = this.failed.take() {
            if let Some(held) = &this.held {
                held.working.break_off();
            }
            return Poll::Ready(Some(Err(error)));
        }
        let polled = if this.rest.is_empty() {
            match &mut this.source {
                Source::Wsgi(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
                Source::Router(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            }
        } else {
            let rest = std::mem::take(&mut this.rest);
            Poll::Ready(Some(Ok(Frame::data(rest))))
        };
        if let Some(stall) = &this.stall {
            stall.note(polled.is_ready());
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = this.cut(frame);
                if let Some(visit) = &mut this.visit {
                    visit.sent(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            // hyper drops what it has not written when a body fails, maybe the whole answer. Given a moment, it
            // writes what came before, and the client sees how far the answer got.
            Poll::Ready(Some(Err(error))) => {
                this.failed = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.source {
                Source::Wsgi(body) => body.is_end_stream(),
                Source::Router(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = match &self.source {
            Source::Wsgi(body) => body.size_hint(),
            Source::Router(body) => body.size_hint(),
        };
        if self.rest.is_empty() {
            return hint;
        }
        let rest = self.rest.len() as u64;
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

/// A request body of which each piece must come in time.
///
/// A limit for all of it would be wrong here: a route may take an upload of hours.
pub(crate) struct Stalling<B> {
    body: B,
    patience: Duration,
    /// Runs while a piece is waited for.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<B> Stalling<B> {
    pub(crate) fn new(body: B, patience: Duration) -> Stalling<B> {
        Stalling {
            body,
            patience,
            limit: None,
        }
    }
}

impl<B> Body for Stalling<B>
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
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.limit = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = this.patience;
        let limit = this
            .limit
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        limit
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(BodyError::TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        bytes: 10,
        time: Duration::from_millis(50),
    };

    #[tokio::test]
    async fn bodies_up_to_the_limit_pass() {
        let read = read_body(
            &HeaderMap::new(),
            Full::new(Bytes::from_static(b"0123456789")),
            LIMITS,
        )
        .await;
        assert_eq!(read.unwrap(), "0123456789");
        let read = read_body(
            &HeaderMap::new(),
            Full::new(Bytes::from_static(b"0123456789+")),
            LIMITS,
        )
        .await;
        assert_eq!(read.unwrap_err(), BodyError::TooLarge);
    }

    /// A body of pieces that come one after the other, each after the others had their turn.
    fn pieces(all: &'static [&'static [u8]]) -> impl Body<Data = Bytes, Error = BoxError> + Unpin {
        let pieces = futures_util::stream::iter(all).then(async |piece| {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok(Frame::data(Bytes::from_static(piece)))
        });
        StreamBody::new(Box::pin(pieces))
    }

    #[tokio::test]
    async fn pieces_are_put_together_up_to_the_limit() {
        type Case = (&'static [&'static [u8]], Result<&'static str, BodyError>);
        const CASES: [Case; 5] = [
            (&[], Ok("")),
            (&[b"0123456789"], Ok("0123456789")),
            (&[b"", b"01234", b"", b"56789", b""], Ok("0123456789")),
            (&[b"0123456789+"], Err(BodyError::TooLarge)),
            (&[b"01234", b"56789", b"+"], Err(BodyError::TooLarge)),
        ];
        let limits = BodyLimits {
            time: Duration::from_secs(20),
            ..LIMITS
        };
        for (all, whole) in CASES {
            let read = read_body(&HeaderMap::new(), pieces(all), limits).await;
            assert_eq!(read, whole.map(Bytes::from), "{all:?}");
        }
    }

    #[tokio::test]
    async fn all_pieces_share_the_time() {
        let forever = futures_util::stream::repeat(()).then(async |()| {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::new()))
        });
        let read = read_body(&HeaderMap::new(), StreamBody::new(Box::pin(forever)), LIMITS).await;
        assert_eq!(read, Err(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn an_announced_excess_is_refused_unread() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, http::HeaderValue::from_static("11"))]);
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>());
        assert_eq!(
            read_body(&headers, never, LIMITS).await.unwrap_err(),
            BodyError::TooLarge
        );
    }

    #[tokio::test]
    async fn a_stalled_body_times_out() {
        let never = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>());
        assert_eq!(
            read_body(&HeaderMap::new(), never, LIMITS).await.unwrap_err(),
            BodyError::TooSlow
        );
    }
}
