//! One request's own connection: who may use it when, and where its transactions begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use puff_graphql::{FieldError, Value};
use puff_postgres::{Error, Param, Rows, TransactionStatus};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::driver::{Conversation, TaskQuery};
use crate::reactor::Reactor;
use crate::services::{ServiceError, Services};

const BEGIN: &str = "BEGIN";
const SAVE: &str = "SAVEPOINT puff";
const BACK: &str = "ROLLBACK TO SAVEPOINT puff";
/// Where an atomic part begins in a transaction that somebody else has.
const SAVE_PART: &str = "SAVEPOINT puff_part";
const BACK_TO_PART: &str = "ROLLBACK TO SAVEPOINT puff_part";

/// The connection of who asks in process, for the request to use in the place of one of its own.
#[derive(Clone)]
pub(crate) enum Callers {
    /// A session, and whether a transaction is open on it, which the caller ends.
    Session {
        conversation: Arc<Conversation>,
        in_transaction: bool,
    },
    /// There is none to be had, and the request must not have another: why.
    Refused(Arc<str>),
}

/// What a request does on one connection, in one transaction at a time.
pub(crate) struct Unit {
    services: Services,
    reactor: Arc<Reactor>,
    /// Whether an error undoes all of a root field; else it undoes what failed.
    atomic: bool,
    conversation: OnceCell<Arc<Conversation>>,
    /// Whose the connection is, if it is not the request's.
    callers: Option<Callers>,
    /// Something has been done that is to be committed.
    begun: AtomicBool,
    /// One statement, or one resolver that borrows the connection.
    turn: Mutex<()>,
}

/// Why a statement of a unit has no rows.
pub(crate) enum UnitError {
    Service(ServiceError),
    Sql(Error),
}

impl From<Error> for UnitError {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

/// A resolver works with the connection, and nobody else.
pub(crate) struct Loan<'u> {
    conversation: Arc<Conversation>,
    /// Whether the transaction was there before.
    within: bool,
    _turn: MutexGuard<'u, ()>,
}

impl Unit {
    pub(crate) fn new(services: Services, reactor: Arc<Reactor>, atomic: bool) -> Unit {
        Unit {
            services,
            reactor,
            atomic,
            conversation: OnceCell::new(),
            callers: None,
            begun: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// The same on the connection of the caller.
    pub(crate) fn on(self, callers: Callers) -> Unit {
        let conversation = match &callers {
            Callers::Session { conversation, .. } => OnceCell::new_with(Some(conversation.clone())),
            Callers::Refused(_) => OnceCell::new(),
        };
        Unit {
            conversation,
            callers: Some(callers),
            ..self
        }
    }

    /// Whether the connection is the caller's: then all that the request does is done on it.
    pub(crate) fn is_callers(&self) -> bool {
        matches!(self.callers, Some(Callers::Session { .. }))
    }

    /// Whether the transaction is the caller's.
    fn is_within(&self) -> bool {
        matches!(
            self.callers,
            Some(Callers::Session {
                in_transaction: true,
                ..
            })
        )
    }

    /// The connection, opened when it is first wanted.
    async fn open(&self) -> Result<&Arc<Conversation>, UnitError> {
        if let Some(Callers::Refused(reason)) = &self.callers {
            return Err(UnitError::Service(ServiceError::Unavailable {
                service: "PostgreSQL",
                reason: reason.to_string(),
            }));
        }
        let open = async || {
            let sessions = self.services.sessions().await.map_err(UnitError::Service)?;
            Ok(Conversation::lease(&sessions, self.reactor.clone()).await?)
        };
        self.conversation.get_or_try_init(open).await
    }

    /// The connection, if it is open.
    pub(crate) fn opened(&self) -> Option<&Arc<Conversation>> {
        self.conversation.get()
    }

    /// Runs a statement of the engine's.
    pub(crate) async fn query(&self, sql: Arc<str>, params: Vec<Param>) -> Result<Rows, UnitError> {
        let _turn = self.turn.lock().await;
        let conversation = self.open().await?;
        let within = conversation.status() == Some(TransactionStatus::InTransaction);
        let begun = self.begun.swap(true, Ordering::Relaxed);
        let query = TaskQuery {
            sql,
            params,
            begin: Some(BEGIN),
            within: match self.atomic {
                false => Some(SAVE),
                true => (self.is_within() && !begun).then_some(SAVE_PART),
            },
        };
        let answer = conversation.query(query).await;
        if answer.is_err() && !self.atomic {
            undo(conversation, within).await;
        }
        Ok(answer?)
    }

    /// Lends the connection, as soon as nobody else works with it.
    pub(crate) async fn lend(&self) -> Result<Loan<'_>, UnitError> {
        let turn = self.turn.lock().await;
        let conversation = self.open().await?;
        let within = conversation.status() != Some(TransactionStatus::Idle);
        let begun = self.begun.swap(true, Ordering::Relaxed);
        if self.atomic && self.is_within() && !begun {
            conversation.query(TaskQuery::plain(SAVE_PART)).await?;
        }
        conversation
            .query(TaskQuery::plain(if within { SAVE } else { BEGIN }))
            .await?;
        Ok(Loan {
            conversation: conversation.clone(),
            within,
            _turn: turn,
        })
    }

    /// Ends the transaction, if one is open: with a commit, or after an error of an atomic part without.
    pub(crate) async fn end(&self, failed: Option<FieldError>) -> Result<End, UnitError> {
        let _turn = self.turn.lock().await;
        let Some(conversation) = self.opened() else {
            return Ok(End::Nothing);
        };
        if !self.begun.swap(false, Ordering::Relaxed) {
            return Ok(End::Nothing);
        }
        if let Some(error) = conversation.lost() {
            return Err(error.into());
        }
        if conversation.status() == Some(TransactionStatus::Idle) {
            return Ok(End::Nothing);
        }
        if let Some(error) = failed.filter(|_| self.atomic) {
            let undo = if self.is_within() {
                BACK_TO_PART
            } else {
                "ROLLBACK"
            };
            conversation.query(TaskQuery::plain(undo)).await?;
            return Ok(End::RolledBack(error.with("rolled_back", Value::Bool(true))));
        }
        if self.is_within() {
            return Ok(End::Kept);
        }
        let done = conversation.query(TaskQuery::plain("COMMIT")).await?;
        match done.tag().as_str() {
            // A transaction with an error in it: nothing of it has happened.
            "ROLLBACK" => Err(Error::RolledBack.into()),
            _ => Ok(End::Committed),
        }
    }

    /// Gives the connection back; what is not committed is rolled back, what runs is cancelled.
    pub(crate) fn close(&self) {
        let Some(conversation) = self.opened() else { return };
        if self.callers.is_none() {
            conversation.close();
        } else if !self.is_within() && self.begun.load(Ordering::Relaxed) {
            // Given up in the middle, on a connection that somebody goes on to use.
            let conversation = conversation.clone();
            self.reactor.tokio().spawn(async move {
                undo(&conversation, false).await;
            });
        }
    }
}

/// How a transaction ended.
pub(crate) enum End {
    /// There was none.
    Nothing,
    Committed,
    /// It goes on: it is the caller's.
    Kept,
    RolledBack(FieldError),
}

impl Loan<'_> {
    /// The resolver is done. Without success all that it did is undone; whether a statement of it had failed
    /// although it says nothing of it.
    pub(crate) async fn end(self, success: bool) -> bool {
        let failed = self.conversation.status() == Some(TransactionStatus::Failed);
        if failed || !success {
            undo(&self.conversation, self.within).await;
        }
        failed && success
    }
}

/// Undoes what was done since the savepoint, or since the transaction began.
async fn undo(conversation: &Arc<Conversation>, within: bool) {
    if conversation.status() == Some(TransactionStatus::Idle) {
        return;
    }
    let undone = conversation
        .query(TaskQuery::plain(if within { BACK } else { "ROLLBACK" }))
        .await;
    if let Err(error) = undone {
        // The connection is lost, and with it all that was done: what follows says so.
        tracing::debug!("a statement could not be undone: {error}");
    }
}
