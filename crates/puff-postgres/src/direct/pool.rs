//! A pool of sessions that their users hold in their own hands.

use std::collections::VecDeque;
use std::fmt;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rand::Rng;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{DirectConnection, Step};
use crate::config::Config;
use crate::error::Error;
use crate::pool::{PoolConfig, PoolStatus, Reset};
use crate::transaction_status::TransactionStatus;

/// How long a check of a session that has idled may take.
const CHECK_LIMIT: Duration = Duration::from_secs(2);
/// How long cleaning a returned session may take before it is closed instead.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

/// A pool of [`DirectConnection`]s to one database. Clones are cheap and share the sessions.
///
/// It keeps the rules of [`Pool`](crate::Pool), whose connections belong to Tokio: a hard maximum, first come,
/// first served, the session used last goes first, a session goes back only as its last status says that it
/// may. What differs is who drives a session: whoever holds it.
///
/// ```no_run
/// # async fn example() -> Result<(), puff_postgres::Error> {
/// use puff_postgres::{PoolConfig, SessionPool};
///
/// let server = "postgres://ada@localhost/shop".parse()?;
/// let pool = SessionPool::new(server, PoolConfig::default(), 0);
/// let mut session = pool.get().await?;
/// session.start(b"SELECT 1", None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionPool(Arc<Inner>);

struct Inner {
    server: Config,
    config: PoolConfig,
    min_size: usize,
    /// One permit for each session that is lent, being opened or being cleaned; idle ones need none, because
    /// a session is opened only where none is idle.
    places: Arc<Semaphore>,
    idle: Mutex<VecDeque<Idle>>,
    waiting: AtomicUsize,
    connecting: AtomicUsize,
    reaping: AtomicBool,
    runtime: Handle,
}

struct Idle {
    connection: DirectConnection,
    expires: Option<Instant>,
    since: Instant,
}

impl SessionPool {
    /// A pool that keeps `min_size` sessions open, from the beginning on. Must be called on a Tokio runtime,
    /// which opens and cleans sessions.
    pub fn new(server: Config, config: PoolConfig, min_size: usize) -> Self {
        let max_size = config.max_size.clamp(1, Semaphore::MAX_PERMITS);
        let pool = Self(Arc::new(Inner {
            server,
            min_size: min_size.min(max_size),
            config: PoolConfig { max_size, ..config },
            places: Arc::new(Semaphore::new(max_size)),
            idle: Mutex::default(),
            waiting: AtomicUsize::new(0),
            connecting: AtomicUsize::new(0),
            reaping: AtomicBool::new(false),
            runtime: Handle::current(),
        }));
        pool.0.fill();
        pool
    }

    /// Which server and database the sessions go to.
    pub fn server(&self) -> &Config {
        &self.0.server
    }

    /// A session, idle or new, as soon as it is this caller's turn. Must run on a Tokio runtime.
    ///
    /// **Cancel safety.** Dropping the future gives up the place in the line; a session that was being opened
    /// for it becomes idle.
    ///
    /// # Errors
    /// [`Error::PoolTimeout`] if none becomes free within the pool's `acquire_timeout`, with the state of the
    /// pool; [`Error::PoolClosed`]; or why no session could be opened.
    pub async fn get(&self) -> Result<PooledSession, Error> {
        let waited = self.0.config.acquire_timeout;
        timeout(waited, self.0.take()).await.unwrap_or_else(|_| {
            let status = self.status();
            Err(Error::PoolTimeout { waited, status })
        })
    }

    /// What the pool is doing now.
    pub fn status(&self) -> PoolStatus {
        let (idle, max_size) = (self.0.idle.lock().len(), self.0.config.max_size);
        let taken = max_size - self.0.places.available_permits();
        let connecting = self.0.connecting.load(Ordering::Acquire).min(taken);
        PoolStatus {
            max_size,
            size: idle + taken,
            idle,
            in_use: taken - connecting,
            connecting,
            waiting: self.0.waiting.load(Ordering::Acquire),
        }
    }

    /// Ends the pool: waiters and later callers get [`Error::PoolClosed`], idle sessions are closed now and
    /// others when they come back. Does not wait for that; again is nothing.
    pub fn close(&self) {
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle.lock());
        idle.into_iter().for_each(|idle| idle.connection.close());
    }
}

impl fmt::Debug for SessionPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionPool({}: {})", self.0.server, self.status())
    }
}

/// A session on loan; goes back when it is dropped, on any thread.
///
/// If a statement is still under way then, it is cancelled; an open transaction is rolled back. Until that is
/// done the session is nobody's.
pub struct PooledSession {
    /// `None` only while being dropped.
    connection: Option<DirectConnection>,
    expires: Option<Instant>,
    place: Option<OwnedSemaphorePermit>,
    pool: Arc<Inner>,
}

impl Deref for PooledSession {
    type Target = DirectConnection;

    fn deref(&self) -> &DirectConnection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("the session leaves only together with the handle"),
        }
    }
}

impl DerefMut for PooledSession {
    fn deref_mut(&mut self) -> &mut DirectConnection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("the session leaves only together with the handle"),
        }
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.release(connection, self.expires, self.place.take());
        }
    }
}

impl fmt::Debug for PooledSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PooledSession({})", self.pool.server)
    }
}

impl Inner {
    async fn take(self: &Arc<Self>) -> Result<PooledSession, Error> {
        let waiting = Count::new(&self.waiting);
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| Error::PoolClosed)?;
        drop(waiting);
        while let Some(mut idle) = self.pop_usable() {
            if is_alive(
                &mut idle.connection,
                idle.since.elapsed() >= self.config.check_after_idle,
            )
            .await
            {
                return Ok(PooledSession {
                    connection: Some(idle.connection),
                    expires: idle.expires,
                    place: Some(place),
                    pool: self.clone(),
                });
            }
            idle.connection.close();
        }
        self.open(place).await.unwrap_or(Err(Error::PoolClosed))
    }

    fn pop_usable(&self) -> Option<Idle> {
        let (now, mut outdated) = (Instant::now(), Vec::new());
        let found = {
            let mut idle = self.idle.lock();
            loop {
                match idle.pop_back() {
                    Some(each) if each.expires.is_some_and(|end| end <= now) => outdated.push(each),
                    found => break found,
                }
            }
        };
        outdated.into_iter().for_each(|idle| idle.connection.close());
        found
    }

    /// Opens a session in a task of its own: if its caller leaves meanwhile, it becomes idle, instead of
    /// leaving a half-open socket at each time-out.
    fn open(
        self: &Arc<Self>,
        place: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Result<PooledSession, Error>> {
        let (sender, opened) = oneshot::channel();
        let pool = self.clone();
        puff_core::task::spawn(&self.runtime, "postgres session connect", async move {
            let connecting = Count::new(&pool.connecting);
            let session = DirectConnection::open(&pool.server).await;
            let session = session.map(|connection| PooledSession {
                connection: Some(connection),
                // Sessions that were opened together shall not all leave together.
                expires: pool
                    .config
                    .max_lifetime
                    .map(|limit| Instant::now() + limit.mul_f64(rand::rng().random_range(0.9..1.1))),
                place: Some(place),
                pool: pool.clone(),
            });
            drop(connecting);
            if let Err(Err(error)) = sender.send(session) {
                tracing::debug!("a pool could not open a session: {error}");
            }
        });
        opened
    }

    /// Opens what is missing to the minimum, as far as there are places.
    fn fill(self: &Arc<Self>) {
        let size = || self.idle.lock().len() + self.config.max_size - self.places.available_permits();
        while size() < self.min_size
            && let Ok(place) = self.places.clone().try_acquire_owned()
        {
            // It becomes idle: nobody waits for it.
            drop(self.open(place));
        }
    }

    /// Takes a session back.
    fn release(
        self: &Arc<Self>,
        mut connection: DirectConnection,
        expires: Option<Instant>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        if connection.closed().is_some() || self.places.is_closed() {
            return connection.close();
        }
        if is_clean(&connection) && !self.needs_reset(&connection) {
            return self.put(connection, expires, place);
        }
        let pool = self.clone();
        puff_core::task::spawn(&self.runtime, "postgres session clean", async move {
            match timeout(CLEAN_LIMIT, pool.clean(&mut connection)).await {
                Ok(Ok(())) => return pool.put(connection, expires, place),
                Ok(Err(error)) => tracing::debug!("a returned session could not be cleaned: {error}"),
                Err(_) => tracing::debug!("a returned session could not be cleaned in time"),
            }
            connection.close();
        });
    }

    fn needs_reset(&self, connection: &DirectConnection) -> bool {
        self.config.reset == Reset::Always || connection.has_session_state()
    }

    async fn clean(&self, connection: &mut DirectConnection) -> Result<(), Error> {
        if connection.is_busy() {
            connection.abandon();
            // Waited for, or it might hit the next user's statement.
            connection.cancel_token().cancel().await?;
            // What was cancelled ends with an error; a lost session is seen by the next statement.
            let _ = drive(connection).await;
        }
        if connection.transaction_status() != TransactionStatus::Idle {
            run(connection, "ROLLBACK").await?;
        }
        if self.needs_reset(connection) {
            run(connection, "DISCARD ALL").await?;
        }
        Ok(())
    }

    /// Keeps a clean session for the next.
    fn put(
        self: &Arc<Self>,
        mut connection: DirectConnection,
        expires: Option<Instant>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        connection.take_notices();
        connection.take_notifications();
        let since = Instant::now();
        if expires.is_some_and(|end| end <= since) {
            return connection.close();
        }
        self.idle.lock().push_back(Idle {
            connection,
            expires,
            since,
        });
        // Only now, so that who gets the place finds the session.
        drop(place);
        if self.places.is_closed() {
            // Closed in between: nobody else would look.
            let idle = std::mem::take(&mut *self.idle.lock());
            return idle.into_iter().for_each(|idle| idle.connection.close());
        }
        let limited = self.config.idle_timeout.is_some() || self.config.max_lifetime.is_some();
        if limited && !self.reaping.swap(true, Ordering::AcqRel) {
            let reaper = reap(Arc::downgrade(self));
            puff_core::task::spawn(&self.runtime, "postgres session reaper", reaper);
        }
    }

    /// Closes sessions that have idled or lived too long, those used longest ago first; when to look again, or
    /// `None` if there is nothing to look after.
    fn close_old(self: &Arc<Self>) -> Option<Instant> {
        let (now, mut old) = (Instant::now(), Vec::new());
        let next = {
            let mut idle = self.idle.lock();
            let lent = self.config.max_size - self.places.available_permits();
            let mut spare = (idle.len() + lent).saturating_sub(self.min_size);
            let mut kept = VecDeque::with_capacity(idle.len());
            let mut next: Option<Instant> = None;
            for each in std::mem::take(&mut *idle) {
                let idle_end = self.config.idle_timeout.map(|limit| each.since + limit);
                let expired = each.expires.is_some_and(|end| end <= now);
                if expired || (spare > 0 && idle_end.is_some_and(|end| end <= now)) {
                    spare = spare.saturating_sub(1);
                    old.push(each.connection);
                    continue;
                }
                let end = each
                    .expires
                    .into_iter()
                    .chain(idle_end.filter(|end| *end > now))
                    .min();
                next = next.into_iter().chain(end).min();
                kept.push_back(each);
            }
            *idle = kept;
            if next.is_none() {
                self.reaping.store(false, Ordering::Release);
            }
            next
        };
        old.into_iter().for_each(DirectConnection::close);
        self.fill();
        next
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for idle in std::mem::take(self.idle.get_mut()) {
            idle.connection.close();
        }
    }
}

async fn reap(pool: Weak<Inner>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.close_old()) {
        sleep_until(next).await;
    }
}

fn is_clean(connection: &DirectConnection) -> bool {
    !connection.is_busy() && connection.transaction_status() == TransactionStatus::Idle
}

/// Whether an idle session still works: a look at what has arrived, and if `ask`, a word with the server,
/// because a firewall may have forgotten the connection.
async fn is_alive(connection: &mut DirectConnection, ask: bool) -> bool {
    if matches!(connection.advance(), Step::Done(_)) {
        return false;
    }
    !ask || matches!(timeout(CHECK_LIMIT, run(connection, "")).await, Ok(Ok(())))
}

/// Runs a statement whose answer does not matter.
async fn run(connection: &mut DirectConnection, sql: &str) -> Result<(), Error> {
    connection.start(sql.as_bytes(), None)?;
    drive(connection).await
}

/// Drives an exchange to its end on Tokio.
async fn drive(connection: &mut DirectConnection) -> Result<(), Error> {
    // Only ever waited for, so that it does not matter whether it is a Unix socket.
    let socket = std::os::unix::net::UnixStream::from(connection.duplicate_socket()?);
    let socket = UnixStream::from_std(socket)?;
    loop {
        match connection.advance() {
            Step::Done(answer) => return answer.map(drop),
            Step::CopyOut(_) => {}
            Step::CopyIn => connection.copy_end(Some("the client gave up")),
            Step::Wait { write } => {
                let interest = if write {
                    Interest::READABLE | Interest::WRITABLE
                } else {
                    Interest::READABLE
                };
                socket.ready(interest).await?;
                // Forgets what was found, for `advance` goes on until the socket has no more.
                let _ = socket.try_io(interest, || Err::<(), _>(ErrorKind::WouldBlock.into()));
            }
        }
    }
}

/// One more, for as long as it lives.
struct Count<'a>(&'a AtomicUsize);

impl<'a> Count<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::AcqRel);
        Self(counter)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
