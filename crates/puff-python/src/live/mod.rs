//! Live connections: what is published on channels goes to a client without Python.
//!
//! A [`Bound`] is a pub-sub connection whose messages become frames of a WebSocket, an [`EventStream`] one whose
//! messages become the body of an answer. Python, or a handler in Rust, says once which channels a client may hear;
//! from there on Tokio writes. A message is encoded once for all clients of a process ([`Format`]).
//!
//! What waits for a client lies in the pub-sub connection's queue, within its bounds, and is taken out when the
//! client can take it: one that stalls has a gap there in the end, costs nobody anything else, and is given up by
//! whoever writes to it. A gap is always told: as a frame, as an event, or by the end of the connection.

mod body;
mod bound;
mod events;
mod frame;
mod stream;

use pyo3::prelude::*;

pub use body::{EventBody, EventStreams, TOO_MANY_STREAMS};
pub use bound::{BindOptions, Bound, OnGap, Said};
pub use events::{EventOptions, EventStream};
pub use frame::{Format, UnknownFormat};
pub(crate) use stream::{EventStreamHandle, read_format};

/// Adds what this module has for Python to the native module.
pub(crate) fn populate(module: &pyo3::Bound<'_, PyModule>) -> PyResult<()> {
    stream::populate(module)
}
