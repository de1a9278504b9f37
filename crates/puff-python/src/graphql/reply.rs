//! The answer that Python owes to a waiting future.

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Where an answer goes: the first one; dropped without, it lets the future go that waits.
pub(super) struct Reply<T>(Mutex<Option<oneshot::Sender<T>>>);

impl<T> Reply<T> {
    pub(super) fn new(sender: oneshot::Sender<T>) -> Reply<T> {
        Reply(Mutex::new(Some(sender)))
    }

    /// For what nobody waits for.
    pub(super) fn to_nobody() -> Reply<T> {
        Reply(Mutex::new(None))
    }

    /// Gives the answer; one that comes after another is dropped.
    pub(super) fn send(&self, answer: T) {
        if let Some(sender) = self.0.lock().take() {
            // An error means that the request has gone; nobody waits for the answer.
            let _ = sender.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_counts_and_a_drop_is_noticed() {
        let (sender, mut receiver) = oneshot::channel();
        let reply = Reply::new(sender);
        reply.send(1);
        reply.send(2);
        assert_eq!(receiver.try_recv(), Ok(1));
        let (sender, receiver) = oneshot::channel::<u8>();
        drop(Reply::new(sender));
        assert!(receiver.blocking_recv().is_err());
    }
}
