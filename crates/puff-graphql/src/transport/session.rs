//! The server's side of one socket: who may say what, and when.

use bytes::Bytes;
use hashbrown::HashMap;
use serde_json::Value as Json;

use super::message::{Dialect, Frame, Said, about, bare, parse};
use crate::error::{RequestError, RequestErrorCode};
use crate::request::Request;
use crate::value::Value;
use crate::write::errors::request_error;
use crate::write::leaf::json_value;

/// The name of an operation among those of one session; never used again, other than the client's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationKey(u64);

/// How a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The code.
    pub code: u16,
    /// What is said to it, within the 123 bytes that a close has room for.
    pub reason: String,
}

impl Closing {
    fn new(code: u16, reason: impl Into<String>) -> Closing {
        let mut reason = reason.into();
        let mut length = reason.len().min(123);
        while !reason.is_char_boundary(length) {
            length -= 1;
        }
        reason.truncate(length);
        Closing { code, reason }
    }

    /// What the client sent is no message of the protocol, or came at a wrong time.
    pub const BAD: u16 = 4400;
    /// An operation before the connection was acknowledged.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The program refuses the connection.
    pub const FORBIDDEN: u16 = 4403;
    /// The client speaks no protocol that the server does.
    pub const NO_PROTOCOL: u16 = 4406;
    /// No `connection_init` in time.
    pub const INIT_TIMEOUT: u16 = 4408;
    /// Two operations of one id at a time.
    pub const DUPLICATE: u16 = 4409;
    /// More than one `connection_init`.
    pub const TOO_MANY_INITS: u16 = 4429;
    /// The program failed while it was asked about the connection.
    pub const FAILED: u16 = 4500;

    /// For a client that offers no protocol that the server speaks.
    pub fn no_protocol() -> Closing {
        Closing::new(Closing::NO_PROTOCOL, "Subprotocol not acceptable")
    }
}

/// What a session wants done, in the order in which it says so.
#[derive(Debug)]
pub enum Action {
    /// Ask the program whether this client, which sends this payload, may connect; then [`Session::accept`],
    /// [`Session::refuse`] or [`Session::fail_connection`].
    Connect(Option<Value>),
    /// Send this message.
    Send(Bytes),
    /// Start an operation; its answers go into the frame. Then [`Session::completed`] or [`Session::failed`].
    Start {
        /// The operation.
        operation: OperationKey,
        /// What it is to do.
        request: Box<Request>,
        /// The message around each of its answers.
        frame: Frame,
    },
    /// Stop an operation. The session has forgotten it, and nothing more is sent of it.
    Stop(OperationKey),
    /// Close the socket after what was sent, and stop all operations. Nothing follows.
    Close(Closing),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was said yet.
    New,
    /// The program is being asked.
    Asking,
    /// The connection is acknowledged.
    Ready,
    /// The socket closes.
    Closed,
}

/// The server's side of one socket.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    phase: Phase,
    most: usize,
    last: u64,
    keys: HashMap<String, OperationKey>,
    ids: HashMap<OperationKey, String>,
}

impl Session {
    /// A socket that was just opened, with at most `most` operations at a time.
    pub fn new(dialect: Dialect, most: usize) -> Session {
        Session {
            dialect,
            phase: Phase::New,
            most,
            last: 0,
            keys: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// How many operations are under way.
    pub fn operations(&self) -> usize {
        self.ids.len()
    }

    /// Whether the client has not asked to connect yet.
    pub fn is_new(&self) -> bool {
        self.phase == Phase::New
    }

    /// The client says `text`.
    pub fn receive(&mut self, text: &[u8]) -> Vec<Action> {
        if self.phase == Phase::Closed {
            return Vec::new();
        }
        match parse(self.dialect, text) {
            Ok(said) => self.hear(said),
            Err(problem) => self.close(Closing::BAD, problem),
        }
    }

    /// The client sends bytes, which the protocols know nothing of.
    pub fn receive_binary(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Closed => Vec::new(),
            _ => self.close(Closing::BAD, "messages are text, not binary"),
        }
    }

    fn hear(&mut self, said: Said) -> Vec<Action> {
        match said {
            Said::Init(payload) if self.phase == Phase::New => {
                self.phase = Phase::Asking;
                vec![Action::Connect(payload)]
            }
            Said::Init(_) => self.close(Closing::TOO_MANY_INITS, "Too many initialisation requests"),
            Said::Ping(payload) => {
                let payload = payload.map(|payload| {
                    let mut json = Vec::new();
                    // What was read from JSON can be written.
                    let _ = json_value(&mut json, &payload);
                    json
                });
                let pong = bare("pong", payload.as_deref());
                vec![Action::Send(pong)]
            }
            Said::Pong => Vec::new(),
            Said::Start { .. } if self.phase != Phase::Ready => {
                self.close(Closing::UNAUTHORIZED, "Unauthorized")
            }
            Said::Start { id, request } => self.start(id, request),
            Said::Stop { id } => match self.keys.remove(&id) {
                Some(operation) => {
                    self.ids.remove(&operation);
                    self.stopped(&id, operation)
                }
                None => Vec::new(),
            },
            Said::Terminate => self.close(1000, ""),
        }
    }

    fn stopped(&self, id: &str, operation: OperationKey) -> Vec<Action> {
        match self.dialect {
            Dialect::Current => vec![Action::Stop(operation)],
            // Those clients wait for the word.
            Dialect::Legacy => vec![Action::Stop(operation), Action::Send(about(id, "complete", None))],
        }
    }

    fn start(&mut self, id: String, request: Box<Request>) -> Vec<Action> {
        let mut actions = Vec::with_capacity(2);
        if let Some(running) = self.keys.get(&id).copied() {
            if self.dialect == Dialect::Current {
                return self.close(Closing::DUPLICATE, format!("Subscriber for {id} already exists"));
            }
            // The old protocol has the new operation take the place of the other.
            self.forget(running);
            actions.push(Action::Stop(running));
        }
        if self.ids.len() >= self.most {
            let message = format!("this connection has {} operations at a time already", self.most);
            let error = RequestError::new(RequestErrorCode::LimitExceeded, message);
            actions.push(Action::Send(self.error(&id, &request_error(&error))));
            return actions;
        }
        self.last += 1;
        let operation = OperationKey(self.last);
        actions.push(Action::Start {
            operation,
            request,
            frame: Frame::new(self.dialect, &id),
        });
        self.ids.insert(operation, id.clone());
        self.keys.insert(id, operation);
        actions
    }

    fn forget(&mut self, operation: OperationKey) -> Option<String> {
        let id = self.ids.remove(&operation)?;
        self.keys.remove(&id);
        Some(id)
    }

    /// The program accepts the connection; `payload`, JSON, goes with the word for it.
    pub fn accept(&mut self, payload: Option<&[u8]>) -> Vec<Action> {
        if self.phase != Phase::Asking {
            return Vec::new();
        }
        self.phase = Phase::Ready;
        let mut actions = vec![Action::Send(bare("connection_ack", payload))];
        actions.extend(self.keep_alive().map(Action::Send));
        actions
    }

    /// The program refuses the connection.
    pub fn refuse(&mut self, reason: &str) -> Vec<Action> {
        self.deny(Closing::FORBIDDEN, reason)
    }

    /// The program failed when it was asked about the connection.
    pub fn fail_connection(&mut self) -> Vec<Action> {
        self.deny(Closing::FAILED, "Internal server error")
    }

    fn deny(&mut self, code: u16, reason: &str) -> Vec<Action> {
        if self.phase != Phase::Asking {
            return Vec::new();
        }
        let mut actions = Vec::with_capacity(2);
        if self.dialect == Dialect::Legacy {
            let payload = serde_json::json!({ "message": reason }).to_string();
            actions.push(Action::Send(bare("connection_error", Some(payload.as_bytes()))));
        }
        actions.extend(self.close(code, reason));
        actions
    }

    /// The client has had its time for `connection_init`.
    pub fn init_timed_out(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::New => self.close(Closing::INIT_TIMEOUT, "Connection initialisation timeout"),
            _ => Vec::new(),
        }
    }

    /// The operation has come to its end.
    pub fn completed(&mut self, operation: OperationKey) -> Option<Bytes> {
        let id = self.forget(operation)?;
        Some(about(&id, "complete", None))
    }

    /// The operation has failed: `answer` has `errors` and no data.
    pub fn failed(&mut self, operation: OperationKey, answer: &[u8]) -> Option<Bytes> {
        let id = self.forget(operation)?;
        Some(self.error(&id, answer))
    }

    fn error(&self, id: &str, answer: &[u8]) -> Bytes {
        let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
        let errors = answer.get("errors").cloned().unwrap_or(Json::Array(Vec::new()));
        let payload = match self.dialect {
            Dialect::Current => errors,
            Dialect::Legacy => errors.get(0).cloned().unwrap_or_default(),
        };
        about(id, "error", Some(payload.to_string().as_bytes()))
    }

    /// What is to be said from time to time to a client of the old protocol.
    pub fn keep_alive(&self) -> Option<Bytes> {
        let legacy = self.dialect == Dialect::Legacy && self.phase == Phase::Ready;
        legacy.then(|| bare("ka", None))
    }

    fn close(&mut self, code: u16, reason: impl Into<String>) -> Vec<Action> {
        self.phase = Phase::Closed;
        self.keys.clear();
        self.ids.clear();
        vec![Action::Close(Closing::new(code, reason))]
    }
}
