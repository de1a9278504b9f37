//! A session used by threads: each drives its own exchange and blocks in between, detached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use puff_postgres::{Error, Step, wait_for_socket};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::conversation::{Conversation, Exchange, Given, Pending, Turn, closed};
use super::error::exception;

/// How soon a thread that waits notices Ctrl-C; Python's signal handlers run only while attached.
const TICK: Duration = Duration::from_millis(50);

impl Conversation {
    /// Runs the first step of an exchange on this thread, which blocks, detached, until it is its turn and
    /// the server has answered; `TimeoutError` if that is not before `until`.
    pub(super) fn run(
        self: &Arc<Self>,
        py: Python<'_>,
        exchange: &Exchange,
        until: Option<Instant>,
    ) -> PyResult<Given> {
        let ticket = self.take_turn(py, until)?;
        {
            let mut state = self.state.lock();
            let started = state
                .connection()
                .and_then(|connection| connection.start(&exchange.sql, exchange.begin.as_deref()));
            if let Err(error) = started {
                self.pass_on(&mut state);
                drop(state);
                return Err(exception(py, &error));
            }
        }
        self.drive(py, ticket, until)
    }

    /// Runs the next step of the copy that this thread holds; likewise.
    pub(super) fn run_on(self: &Arc<Self>, py: Python<'_>, until: Option<Instant>) -> PyResult<Given> {
        let held = {
            let mut state = self.state.lock();
            match (state.connection().map(drop), &state.turn) {
                (Err(error), _) => Err(error),
                (Ok(()), Turn::Thread(ticket)) => Ok(*ticket),
                (Ok(()), _) => Err(Error::InvalidInput("there is no copy to go on with".to_owned())),
            }
        };
        match held {
            Ok(ticket) => self.drive(py, ticket, until),
            Err(error) => Err(exception(py, &error)),
        }
    }

    fn take_turn(self: &Arc<Self>, py: Python<'_>, until: Option<Instant>) -> PyResult<u64> {
        let mut state = self.state.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        if state.is_free() {
            state.turn = Turn::Thread(ticket);
            return Ok(ticket);
        }
        state.waiting.push_back(Pending::Thread(ticket));
        drop(state);
        loop {
            let mine = py.detach(|| {
                let mut state = self.state.lock();
                if !state.is_turn_of(ticket) {
                    self.turns.wait_for(&mut state, tick(until));
                }
                state.is_turn_of(ticket)
            });
            if mine {
                return Ok(ticket);
            }
            if let Err(signal) = look_up(py, until) {
                let mut state = self.state.lock();
                state
                    .waiting
                    .retain(|pending| !matches!(pending, Pending::Thread(other) if *other == ticket));
                if state.is_turn_of(ticket) {
                    self.pass_on(&mut state);
                }
                return Err(signal);
            }
        }
    }

    fn drive(self: &Arc<Self>, py: Python<'_>, ticket: u64, until: Option<Instant>) -> PyResult<Given> {
        loop {
            match py.detach(|| self.drive_detached(ticket, until)) {
                Some(given) => return given.map_err(|error| exception(py, &error)),
                None => {
                    if let Err(signal) = look_up(py, until) {
                        let mut state = self.state.lock();
                        if state.is_turn_of(ticket) {
                            self.give_up(&mut state);
                        }
                        return Err(signal);
                    }
                }
            }
        }
    }

    /// `None` when it is time to look at signals and the clock.
    fn drive_detached(self: &Arc<Self>, ticket: u64, until: Option<Instant>) -> Option<Result<Given, Error>> {
        loop {
            let mut state = self.state.lock();
            if !state.is_turn_of(ticket) {
                // Somebody has closed the session.
                return Some(Err(closed()));
            }
            let step = match state.connection() {
                Ok(connection) => connection.advance(),
                Err(error) => Step::Done(Err(error)),
            };
            let write = match step {
                Step::Wait { write } => write,
                Step::CopyOut(data) => return Some(Ok(Given::Data(data))),
                Step::CopyIn => return Some(Ok(Given::Wanted)),
                Step::Done(answer) => {
                    self.pass_on(&mut state);
                    return Some(answer.map(Given::Answer));
                }
            };
            drop(state);
            match wait_for_socket(self.socket(), write, tick(until)) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // The next in line shall not wait for a thread that has gone.
                    let mut state = self.state.lock();
                    if state.is_turn_of(ticket) {
                        self.give_up(&mut state);
                    }
                    return Some(Err(error));
                }
            }
        }
    }
}

/// How long a thread may sleep before it looks at signals and the clock.
fn tick(until: Option<Instant>) -> Duration {
    until.map_or(TICK, |until| {
        TICK.min(until.saturating_duration_since(Instant::now()))
    })
}

/// What ends a thread's wait early: a signal's exception, or the time.
fn look_up(py: Python<'_>, until: Option<Instant>) -> PyResult<()> {
    py.check_signals()?;
    match until {
        Some(until) if Instant::now() >= until => Err(PyTimeoutError::new_err("the time is over")),
        _ => Ok(()),
    }
}
