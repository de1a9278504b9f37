//! One request between its first byte to the server and the server's ReadyForQuery.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::Error;
use crate::request::{CopyReply, Query};
use crate::rows::{Column, CommandTag, Rows, RowsBuilder};
use crate::statement::Statement;
use crate::{SqlState, TransactionStatus};

/// A request whose answer is arriving or will arrive, and what has arrived of it.
pub(crate) struct InFlight {
    pub(crate) kind: Kind,
    /// Whether nothing is sent behind it, and it is cancelled when nobody waits for it any more.
    pub(crate) alone: bool,
    /// Whether a text that is no prepared statement's names what outlives it in the session.
    names_state: bool,
    /// The statement whose rows arrive now.
    current: Option<RowsBuilder>,
    done: Vec<Rows>,
    error: Option<Error>,
}

pub(crate) enum Kind {
    Simple(oneshot::Sender<Result<Vec<Rows>, Error>>),
    Query(Box<RunningQuery>),
    Sync(oneshot::Sender<Result<(), Error>>),
    Copy(CopyReply),
    Unattended,
}

pub(crate) struct RunningQuery {
    pub(crate) query: Query,
    pub(crate) statement: Arc<Statement>,
    pub(crate) reply: oneshot::Sender<Result<Rows, Error>>,
    /// Whether this request prepares the statement, or uses one prepared by an earlier request.
    pub(crate) prepares: bool,
    /// Whether the server has confirmed the preparation that this request asked for.
    pub(crate) prepared: bool,
    /// Whether the server has begun to run the statement.
    pub(crate) bound: bool,
    /// Whether the server has refused an outdated statement before: it gets no third chance.
    pub(crate) repeated: bool,
}

impl RunningQuery {
    /// Whether `error` means nothing but that the server no longer wants a statement it has prepared: its
    /// columns have changed, or it was discarded. Before binding, nothing of the statement has happened.
    pub(crate) fn is_outdated(&self, error: &Error) -> bool {
        const OUTDATED: [SqlState; 2] = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_SQL_STATEMENT_NAME,
        ];
        !self.prepares && !self.bound && error.code().is_some_and(|code| OUTDATED.contains(&code))
    }

    /// Whether the request may be sent again after `error`.
    ///
    /// If the request that should have prepared the statement failed, those behind it try again however often:
    /// each round one of them prepares it, and gets an answer of its own.
    pub(crate) fn may_repeat(&self, error: &Error, status: TransactionStatus) -> bool {
        let first = !self.repeated || !self.statement.is_described();
        self.is_outdated(error) && first && status == TransactionStatus::Idle
    }
}

impl InFlight {
    pub(crate) fn new(kind: Kind, alone: bool, names_state: bool) -> Self {
        Self {
            kind,
            alone,
            names_state,
            current: None,
            done: Vec::new(),
            error: None,
        }
    }

    /// Whether something may outlive it in the session that no tag tells of.
    pub(crate) fn leaves_state(&self) -> bool {
        match &self.kind {
            Kind::Query(running) => running.statement.leaves_state,
            _ => self.names_state,
        }
    }

    /// Where the rows go; `None` if nobody wants them.
    pub(crate) fn rows(&mut self) -> Option<&mut RowsBuilder> {
        let abandoned = match &self.kind {
            Kind::Simple(reply) => reply.is_closed(),
            Kind::Query(running) => running.reply.is_closed(),
            Kind::Sync(_) | Kind::Copy(_) | Kind::Unattended => true,
        };
        if abandoned { None } else { self.current.as_mut() }
    }

    /// The server told the columns of the next rows, or of the prepared statement.
    pub(crate) fn describe(&mut self, columns: Option<Arc<[Column]>>) {
        match &mut self.kind {
            // Only a request that prepares asks for a description, and it asks once.
            Kind::Query(running) => drop(running.statement.columns.set(columns)),
            Kind::Simple(_) => self.current = Some(RowsBuilder::new(columns)),
            Kind::Sync(_) | Kind::Copy(_) | Kind::Unattended => {}
        }
    }

    /// Ready when nobody waits for the answer any more.
    pub(crate) fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Kind::Query(running) => running.reply.poll_closed(cx),
            Kind::Copy(reply) => reply.done.poll_closed(cx),
            Kind::Simple(_) | Kind::Sync(_) | Kind::Unattended => Poll::Pending,
        }
    }

    /// The server has begun with the copy.
    pub(crate) fn begin_copy(&mut self) {
        if let Kind::Copy(reply) = &mut self.kind
            && let Some(begun) = reply.begun.take()
        {
            let _ = begun.send(Ok(()));
        }
    }

    pub(crate) fn prepared(&mut self) {
        if let Kind::Query(running) = &mut self.kind {
            running.prepared = true;
        }
    }

    pub(crate) fn bound(&mut self) {
        if let Kind::Query(running) = &mut self.kind {
            running.bound = true;
            self.current = Some(RowsBuilder::new(running.statement.columns()));
        }
    }

    pub(crate) fn complete(&mut self, tag: CommandTag) {
        let rows = self.current.take().unwrap_or_else(|| RowsBuilder::new(None));
        self.done.push(rows.finish(tag));
    }

    /// Keeps the first error: what follows is its consequence.
    pub(crate) fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Hands the answer to the caller, who may be gone.
    pub(crate) fn finish(mut self) {
        match self.kind {
            Kind::Simple(reply) => {
                let _ = reply.send(self.error.map_or(Ok(self.done), Err));
            }
            Kind::Query(running) => {
                let rows = self
                    .done
                    .pop()
                    .unwrap_or_else(|| RowsBuilder::new(None).finish(CommandTag::default()));
                let _ = running.reply.send(self.error.map_or(Ok(rows), Err));
            }
            Kind::Sync(reply) => {
                let _ = reply.send(self.error.map_or(Ok(()), Err));
            }
            Kind::Copy(reply) => match self.error {
                Some(error) => reply.fail(error),
                None if reply.begun.is_some() => {
                    let text = "the statement has run, but it is no COPY of the kind that was asked for";
                    reply.fail(Error::InvalidInput(text.to_owned()));
                }
                None => {
                    let rows = self.done.pop().and_then(|rows| rows.tag().rows());
                    let _ = reply.done.send(Ok(rows.unwrap_or(0)));
                }
            },
            Kind::Unattended => {
                if let Some(error) = self.error {
                    tracing::debug!("a statement that nobody waits for failed: {error}");
                }
            }
        }
    }
}
