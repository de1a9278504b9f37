//! A bounded number of connections, handed out in turn.
//!
//! The pool's safety rests on what the server says, not on what callers promise: a connection goes back only
//! if every answer has been read and the last one said that no transaction is open. Whatever else comes back
//! is cleaned first, or closed.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::TransactionStatus;
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use place::Place;
use state::{Idle, Member, State, Waiter};

mod place;
mod pool_config;
mod pooled_connection;
mod state;
mod status;

pub use pool_config::{PoolConfig, Reset};
pub use pooled_connection::PooledConnection;
pub use status::PoolStatus;

/// How long a check of a connection that has idled may take.
const CHECK_LIMIT: Duration = Duration::from_secs(2);
/// How long cleaning a returned connection may take before it is closed instead.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

/// A pool of connections to one database. Clones are cheap and share the connections.
///
/// Waiters are served first come, first served; of the idle connections the one used last goes first, so
/// that those not needed grow old and leave. Connections that the server or the network has ended are
/// dropped unseen, and the next [`get`](Self::get) opens new ones.
///
/// **Cancel safety.** Dropping the future of [`get`](Self::get) gives up the place in the line; a connection
/// that was being opened for it goes to the next in line or becomes idle.
///
/// ```no_run
/// # async fn example() -> Result<(), puff_postgres::Error> {
/// use puff_postgres::{Pool, PoolConfig};
///
/// let pool = Pool::new("postgres://ada@localhost/shop".parse()?, PoolConfig::default());
/// let rows = pool.get().await?.query("SELECT count(*) FROM users", &[]).await?;
/// assert_eq!(rows.text(0, 0), Some("42"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    server: Arc<Config>,
    config: PoolConfig,
    state: Mutex<State>,
    /// Told when the last connection of a closed pool is gone.
    drained: Notify,
}

impl Pool {
    /// A pool that opens its first connection when it is first asked for one.
    pub fn new(server: Config, config: PoolConfig) -> Self {
        let (server, state, drained) = (Arc::new(server), Mutex::default(), Notify::new());
        Self(Arc::new(Inner {
            server,
            config,
            state,
            drained,
        }))
    }

    /// Which server and database the connections go to.
    pub fn server(&self) -> &Config {
        &self.0.server
    }

    /// A connection, idle or new, as soon as it is this caller's turn. Must run on a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::PoolTimeout`] if none becomes free within the pool's `acquire_timeout`, with the state of the
    /// pool; [`Error::PoolClosed`]; or why no connection could be opened.
    pub async fn get(&self) -> Result<PooledConnection, Error> {
        let limit = self.0.config.acquire_timeout;
        let deadline = Instant::now() + limit;
        let late = || Error::PoolTimeout {
            waited: limit,
            status: self.status(),
        };
        loop {
            let (connection, idle_for) = match self.0.take_or_wait()? {
                Turn::Now(connection, idle_for) => (connection, idle_for),
                Turn::Wait(turn) => match timeout_at(deadline, turn).await {
                    // A sender is dropped without a word only together with the whole runtime.
                    Ok(turn) => (turn.map_err(|_| Error::PoolClosed)??, Duration::ZERO),
                    Err(_) => return Err(late()),
                },
            };
            if idle_for < self.0.config.check_after_idle {
                return Ok(connection);
            }
            let check = (Instant::now() + CHECK_LIMIT).min(deadline);
            match timeout_at(check, connection.sync()).await {
                Ok(Ok(())) => return Ok(connection),
                // A firewall may have forgotten the connection: the next one may be better.
                _ => connection.discard(),
            }
            if Instant::now() >= deadline {
                return Err(late());
            }
        }
    }

    /// What the pool is doing now.
    pub fn status(&self) -> PoolStatus {
        let mut state = self.0.state.lock();
        state.forget_leavers();
        let (idle, connecting) = (state.idle.len(), state.connecting);
        PoolStatus {
            max_size: self.0.max_size(),
            size: state.size,
            idle,
            in_use: state.size - idle - connecting,
            connecting,
            waiting: state.waiters.len(),
        }
    }

    /// Ends the pool: waiters and later callers get [`Error::PoolClosed`], idle connections are closed at once
    /// and others when they come back. Waits for that as long as a caller would wait for a connection.
    pub async fn close(&self) {
        let idle = {
            let mut state = self.0.state.lock();
            state.closed = true;
            for waiter in state.waiters.drain(..) {
                let _ = waiter.sender.send(Err(Error::PoolClosed));
            }
            std::mem::take(&mut state.idle)
        };
        idle.into_iter().for_each(|idle| self.0.retire(idle.member));
        let all_gone = async {
            loop {
                let mut drained = pin!(self.0.drained.notified());
                // Listen before looking, or the last one may leave in between.
                drained.as_mut().enable();
                if self.0.state.lock().size == 0 {
                    return;
                }
                drained.await;
            }
        };
        if timeout(self.0.config.acquire_timeout, all_gone).await.is_err() {
            tracing::warn!(
                "the pool to {} was closed with {}",
                self.0.server.address(),
                self.status()
            );
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}: {})", self.0.server, self.status())
    }
}

/// What a caller gets at first.
enum Turn {
    /// An idle connection, and for how long it was idle.
    Now(PooledConnection, Duration),
    /// A place in the line.
    Wait(oneshot::Receiver<Result<PooledConnection, Error>>),
}

impl Inner {
    fn take_or_wait(self: &Arc<Self>) -> Result<Turn, Error> {
        let now = Instant::now();
        let mut outdated = Vec::new();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::PoolClosed);
        }
        // An idle connection and a waiter never exist together, so nobody is overtaken here.
        let mut found = None;
        while let Some(idle) = state.idle.pop_back() {
            if idle.member.is_usable(now) {
                found = Some(idle);
                break;
            }
            outdated.push(idle.member);
        }
        let turn = found.is_none().then(|| {
            let (sender, turn) = oneshot::channel();
            state.join_line(Waiter {
                sender,
                runtime: Handle::current(),
            });
            turn
        });
        drop(state);
        outdated.into_iter().for_each(|member| self.retire(member));
        self.open_for_waiters();
        Ok(match (found, turn) {
            (Some(Idle { member, since }), _) => {
                Turn::Now(PooledConnection::new(member, self.clone()), now - since)
            }
            (None, Some(turn)) => Turn::Wait(turn),
            (None, None) => unreachable!("whoever finds nothing has joined the line"),
        })
    }

    /// Opens connections until each waiter has one coming, or the maximum is reached.
    ///
    /// The tasks do not belong to the waiters: a connection that was asked for by someone who left serves
    /// the next, instead of leaving a half-open socket at each time-out. Each ends by serving a waiter or by
    /// reporting its failure to one.
    fn open_for_waiters(self: &Arc<Self>) {
        // A statement of its own, for the lock ends with it: never spawn under the lock, because a runtime that
        // has shut down drops the task at once, and its `Place` locks again.
        let next = || self.state.lock().begin_connecting(self.max_size());
        while let Some(runtime) = next() {
            let (pool, mut place) = (self.clone(), Place::connecting(self));
            puff_core::task::spawn(&runtime, "postgres pool connect", async move {
                match Connection::connect_shared(pool.server.clone()).await {
                    Ok(connection) => {
                        let expires = pool.config.max_lifetime.map(|limit| {
                            // Connections that were opened together shall not all leave together.
                            Instant::now() + limit.mul_f64(rand::rng().random_range(0.9..1.1))
                        });
                        pool.put(Member { connection, expires }, Some(place));
                    }
                    Err(error) => {
                        tracing::debug!("a pool could not open a connection: {error}");
                        place.failed(error);
                    }
                }
            });
        }
    }

    fn max_size(&self) -> usize {
        self.config.max_size.max(1)
    }

    /// Takes a connection back from a caller.
    fn release(self: &Arc<Self>, member: Member) {
        let connection = &member.connection;
        if connection.is_closed() {
            return self.retire(member);
        }
        if connection.outstanding() == 0
            && connection.transaction_status() == TransactionStatus::Idle
            && !self.needs_reset(connection)
        {
            return self.put(member, None);
        }
        let place = Place::new(self);
        let runtime = connection.runtime().clone();
        let pool = self.clone();
        puff_core::task::spawn(&runtime, "postgres pool clean", async move {
            let cleaned = timeout(CLEAN_LIMIT, pool.clean(&member.connection)).await;
            match cleaned {
                Ok(Ok(())) => return pool.put(member, Some(place)),
                Ok(Err(error)) => tracing::debug!("a returned connection could not be cleaned: {error}"),
                Err(_) => tracing::debug!("a returned connection could not be cleaned in time"),
            }
            place.keep();
            pool.retire(member);
        });
    }

    fn needs_reset(&self, connection: &Connection) -> bool {
        self.config.reset == Reset::Always || connection.has_session_state()
    }

    async fn clean(&self, connection: &Connection) -> Result<(), Error> {
        connection.settle().await?;
        if connection.transaction_status() != TransactionStatus::Idle {
            connection.simple_query("ROLLBACK").await?;
        }
        if self.needs_reset(connection) {
            connection.simple_query("DISCARD ALL").await?;
        }
        Ok(())
    }

    /// Gives a clean connection to the first in line, or keeps it for later. Its place, if a task held it
    /// meanwhile, goes along.
    fn put(self: &Arc<Self>, member: Member, place: Option<Place>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(place) = place {
            // Together with serving the waiter, or another connection would be opened for it in between.
            state.connecting -= usize::from(place.connecting);
            place.keep();
        }
        if state.closed || !member.is_usable(now) {
            drop(state);
            return self.retire(member);
        }
        if let Some(waiter) = state.next_waiter() {
            drop(state);
            // If the waiter leaves at this moment, the connection comes back by its own drop.
            let _ = waiter
                .sender
                .send(Ok(PooledConnection::new(member, self.clone())));
            return;
        }
        let runtime = member.connection.runtime().clone();
        state.idle.push_back(Idle { member, since: now });
        let limited = self.config.idle_timeout.is_some() || self.config.max_lifetime.is_some();
        let reap = limited && !std::mem::replace(&mut state.reaping, limited);
        drop(state);
        if reap {
            puff_core::task::spawn(&runtime, "postgres pool reaper", reap_idle(Arc::downgrade(self)));
        }
    }

    /// Ends a connection; its place is free when the server has noticed, so that the maximum holds on the
    /// server's side as well.
    fn retire(self: &Arc<Self>, member: Member) {
        let place = Place::new(self);
        if member.connection.is_closed() {
            return;
        }
        let runtime = member.connection.runtime().clone();
        puff_core::task::spawn(&runtime, "postgres pool close", async move {
            member.connection.close().await;
            drop(place);
        });
    }

    /// Retires connections that have idled or lived too long; returns when to look again, or `None` if there
    /// is nothing to look after.
    fn retire_old(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let idle_timeout = self.config.idle_timeout;
        let ends = |idle: &Idle| {
            let idle_end = idle_timeout.map(|limit| idle.since + limit);
            idle_end.into_iter().chain(idle.member.expires).min()
        };
        let mut old = Vec::new();
        let next = {
            let mut state = self.state.lock();
            let mut kept = VecDeque::with_capacity(state.idle.len());
            for idle in std::mem::take(&mut state.idle) {
                let usable = idle.member.is_usable(now) && ends(&idle).is_none_or(|end| now < end);
                if usable {
                    kept.push_back(idle)
                } else {
                    old.push(idle.member)
                }
            }
            state.idle = kept;
            let next = state.idle.iter().filter_map(ends).min();
            state.reaping = next.is_some();
            next
        };
        old.into_iter().for_each(|member| self.retire(member));
        next
    }
}

async fn reap_idle(pool: Weak<Inner>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.retire_old()) {
        tokio::time::sleep_until(next).await;
    }
}
