//! What goes over a line.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// One message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text; the bytes are UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

/// What a message weighs on top of its bytes, so that empty ones are bounded as well.
const OVERHEAD: usize = 64;

impl Message {
    /// The message's bytes.
    pub fn data(&self) -> &Bytes {
        match self {
            Message::Text(data) | Message::Binary(data) => data,
        }
    }

    /// What it counts as in a queue.
    pub(super) fn weight(&self) -> usize {
        self.data().len() + OVERHEAD
    }

    /// A `str` as text, anything that is bytes as bytes.
    pub(super) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Message> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Message::Text(Bytes::copy_from_slice(text.to_str()?.as_bytes())));
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Message::Binary(Bytes::copy_from_slice(bytes.as_bytes())));
        }
        // A bytearray or a memoryview; a list of numbers is none, although `bytes()` would take it.
        let py = object.py();
        let view = py.import("builtins")?.getattr("memoryview")?.call1((object,));
        let view = view.map_err(|_| not_a_message(object))?;
        let bytes = view.call_method0("tobytes")?;
        let bytes = bytes.cast::<PyBytes>()?.as_bytes();
        Ok(Message::Binary(Bytes::copy_from_slice(bytes)))
    }

    /// A `str` or `bytes`.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Message::Text(data) => PyString::from_bytes(py, &data)?.into_any().unbind(),
            Message::Binary(data) => PyBytes::new(py, &data).into_any().unbind(),
        })
    }
}

fn not_a_message(object: &Bound<'_, PyAny>) -> PyErr {
    let name = object.get_type().qualname();
    let name = name.map_or_else(|_| "this".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("a message is str or bytes, not {name}"))
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code of RFC 6455, section 7.4; 1005 if the client gave none, 1006 if it went without a word.
    pub code: u16,
    /// What was said to it; may be empty.
    pub reason: String,
}

impl Closed {
    /// The function has returned.
    pub const NORMAL: u16 = 1000;
    /// The server stops.
    pub const GOING_AWAY: u16 = 1001;
    /// What the client sent is no WebSocket.
    pub const PROTOCOL: u16 = 1002;
    /// The client closed without a code.
    pub const NO_STATUS: u16 = 1005;
    /// The connection broke.
    pub const LOST: u16 = 1006;
    /// Text that is not UTF-8.
    pub const INVALID_TEXT: u16 = 1007;
    /// A message that is too large.
    pub const TOO_BIG: u16 = 1009;
    /// The function failed.
    pub const FAILED: u16 = 1011;
    /// The client cannot be served as it should be, and may come again.
    pub const TRY_AGAIN: u16 = 1013;

    /// A close with this code and reason.
    pub fn new(code: u16, reason: impl Into<String>) -> Closed {
        Closed {
            code,
            reason: reason.into(),
        }
    }

    /// Whether an application may send this code (RFC 6455, section 7.4).
    pub(super) fn may_send(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What the Tokio half has to send.
#[derive(Debug)]
pub enum Outgoing {
    /// A message of the function's.
    Message(Message),
    /// The last thing that is sent.
    Close(Closed),
}
