//! Looks at an HTTP/1 connection's bytes before hyper does.
//!
//! hyper is lenient where others are not: it takes a request with both `Content-Length` and
//! `Transfer-Encoding` and leaves no trace of the former, ends lines at a bare LF, passes trailers over. Behind
//! a proxy that reads such a message otherwise, that is how requests are smuggled. So nothing reaches hyper
//! that is not HTTP to the letter. A refused request is replaced by one that names the [`Refusal`], which the
//! server then answers: requests before it on the connection are answered first, as the protocol wants.
//!
//! The road not taken is a parser of our own behind hyper's interfaces. This one decides about each request and
//! where it ends, and leaves the rest to hyper, which reads what has been found right.

mod chunked;
mod head;
mod http2;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use chunked::Chunked;
use head::{BodyKind, Follows, REFUSED};
pub(super) use head::{Refusal, is_host};
pub(super) use http2::check_http2;

use super::config::HeadLimits;
use super::lease::Lease;
use super::pulse::{Phase, Pulse};
use crate::metrics::Metrics;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Pieces that are no longer than this together, a head and its short body, go out as one: the system takes longer
/// for a list of pieces than it takes to copy them.
const SHORT: usize = 512;

/// A connection whose incoming bytes are checked.
pub(super) struct Inspected<S> {
    inner: S,
    inspector: Inspector,
    /// The beginning of a head whose end has not come, or what is to be read before the connection is.
    held: Vec<u8>,
    /// How much of `held` may be read, from its front.
    ready: usize,
    pulse: Arc<Pulse>,
    metrics: Option<Metrics>,
    linger: Option<Linger>,
    ends: Ends<S>,
    /// Runs while a client that sends nothing more waits for its answer.
    limit: Option<Pin<Box<Sleep>>>,
}

/// How a connection ends.
pub(super) struct Ends<S> {
    pub(super) lease: Lease,
    /// How long a client that sends nothing more (it has closed its half of the connection, or is gone) may wait
    /// for its answer. `None`: it is taken for gone at once.
    pub(super) parting: Option<Duration>,
    /// Makes the end one that cannot be taken for the end of an answer.
    pub(super) reset: fn(&S),
}

impl<S> Inspected<S> {
    pub(super) fn new(
        inner: S,
        limits: HeadLimits,
        pulse: Arc<Pulse>,
        ends: Ends<S>,
        metrics: Option<Metrics>,
    ) -> Inspected<S> {
        Inspected {
            inner,
            inspector: Inspector {
                phase: At::Start,
                limits,
                line: 0,
                blank: false,
                upgrade: false,
            },
            held: Vec::new(),
            ready: 0,
            pulse,
            metrics,
            linger: None,
            ends,
            limit: None,
        }
    }

    /// The client sends nothing more. hyper would drop the request that is in work: so it is not told before the
    /// answer is out.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(patience) = self.ends.parting else {
            return Poll::Ready(Ok(()));
        };
        // In the midst of a body there is no request that could be answered.
        if !self.inspector.is_between_requests() || !self.pulse.owes(context.waker()) {
            return Poll::Ready(Ok(()));
        }
        let limit = self
            .limit
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        limit.as_mut().poll(context).map(Ok)
    }
}

impl<S> Drop for Inspected<S> {
    fn drop(&mut self) {
        if self.pulse.is_broken() {
            (self.ends.reset)(&self.inner);
        }
    }
}

/// What to do with bytes that have come in.
#[derive(Debug)]
enum Verdict {
    /// All of them are right.
    Pass,
    /// From this one on they are a head that is not complete.
    Hold(usize),
    /// From this one on they are refused.
    Refuse(usize, Refusal),
    /// From this one on they are no body.
    Broken(usize),
    /// From this one on they are a right head whose target must be escaped first.
    Escape(usize),
}

struct Inspector {
    phase: At,
    limits: HeadLimits,
    /// How far lines of the held head have been looked at.
    line: usize,
    /// An empty line came before the head; robust servers ignore one.
    blank: bool,
    /// The request asked for another protocol.
    upgrade: bool,
}

enum At {
    /// The connection's first bytes: HTTP/2 or not.
    Start,
    Head,
    Length(u64),
    Chunked(Chunked),
    /// Not HTTP/1: anything passes.
    Raw,
    /// Nothing passes any more.
    Refused,
    Broken,
}

impl Inspector {
    /// Goes through `bytes`. After `Hold(at)` it wants to see them again from `at`, with what follows; after
    /// `Escape(at)` as well, once the target is escaped.
    fn inspect(&mut self, bytes: &[u8]) -> Verdict {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.phase {
                At::Start => {
                    if rest.starts_with(PREFACE) {
                        self.phase = At::Raw;
                    } else if PREFACE.starts_with(rest) {
                        return Verdict::Hold(at);
                    } else {
                        self.phase = At::Head;
                    }
                }
                At::Head => match self.head(rest) {
                    Ok(Some(0)) => return Verdict::Escape(at),
                    Ok(Some(length)) => at += length,
                    Ok(None) => return Verdict::Hold(at),
                    Err(refusal) => {
                        self.phase = At::Refused;
                        return Verdict::Refuse(at, refusal);
                    }
                },
                At::Length(left) => {
                    let taken = (*left).min(rest.len() as u64);
                    at += taken as usize;
                    *left -= taken;
                    if *left == 0 {
                        self.end_of_body();
                    }
                }
                At::Chunked(chunked) => match chunked.advance(rest) {
                    Ok((length, end)) => {
                        at += length;
                        if end {
                            self.end_of_body();
                        }
                    }
                    Err(_) => {
                        self.phase = At::Broken;
                        return Verdict::Broken(at);
                    }
                },
                At::Raw => return Verdict::Pass,
                At::Refused | At::Broken => return Verdict::Broken(at),
            }
        }
        Verdict::Pass
    }

    fn end_of_body(&mut self) {
        // The answer decides what comes next. Unless it is another protocol, the connection ends with it
        // (`ends_with_answer`).
        self.phase = if self.upgrade { At::Raw } else { At::Head };
    }

    /// The length of the head that `rest` starts with, once it is complete and right; 0 if its target must be
    /// escaped first.
    fn head(&mut self, rest: &[u8]) -> Result<Option<usize>, Refusal> {
        if rest[0] == b'\r' && self.line == 0 {
            return match rest.get(1) {
                None => Ok(None),
                Some(b'\n') if !self.blank => {
                    self.blank = true;
                    Ok(Some(2))
                }
                Some(_) => Err(Refusal::Malformed),
            };
        }
        loop {
            let Some(length) = memchr::memchr(b'\n', &rest[self.line..]) else {
                // The version and the method come on top of the target.
                if self.line == 0 && rest.len() > self.limits.uri + 64 {
                    return Err(Refusal::TargetTooLong);
                }
                return if rest.len() > self.limits.bytes {
                    Err(Refusal::HeadersTooLarge)
                } else {
                    Ok(None)
                };
            };
            let line = &rest[self.line..self.line + length];
            if !line.ends_with(b"\r") {
                return Err(Refusal::Malformed);
            }
            self.line += length + 1;
            if line.len() == 1 {
                break;
            }
        }
        let length = std::mem::take(&mut self.line);
        self.blank = false;
        if length > self.limits.bytes {
            return Err(Refusal::HeadersTooLarge);
        }
        let Follows {
            body,
            unescaped,
            upgrade,
        } = head::check(&rest[..length], self.limits)?;
        if unescaped {
            return Ok(Some(0));
        }
        self.upgrade = upgrade;
        match body {
            BodyKind::None => self.end_of_body(),
            BodyKind::Length(length) => self.phase = At::Length(length),
            BodyKind::Chunked => self.phase = At::Chunked(Chunked::new()),
        }
        Ok(Some(length))
    }

    /// What the connection waits for, if `held` says whether a part of a head has come.
    fn awaits(&self, held: bool) -> Phase {
        match self.phase {
            At::Start | At::Head if held => Phase::Head,
            At::Start | At::Head => Phase::Idle,
            _ => Phase::Body,
        }
    }

    /// Whether bytes may come that nobody will read.
    fn is_between_requests(&self) -> bool {
        matches!(self.phase, At::Start | At::Head | At::Raw)
    }
}

/// The pieces one after the other in `space`, if they fit.
fn joined<'a>(pieces: &[io::IoSlice<'_>], space: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for piece in pieces {
        space.get_mut(end..end + piece.len())?.copy_from_slice(piece);
        end += piece.len();
    }
    Some(&space[..end])
}

/// The request that stands in for a refused one.
fn stand_in(refusal: Refusal) -> Vec<u8> {
    let number = Refusal::ALL
        .iter()
        .position(|known| *known == refusal)
        .unwrap_or_default();
    let method = String::from_utf8_lossy(REFUSED);
    format!("{method} /{number} HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Why this request was refused, if it stands in for one that was.
pub(super) fn refusal_of<B>(request: &Request<B>) -> Option<Refusal> {
    // On HTTP/2 the method could be the client's; heads of HTTP/1 with it are refused.
    if request.version() == Version::HTTP_2 || request.method().as_str().as_bytes() != REFUSED {
        return None;
    }
    let number: usize = request.uri().path().get(1..)?.parse().ok()?;
    Refusal::ALL.get(number).copied()
}

/// Whether what comes after this request need not be HTTP, so that the connection cannot be used again unless
/// the answer changes the protocol.
pub(super) fn ends_with_answer<B>(request: &Request<B>) -> bool {
    request.version() != Version::HTTP_2
        && (request.method() == http::Method::CONNECT
            || request.headers().contains_key(http::header::UPGRADE))
}

impl<S: AsyncRead + Unpin> AsyncRead for Inspected<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.ready > 0 {
                let length = this.ready.min(buffer.remaining());
                buffer.put_slice(&this.held[..length]);
                this.held.drain(..length);
                this.ready -= length;
                return Poll::Ready(Ok(()));
            }
            match this.inspector.phase {
                At::Raw => {
                    if this.ends.lease.poll_over(context).is_ready() {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                    }
                    this.pulse.read(Phase::Raw);
                    let before = buffer.filled().len();
                    ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
                    this.count(buffer.filled().len() - before);
                    return Poll::Ready(Ok(()));
                }
                // hyper closes once the answer is out. An end of the stream would make it drop the request.
                At::Refused => return Poll::Pending,
                At::Broken => return Poll::Ready(Err(malformed_body())),
                _ => {}
            }
            let read = if this.held.is_empty() {
                this.read_through(context, buffer)
            } else {
                this.read_held(context)
            };
            match ready!(read)? {
                // The end of the stream; a head that is not complete ends with it.
                0 => return this.poll_end(context),
                _ if !buffer.filled().is_empty() => return Poll::Ready(Ok(())),
                _ => {}
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Inspected<S> {
    /// Reads into hyper's buffer and leaves there what is right; the number of bytes that came.
    fn read_through(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let length = buffer.filled().len() - before;
        let verdict = self.inspector.inspect(&buffer.filled()[before..]);
        let kept = match verdict {
            Verdict::Pass => length,
            Verdict::Hold(at) | Verdict::Refuse(at, _) | Verdict::Broken(at) | Verdict::Escape(at) => at,
        };
        if let Verdict::Hold(_) | Verdict::Escape(_) = verdict {
            self.held.extend_from_slice(&buffer.filled()[before + kept..]);
        }
        if let Verdict::Escape(_) = verdict {
            head::escape_target(&mut self.held, 0);
            self.inspect_held();
        }
        if let Verdict::Refuse(_, refusal) = verdict {
            self.held = stand_in(refusal);
            self.ready = self.held.len();
        }
        buffer.set_filled(before + kept);
        self.note(length);
        Poll::Ready(Ok(length))
    }

    /// Reads while a client waits for its answer, when hyper does not (`half_close`): it would need a buffer of
    /// 8 KiB for that, anew for each request. An error: the client has gone.
    fn read_ahead(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        // What came early is kept for hyper; a client that sends more than that has to wait.
        let waits = matches!(self.inspector.phase, At::Head) && self.held.is_empty() && self.pulse.is_owing();
        if waits && let Poll::Ready(length) = self.read_held(context)? {
            let gone = length == 0 && self.poll_end(context)?.is_ready();
            if gone {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads more of the head that is held; the number of bytes that came.
    fn read_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut buffer = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer))?;
        let length = buffer.filled().len();
        self.held.extend_from_slice(buffer.filled());
        self.inspect_held();
        self.note(length);
        Poll::Ready(Ok(length))
    }

    /// Decides how much of `held` may be read.
    fn inspect_held(&mut self) {
        let mut from = 0;
        loop {
            match self.inspector.inspect(&self.held[from..]) {
                Verdict::Pass => self.ready = self.held.len(),
                Verdict::Hold(at) => self.ready = from + at,
                Verdict::Refuse(at, refusal) => {
                    self.held.truncate(from + at);
                    self.held.extend_from_slice(&stand_in(refusal));
                    self.ready = self.held.len();
                }
                Verdict::Broken(at) => {
                    self.held.truncate(from + at);
                    self.ready = from + at;
                }
                Verdict::Escape(at) => {
                    from += at;
                    head::escape_target(&mut self.held, from);
                    continue;
                }
            }
            return;
        }
    }

    fn count(&self, length: usize) {
        if let Some(metrics) = &self.metrics {
            metrics.received(length);
        }
    }

    fn note(&self, length: usize) {
        if length > 0 {
            self.count(length);
            self.pulse
                .read(self.inspector.awaits(self.held.len() > self.ready));
        }
    }
}

fn malformed_body() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the request body is malformed")
}

/// Reads on after the last answer, so that the client reads it.
///
/// A socket that is closed with bytes unread resets the connection, and the answer may be lost on the way.
struct Linger {
    limit: Pin<Box<Sleep>>,
    left: usize,
}

impl Linger {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 1 << 20;

    fn new() -> Linger {
        Linger {
            limit: Box::pin(tokio::time::sleep(Linger::TIME)),
            left: Linger::BYTES,
        }
    }

    fn poll<S: AsyncRead + Unpin>(&mut self, inner: &mut S, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 8192];
        loop {
            if self.limit.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut *inner).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() && self.left >= buffer.filled().len() => {
                    self.left -= buffer.filled().len();
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S> Inspected<S> {
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.pulse.wrote(written.is_pending());
        if let (Some(metrics), Poll::Ready(Ok(length))) = (&self.metrics, written) {
            metrics.sent(*length);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Inspected<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    /// hyper flushes whenever it is woken, so this is where a client is noticed that goes while it waits.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if flushed.is_pending() {
            self.pulse.wrote(true);
        } else {
            self.pulse.flushed();
        }
        self.read_ahead(context)?;
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            if this.inspector.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(
            this.linger
                .get_or_insert_with(Linger::new)
                .poll(&mut this.inner, context)
        );
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut short = [0; SHORT];
        let written = match joined(pieces, &mut short) {
            Some(bytes) => Pin::new(&mut self.inner).poll_write(context, bytes),
            None => Pin::new(&mut self.inner).poll_write_vectored(context, pieces),
        };
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
