//! One connection that carries subscriptions, and the task that reads it.
//!
//! redis-rs' connections take what the server pushes for the answer of the command that waits longest, if it looks like
//! one: a node of a cluster that gives a slot away says `sunsubscribe` without being asked, and from then on each
//! command would get the answer of another. Here a push is never an answer. A command that is answered by pushes is
//! followed by `HELLO`, which every server knows and no access list forbids: an error before its answer is the
//! command's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::wire::{Reader, Wire, Writer};
use crate::{Command, Error, Incoming, RedisConfig, Reply};

/// What the server says without being asked, or as the answer to a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Push<'a> {
    Message {
        channel: &'a str,
        payload: Bytes,
    },
    /// The channel is subscribed.
    Subscribed(&'a str),
    /// A sharded channel is not any more.
    Withdrawn(&'a str),
}

/// An open, logged-in connection. Dropping it ends it.
pub(super) struct Feed {
    address: String,
    within: Duration,
    writer: tokio::sync::Mutex<Writer>,
    expected: Arc<Mutex<VecDeque<Expected>>>,
    driver: JoinHandle<()>,
    /// Its sender lives in the driver task and is dropped with it, however the task ends.
    gone: watch::Receiver<()>,
}

/// Who waits for what the server answers next.
enum Expected {
    Answer(oneshot::Sender<Reply>),
    /// An error, if there is one, and the answer of a `HELLO`.
    Confirmation {
        failed: Option<Reply>,
        done: oneshot::Sender<(Option<Reply>, Reply)>,
    },
}

impl Feed {
    /// Reads a connection from now on; `on_push` is called for each push, in the order of arrival.
    pub(super) fn new(wire: Wire, config: &RedisConfig, on_push: impl Fn(Push<'_>) + Send + 'static) -> Self {
        // Nothing has been subscribed so far: nothing is lost.
        let (reader, writer) = wire.into_halves();
        let expected: Arc<Mutex<VecDeque<Expected>>> = Arc::default();
        let (alive, gone) = watch::channel(());
        let driver = tokio::spawn({
            let expected = expected.clone();
            async move {
                if let Err(error) = drive(reader, &expected, on_push).await {
                    tracing::debug!(%error, "a connection of pub-sub has ended");
                }
                drop(alive);
                // Nobody is answered any more; whoever comes later sees that it is gone.
                expected.lock().clear();
            }
        });
        Self {
            address: config.address.to_string(),
            within: config.response_timeout,
            writer: tokio::sync::Mutex::new(writer),
            expected,
            driver,
            gone,
        }
    }

    /// Returns once the connection has ended. Cancel safe.
    pub(super) async fn gone(&self) {
        // Nothing is ever sent: only the end of the sender ends the wait.
        while self.gone.clone().changed().await.is_ok() {}
    }

    /// Sends a command and waits for its answer; the pushes that came before it have been handled.
    ///
    /// # Errors
    /// [`Error::Command`] if it is one; after any other the connection cannot be used.
    pub(super) async fn ask(&self, command: &Command, what: &str) -> Result<Reply, Error> {
        let (answer, answered) = oneshot::channel();
        let packed = command.packed().get_packed_command();
        self.exchange(packed, Expected::Answer(answer), answered, what)
            .await?
            .whole()
    }

    /// Sends a command whose confirmations are pushes, and waits until they have been handled.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn confirm(&self, command: &Command, what: &str) -> Result<(), Error> {
        match self
            .with_hello(command.packed().get_packed_command(), what)
            .await?
        {
            (Some(failed), _) => failed.whole().map(drop),
            _ => Ok(()),
        }
    }

    /// Waits until all that the server has sent so far has been handled. Returns whether it is a master.
    ///
    /// # Errors
    /// If there is no answer.
    pub(super) async fn probe(&self) -> Result<bool, Error> {
        let (_, hello) = self.with_hello(Vec::new(), "HELLO").await?;
        let Reply::Map(pairs) = hello else { return Ok(true) };
        let role = |(name, value): &(Reply, Reply)| {
            *name == Reply::Bulk("role".into()) && *value != Reply::Bulk("master".into())
        };
        Ok(!pairs.iter().any(role))
    }

    async fn with_hello(&self, mut packed: Vec<u8>, what: &str) -> Result<(Option<Reply>, Reply), Error> {
        let (done, confirmed) = oneshot::channel();
        let hello = Command::new("HELLO").arg("3");
        hello.packed().write_packed_command(&mut packed);
        let expected = Expected::Confirmation { failed: None, done };
        self.exchange(packed, expected, confirmed, what).await
    }

    async fn exchange<T>(
        &self,
        packed: Vec<u8>,
        expected: Expected,
        answered: oneshot::Receiver<T>,
        what: &str,
    ) -> Result<T, Error> {
        let exchange = async {
            let mut writer = self.writer.lock().await;
            self.expected.lock().push_back(expected);
            let written = writer.write_all(&packed).await;
            drop(writer);
            written.map_err(|error| self.lost(&error.to_string()))?;
            if self.gone.has_changed().is_err() {
                // It may have ended before it could see that somebody waits.
                self.expected.lock().clear();
            }
            answered.await.map_err(|_| self.lost("the server closed it"))
        };
        match tokio::time::timeout(self.within, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                address: self.address.clone(),
                what: what.to_owned(),
                after: self.within,
            }),
        }
    }

    /// The error of a connection that has ended.
    pub(super) fn lost(&self, reason: &str) -> Error {
        Error::Disconnected {
            address: self.address.clone(),
            reason: reason.to_owned(),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Reads until the connection ends.
async fn drive(
    mut reader: Reader,
    expected: &Mutex<VecDeque<Expected>>,
    on_push: impl Fn(Push<'_>),
) -> std::io::Result<()> {
    loop {
        match reader.read().await? {
            Incoming::Push(items) => {
                if let Some(push) = push(&items) {
                    on_push(push);
                }
            }
            Incoming::Reply(reply) => {
                answer(&mut expected.lock(), reply).map_err(std::io::Error::other)?;
            }
        }
    }
}

/// Hands an answer to who has waited longest.
fn answer(expected: &mut VecDeque<Expected>, reply: Reply) -> Result<(), &'static str> {
    if let Some(Expected::Confirmation { failed, .. }) = expected.front_mut()
        && failed.is_none()
        && matches!(reply, Reply::Failed { .. })
    {
        *failed = Some(reply);
        return Ok(());
    }
    // Who does not wait any more has given the whole connection up.
    match expected.pop_front() {
        Some(Expected::Answer(answer)) => drop(answer.send(reply)),
        Some(Expected::Confirmation { failed, done }) => drop(done.send((failed, reply))),
        None => return Err("an answer to nothing"),
    }
    Ok(())
}

/// None for what we do not subscribe to.
fn push(items: &[Reply]) -> Option<Push<'_>> {
    let [Reply::Bulk(kind), Reply::Bulk(channel), last] = items else {
        return None;
    };
    // Channels are subscribed by text.
    let channel = std::str::from_utf8(channel).ok()?;
    match (&kind[..], last) {
        (b"message" | b"smessage", Reply::Bulk(payload)) => {
            // A copy: a message that waits for long must not keep all that was read with it.
            let payload = Bytes::copy_from_slice(payload);
            Some(Push::Message { channel, payload })
        }
        (b"subscribe" | b"ssubscribe", _) => Some(Push::Subscribed(channel)),
        (b"sunsubscribe", _) => Some(Push::Withdrawn(channel)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(text.into())
    }

    fn failed(code: &str) -> Reply {
        Reply::Failed {
            code: code.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn pushes_are_told_apart() {
        let read = |items: &[Reply]| format!("{:?}", push(items));
        assert_eq!(
            read(&[bulk("smessage"), bulk("c"), bulk("x")]),
            r#"Some(Message { channel: "c", payload: b"x" })"#
        );
        assert_eq!(
            read(&[bulk("sunsubscribe"), bulk("c"), Reply::Int(0)]),
            r#"Some(Withdrawn("c"))"#
        );
        for items in [
            &[bulk("unsubscribe"), bulk("c"), Reply::Int(0)][..],
            &[bulk("sunsubscribe"), Reply::Nil, Reply::Int(0)],
            &[bulk("invalidate"), Reply::Nil],
        ] {
            assert_eq!(push(items), None);
        }
    }

    #[test]
    fn an_error_before_the_end_is_that_of_the_command() {
        let mut expected = VecDeque::new();
        let (done, mut refused) = oneshot::channel();
        expected.push_back(Expected::Confirmation { failed: None, done });
        let (done, mut confirmed) = oneshot::channel();
        expected.push_back(Expected::Confirmation { failed: None, done });
        let (done, mut answered) = oneshot::channel();
        expected.push_back(Expected::Answer(done));
        for reply in [
            failed("MOVED"),
            bulk("hello"),
            bulk("hello again"),
            failed("NOSCRIPT"),
        ] {
            answer(&mut expected, reply).unwrap();
        }
        assert_eq!(refused.try_recv(), Ok((Some(failed("MOVED")), bulk("hello"))));
        assert_eq!(confirmed.try_recv(), Ok((None, bulk("hello again"))));
        assert_eq!(answered.try_recv(), Ok(failed("NOSCRIPT")));
        assert!(answer(&mut expected, bulk("one too many")).is_err());
    }
}
