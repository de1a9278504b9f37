//! Bodies: requests read whole within limits, responses of every source as one type.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Frame, SizeHint};
pub use puff_python::wsgi::BodyError;
use puff_python::wsgi::WsgiBody;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::answer::Working;
use super::config::BodyLimits;
use super::observe::Visit;
use super::streams::Stall;
use crate::errors::BoxError;

/// Reads `body` whole. A request without a body costs nothing; one that announces too much is not read.
///
/// # Errors
/// [`BodyError`]; the connection should then be closed, as bytes of the body may be on their way.
pub async fn read_body<B>(headers: &HeaderMap, body: B, limits: BodyLimits) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
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
    let collecting = Limited::new(body, limits.bytes).collect();
    match tokio::time::timeout(limits.time, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
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
    visit: Option<Box<Visit>>,
}

/// Of answers that go on until their client or the server ends them, as event streams do. Whoever gives them bounds
/// their number: they take no turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LongLived;

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

    fn new(source: Source, held: Option<Held>) -> ServerBody {
        ServerBody {
            source,
            rest: Bytes::new(),
            failed: None,
            held,
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
        if let Some(stall) = this.held.as_ref().and_then(|held| held.stall.as_ref()) {
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
pub(super) struct Stalling<B> {
    body: B,
    patience: Duration,
    /// Runs while a piece is waited for.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<B> Stalling<B> {
    pub(super) fn new(body: B, patience: Duration) -> Stalling<B> {
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
