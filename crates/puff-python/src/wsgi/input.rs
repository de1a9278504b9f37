//! The body of a request: whole if it is small and there, else a stream that Python reads as `wsgi.input`.
//!
//! Nothing is read ahead: a read that finds too little starts a Tokio task, which takes pieces from the
//! connection until there is enough, and the reading greenlet or thread waits. So a slow application slows its
//! client down, and `100 Continue` goes out at the first read. A channel with a task that fills it would read
//! ahead, and would have to be told when to stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::limits::{BodyError, InputLimits, Meter};
use crate::convert::AsBytes;
use crate::greenlet::{BoxError, start};
use crate::waiter::Waiter;

pyo3::create_exception!(
    puff,
    RequestBodyError,
    PyOSError,
    "The body of a WSGI request broke off, is too long or too slow."
);

/// Bodies up to this size are waited for before the application is called, for [`PROMPT`].
const SMALL: u64 = 64 << 10;

/// How long the application waits for the rest of a small body. What follows its head closely, as most bodies
/// do, comes in one piece then; a client that takes its time is not waited for, but streamed.
const PROMPT: Duration = Duration::from_millis(10);

/// What is read of a body that the application did not want, so that the client reads its answer and the
/// connection can go on.
const DRAIN_BYTES: u64 = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// The body of a request for a WSGI application.
pub struct RequestBody(Kind);

enum Kind {
    Whole(Bytes),
    Stream(Arc<Stream>),
}

impl RequestBody {
    /// A body that has been read.
    pub fn whole(bytes: Bytes) -> RequestBody {
        RequestBody(Kind::Whole(bytes))
    }

    /// Receives a small body whole, if it comes at once; others become streams. On Tokio.
    ///
    /// With `Expect: 100-continue` nothing is read before the application reads.
    ///
    /// # Errors
    /// What came is broken, or more is announced than `limits` allow. The connection should then be closed.
    pub async fn receive<B>(
        headers: &HeaderMap,
        mut body: B,
        limits: InputLimits,
    ) -> Result<RequestBody, BodyError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(RequestBody::whole(Bytes::new()));
        }
        let announced = body.size_hint().lower();
        if announced > limits.bytes {
            return Err(BodyError::TooLarge);
        }
        let mut meter = Meter {
            limits,
            received: 0,
            waited: Duration::ZERO,
        };
        let mut begun = Begun::Nothing;
        let asks_first = headers.contains_key(http::header::EXPECT);
        if !asks_first && announced <= SMALL {
            let deadline = Instant::now() + PROMPT;
            while let Ok(piece) = timeout_at(deadline, next_data(&mut body)).await {
                let Some(piece) = piece? else {
                    return Ok(RequestBody::whole(begun.into_bytes()));
                };
                meter.count(&piece)?;
                begun.push(piece);
                if body.is_end_stream() {
                    return Ok(RequestBody::whole(begun.into_bytes()));
                }
                if meter.received > SMALL {
                    break;
                }
            }
        }
        let source = Source {
            untouched: asks_first,
            body: body.map_err(Into::into).boxed_unsync(),
            meter,
        };
        Ok(RequestBody(Kind::Stream(Arc::new(Stream {
            tokio: Handle::current(),
            returned: Notify::new(),
            state: Mutex::new(State {
                buffer: begun.into_buffer(),
                searched: 0,
                end: None,
                source: Some(source),
            }),
        }))))
    }

    /// The bytes, if they are all there.
    pub(super) fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes),
            Kind::Stream(_) => None,
        }
    }

    pub(super) fn as_stream(&self) -> Option<&Arc<Stream>> {
        match &self.0 {
            Kind::Whole(_) => None,
            Kind::Stream(stream) => Some(stream),
        }
    }
}

/// What came before the application was called; mostly one piece, which is not copied.
enum Begun {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Begun {
    fn push(&mut self, piece: Bytes) {
        *self = match std::mem::replace(self, Begun::Nothing) {
            Begun::Nothing => Begun::One(piece),
            other => {
                let mut buffer = other.into_buffer();
                buffer.extend_from_slice(&piece);
                Begun::Many(buffer)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Begun::Nothing => Bytes::new(),
            Begun::One(piece) => piece,
            Begun::Many(buffer) => buffer.freeze(),
        }
    }

    fn into_buffer(self) -> BytesMut {
        match self {
            Begun::Nothing => BytesMut::new(),
            Begun::One(piece) => BytesMut::from(&piece[..]),
            Begun::Many(buffer) => buffer,
        }
    }
}

/// The next bytes of a body; trailers are passed over.
async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::behind(&*error.into())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The connection's side of a body that is streamed.
struct Source {
    body: UnsyncBoxBody<Bytes, BoxError>,
    meter: Meter,
    /// The client waits for `100 Continue`, which the first read sends.
    untouched: bool,
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.untouched = false;
        let begin = Instant::now();
        let piece = timeout(self.meter.patience(), next_data(&mut self.body))
            .await
            .map_err(|_| BodyError::TooSlow)??;
        self.meter.waited += begin.elapsed();
        if let Some(piece) = &piece {
            self.meter.count(piece)?;
        }
        Ok(piece)
    }

    async fn drain(mut self) {
        let enough = self.meter.received.saturating_add(DRAIN_BYTES);
        let reading = async {
            while self.meter.received < enough {
                if !matches!(self.next().await, Ok(Some(_))) {
                    return;
                }
            }
        };
        let _ = timeout(DRAIN_TIME, reading).await;
    }
}

/// A body on its way, shared by its request, by what reads it and by Tokio's task for the read in progress.
pub(super) struct Stream {
    tokio: Handle,
    /// The source has come back from a read.
    returned: Notify,
    state: Mutex<State>,
}

struct State {
    /// What has come and was not read yet.
    buffer: BytesMut,
    /// How much of the buffer is known to have no line break.
    searched: usize,
    end: Option<End>,
    /// While no read is in progress, until the end.
    source: Option<Source>,
}

#[derive(Clone, Copy)]
enum End {
    Whole,
    Failed(BodyError),
    /// The request is answered.
    Over,
}

impl Stream {
    /// Why the body cannot be read, if that is so.
    pub(super) fn error(&self) -> Option<BodyError> {
        match self.state.lock().end {
            Some(End::Failed(error)) => Some(error),
            _ => None,
        }
    }

    /// The request is answered: what was not read is not wanted. The connection waits for the source to be
    /// gone, and Python may keep an environ for long.
    pub(super) fn over(&self) {
        let source = {
            let mut state = self.state.lock();
            if state.end.is_none() {
                state.end = Some(End::Over);
            }
            state.source.take()
        };
        self.discard(source);
    }

    fn discard(&self, source: Option<Source>) {
        // A client that waits for `100 Continue` sees from the answer that its body is not wanted.
        if let Some(source) = source.filter(|source| !source.untouched) {
            self.tokio.spawn(source.drain());
        }
    }

    /// Waits until `goal` bytes are there, or the end.
    async fn fill(self: Arc<Self>, goal: usize) {
        let Some(mut loan) = self.lend().await else { return };
        while let Some(source) = &mut loan.source {
            let piece = source.next().await;
            let mut state = self.state.lock();
            let end = match piece {
                Ok(Some(piece)) => {
                    state.buffer.extend_from_slice(&piece);
                    if state.buffer.len() >= goal {
                        return;
                    }
                    continue;
                }
                Ok(None) => End::Whole,
                Err(error) => End::Failed(error),
            };
            state.end.get_or_insert(end);
            drop(state);
            loan.source = None;
        }
    }

    /// The source, once no other read has it; `None` at the end.
    async fn lend(self: &Arc<Self>) -> Option<Loan> {
        loop {
            {
                let mut state = self.state.lock();
                if state.end.is_some() {
                    // Whoever waits as well is told by this one.
                    self.returned.notify_one();
                    return None;
                }
                if let Some(source) = state.source.take() {
                    return Some(Loan {
                        source: Some(source),
                        home: self.clone(),
                    });
                }
            }
            self.returned.notified().await;
        }
    }
}

/// The source while a read has it; it goes back also when the read is given up.
struct Loan {
    source: Option<Source>,
    home: Arc<Stream>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let unwanted = {
            let mut state = self.home.state.lock();
            if state.end.is_some() {
                self.source.take()
            } else {
                state.source = self.source.take();
                None
            }
        };
        self.home.discard(unwanted);
        self.home.returned.notify_one();
    }
}

/// The native half of `puff._wsgi.Input`: takes what is there; None says that `fill` has to come first.
#[pyclass(frozen, module = "puff", name = "WsgiInput")]
pub(crate) struct WsgiInput {
    stream: Arc<Stream>,
}

impl WsgiInput {
    pub(super) fn new(stream: Arc<Stream>) -> WsgiInput {
        WsgiInput { stream }
    }
}

#[pymethods]
impl WsgiInput {
    /// `size` bytes, or all up to the end if it is negative; fewer at the end.
    fn take(&self, size: i64) -> PyResult<Option<AsBytes<BytesMut>>> {
        let mut state = self.stream.state.lock();
        match usize::try_from(size) {
            Ok(size) if size <= state.buffer.len() => Ok(Some(state.split(size))),
            _ if state.ended()? => {
                let all = state.buffer.len();
                Ok(Some(state.split(all)))
            }
            _ => Ok(None),
        }
    }

    /// What is there, at most `size` bytes if that is not negative; nothing at the end only.
    fn take_some(&self, size: i64) -> PyResult<Option<AsBytes<BytesMut>>> {
        let mut state = self.stream.state.lock();
        let most = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .min(state.buffer.len());
        if most > 0 || size == 0 || state.ended()? {
            Ok(Some(state.split(most)))
        } else {
            Ok(None)
        }
    }

    /// A line with its end, at most `size` bytes of it if that is not negative.
    fn take_line(&self, size: i64) -> PyResult<Option<AsBytes<BytesMut>>> {
        let mut state = self.stream.state.lock();
        let most = usize::try_from(size).unwrap_or(usize::MAX);
        let searched = state.searched;
        let line = state.buffer[searched..].iter().position(|byte| *byte == b'\n');
        let there = line.map_or(state.buffer.len(), |at| searched + at + 1);
        if line.is_some() || most <= there || state.ended()? {
            Ok(Some(state.split(there.min(most))))
        } else {
            state.searched = there;
            Ok(None)
        }
    }

    /// Completes `waiter` when `size` bytes are there, or the whole rest if that is negative, or, for 0, more
    /// than before; in any case at the end of the body.
    fn fill(&self, size: i64, waiter: Py<Waiter>) {
        let goal = match usize::try_from(size) {
            Ok(0) => self.stream.state.lock().buffer.len() + 1,
            Ok(size) => size,
            Err(_) => usize::MAX,
        };
        let stream = self.stream.clone();
        start(waiter, async move {
            stream.fill(goal).await;
            Ok(())
        });
    }
}

impl State {
    /// Whether nothing more comes.
    fn ended(&self) -> PyResult<bool> {
        match self.end {
            None => Ok(false),
            Some(End::Whole) => Ok(true),
            Some(End::Failed(error)) => Err(RequestBodyError::new_err(error.to_string())),
            Some(End::Over) => Err(PyValueError::new_err(
                "the request is answered, its wsgi.input cannot be read any more",
            )),
        }
    }

    /// Becomes Python's `bytes` once the lock is open again.
    fn split(&mut self, length: usize) -> AsBytes<BytesMut> {
        self.searched = 0;
        AsBytes(self.buffer.split_to(length))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    const LIMITS: InputLimits = InputLimits {
        bytes: 10,
        time: Duration::from_millis(50),
    };

    fn pieces(
        pieces: &'static [&'static [u8]],
    ) -> impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static {
        StreamBody::new(futures_util::stream::iter(
            pieces
                .iter()
                .map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece)))),
        ))
    }

    async fn receive(
        body: impl Body<Data = Bytes, Error = BoxError> + Send + Unpin + 'static,
    ) -> Result<RequestBody, BodyError> {
        RequestBody::receive(&HeaderMap::new(), body, LIMITS).await
    }

    #[tokio::test]
    async fn a_small_body_that_is_there_is_whole() {
        let body = receive(pieces(&[b"01234", b"", b"56789"])).await.unwrap();
        assert_eq!(body.as_whole().unwrap(), "0123456789");
        let error = receive(pieces(&[b"01234", b"567890"])).await.err().unwrap();
        assert_eq!(error, BodyError::TooLarge);
    }

    #[tokio::test]
    async fn an_announced_excess_is_refused_unread() {
        let body = Full::new(Bytes::from_static(b"0123456789+"));
        let refused = RequestBody::receive(&HeaderMap::new(), body, LIMITS).await;
        assert_eq!(refused.err().unwrap(), BodyError::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_stalls_becomes_a_stream_that_times_out() {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<http_body::Frame<Bytes>, BoxError>,
        >());
        let body = receive(body).await.unwrap();
        let stream = body.as_stream().unwrap().clone();
        stream.clone().fill(1).await;
        assert_eq!(stream.error(), Some(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn with_expect_nothing_is_read_before_it_is_asked_for() {
        let headers = HeaderMap::from_iter([(
            http::header::EXPECT,
            http::HeaderValue::from_static("100-continue"),
        )]);
        let body = RequestBody::receive(&headers, pieces(&[b"abc", b"de"]), LIMITS)
            .await
            .unwrap();
        let stream = body.as_stream().unwrap().clone();
        assert!(stream.state.lock().buffer.is_empty());
        stream.clone().fill(4).await;
        assert_eq!(stream.state.lock().buffer, "abcde");
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_loses_nothing() {
        let headers = HeaderMap::from_iter([(
            http::header::EXPECT,
            http::HeaderValue::from_static("100-continue"),
        )]);
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<&[u8]>();
        let body = StreamBody::new(futures_util::stream::unfold(receiver, async |mut receiver| {
            let piece = receiver.recv().await?;
            Some((
                Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(piece))),
                receiver,
            ))
        }));
        let body = RequestBody::receive(&headers, Box::pin(body), LIMITS)
            .await
            .unwrap();
        let stream = body.as_stream().unwrap().clone();
        let given_up = timeout(Duration::from_millis(5), stream.clone().fill(1)).await;
        assert!(given_up.is_err());
        sender.send(b"here").unwrap();
        stream.clone().fill(1).await;
        assert_eq!(stream.state.lock().buffer, "here");
        stream.over();
        assert!(stream.state.lock().source.is_none());
    }
}
