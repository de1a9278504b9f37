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

/// What a request does on one connection, in one transaction at a time.
pub(crate) struct Unit {
    services: Services,
    reactor: Arc<Reactor>,
    /// Whether an error undoes all of a root field; else it undoes what failed.
    atomic: bool,
    conversation: OnceCell<Arc<Conversation>>,
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
            begun: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// The connection, opened when it is first wanted.
    async fn open(&self) -> Result<&Arc<Conversation>, UnitError> {
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
        let query = TaskQuery {
            sql,
            params,
            begin: Some(BEGIN),
            within: (!self.atomic).then_some(SAVE),
        };
        self.begun.store(true, Ordering::Relaxed);
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
        self.begun.store(true, Ordering::Relaxed);
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
            conversation.query(TaskQuery::plain("ROLLBACK")).await?;
            return Ok(End::RolledBack(error.with("rolled_back", Value::Bool(true))));
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
        if let Some(conversation) = self.opened() {
            conversation.close();
        }
    }
}

/// How a transaction ended.
pub(crate) enum End {
    /// There was none.
    Nothing,
    Committed,
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
