//! Compression of answers, by the setting `compression`.
//!
//! It stands between an answer and the connection, and so is the same for WSGI, GraphQL, routes in Rust and
//! static files. tower-http's layer is not used because it holds back streams until its buffers are full, and
//! leaves strong entity tags and `no-transform` alone.

mod body;
mod encoder;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body as AxumBody;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body;
use tracing::error;

use self::body::Encoded;
use super::body::{ServerBody, text_response};
use super::coding::{Accepted, Coding, is_compressible, vary};
use crate::errors::ConfigError;
use crate::settings::{ByteSize, SettingValue, Settings};

/// Which answers are compressed, and how.
#[derive(Debug, Clone)]
pub struct Compression {
    codings: &'static [Coding],
    /// Answers that are shorter go as they are.
    min_size: u64,
}

impl Compression {
    /// What the settings say; `None` if they say `off`, which is the default: an answer that holds both a secret
    /// and words of a stranger's choice gives the secret away by its length (BREACH), and only the application
    /// knows which do.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn from_settings(settings: &Settings) -> Result<Option<Compression>, ConfigError> {
        let Codings(codings) = settings.get_or("compression", Codings(&[]))?;
        let min_size = settings.get_or("compression_min_size", ByteSize(1024))?.0 as u64;
        Ok((!codings.is_empty()).then_some(Compression { codings, min_size }))
    }

    /// What to do with the answer to `request`.
    pub(super) fn plan<B>(&self, request: &Request<B>) -> Plan {
        let accepted = Accepted::by(request.headers());
        Plan {
            coding: accepted.preferred().find(|coding| self.codings.contains(coding)),
            min_size: self.min_size,
            head: request.method() == Method::HEAD,
        }
    }
}

/// The value of the setting `compression`.
struct Codings(&'static [Coding]);

impl SettingValue for Codings {
    const EXPECTED: &'static str = "one of off, auto, gzip, br, zstd";

    fn parse(text: &str) -> Option<Codings> {
        Some(Codings(match text.trim().to_ascii_lowercase().as_str() {
            "off" => &[],
            "auto" => Coding::ALL,
            "gzip" => &[Coding::Gzip],
            "br" => &[Coding::Brotli],
            "zstd" => &[Coding::Zstd],
            _ => return None,
        }))
    }
}

/// What to do with one answer.
pub(super) struct Plan {
    /// As the client takes it, if it takes any.
    coding: Option<Coding>,
    min_size: u64,
    head: bool,
}

/// Answers up to this size are compressed before their head is sent, which then says how long they are.
const AT_ONCE: usize = 128 << 10;

impl Plan {
    /// The answer, compressed if that helps.
    pub(super) fn carry_out(self, mut response: Response<ServerBody>) -> Response<ServerBody> {
        if !self.suits(&response) {
            return response;
        }
        vary(response.headers_mut());
        let Some(coding) = self.coding.filter(|_| !self.head) else {
            return response;
        };
        let (mut parts, mut body) = response.into_parts();
        let stall = body.take_stall();
        // Asked without waiting: what has to be waited for is a stream. Whoever polls the body next leaves a
        // waker of their own.
        let first = match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(first) => Some(first),
            Poll::Pending => None,
        };
        let whole = match &first {
            Some(Some(Ok(frame))) if body.is_end_stream() => frame.data_ref(),
            _ => None,
        };
        let encoded = match whole.filter(|bytes| bytes.len() <= AT_ONCE).cloned() {
            Some(bytes) => Encoded::whole(body, coding, &bytes),
            None => Encoded::stream(body, first, coding, length_said(&parts.headers)),
        };
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(error) => {
                error!("cannot compress an answer: {error}");
                return text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error");
            }
        };
        let headers = &mut parts.headers;
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        if let Some(length) = encoded.size_hint().exact() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        weaken(headers);
        let mut body = ServerBody::from(AxumBody::new(encoded));
        body.give_stall(stall);
        Response::from_parts(parts, body)
    }

    /// Whether the answer would be compressed for a client that takes it.
    fn suits(&self, response: &Response<ServerBody>) -> bool {
        /// A hash of the bytes as they are sent, which would be wrong afterwards.
        const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
        let status = response.status();
        let headers = response.headers();
        if status.is_informational()
            || [
                StatusCode::NO_CONTENT,
                StatusCode::PARTIAL_CONTENT,
                StatusCode::NOT_MODIFIED,
            ]
            .contains(&status)
            || [CONTENT_ENCODING, CONTENT_RANGE, CONTENT_DIGEST]
                .iter()
                .any(|name| headers.contains_key(name))
        {
            return false;
        }
        let length = response.body().size_hint().exact().filter(|_| !self.head);
        length
            .or(length_said(headers))
            .is_none_or(|length| length >= self.min_size.max(1))
            && headers
                .get(CONTENT_TYPE)
                .is_some_and(|value| is_compressible(value.as_bytes()))
            && !has_no_transform(headers)
    }
}

fn length_said(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the application forbids it: `Cache-Control: no-transform`.
fn has_no_transform(headers: &HeaderMap) -> bool {
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
    })
}

/// A strong entity tag promises the same bytes, which the compressed answer does not have.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else {
        return;
    };
    let weak = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat());
    match weak {
        Ok(weak) => headers.insert(ETAG, weak),
        Err(_) => headers.remove(ETAG),
    };
}
