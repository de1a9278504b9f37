//! What must hold for any bytes on a connection of HTTP/1, from the socket to the environ; the fuzz target and the
//! property test ask the same.
//!
//! The oracle is a reader of HTTP/1 that knows framing and little else. What it does not take for a request, the
//! application must not see: that would be a request that somebody has smuggled past a proxy.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::HeadLimits;
use super::inspect::{Ends, Inspected, ends_with_answer, refusal_of};
use super::lease::Lease;
use super::pulse::Pulse;

/// Small, so that random bytes get beyond them.
const LIMITS: HeadLimits = HeadLimits {
    bytes: 600,
    uri: 60,
    field: 200,
    fields: 12,
};

/// Serves `data` but for its first byte: as a whole, and in pieces whose size is that byte.
///
/// # Panics
/// If the server does, if it matters how the bytes arrive, if the application sees what is no request, or an
/// environ that says something else than the request.
pub(crate) fn requests(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let whole = served(bytes, bytes.len());
    let pieces = served(bytes, usize::from(size));
    assert_eq!(whole, pieces, "it matters how the bytes arrive");
    let known = oracle(bytes);
    for (number, seen) in whole.into_iter().enumerate() {
        let Some(expected) = known.get(number) else {
            panic!("the application has seen a request that is none: {seen:?}");
        };
        assert_eq!(seen.method, expected.method);
        match (&seen.body, &expected.body) {
            (Some(seen), Some(expected)) => assert_eq!(seen, expected, "another body"),
            (Some(_), None) => panic!("half a body was taken for a whole one"),
            (None, _) => {}
        }
        check_environ(seen, expected);
    }
}

/// A request that the application has seen.
#[derive(Debug, PartialEq)]
struct Seen {
    method: String,
    uri: http::Uri,
    version: Version,
    headers: Vec<(String, Vec<u8>)>,
    /// `None`: it broke off.
    body: Option<Vec<u8>>,
}

fn served(bytes: &[u8], size: usize) -> Vec<Seen> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let pulse = Arc::new(Pulse::new());
    let wire = Wire {
        pieces: bytes.chunks(size.max(1)).map(<[u8]>::to_vec).rev().collect(),
    };
    let ends = Ends {
        lease: Lease::new(CancellationToken::new(), TaskTracker::new().token()),
        parting: Some(Duration::from_secs(60)),
        reset: |_| (),
    };
    let io = TokioIo::new(Inspected::new(wire, LIMITS, pulse.clone(), ends, None));
    let service = {
        let seen = seen.clone();
        service_fn(move |request: Request<Incoming>| {
            pulse.begin();
            let (pulse, seen) = (pulse.clone(), seen.clone());
            async move {
                let answer = application(request, &seen).await;
                pulse.end();
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.max_headers(LIMITS.fields).max_buf_size(64 << 10);
    // An error of the connection is one way for it to end.
    let serving =
        async { tokio::time::timeout(Duration::from_secs(10), http.serve_connection(io, service)).await };
    let ended = runtime.map(|runtime| runtime.block_on(serving));
    assert!(matches!(ended, Ok(Ok(_))), "the connection hangs");
    std::mem::take(&mut *seen.lock())
}

async fn application(request: Request<Incoming>, seen: &Mutex<Vec<Seen>>) -> Response<Full<Bytes>> {
    let closing = refusal_of(&request).is_some() || ends_with_answer(&request);
    let refused = refusal_of(&request).is_some();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
    if !refused {
        seen.lock().push(Seen {
            method: parts.method.to_string(),
            uri: parts.uri,
            version: parts.version,
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            body,
        });
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
    if closing {
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
    }
    response
}

/// The client's bytes, and then its silence.
struct Wire {
    /// The next one last.
    pieces: Vec<Vec<u8>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(mut piece) = self.pieces.pop() {
            let length = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..length]);
            if length < piece.len() {
                self.pieces.push(piece.split_off(length));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request as the oracle reads it.
struct Known {
    method: String,
    target: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

/// The requests in `bytes`, up to the first that breaks framing or does not end.
fn oracle(bytes: &[u8]) -> Vec<Known> {
    let mut rest = bytes;
    let mut known = Vec::new();
    loop {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        let Some((request, length)) = read_request(rest) else {
            return known;
        };
        let whole = request.body.is_some();
        known.push(request);
        if !whole {
            return known;
        }
        rest = &rest[length..];
    }
}

fn read_request(bytes: &[u8]) -> Option<(Known, usize)> {
    let end = find(bytes, b"\r\n\r\n")?;
    let mut lines = split(&bytes[..end], b"\r\n").into_iter();
    let line = lines.next()?;
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return None;
    };
    let mut fields = Vec::new();
    for line in lines {
        if line.contains(&b'\n') || line.contains(&b'\r') {
            return None;
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).ok()?;
        fields.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
    let all = |wanted: &str| -> Vec<&[u8]> {
        let matching = fields.iter().filter(|(name, _)| name == wanted);
        matching.map(|(_, value)| value.as_slice()).collect()
    };
    let after = &bytes[end + 4..];
    let (body, length) = match (&all("transfer-encoding")[..], &all("content-length")[..]) {
        ([], []) => (Some(Vec::new()), 0),
        ([], [length]) => {
            let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
            (after.get(..length).map(<[u8]>::to_vec), length)
        }
        ([.., last], []) if version == b"HTTP/1.1" && last.to_ascii_lowercase().ends_with(b"chunked") => {
            match read_chunks(after) {
                Some((body, length)) => (Some(body), length),
                None => (None, 0),
            }
        }
        _ => return None,
    };
    let request = Known {
        method: String::from_utf8_lossy(method).into_owned(),
        target: target.to_vec(),
        fields: fields.clone(),
        body,
    };
    Some((request, end + 4 + length))
}

fn read_chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = bytes[at..at + line].split(|byte| *byte == b';').next()?;
        if !(1..=16).contains(&size.len()) || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        at += line + 2;
        if size == 0 {
            loop {
                let line = find(&bytes[at..], b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some((body, at));
                }
            }
        }
        let end = at.checked_add(size)?;
        body.extend_from_slice(bytes.get(at..end)?);
        if bytes.get(end..end + 2)? != b"\r\n" {
            return None;
        }
        at = end + 2;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = find(rest, separator) {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// The environ of `seen` says what the oracle has read.
fn check_environ(seen: Seen, expected: &Known) {
    let mut request = Request::new(Bytes::from(seen.body.unwrap_or_default()));
    *request.uri_mut() = seen.uri;
    *request.version_mut() = seen.version;
    if let Ok(method) = seen.method.parse() {
        *request.method_mut() = method;
    }
    for (name, value) in seen.headers {
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::try_from(name),
            http::HeaderValue::from_bytes(&value),
        ) {
            request.headers_mut().append(name, value);
        }
    }
    let body = request.body().clone();
    let (texts, input) = puff_python::wsgi::fuzzing::environ(request);
    assert_eq!(input, body);
    let environ: HashMap<String, String> = texts.into_iter().collect();
    for (key, value) in &environ {
        assert!(
            value.chars().all(|c| c as u32 <= 0xff),
            "{key} is no latin-1: {value:?}"
        );
        assert!(
            !value.contains(['\r', '\n', '\0']) || key == "PATH_INFO",
            "{key}: {value:?}"
        );
    }
    assert_eq!(environ.get("REQUEST_METHOD"), Some(&expected.method));
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(byte);
    if expected.target.starts_with(b"/") && expected.target.iter().all(plain) {
        let target = latin1(&expected.target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        assert_eq!(environ.get("RAW_URI"), Some(&target));
        assert_eq!(environ.get("QUERY_STRING").map(String::as_str), Some(query));
        assert_eq!(environ.get("PATH_INFO"), Some(&unquoted(path)));
    }
    for (name, _) in &expected.fields {
        let key = match name.as_str() {
            "content-type" => "CONTENT_TYPE".to_owned(),
            "content-length" => "CONTENT_LENGTH".to_owned(),
            other => format!("HTTP_{}", other.to_ascii_uppercase().replace('-', "_")),
        };
        // A target with a host counts instead.
        if name.contains('_') || (name == "host" && !expected.target.starts_with(b"/")) {
            continue;
        }
        let values: Vec<String> = expected
            .fields
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, value)| latin1(value))
            .collect();
        let separator = if name == "cookie" { "; " } else { ", " };
        assert_eq!(environ.get(&key), Some(&values.join(separator)), "{key}");
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| *byte as char).collect()
}

/// Without percent escapes; what is none stays.
fn unquoted(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escape = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                text.push(byte as char);
                text.push_str(&part[2..]);
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What requests are made of, and what attacks on framing are made of.
    const WORDS: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n",
        b"POST /a%20b?c=%zz HTTP/1.1\r\n",
        b"PUT http://h:1/x HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"CONNECT h:1 HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"Host: h\r\n",
        b"Host: h\r\nContent-Length: 5\r\n\r\nhello",
        b"Host: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"Host: h\r\nConnection: close\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"transfer-encoding:\tChunked\r\n",
        b"Cookie: a=1\r\n",
        b"Cookie: b=2\r\n",
        b"X-Caf: \xe9\r\n",
        b"X_Forwarded_For: evil\r\n",
        b"X-Forwarded-For: good\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: Upgrade\r\nUpgrade: cow\r\n",
        b"Content-Type: a/b\r\n",
        b" folded\r\n",
        b"X : y\r\n",
        b"5\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"0\r\nContent-Length: 9\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"hello",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];

    fn connection() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => prop::sample::select(WORDS).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 1..4),
        ];
        let parts = prop::collection::vec(word, 0..14);
        (1..40u8, parts, any::<prop::sample::Index>(), 0..4usize).prop_map(|(size, parts, at, mutation)| {
            let mut bytes = parts.concat();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                match mutation {
                    0 => drop(bytes.remove(at)),
                    1 => bytes[at] ^= 1 << (at % 8),
                    _ => {}
                }
            }
            bytes.insert(0, size);
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        #[test]
        fn the_application_sees_requests_and_nothing_else(data in connection()) {
            requests(&data);
        }
    }

    /// How many connections are tried; `PUFF_FUZZ_CASES` for more.
    fn cases() -> u32 {
        let wished = std::env::var("PUFF_FUZZ_CASES").ok();
        wished.and_then(|cases| cases.parse().ok()).unwrap_or(4_000)
    }

    #[test]
    fn the_checks_see_requests() {
        let bytes =
            b"POST /a%20b?c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
            GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let seen = served(bytes, 3);
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].body.as_deref(), Some(&b"hello"[..]));
        requests(&[&[7], &bytes[..]].concat());
    }
}
