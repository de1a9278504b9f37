//! A session used by tasks on Tokio: the hub reads the answers, as it does for greenlets.
//!
//! This is how GraphQL's statements and a resolver's own share one session, and so one transaction.

use std::sync::Arc;

use puff_postgres::{Error, Param, Rows, SessionPool, TransactionStatus};
use tokio::sync::oneshot;

use super::conversation::{Conversation, Pending, State, Turn, closed};
use crate::reactor::Reactor;

/// A statement of a task.
pub(crate) struct TaskQuery {
    pub(crate) sql: Arc<str>,
    pub(crate) params: Vec<Param>,
    /// Runs ahead where no transaction is open.
    pub(crate) begin: Option<&'static str>,
    /// Runs ahead where one is.
    pub(crate) within: Option<&'static str>,
}

impl TaskQuery {
    /// A statement alone.
    pub(crate) fn plain(sql: &str) -> TaskQuery {
        TaskQuery {
            sql: sql.into(),
            params: Vec::new(),
            begin: None,
            within: None,
        }
    }
}

/// Who waits for the answer, and the number by which it gives up.
pub(super) struct Asked {
    ticket: u64,
    sender: oneshot::Sender<Result<Rows, Error>>,
}

impl Asked {
    pub(super) fn answer(self, answer: Result<Rows, Error>) {
        // Nobody may wait any more.
        let _ = self.sender.send(answer);
    }

    pub(super) fn refuse_copy(self) {
        let text = "COPY with the client is not for GraphQL".to_owned();
        self.answer(Err(Error::Unsupported(text)));
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Conversation {
    /// Takes a session of a pool.
    ///
    /// # Errors
    /// As [`SessionPool::get`].
    pub(crate) async fn lease(pool: &SessionPool, reactor: Arc<Reactor>) -> Result<Arc<Self>, Error> {
        Self::new(pool.get().await?.into(), reactor)
    }

    /// Runs a statement, after those that were there before it. Dropping the future has the server stop it.
    ///
    /// # Errors
    /// What the server says, or the loss of the session.
    pub(crate) async fn query(self: &Arc<Self>, query: TaskQuery) -> Result<Rows, Error> {
        let (sender, receiver) = oneshot::channel();
        let ticket = self.ask(query, sender);
        let waits = Waits {
            conversation: self,
            ticket,
        };
        let answer = receiver.await.unwrap_or_else(|_| Err(closed()));
        std::mem::forget(waits);
        answer
    }

    /// The transaction's state after the last answer.
    pub(crate) fn status(&self) -> Option<TransactionStatus> {
        self.with(|session| session.transaction_status())
    }

    /// Why nothing can be sent any more, if that is so.
    pub(crate) fn lost(&self) -> Option<Error> {
        let lost = self.with(|session| session.closed().cloned());
        lost.unwrap_or_else(|| Some(closed()))
    }

    fn ask(self: &Arc<Self>, query: TaskQuery, sender: oneshot::Sender<Result<Rows, Error>>) -> u64 {
        let mut state = self.state.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let asked = Asked { ticket, sender };
        match state.is_free() {
            true => self.start_asked(&mut state, &query, asked),
            false => state.waiting.push_back(Pending::Task(query, asked)),
        }
        ticket
    }

    pub(super) fn start_asked(self: &Arc<Self>, state: &mut State, query: &TaskQuery, asked: Asked) {
        let started = self.watch(state).and_then(|()| {
            let connection = state.connection()?;
            let ahead = match connection.transaction_status() {
                TransactionStatus::Idle => query.begin,
                TransactionStatus::InTransaction => query.within,
                TransactionStatus::Failed => None,
            };
            connection.start_query(&query.sql, &query.params, ahead)
        });
        match started {
            Ok(()) => {
                self.set_turn(state, Turn::Task(asked));
                self.step(state);
            }
            Err(error) => asked.answer(Err(error)),
        }
    }

    fn abandon_asked(self: &Arc<Self>, ticket: u64) {
        let mut state = self.state.lock();
        let is_it = |asked: &Asked| asked.ticket == ticket;
        state
            .waiting
            .retain(|pending| !matches!(pending, Pending::Task(_, asked) if is_it(asked)));
        if matches!(&state.turn, Turn::Task(asked) if is_it(asked)) {
            self.give_up(&mut state);
        }
    }
}

/// A task that waits; dropped, it has given up.
struct Waits<'c> {
    conversation: &'c Arc<Conversation>,
    ticket: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.conversation.abandon_asked(self.ticket);
    }
}
