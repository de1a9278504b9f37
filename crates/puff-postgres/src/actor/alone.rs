//! Requests that have the connection for themselves, and are cancelled when nobody waits for them any more.
//!
//! The protocol cancels whatever the session runs at the moment. So a request can only be cancelled with
//! certainty if nothing was sent behind it, and nothing may be sent before the cancel request has ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Actor;
use crate::cancel;

/// How long a cancel request may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// How long a cancelled request may take to end before the server is asked again: a cancel request that comes
/// before the statement has begun is lost on it.
const CANCEL_INTERVAL: Duration = Duration::from_millis(250);

/// Something that the actor waits for beside its socket.
type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The cancelling of the request at the front.
#[derive(Default)]
pub(super) enum Cancelling {
    #[default]
    Not,
    /// The cancel request is under way.
    Asking(Waiting),
    /// It has ended; if the statement does not end soon, the server is asked again.
    Asked(Waiting),
}

impl Cancelling {
    /// Whether a statement that is sent now might be hit.
    pub(super) fn is_dangerous(&self) -> bool {
        matches!(self, Self::Asking(_))
    }

    /// The request at the front has ended.
    pub(super) fn over(&mut self) {
        if let Self::Asked(_) = self {
            *self = Self::Not;
        }
    }
}

impl Actor {
    /// Cancels the request at the front if it has the connection for itself and nobody waits for it any more.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) {
        loop {
            match &mut self.cancelling {
                Cancelling::Not => {
                    let fed = self.copy.as_ref().is_some_and(|copy| copy.is_fed());
                    let Some(front) = self.in_flight.front_mut() else {
                        return;
                    };
                    if fed || !front.alone || front.poll_abandoned(cx).is_pending() {
                        return;
                    }
                    self.cancelling = self.ask();
                }
                Cancelling::Asking(asking) => match asking.as_mut().poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(()) if self.in_flight.is_empty() => self.cancelling = Cancelling::Not,
                    Poll::Ready(()) => {
                        let pause = Box::pin(tokio::time::sleep(CANCEL_INTERVAL));
                        self.cancelling = Cancelling::Asked(pause);
                    }
                },
                Cancelling::Asked(pause) => match pause.as_mut().poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(()) => self.cancelling = self.ask(),
                },
            }
        }
    }

    fn ask(&self) -> Cancelling {
        let key = self.key.clone();
        Cancelling::Asking(Box::pin(async move {
            if let Err(error) = cancel::cancel(&key, CANCEL_LIMIT).await {
                tracing::debug!("an abandoned statement could not be cancelled: {error}");
            }
        }))
    }
}
