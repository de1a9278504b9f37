//! Commands over a few shared connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, PushInfo};

use crate::link::Link;
use crate::{Error, RedisConfig, Reply, exclusive};

/// A pool of shared connections to one Redis or Valkey server.
///
/// Cloning is cheap and shares the connections. Nothing connects before the first command; a connection that
/// broke is replaced by the next command that needs it, and a command that was under way on it fails with
/// [`Error::Disconnected`] instead of being sent twice. While the server is away each command makes or shares
/// one attempt to connect, so a pool needs no attention to recover.
///
/// Commands that change or block a connection (`MULTI`, `SELECT`, `BLPOP`, `SUBSCRIBE`, ...) are refused.
///
/// Dropping a command's future is safe; the server may carry out the command all the same.
#[derive(Clone)]
pub struct RedisPool {
    inner: Arc<Inner>,
}

struct Inner {
    config: RedisConfig,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    closed: AtomicBool,
    /// Commands that were begun, that are over, and those of them without an answer.
    begun: AtomicU64,
    over: AtomicU64,
    failed: AtomicU64,
}

/// What a pool is doing, and has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStatus {
    /// The most connections there may be.
    pub max_size: usize,
    /// Connections that are open; all commands share them.
    pub open: usize,
    /// Commands that wait for a connection or for their answer.
    pub in_flight: u64,
    /// Commands so far, those in flight included.
    pub commands: u64,
    /// Commands that had no answer: no connection, a lost one, a time-out. An error as answer is not one of them.
    pub failures: u64,
}

/// A command on its way; it is over when this is dropped, also for one that was given up.
struct Underway<'a>(&'a Inner);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

impl RedisPool {
    /// Makes a pool without doing any I/O.
    pub fn new(config: RedisConfig) -> Self {
        let slots = (0..config.connections.max(1)).map(|_| Slot::default()).collect();
        Self {
            inner: Arc::new(Inner {
                config,
                slots,
                next: AtomicUsize::new(0),
                closed: AtomicBool::new(false),
                begun: AtomicU64::new(0),
                over: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            }),
        }
    }

    /// The settings that the pool was made with.
    pub fn config(&self) -> &RedisConfig {
        &self.inner.config
    }

    /// What the pool is doing at this moment, and how much it has done.
    pub fn status(&self) -> RedisStatus {
        let Inner {
            slots,
            begun,
            over,
            failed,
            ..
        } = &*self.inner;
        // In this order: what ends between the two looks must not make their difference negative.
        let over = over.load(Ordering::Relaxed);
        let commands = begun.load(Ordering::Relaxed);
        RedisStatus {
            max_size: slots.len(),
            open: slots.iter().filter(|slot| slot.current().is_some()).count(),
            in_flight: commands.saturating_sub(over),
            commands,
            failures: failed.load(Ordering::Relaxed),
        }
    }

    /// Sends one command, its name first, and returns the server's reply.
    ///
    /// # Errors
    /// [`Error::Command`] if the server answers with an error, [`Error::Invalid`] for an empty command or one that
    /// a shared connection must not carry, [`Error::Connect`], [`Error::Disconnected`] and [`Error::Timeout`] if it
    /// cannot be reached, [`Error::Closed`] after [`close`](Self::close). Takes at most twice the connect time-out
    /// plus the response time-out.
    ///
    /// ```no_run
    /// # async fn example(pool: puff_redis::RedisPool) -> Result<(), puff_redis::Error> {
    /// use puff_redis::Reply;
    /// let reply = pool.command(vec!["INCRBY".into(), "visits".into(), "2".into()]).await?;
    /// assert_eq!(reply, Reply::Int(2));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn command(&self, command: Vec<Bytes>) -> Result<Reply, Error> {
        exclusive::check(&command)?;
        let mut encoded = Cmd::new();
        for word in &command {
            encoded.arg(&word[..]);
        }
        self.send(&encoded, &String::from_utf8_lossy(&command[0])).await
    }

    /// The value of a key, `None` if there is none.
    ///
    /// # Errors
    /// As [`command`](Self::command); `WRONGTYPE` if the key holds no string.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, Error> {
        match self.send(redis::cmd("GET").arg(key.as_ref()), "GET").await? {
            Reply::Bulk(value) => Ok(Some(value)),
            Reply::Nil => Ok(None),
            other => Err(unexpected("GET", &other)),
        }
    }

    /// Sets a key to a value, whatever it held before.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.send(redis::cmd("SET").arg(key.as_ref()).arg(value.as_ref()), "SET")
            .await
            .map(drop)
    }

    /// Deletes a key; returns whether it existed.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn del(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        match self.send(redis::cmd("DEL").arg(key.as_ref()), "DEL").await? {
            Reply::Int(count) => Ok(count > 0),
            other => Err(unexpected("DEL", &other)),
        }
    }

    /// Asks the server for a sign of life: the way to check a configuration at start-up.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn ping(&self) -> Result<(), Error> {
        self.send(&redis::cmd("PING"), "PING").await.map(drop)
    }

    /// Closes the pool for all its clones: commands under way finish, later ones fail with [`Error::Closed`].
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for slot in &self.inner.slots {
            slot.link.lock().take();
        }
    }

    pub(crate) async fn send(&self, command: &Cmd, name: &str) -> Result<Reply, Error> {
        let Inner {
            config, slots, next, ..
        } = &*self.inner;
        self.inner.begun.fetch_add(1, Ordering::Relaxed);
        let _underway = Underway(&self.inner);
        let slot = &slots[next.fetch_add(1, Ordering::Relaxed) % slots.len()];
        let opened = slot.open(&self.inner).await;
        let link = opened.inspect_err(|_| self.inner.note_failure())?;
        let answer = link.send(command, name, config.response_timeout).await;
        if matches!(answer, Err(Error::Timeout { .. } | Error::Disconnected { .. })) {
            self.inner.note_failure();
            // A peer that vanished without a word also looks like this. Commands under way keep the old link
            // alive until they end.
            slot.forget(&link);
        }
        Reply::from_value(answer?)
    }
}

impl Inner {
    fn note_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPool")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

/// The place of one connection.
#[derive(Default)]
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    /// Held while connecting, so that a crowd shares one attempt.
    connecting: tokio::sync::Mutex<()>,
    last: Mutex<Attempts>,
}

/// How the latest attempts to connect ended.
#[derive(Default)]
struct Attempts {
    finished: u64,
    failure: Option<Error>,
}

impl Slot {
    /// The open connection, or a new one.
    async fn open(&self, pool: &Inner) -> Result<Arc<Link>, Error> {
        let seen = self.last.lock().finished;
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let _alone = self.connecting.lock().await;
        if let Some(link) = self.current() {
            return Ok(link);
        }
        if pool.closed.load(Ordering::Acquire) {
            return Err(Error::Closed {
                what: "the Redis pool",
            });
        }
        {
            // Someone's attempt failed while we waited in line: it answers us as well. Without this, a hundred
            // callers of an unreachable server would wait for a hundred time-outs, one after the other.
            let last = self.last.lock();
            if let Some(failure) = last.failure.as_ref().filter(|_| last.finished > seen) {
                return Err(failure.clone());
            }
        }
        let opened = Link::open(&pool.config, None::<fn(PushInfo) -> Result<(), Error>>)
            .await
            .map(Arc::new);
        {
            let mut last = self.last.lock();
            last.finished += 1;
            last.failure = opened.as_ref().err().cloned();
        }
        let link = opened?;
        *self.link.lock() = Some(link.clone());
        if pool.closed.load(Ordering::Acquire) {
            self.forget(&link);
        }
        Ok(link)
    }

    fn current(&self) -> Option<Arc<Link>> {
        let mut link = self.link.lock();
        if link.as_ref().is_some_and(|link| link.is_gone()) {
            *link = None;
        }
        link.clone()
    }

    /// Takes a broken connection out, unless it has been replaced already.
    fn forget(&self, broken: &Arc<Link>) {
        let mut link = self.link.lock();
        if link.as_ref().is_some_and(|link| Arc::ptr_eq(link, broken)) {
            *link = None;
        }
    }
}

fn unexpected(command: &'static str, reply: &Reply) -> Error {
    Error::Unexpected {
        command,
        reply: reply.kind(),
    }
}
