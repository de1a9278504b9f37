//! A bounded number of connections, handed out in turn.
//!
//! The pool's safety rests on what the server says, not on what callers promise: a connection goes back only
//! if every answer has been read and the last one said that no transaction is open. Whatever else comes back
//! is cleaned first, or closed.
//!
//! There is one pool for both kinds of session; what they must tell it is [`Member`].

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::Config;
use crate::connection::Connection;
use crate::direct::DirectConnection;
use crate::error::Error;
use inner::{Inner, Turn};
use metrics::{Counters, Reason};
use state::State;

mod inner;
mod lent;
mod member;
mod metrics;
mod place;
mod pool_config;
mod state;
mod status;

pub use lent::Lent;
pub(crate) use member::Member;
pub use member::Poolable;
pub use metrics::{ClosedCounts, PoolMetrics};
pub use pool_config::{PoolConfig, Reset};
pub use status::PoolStatus;

/// How long a check of a connection that has idled may take.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// A pool of [`Connection`]s, which Tokio drives.
pub type Pool = PoolOf<Connection>;

/// A connection of a [`Pool`].
pub type PooledConnection = Lent<Connection>;

/// A pool of [`DirectConnection`]s, which whoever holds one drives.
///
/// ```no_run
/// # async fn example() -> Result<(), puff_postgres::Error> {
/// use puff_postgres::{PoolConfig, SessionPool};
///
/// let pool = SessionPool::new("postgres://ada@localhost/shop".parse()?, PoolConfig::default());
/// let mut session = pool.get().await?;
/// session.start(b"SELECT 1", None)?;
/// # Ok(())
/// # }
/// ```
pub type SessionPool = PoolOf<DirectConnection>;

/// A session of a [`SessionPool`].
pub type PooledSession = Lent<DirectConnection>;

/// A pool of connections to one database. Clones are cheap and share the connections.
///
/// Waiters are served first come, first served; of the idle connections the one used last goes first, so
/// that those not needed grow old and leave. Connections that the server or the network has ended are
/// dropped unseen, and the next [`get`](Self::get) opens new ones. The maximum holds on the server's side as
/// well: a connection that is closed counts until the server has noticed.
///
/// A program with several databases has several pools; nothing here is global.
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
/// assert_eq!(pool.metrics().opened, 1);
/// # Ok(())
/// # }
/// ```
pub struct PoolOf<S: Poolable>(Arc<Inner<S>>);

impl<S: Poolable> PoolOf<S> {
    /// A pool that opens its first connection when it is first asked for one, or at once if it has a
    /// `min_size` and is made on a Tokio runtime.
    pub fn new(server: Config, config: PoolConfig) -> Self {
        let pool = Arc::new(Inner {
            server: Arc::new(server),
            config,
            state: Mutex::new(State::new()),
            counters: Counters::default(),
            drained: Notify::new(),
        });
        if let Ok(runtime) = Handle::try_current() {
            pool.fill(&runtime);
        }
        Self(pool)
    }

    /// Which server and database the connections go to.
    pub fn server(&self) -> &Config {
        &self.0.server
    }

    /// Its limits.
    pub fn config(&self) -> &PoolConfig {
        &self.0.config
    }

    /// Waits until the server answers over one of the connections, idle or new: a sign of life.
    ///
    /// # Errors
    /// As [`get`](Self::get), and what the connection says of its end.
    pub async fn ping(&self) -> Result<(), Error> {
        self.get().await?.ask().await
    }

    /// A connection, idle or new, as soon as it is this caller's turn. Must run on a Tokio runtime.
    ///
    /// # Errors
    /// [`Error::PoolTimeout`] if none becomes free within the pool's `acquire_timeout`, with the state of the
    /// pool; [`Error::PoolClosed`]; or why no connection could be opened.
    pub async fn get(&self) -> Result<Lent<S>, Error> {
        let counters = &self.0.counters;
        let (limit, start) = (self.0.config.acquire_timeout, Instant::now());
        let deadline = start + limit;
        let late = || {
            counters.timed_out.count();
            Error::PoolTimeout {
                waited: limit,
                status: self.status(),
            }
        };
        let mut again = false;
        loop {
            let (mut lent, idle_for) = match self.0.take_or_wait(again)? {
                Turn::Now(lent, idle_for) => (lent, idle_for),
                Turn::Wait(turn) => {
                    counters.waited.count();
                    let turn = timeout_at(deadline, turn).await;
                    counters.add_wait(start.elapsed());
                    let Ok(turn) = turn else {
                        return Err(late());
                    };
                    // A sender is dropped without a word only together with the whole runtime.
                    let lent = turn.map_err(|_| Error::PoolClosed)??;
                    counters.acquired.count();
                    return Ok(lent);
                }
            };
            let asked = idle_for >= self.0.config.check_after_idle;
            let check = (Instant::now() + CHECK_LIMIT).min(deadline);
            if lent.look() && (!asked || matches!(timeout_at(check, lent.ask()).await, Ok(Ok(())))) {
                counters.acquired.count();
                return Ok(lent);
            }
            // A firewall may have forgotten the connection: the next one may be better.
            lent.retire(Reason::Broken);
            again = true;
            if Instant::now() >= deadline {
                return Err(late());
            }
        }
    }

    /// A connection that was used a moment ago and is idle now, without any wait; if there is none, ask
    /// [`get`](Self::get).
    pub fn take(&self) -> Option<Lent<S>> {
        let mut lent = self.0.take_fresh()?;
        if !lent.look() {
            lent.retire(Reason::Broken);
            return None;
        }
        self.0.counters.acquired.count();
        Some(lent)
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

    /// What the pool has done so far.
    pub fn metrics(&self) -> PoolMetrics {
        self.0.counters.read()
    }

    /// Ends the pool: waiters and later callers get [`Error::PoolClosed`], idle connections are closed now and
    /// others when they come back. Does not wait for that; again is nothing.
    pub fn shut(&self) {
        let idle = {
            let mut state = self.0.state.lock();
            state.closed = true;
            for waiter in state.waiters.drain(..) {
                let _ = waiter.sender.send(Err(Error::PoolClosed));
            }
            std::mem::take(&mut state.idle)
        };
        for idle in idle {
            self.0.retire(idle.kept, Reason::Drained);
        }
    }

    /// Ends the pool as [`shut`](Self::shut) does, and waits until its last connection has ended, for as long
    /// as a caller would wait for a connection.
    pub async fn close(&self) {
        self.shut();
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

impl<S: Poolable> Clone for PoolOf<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Poolable> fmt::Debug for PoolOf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({}: {})", self.0.server, self.status())
    }
}
