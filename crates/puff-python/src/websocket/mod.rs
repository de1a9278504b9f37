//! WebSockets: a Python function, in a greenlet of its own, talks with one client.
//!
//! This floor knows neither frames nor sockets. A [`Line`] lies between the two: Tokio holds one end, reads and
//! writes the connection; the greenlet holds the other. Both directions are queues of messages with a bound on
//! their bytes. Whoever finds no room waits: a client that floods is read no further, a function that sends
//! faster than its client takes is parked.

mod call;
mod handshake;
mod line;
mod message;
mod state;

use pyo3::prelude::*;

pub use handshake::{Decision, Handshake};
pub use line::{Answer, Line, Opening, WebSocketCaller};
pub use message::{Closed, Message, Outgoing};

/// Adds the class of this module to the native module.
pub(crate) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<call::WebSocketCall>()
}
