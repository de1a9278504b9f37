//! Who talks with the client of a WebSocket: a Python function behind its line, or Rust.

use puff_python::websocket::{Closed, Line, Message, Outgoing};

/// The other end of a [`Conversation`](super::conversation::Conversation). One task uses it; its waits may be
/// dropped and repeated.
pub(crate) trait Peer: Send + Sync + 'static {
    /// What is to be sent next: messages in their order, then at most one close. Waits for ever after that, and
    /// after [`Peer::lost`].
    fn next(&self) -> impl Future<Output = Outgoing> + Send;

    /// What is to be sent next, if there is something.
    fn try_next(&self) -> Option<Outgoing>;

    /// Waits until there is room for one more message of the client's.
    fn room(&self) -> impl Future<Output = ()> + Send;

    /// Whether [`Peer::room`] would not wait.
    fn has_room(&self) -> bool;

    /// A message of the client's.
    fn deliver(&self, message: Message);

    /// Asks for the end: [`Peer::next`] gives what is queued and then `last`.
    fn shut(&self, last: Closed);

    /// Nothing comes any more, because what came was wrong.
    fn fail(&self, last: Closed);

    /// The connection is over.
    fn lost(&self, closed: Closed);

    /// Waits until the peer has ended as well.
    fn ended(&self) -> impl Future<Output = ()> + Send;
}

impl Peer for Line {
    async fn next(&self) -> Outgoing {
        Line::next(self).await
    }

    fn try_next(&self) -> Option<Outgoing> {
        Line::try_next(self)
    }

    async fn room(&self) {
        Line::room(self).await;
    }

    fn has_room(&self) -> bool {
        Line::has_room(self)
    }

    fn deliver(&self, message: Message) {
        Line::deliver(self, message);
    }

    fn shut(&self, last: Closed) {
        Line::shut(self, last);
    }

    fn fail(&self, last: Closed) {
        Line::fail(self, last);
    }

    fn lost(&self, closed: Closed) {
        Line::lost(self, closed);
    }

    async fn ended(&self) {
        Line::ended(self).await;
    }
}
