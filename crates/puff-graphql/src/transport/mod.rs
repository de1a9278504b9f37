//! The protocols by which clients subscribe over a WebSocket, without the WebSocket.
//!
//! A [`Session`] is the server's side of one socket. It is told what the client says and what becomes of the
//! operations, and answers with [`Action`]s: what to send, what to start and stop, when to close. It knows no
//! clock and does no I/O, so that every rule can be tested by itself.
//!
//! ```
//! use puff_graphql::transport::{Action, Dialect, Session};
//!
//! let mut session = Session::new(Dialect::Current, 100);
//! let actions = session.receive(br#"{"type": "connection_init", "payload": {"token": "t"}}"#);
//! assert!(matches!(&actions[..], [Action::Connect(Some(_))]));
//! let actions = session.accept(None);
//! assert!(matches!(&actions[..], [Action::Send(text)] if &text[..] == br#"{"type":"connection_ack"}"#));
//! ```

mod message;
mod session;

pub use message::{Dialect, Frame};
pub use session::{Action, Closing, OperationKey, Session};
