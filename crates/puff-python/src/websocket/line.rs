//! The connection's end of a line.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::call::CallJob;
use super::handshake::{Decision, Handshake};
use super::message::{Closed, Message, Outgoing};
use super::state::Shared;
use crate::call::PythonFunction;
use crate::lifeline::{Guard, Lifeline, Lifelines};
use crate::reactor::Event;
use crate::runtime::Runtime;

/// Calls Python functions for clients.
pub struct WebSocketCaller {
    runtime: Runtime,
    lifelines: Lifelines,
    /// Most bytes of messages that wait in each direction of a line.
    queue: usize,
}

impl WebSocketCaller {
    /// Lines of this caller hold back whoever sends when `queue` bytes wait; one message may go beyond.
    pub fn new(runtime: &Runtime, queue: usize) -> WebSocketCaller {
        WebSocketCaller {
            runtime: runtime.clone(),
            lifelines: Lifelines::new(runtime),
            queue,
        }
    }

    /// Calls `function(ws, **params)` in a greenlet of its own, for the client of `handshake`.
    ///
    /// May be called on any thread; does not attach to Python there. Dropping what it returns, or later the
    /// [`Line`], raises `GreenletExit` where the function waits.
    pub fn call(&self, function: &PythonFunction, handshake: Handshake) -> Opening {
        let (sender, decision) = oneshot::channel();
        let (life, guard) = Lifeline::new(&self.lifelines);
        let shared = Arc::new(Shared::new(sender, self.queue));
        let job = CallJob::new(function.clone(), handshake, shared.clone(), life);
        self.runtime.reactor().push(Event::Job(Box::new(job)));
        Opening {
            decision,
            line: Line { shared, guard },
        }
    }
}

/// A function that has not decided yet whether it takes its client.
#[must_use = "dropping it kills the function"]
pub struct Opening {
    decision: oneshot::Receiver<Decision>,
    line: Line,
}

/// What became of an [`Opening`].
pub enum Answer {
    /// The function has decided; the line is for a conversation that begins.
    Decided(Decision, Line),
    /// It ended by an exception, which is in the log, or was killed.
    Failed,
}

impl Opening {
    /// Waits for the function's decision. Dropping the future kills the function.
    pub async fn answer(self) -> Answer {
        match self.decision.await {
            Ok(decision) => Answer::Decided(decision, self.line),
            Err(_) => Answer::Failed,
        }
    }
}

/// The connection's end of a conversation with a Python function. Dropping it kills the function.
///
/// One task uses it; its waits may be dropped and repeated.
#[must_use = "dropping the line kills the function"]
pub struct Line {
    shared: Arc<Shared>,
    guard: Guard,
}

impl Line {
    /// What is to be sent next: the function's messages in their order, among them those of channels that are bound;
    /// then at most one close.
    ///
    /// Waits for ever after [`Line::lost`].
    pub async fn next(&self) -> Outgoing {
        self.shared.next().await
    }

    /// What is to be sent next, if there is something.
    pub fn try_next(&self) -> Option<Outgoing> {
        self.shared.try_next()
    }

    /// Waits until there is room for one more message of the client's. Then read one, and [`Line::deliver`] it.
    pub async fn room(&self) {
        self.shared.room().await;
    }

    /// Whether [`Line::room`] would not wait.
    pub fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// A message of the client's. It is dropped if the conversation is over for the function.
    pub fn deliver(&self, message: Message) {
        self.shared.deliver(message);
    }

    /// Asks for the end: the function's sends and receives raise, [`Line::next`] gives what is queued and then
    /// `last`. Does nothing if the conversation is over.
    pub fn shut(&self, last: Closed) {
        self.shared.shut(last);
    }

    /// Nothing comes any more, because what came was wrong. The function may take what came before, and answer to
    /// it; when it wants more, [`Line::next`] gives `last`.
    pub fn fail(&self, last: Closed) {
        self.shared.fail(last);
    }

    /// The connection is over. The function may still take what has come; its sends raise.
    pub fn lost(&self, closed: Closed) {
        self.shared.lost(closed);
    }

    /// Lets the function go on alone, to its end.
    pub fn release(self) {
        self.guard.disarm();
    }

    /// Waits until the function has ended.
    pub async fn ended(&self) {
        self.shared.ended().await;
    }
}
