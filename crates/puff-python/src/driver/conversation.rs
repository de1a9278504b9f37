//! One session and everyone who wants something of it: greenlets, threads, tasks, one after the other.
//!
//! An exchange is driven by who waits for it: a thread drives its own and blocks in between, detached; for a
//! greenlet the hub does, when its poller says that the socket has news. Exchanges queue in order.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use puff_postgres::{CancelToken, DirectConnection, Error, Rows, Step};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::sync::Notify;

use super::Answer;
use super::error::exception;
use super::owned::Owned;
use super::task::{Asked, TaskQuery};
use crate::poller::Source;
use crate::reactor::Reactor;
use crate::waiter::Waiter;

/// How many milliseconds are waited, each time, before the server is asked again to stop a statement.
const CANCEL_PAUSES: [u64; 8] = [50, 100, 200, 400, 800, 1600, 3200, 6400];

/// A session, shared by whoever uses the connection object.
pub(crate) struct Conversation {
    pub(super) state: Mutex<State>,
    /// Told when it is a thread's turn.
    pub(super) turns: Condvar,
    /// The socket once more, to wait for it without the lock.
    socket: OwnedFd,
    cancel: CancelToken,
    /// Told when an exchange that nobody wants is over.
    settled: Notify,
    reactor: Arc<Reactor>,
}

pub(super) struct State {
    /// `None` once it is closed from this side.
    connection: Option<Owned>,
    /// Closed while a cancel request was on its way; goes after that, or it might hit the pool's next user.
    parting: Option<Owned>,
    pub(super) turn: Turn,
    pub(super) waiting: VecDeque<Pending>,
    pub(super) last_ticket: u64,
    /// The poller's token, once a greenlet has used the session.
    token: Option<u64>,
    /// Whether the poller watches for room to write.
    writing: bool,
    /// A cancel request is on its way: it must not hit the next statement.
    cancelling: bool,
}

/// Whose exchange is under way.
pub(super) enum Turn {
    Free,
    /// The thread with this ticket drives it, or is about to.
    Thread(u64),
    /// A greenlet waits for its next step.
    Greenlet(Py<Waiter>),
    /// A task on Tokio waits for its answer.
    Task(Asked),
    /// A greenlet holds a copy and has yet to ask for the next step. With the address of the waiter that got
    /// it: not every greenlet that gives up is this one.
    Held(usize),
    /// Nobody wants the answer; the hub reads it to its end.
    Abandoned,
}

/// Who waits for a turn.
pub(super) enum Pending {
    Thread(u64),
    Greenlet(Exchange, Py<Waiter>),
    Task(TaskQuery, Asked),
}

/// A statement to run, and what opens the transaction for it if none is open.
pub(super) struct Exchange {
    pub(super) sql: Vec<u8>,
    pub(super) begin: Option<String>,
}

/// What a step of an exchange gives to Python.
pub(super) enum Given {
    /// The answer: the exchange is over.
    Answer(Rows),
    /// Data of a copy out.
    Data(Bytes),
    /// A copy in asks for data.
    Wanted,
}

impl Given {
    pub(super) fn into_object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Answer(rows) => Answer::new(rows).into_py_any(py),
            Self::Data(data) => PyBytes::new(py, &data).into_py_any(py),
            Self::Wanted => Ok(py.None()),
        }
    }
}

impl Conversation {
    pub(super) fn new(connection: Owned, reactor: Arc<Reactor>) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            socket: connection.duplicate_socket()?,
            cancel: connection.cancel_token(),
            reactor,
            turns: Condvar::new(),
            settled: Notify::new(),
            state: Mutex::new(State {
                connection: Some(connection),
                parting: None,
                turn: Turn::Free,
                waiting: VecDeque::new(),
                last_ticket: 0,
                token: None,
                writing: false,
                cancelling: false,
            }),
        }))
    }

    /// Looks at the session or changes what is not an exchange; `None` if it is closed.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut DirectConnection) -> T) -> Option<T> {
        self.state.lock().connection.as_deref_mut().map(look)
    }

    /// Whether somebody's exchange is under way.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.state.lock().turn, Turn::Free)
    }

    /// What stops the statements of the session.
    pub(super) fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    // ------------------------------------------------------------ for greenlets

    /// Starts an exchange, or puts it into the line; `waiter` gets its first step.
    pub(super) fn start(
        self: &Arc<Self>,
        sql: &[u8],
        begin: Option<&str>,
        waiter: Py<Waiter>,
    ) -> Result<(), Error> {
        let mut state = self.state.lock();
        if !state.is_free() {
            let exchange = Exchange {
                sql: sql.to_vec(),
                begin: begin.map(str::to_owned),
            };
            state.waiting.push_back(Pending::Greenlet(exchange, waiter));
            return Ok(());
        }
        self.watch(&mut state)?;
        state.connection()?.start(sql, begin)?;
        self.set_turn(&mut state, Turn::Greenlet(waiter));
        self.step(&mut state);
        Ok(())
    }

    /// Asks for the next step of the copy that the calling greenlet holds.
    pub(super) fn resume(self: &Arc<Self>, waiter: Py<Waiter>) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.connection()?;
        if !matches!(state.turn, Turn::Held(_)) {
            return Err(Error::InvalidInput("there is no copy to go on with".to_owned()));
        }
        self.set_turn(&mut state, Turn::Greenlet(waiter));
        self.step(&mut state);
        Ok(())
    }

    /// The greenlet behind `waiter` gave up: its exchange is taken out of the line, or cancelled.
    pub(super) fn abandon(self: &Arc<Self>, waiter: &Py<Waiter>) {
        let mut state = self.state.lock();
        let is_it = |other: &Py<Waiter>| other.as_ptr() == waiter.as_ptr();
        let before = state.waiting.len();
        state
            .waiting
            .retain(|pending| !matches!(pending, Pending::Greenlet(_, other) if is_it(other)));
        let running = match &state.turn {
            Turn::Greenlet(other) => is_it(other),
            Turn::Held(holder) => *holder == waiter.as_ptr() as usize,
            Turn::Free | Turn::Thread(_) | Turn::Task(_) | Turn::Abandoned => false,
        };
        if running && before == state.waiting.len() {
            self.give_up(&mut state);
        }
    }

    /// The greenlet or thread that holds a copy gave up.
    pub(super) fn abandon_held(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if matches!(state.turn, Turn::Held(_) | Turn::Thread(_)) {
            self.give_up(&mut state);
        }
    }

    // ------------------------------------------------------------ the end

    /// Ends the session. Whoever waits for it gets an error; a statement that runs is cancelled.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let Some(connection) = state.connection.take() else {
            return;
        };
        if state.cancelling {
            state.parting = Some(connection);
        } else {
            self.end(connection);
        }
        if let Some(token) = state.token.take() {
            self.reactor.poller().forget(&self.socket, token);
        }
        if let Turn::Greenlet(waiter) = self.set_turn(&mut state, Turn::Free) {
            fail(waiter, closed());
        }
        self.pass_on(&mut state);
    }

    /// Gives the session back or ends it; the server is told to stop what still runs.
    fn end(&self, connection: Owned) {
        match connection {
            Owned::Pooled(session) => drop(session),
            Owned::Own(connection) if connection.is_busy() => {
                let tokio = self.reactor.tokio();
                puff_core::task::spawn(tokio, "postgres session end", connection.wind_up());
            }
            Owned::Own(connection) => connection.close(),
        }
    }

    // ------------------------------------------------------------ inside

    /// Says whose turn it is; whose it was. The poller learns whether an answer is awaited through it.
    pub(super) fn set_turn(&self, state: &mut State, turn: Turn) -> Turn {
        let awaits = |turn: &Turn| matches!(turn, Turn::Greenlet(_) | Turn::Task(_) | Turn::Abandoned);
        match (awaits(&state.turn), awaits(&turn)) {
            (false, true) => self.reactor.poller().expect(),
            (true, false) => self.reactor.poller().expect_no_more(),
            _ => {}
        }
        std::mem::replace(&mut state.turn, turn)
    }

    pub(super) fn watch(self: &Arc<Self>, state: &mut State) -> Result<(), Error> {
        if state.token.is_none() {
            let source: Weak<dyn Source> = Arc::<Self>::downgrade(self);
            state.token = Some(self.reactor.poller().watch(&self.socket, source)?);
        }
        Ok(())
    }

    /// Drives the exchange of a greenlet, or one that nobody wants, as far as the socket allows.
    pub(super) fn step(self: &Arc<Self>, state: &mut State) {
        let Some(connection) = &mut state.connection else {
            return;
        };
        let given = match connection.advance() {
            Step::Wait { write } => {
                // Asked anew each time, for room that is there already is no news to the poller.
                if (write || state.writing)
                    && let Some(token) = state.token
                {
                    match self.reactor.poller().watch_writing(&self.socket, token, write) {
                        Ok(()) => state.writing = write,
                        Err(error) => tracing::error!("the hub cannot watch a session: {error}"),
                    }
                }
                return;
            }
            Step::CopyOut(data) => Ok(Given::Data(data)),
            Step::CopyIn => Ok(Given::Wanted),
            Step::Done(answer) => {
                match self.set_turn(state, Turn::Free) {
                    Turn::Greenlet(waiter) => give(waiter, answer.map(Given::Answer)),
                    Turn::Task(asked) => asked.answer(answer),
                    Turn::Abandoned => self.settled.notify_one(),
                    _ => {}
                }
                return self.pass_on(state);
            }
        };
        if matches!(state.turn, Turn::Task(_)) {
            if let Turn::Task(asked) = self.set_turn(state, Turn::Abandoned) {
                asked.refuse_copy();
            }
            return self.give_up(state);
        }
        let holder = match &state.turn {
            Turn::Greenlet(waiter) => waiter.as_ptr() as usize,
            _ => 0,
        };
        if let Turn::Greenlet(waiter) = self.set_turn(state, Turn::Held(holder)) {
            give(waiter, given);
        }
    }

    /// Nobody wants the answer of what runs: the server is asked to stop, and the hub reads the rest.
    pub(super) fn give_up(self: &Arc<Self>, state: &mut State) {
        let watched = self.watch(state);
        let Some(connection) = &mut state.connection else {
            return;
        };
        if let Err(error) = watched {
            // Without the hub's eyes on it the rest is never read: the session is of no use any more.
            tracing::error!("a session is closed because the hub cannot watch it: {error}");
            if let Some(connection) = state.connection.take() {
                self.end(connection);
            }
            return self.pass_on(state);
        }
        connection.abandon();
        self.set_turn(state, Turn::Abandoned);
        state.cancelling = true;
        puff_core::task::spawn(
            self.reactor.tokio(),
            "postgres cancel",
            self.clone().have_it_stopped(),
        );
        self.step(state);
    }

    /// Asks the server to stop the exchange that nobody wants; repeatedly, for a request that comes before the
    /// statement has begun is lost on it.
    async fn have_it_stopped(self: Arc<Self>) {
        for pause in CANCEL_PAUSES {
            if let Err(error) = self.cancel.cancel().await {
                tracing::debug!("a statement that nobody waits for could not be cancelled: {error}");
                break;
            }
            if self.is_stopped() {
                break;
            }
            // Late or early does not matter: it is looked again.
            let _ = tokio::time::timeout(Duration::from_millis(pause), self.settled.notified()).await;
            if self.is_stopped() {
                break;
            }
        }
        let mut state = self.state.lock();
        state.cancelling = false;
        if let Some(connection) = state.parting.take() {
            self.end(connection);
        }
        if matches!(state.turn, Turn::Free) {
            self.pass_on(&mut state);
        }
    }

    /// Whether no exchange that nobody wants is under way here; one of a closed session is ended elsewhere.
    fn is_stopped(&self) -> bool {
        let state = self.state.lock();
        state.parting.is_some() || !matches!(state.turn, Turn::Abandoned)
    }

    /// Lets the next in line have the session.
    pub(super) fn pass_on(self: &Arc<Self>, state: &mut State) {
        self.set_turn(state, Turn::Free);
        while !state.cancelling
            && matches!(state.turn, Turn::Free)
            && let Some(pending) = state.waiting.pop_front()
        {
            match pending {
                Pending::Thread(ticket) => {
                    state.turn = Turn::Thread(ticket);
                    self.turns.notify_all();
                }
                Pending::Greenlet(_, waiter) if waiter.get().is_finished() => {}
                Pending::Greenlet(exchange, waiter) => {
                    let started = self.watch(state).and_then(|()| {
                        state
                            .connection()?
                            .start(&exchange.sql, exchange.begin.as_deref())
                    });
                    match started {
                        Ok(()) => {
                            self.set_turn(state, Turn::Greenlet(waiter));
                            self.step(state);
                        }
                        Err(error) => fail(waiter, error),
                    }
                }
                Pending::Task(_, asked) if asked.is_abandoned() => {}
                Pending::Task(query, asked) => self.start_asked(state, &query, asked),
            }
        }
    }
}

impl State {
    pub(super) fn connection(&mut self) -> Result<&mut DirectConnection, Error> {
        self.connection.as_deref_mut().ok_or_else(closed)
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.turn, Turn::Free) && !self.cancelling && self.waiting.is_empty()
    }

    pub(super) fn is_turn_of(&self, ticket: u64) -> bool {
        matches!(self.turn, Turn::Thread(other) if other == ticket)
    }
}

impl Source for Conversation {
    fn ready(self: Arc<Self>) {
        let mut state = self.state.lock();
        // A thread reads for itself; what comes unasked is read with the next exchange.
        if matches!(state.turn, Turn::Greenlet(_) | Turn::Task(_) | Turn::Abandoned) {
            self.step(&mut state);
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let (token, connection) = (state.token.take(), state.connection.take());
        if matches!(state.turn, Turn::Greenlet(_) | Turn::Task(_) | Turn::Abandoned) {
            self.reactor.poller().expect_no_more();
        }
        if let Some(token) = token {
            self.reactor.poller().forget(&self.socket, token);
        }
        if let Some(connection) = connection {
            self.end(connection);
        }
    }
}

pub(super) fn closed() -> Error {
    Error::Closed {
        reason: "it was closed here".to_owned(),
    }
}

fn give(waiter: Py<Waiter>, given: Result<Given, Error>) {
    Waiter::complete(
        waiter,
        Box::new(move |py| match given {
            Ok(given) => given.into_object(py),
            Err(error) => Err(exception(py, &error)),
        }),
    );
}

fn fail(waiter: Py<Waiter>, error: Error) {
    give(waiter, Err(error));
}
