//! The head of an HTTP/1 request, checked byte for byte before hyper sees it.

use http::StatusCode;

use crate::web::config::HeadLimits;

/// Why a request is not looked at any further; the connection is closed after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the request is malformed")]
    Malformed,
    #[error("the request needs exactly one valid Host")]
    Host,
    #[error("the request's length is ambiguous")]
    Framing,
    #[error("the request's transfer coding is unknown")]
    Coding,
    #[error("the request's target is too long")]
    TargetTooLong,
    #[error("the request's headers are too large")]
    HeadersTooLarge,
    #[error("the request's version of HTTP is not supported")]
    Version,
}

impl Refusal {
    /// The status that tells the client.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Refusal::Malformed | Refusal::Host | Refusal::Framing => StatusCode::BAD_REQUEST,
            Refusal::Coding => StatusCode::NOT_IMPLEMENTED,
            Refusal::TargetTooLong => StatusCode::URI_TOO_LONG,
            Refusal::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Refusal::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    /// All there are, in the order of `number`.
    pub(crate) const ALL: [Refusal; 7] = [
        Refusal::Malformed,
        Refusal::Host,
        Refusal::Framing,
        Refusal::Coding,
        Refusal::TargetTooLong,
        Refusal::HeadersTooLarge,
        Refusal::Version,
    ];
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Follows {
    pub(super) body: BodyKind,
    /// The target has characters that must be escaped before hyper reads it; see [`escape_target`].
    pub(super) unescaped: bool,
    /// The client asked for another protocol (`Upgrade`, `CONNECT`): what comes after the body need not be HTTP.
    pub(super) upgrade: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    None,
    Length(u64),
    Chunked,
}

/// The method of the requests that stand in for refused ones; nobody else may use it.
pub(super) const REFUSED: &[u8] = b"PUFF-REFUSED";

/// Checks a whole head, from the request line to the empty line; `head` ends with CR LF CR LF, and every LF in
/// it has a CR before it.
pub(super) fn check(head: &[u8], limits: HeadLimits) -> Result<Follows, Refusal> {
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = RequestLine::parse(lines.next().unwrap_or_default(), limits.uri)?;
    let mut fields = Fields::default();
    let mut count = 0;
    for field in lines.take_while(|line| !line.is_empty()) {
        count += 1;
        if count > limits.fields || field.len() > limits.field {
            return Err(Refusal::HeadersTooLarge);
        }
        fields.add(field)?;
    }
    fields.finish(&line)
}

struct RequestLine<'a> {
    connect: bool,
    unescaped: bool,
    /// The authority of a target in absolute form, without user information.
    authority: Option<&'a [u8]>,
    /// HTTP/1.1, else 1.0.
    one_one: bool,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8], longest: usize) -> Result<RequestLine<'a>, Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Refusal::Malformed);
        };
        if !is_method(method) {
            return Err(Refusal::Malformed);
        }
        let one_one = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ if is_other_version(version) => return Err(Refusal::Version),
            _ => return Err(Refusal::Malformed),
        };
        if target.len() > longest {
            return Err(Refusal::TargetTooLong);
        }
        if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::Malformed);
        }
        let unescaped = target[0] == b'/' && target.iter().any(|byte| needs_escape(*byte));
        let connect = method == b"CONNECT";
        let authority = if connect {
            if target.contains(&b'/') {
                return Err(Refusal::Malformed);
            }
            None
        } else if target[0] == b'/' || (target == b"*" && method == b"OPTIONS") {
            None
        } else {
            Some(authority_of(target).ok_or(Refusal::Malformed)?)
        };
        Ok(RequestLine {
            connect,
            unescaped,
            authority,
            one_one,
        })
    }
}

/// Whether it can be a method. They are case-sensitive and all known ones are capitals; `get` is a mistake, or an
/// attempt to pass by somebody who compares otherwise.
pub(super) fn is_method(method: &[u8]) -> bool {
    let fits = |byte: &u8| is_token(*byte) && !byte.is_ascii_lowercase();
    !method.is_empty() && method.len() <= 32 && method.iter().all(fits) && method != REFUSED
}

fn is_other_version(version: &[u8]) -> bool {
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Characters that RFC 3986 wants escaped, that clients send all the same, and that `http::Uri` refuses.
fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`')
}

/// Escapes what [`Follows::unescaped`] is about in the target of the head that `held` has at `at`: to the
/// application `/?q="a"` is `/?q=%22a%22`, as browsers send it.
///
/// What was sent is not kept: it would have to pass hyper beside the request, for a handful of careless clients.
pub(super) fn escape_target(held: &mut Vec<u8>, at: usize) {
    let target = held[at..]
        .iter()
        .position(|byte| *byte == b' ')
        .map(|space| at + space + 1);
    let Some(start) = target else { return };
    let length = held[start..].iter().position(|byte| *byte == b' ').unwrap_or(0);
    let mut escaped = Vec::with_capacity(3 * length);
    for &byte in &held[start..start + length] {
        if needs_escape(byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    held.splice(start..start + length, escaped);
}

/// The host and port in `http://user@host:port/path`.
fn authority_of(target: &[u8]) -> Option<&[u8]> {
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = match memchr::memrchr(b'@', authority) {
        Some(at) => &authority[at + 1..],
        None => authority,
    };
    (!host.is_empty() && is_host(host)).then_some(host)
}

#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<Coding>,
    has_type: bool,
    upgrade: bool,
}

/// The transfer codings so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// The last one is not `chunked`.
    Other,
    Chunked,
}

impl<'a> Fields<'a> {
    fn add(&mut self, field: &'a [u8]) -> Result<(), Refusal> {
        let colon = memchr::memchr(b':', field).ok_or(Refusal::Malformed)?;
        let (name, value) = (&field[..colon], trim(&field[colon + 1..]));
        // A line that goes on the one before (obsolete folding) has a space here, `Name :` has one as well.
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) || !value.iter().all(is_value) {
            return Err(Refusal::Malformed);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.set_host(value)?,
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            12 if name.eq_ignore_ascii_case(b"content-type") => self.note_type()?,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = length_of(value).ok_or(Refusal::Framing)?;
                if self.length.replace(length).is_some() {
                    return Err(Refusal::Framing);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.codings(value)?,
            _ => {}
        }
        Ok(())
    }

    fn set_host(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        let only = self.host.replace(value).is_none();
        if only && is_host(value) {
            Ok(())
        } else {
            Err(Refusal::Host)
        }
    }

    fn note_type(&mut self) -> Result<(), Refusal> {
        let again = std::mem::replace(&mut self.has_type, true);
        if again { Err(Refusal::Malformed) } else { Ok(()) }
    }

    fn codings(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for coding in value.split(|byte| *byte == b',').map(trim) {
            if self.coding == Some(Coding::Chunked) {
                return Err(Refusal::Framing); // `chunked` comes last, and once
            }
            self.coding = Some(if coding.eq_ignore_ascii_case(b"chunked") {
                Coding::Chunked
            } else if [&b"identity"[..], b"gzip", b"x-gzip", b"deflate", b"compress"]
                .iter()
                .any(|known| coding.eq_ignore_ascii_case(known))
            {
                Coding::Other
            } else {
                return Err(Refusal::Coding);
            });
        }
        Ok(())
    }

    fn finish(self, line: &RequestLine<'_>) -> Result<Follows, Refusal> {
        let same_host = match (self.host, line.authority) {
            (Some(host), Some(authority)) => host.eq_ignore_ascii_case(authority),
            (Some(_), None) => true,
            (None, _) => !line.one_one,
        };
        if !same_host {
            return Err(Refusal::Host);
        }
        let body = match (self.coding, self.length) {
            (None, None | Some(0)) => BodyKind::None,
            (None, Some(length)) => BodyKind::Length(length),
            (Some(Coding::Chunked), None) if line.one_one => BodyKind::Chunked,
            _ => return Err(Refusal::Framing),
        };
        Ok(Follows {
            body,
            unescaped: line.unescaped,
            upgrade: self.upgrade || line.connect,
        })
    }
}

/// Without the spaces and tabs around it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn length_of(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Which bytes are visible characters of ASCII and not among `without`: to look for each byte there takes longer
/// than all else that is done with a head.
const fn graphic_without(without: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] = true;
        byte += 1;
    }
    let mut at = 0;
    while at < without.len() {
        table[without[at] as usize] = false;
        at += 1;
    }
    table
}

/// The characters of a `token` (RFC 9110, 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = graphic_without(b"\"(),/:;<=>?@[\\]{}");
    TOKEN[byte as usize]
}

/// What may be in a field's value: no control characters but the tab.
pub(super) fn is_value(byte: &u8) -> bool {
    !matches!(byte, 0..=8 | 10..=31 | 127)
}

/// Whether it can be a Host: no spaces, no path, no user, nothing that ends one in a URL. It may be empty.
pub(crate) fn is_host(value: &[u8]) -> bool {
    const HOST: [bool; 256] = graphic_without(b"/\\?#@,\"<>^`{|}");
    value.iter().all(|byte| HOST[*byte as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes: 1000,
        uri: 20,
        field: 100,
        fields: 3,
    };

    fn checked(head: &str) -> Result<Follows, Refusal> {
        check(head.as_bytes(), LIMITS)
    }

    #[test]
    fn what_follows_is_known() {
        let plain = checked("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!((plain.body, plain.upgrade), (BodyKind::None, false));
        let length = checked("PUT / HTTP/1.0\r\nContent-Length: 07\r\n\r\n").unwrap();
        assert_eq!(length.body, BodyKind::Length(7));
        let chunked = checked("PUT / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n").unwrap();
        assert_eq!(chunked.body, BodyKind::Chunked);
        assert!(
            checked("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap()
                .upgrade
        );
        assert!(!plain.unescaped);
        let careless = checked("GET /?q=\"<a>\" HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(careless.unescaped);
        assert!(checked("GET http://u@A:1/x HTTP/1.1\r\nHost: a:1\r\n\r\n").is_ok());
    }

    #[test]
    fn only_the_target_is_escaped() {
        let mut held = b"before GET /`?a=\"<b>\" HTTP/1.1\r\nA: \"c\" d\r\n\r\n".to_vec();
        escape_target(&mut held, 7);
        assert_eq!(
            held,
            b"before GET /%60?a=%22%3Cb%3E%22 HTTP/1.1\r\nA: \"c\" d\r\n\r\n"
        );
    }

    #[test]
    fn tokens_have_the_characters_that_the_rfc_lists() {
        let listed = b"!#$%&'*+-.^_`|~";
        for byte in 0..=255_u8 {
            let wanted = byte.is_ascii_alphanumeric() || listed.contains(&byte);
            assert_eq!(is_token(byte), wanted, "{byte}");
        }
    }

    #[test]
    fn refusals_have_their_reasons() {
        for (head, refusal) in [
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("PUFF-REFUSED /1 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::Version),
            ("GET / HTTP/111\r\nHost: a\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\n\r\n", Refusal::Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::Host),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refusal::Host),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.1\r\nHost: a\r\nA: \x07\r\n\r\n", Refusal::Malformed),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
                Refusal::Framing,
            ),
            (
                "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refusal::Framing,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
                Refusal::Framing,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
                Refusal::Coding,
            ),
            (
                "GET /23456789012345678901 HTTP/1.1\r\nHost: a\r\n\r\n",
                Refusal::TargetTooLong,
            ),
            (
                "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nHost: a\r\nC: 3\r\n\r\n",
                Refusal::HeadersTooLarge,
            ),
        ] {
            assert_eq!(checked(head), Err(refusal), "{head:?}");
        }
        let both = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(checked(both), Err(Refusal::Framing));
    }
}
