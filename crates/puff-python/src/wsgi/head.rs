//! What `start_response` says: status and headers, checked.

use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::ext::ReasonPhrase;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// The head of an answer that is not sent yet.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) reason: Option<ReasonPhrase>,
    pub(super) headers: http::HeaderMap,
    /// As `Content-Length` says.
    pub(super) length: Option<u64>,
}

impl Head {
    /// Sets `Content-Length`, unless there is to be none.
    pub(super) fn set_length(&mut self, length: u64) {
        if !self.is_bodiless() {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }

    /// Whether HTTP has no body with this status.
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}

/// `"404 Not Found"` and the header list, checked.
pub(super) fn parse_head(status: &Bound<'_, PyString>, headers: &Bound<'_, PyAny>) -> PyResult<Head> {
    let text = status.to_str()?;
    let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
    let status = StatusCode::from_bytes(code.as_bytes())
        .ok()
        .filter(|status| code.len() == 3 && !status.is_informational())
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "the status {text:?} does not begin with a code like \"200 OK\""
            ))
        })?;
    let reason = if status.canonical_reason() == Some(reason) {
        None
    } else {
        Some(ReasonPhrase::try_from(reason.as_bytes()).map_err(|_| {
            PyValueError::new_err(format!(
                "the status {text:?} has characters that HTTP does not allow"
            ))
        })?)
    };
    let Ok(headers) = headers.cast::<PyList>() else {
        return Err(PyTypeError::new_err(
            "the headers of start_response are a list of (name, value) tuples",
        ));
    };
    let mut map = http::HeaderMap::with_capacity(headers.len() + 2);
    let mut length = None;
    for header in headers.iter() {
        let (name, value): (Bound<'_, PyString>, Bound<'_, PyString>) = header.extract().map_err(|_| {
            PyTypeError::new_err("the headers of start_response are a list of (str, str) tuples")
        })?;
        let name_text = name.to_str()?;
        let bad = |what: &str| PyValueError::new_err(format!("the response header {name_text:?} has {what}"));
        let name = HeaderName::from_bytes(name_text.as_bytes())
            .map_err(|_| bad("a name that HTTP does not allow"))?;
        let value = header_value(value.to_str()?)
            .ok_or_else(|| bad("a value with control characters, such as a line break, or beyond latin-1"))?;
        if is_hop_by_hop(&name) {
            if name == CONNECTION && asks_to_close(&value) {
                map.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            continue;
        }
        if name == CONTENT_LENGTH {
            let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let number = number.ok_or_else(|| bad("a value that is no number"))?;
            if length.is_some_and(|before| before != number) {
                return Err(bad("two values that differ"));
            }
            let plain = value.as_bytes().iter().all(u8::is_ascii_digit);
            map.insert(name, if plain { value } else { HeaderValue::from(number) });
            length = Some(number);
            continue;
        }
        map.append(name, value);
    }
    if status == StatusCode::NO_CONTENT {
        map.remove(CONTENT_LENGTH); // RFC 9110, 8.6
    }
    Ok(Head {
        status,
        reason,
        headers: map,
        length,
    })
}

/// Whether a header concerns the connection, which PEP 3333 leaves to the server: it knows the connection, the
/// application does not. Many applications set `Connection: keep-alive` for streams, so this is no error; of all
/// these wishes only the one to close is granted.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || name == "keep-alive"
        || name == "proxy-connection"
}

fn asks_to_close(value: &HeaderValue) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// Without the spaces around it, which belong to no value, and which HTTP/2 forbids to send (RFC 9113, 8.2.1).
fn header_value(text: &str) -> Option<HeaderValue> {
    let text = text.trim_matches([' ', '\t']);
    if text.is_ascii() {
        return HeaderValue::from_str(text).ok();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c as u32).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}
