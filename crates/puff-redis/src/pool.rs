//! Commands over a few shared connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::Cmd;

use crate::breaker::{Breaker, CircuitStatus};
use crate::cluster::Cluster;
use crate::dedicated::{DedicatedConnection, DedicatedStatus, Stable};
use crate::exclusive::Needs;
use crate::link::Link;
use crate::{Address, Command, Error, RedisConfig, Reply};

/// A pool of shared connections to one Redis or Valkey server.
///
/// Cloning is cheap and shares the connections. Nothing connects before the first command; a connection that
/// broke is replaced by the next command that needs it, and a command that was under way on it fails with
/// [`Error::Disconnected`] instead of being sent twice. While the server is away each command makes or shares
/// one attempt to connect, so a pool needs no attention to recover.
///
/// A command that waits in the server (`BLPOP`, `XREAD BLOCK`, `WAIT`) gets a connection of its own until it is
/// answered. One that changes its connection (`MULTI`, `WATCH`, `SELECT`, `SUBSCRIBE`, ...) is refused: it needs a
/// [`dedicated`](Self::dedicated) one, or for `MULTI` and `EXEC` a [`transaction`](Self::transaction).
///
/// Dropping a command's future is safe; the server may carry out the command all the same.
#[derive(Clone)]
pub struct RedisPool {
    inner: Arc<Inner>,
}

struct Inner {
    config: RedisConfig,
    slots: Box<[Slot]>,
    /// If it is one. The slots are for what any node carries.
    cluster: Option<ClusterSlot>,
    stable: Arc<Stable>,
    breaker: Arc<Breaker>,
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
    /// The connections that one has alone.
    pub dedicated: DedicatedStatus,
    /// Whether the server can be reached.
    pub circuit: CircuitStatus,
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
        let cluster = match &config.address {
            Address::Cluster(_) => Some(ClusterSlot::default()),
            _ => None,
        };
        let slots = (0..config.connections.max(1)).map(|_| Slot::default()).collect();
        let breaker = Arc::new(Breaker::new(&config));
        Self {
            inner: Arc::new(Inner {
                stable: Stable::new(&config, breaker.clone()),
                breaker,
                cluster,
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
            open: match &self.inner.cluster {
                None => slots.iter().filter(|slot| slot.current().is_some()).count(),
                Some(cluster) => usize::from(cluster.cluster.lock().is_some()),
            },
            in_flight: commands.saturating_sub(over),
            commands,
            failures: failed.load(Ordering::Relaxed),
            dedicated: self.inner.stable.status(),
            circuit: self.inner.breaker.status(),
        }
    }

    /// Sends one command and returns the server's reply.
    ///
    /// # Errors
    /// [`Error::Command`] if the server answers with an error, [`Error::Invalid`] for an empty command or one that
    /// a shared connection must not carry, [`Error::Connect`], [`Error::Disconnected`] and [`Error::Timeout`] if it
    /// cannot be reached, [`Error::Closed`] after [`close`](Self::close). Takes at most twice the connect time-out
    /// plus the response time-out; one that waits in the server may also have to wait for a connection of its own
    /// ([`Error::PoolTimeout`]), and takes as long as it says itself.
    ///
    /// ```no_run
    /// # async fn example(pool: puff_redis::RedisPool) -> Result<(), puff_redis::Error> {
    /// use puff_redis::{Command, Reply};
    /// let reply = pool.command(Command::new("INCRBY").arg("visits").arg("2")).await?;
    /// assert_eq!(reply, Reply::Int(2));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn command(&self, command: impl Into<Command>) -> Result<Reply, Error> {
        let command = command.into();
        match Needs::of(&command)? {
            Needs::Nothing => match &self.inner.cluster {
                None => self.send(command.packed(), &command.name()).await,
                Some(cluster) => {
                    self.counted(async {
                        let cluster = cluster.open(&self.inner).await?;
                        Reply::from_value(cluster.send(&self.inner.config, &command).await?)
                    })
                    .await
                }
            },
            Needs::Patience(_) => self.counted(self.inner.stable.command(command)).await,
            Needs::State(effect) => Err(Needs::refusal(effect, &command)),
        }
    }

    /// Sends commands in one piece over one connection; their replies in the same order. One that fails does not
    /// keep the others from being carried out, and others' commands may be carried out between them.
    ///
    /// ```no_run
    /// # async fn example(pool: puff_redis::RedisPool) -> Result<(), puff_redis::Error> {
    /// use puff_redis::{Command, Reply};
    /// let commands = (0..100).map(|n| Command::new("GET").arg(format!("key:{n}"))).collect();
    /// for value in pool.pipeline(commands).await? {
    ///     println!("{:?}", value?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`command`](Self::command), if all of it fails. The response time-out is for all of it.
    pub async fn pipeline(&self, commands: Vec<Command>) -> Result<Vec<Result<Reply, Error>>, Error> {
        let mut alone = false;
        for command in &commands {
            match Needs::of(command)? {
                Needs::Nothing => {}
                Needs::Patience(_) => alone = true,
                Needs::State(effect) => return Err(Needs::refusal(effect, command)),
            }
        }
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        if !alone {
            return self.send_all(&commands, "a pipeline").await;
        }
        // One after the other is what the server does, too.
        self.counted(async {
            let mut replies = Vec::with_capacity(commands.len());
            for command in commands {
                match self.inner.stable.command(command).await {
                    Err(error @ Error::Command { .. }) => replies.push(Err(error)),
                    reply => replies.push(Ok(reply?)),
                }
            }
            Ok(replies)
        })
        .await
    }

    /// Sends commands between `MULTI` and `EXEC`: the server carries them out together, and nothing between them.
    /// Their replies in the same order; one that fails does not undo the others.
    ///
    /// A transaction with `WATCH` needs a [`dedicated`](Self::dedicated) connection.
    ///
    /// # Errors
    /// [`Error::Aborted`] if the server does not know a command or does not allow it; else as
    /// [`pipeline`](Self::pipeline).
    pub async fn transaction(&self, mut commands: Vec<Command>) -> Result<Vec<Result<Reply, Error>>, Error> {
        for command in &commands {
            if let Needs::State(effect) = Needs::of(command)? {
                return Err(Needs::refusal(effect, command));
            }
        }
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(cluster) = &self.inner.cluster {
            let whole = async {
                let cluster = cluster.open(&self.inner).await?;
                cluster.transaction(&self.inner.config, &commands).await
            };
            return match Reply::from_value(self.counted(whole).await?)? {
                Reply::Array(replies) => Ok(replies.into_iter().map(Reply::whole).collect()),
                other => Err(unexpected("EXEC", &other)),
            };
        }
        commands.insert(0, Command::new("MULTI"));
        commands.push(Command::new("EXEC"));
        let mut answers = self.send_all(&commands, "a transaction").await?;
        let outcome = answers.pop();
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(_) => {}
                // `MULTI` itself.
                Err(error) if number == 0 => return Err(error),
                Err(Error::Command { code, message }) => {
                    let index = number - 1;
                    return Err(Error::Aborted { index, code, message });
                }
                Err(error) => return Err(error),
            }
        }
        match outcome {
            Some(Ok(Reply::Array(replies))) => Ok(replies.into_iter().map(Reply::whole).collect()),
            Some(Ok(other)) => Err(unexpected("EXEC", &other)),
            Some(Err(error)) => Err(error),
            None => Err(unexpected("EXEC", &Reply::Nil)),
        }
    }

    /// Leases a connection of its own, for commands that wait or change it. Waits for one at most as long as
    /// [`RedisConfig::dedicated_timeout`] says, and for its opening.
    ///
    /// # Errors
    /// [`Error::PoolTimeout`], [`Error::Connect`], and [`Error::Closed`] after [`close`](Self::close).
    pub async fn dedicated(&self) -> Result<DedicatedConnection, Error> {
        self.lease().await
    }

    /// Leases a connection to go on with after `first`: a `WATCH`, or a `SSUBSCRIBE` that the server has confirmed.
    /// In a cluster it is one to the node that has its keys or channels, which have to be in one slot; any connection
    /// may do elsewhere.
    ///
    /// # Errors
    /// As [`dedicated`](Self::dedicated); [`Error::Command`] with `CROSSSLOT` for several slots.
    pub async fn dedicated_after(&self, first: impl Into<Command>) -> Result<DedicatedConnection, Error> {
        self.inner.stable.lease_with(first.into()).await
    }

    /// Whether it is a cluster's pool.
    pub fn in_cluster(&self) -> bool {
        self.inner.cluster.is_some()
    }

    /// The value of a key, `None` if there is none.
    ///
    /// # Errors
    /// As [`command`](Self::command); `WRONGTYPE` if the key holds no string.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, Error> {
        match self.command(Command::new("GET").arg(key)).await? {
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
        self.command(Command::new("SET").arg(key).arg(value))
            .await
            .map(drop)
    }

    /// Deletes a key; returns whether it existed.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn del(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        match self.command(Command::new("DEL").arg(key)).await? {
            Reply::Int(count) => Ok(count > 0),
            other => Err(unexpected("DEL", &other)),
        }
    }

    /// Asks the server for a sign of life: the way to check a configuration at start-up.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn ping(&self) -> Result<(), Error> {
        self.command(Command::new("PING")).await.map(drop)
    }

    /// Closes the pool for all its clones: commands under way over shared connections finish; later ones fail with
    /// [`Error::Closed`], and so does what waits on a dedicated connection, which may be for ever.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        for slot in &self.inner.slots {
            slot.link.lock().take();
        }
        if let Some(cluster) = &self.inner.cluster {
            cluster.cluster.lock().take();
        }
        self.inner.stable.close();
    }

    /// For a pool that is no cluster's.
    pub(crate) async fn send(&self, command: &Cmd, name: &str) -> Result<Reply, Error> {
        let within = self.inner.config.response_timeout;
        self.over_link(async |link| Reply::from_value(link.send(command, name, within).await?))
            .await
    }

    pub(crate) async fn send_all(
        &self,
        commands: &[Command],
        what: &str,
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        if let Some(cluster) = &self.inner.cluster {
            return self
                .counted(async {
                    let cluster = cluster.open(&self.inner).await?;
                    let answers = cluster.send_all(&self.inner.config, commands).await;
                    Ok(answers
                        .into_iter()
                        .map(|answer| Reply::from_value(answer?))
                        .collect())
                })
                .await;
        }
        let within = self.inner.config.response_timeout;
        let answers = self
            .over_link(async |link| link.send_all(commands, what, within).await)
            .await?;
        Ok(answers.into_iter().map(Reply::from_value).collect())
    }

    /// Does something over one of the shared connections.
    async fn over_link<T>(&self, exchange: impl AsyncFnOnce(&Link) -> Result<T, Error>) -> Result<T, Error> {
        let Inner { slots, next, .. } = &*self.inner;
        let slot = &slots[next.fetch_add(1, Ordering::Relaxed) % slots.len()];
        self.counted(async {
            let link = slot.open(&self.inner).await?;
            let answer = exchange(&link).await;
            match &answer {
                // A peer that vanished without a word also looks like this. Commands under way keep the old link
                // alive until they end.
                Err(Error::Timeout { .. } | Error::Disconnected { .. }) => slot.forget(&link),
                // A master that was deposed: the Sentinels know its successor.
                Err(Error::Command { code, .. }) if code == "READONLY" && self.inner.has_sentinels() => {
                    slot.forget(&link);
                }
                _ => {}
            }
            answer
        })
        .await
    }

    async fn lease(&self) -> Result<DedicatedConnection, Error> {
        self.inner.stable.lease().await
    }

    async fn counted<T>(&self, exchange: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.inner.begun.fetch_add(1, Ordering::Relaxed);
        let _underway = Underway(&self.inner);
        let answer = exchange.await;
        // An error of the server's is an answer.
        if !matches!(
            answer,
            Ok(_) | Err(Error::Command { .. } | Error::Unexpected { .. })
        ) {
            self.inner.failed.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPool")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn has_sentinels(&self) -> bool {
        matches!(self.config.address, Address::Sentinel { .. })
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::Closed {
                what: "the Redis pool",
            }),
            false => Ok(()),
        }
    }
}

/// The place of a cluster's connections.
#[derive(Default)]
struct ClusterSlot {
    cluster: Mutex<Option<Cluster>>,
    /// Held while connecting, so that a crowd shares one attempt.
    connecting: tokio::sync::Mutex<()>,
}

impl ClusterSlot {
    async fn open(&self, pool: &Inner) -> Result<Cluster, Error> {
        pool.check_open()?;
        if let Some(cluster) = self.current() {
            return Ok(cluster);
        }
        let Address::Cluster(nodes) = &pool.config.address else {
            return Err(Error::config("this pool is no cluster's"));
        };
        let _alone = self.connecting.lock().await;
        if let Some(cluster) = self.current() {
            return Ok(cluster);
        }
        let opened = pool.breaker.attempt(Cluster::open(&pool.config, nodes)).await?;
        *self.cluster.lock() = Some(opened.clone());
        pool.check_open()?;
        Ok(opened)
    }

    fn current(&self) -> Option<Cluster> {
        self.cluster.lock().clone()
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
        pool.check_open()?;
        {
            // Someone's attempt failed while we waited in line: it answers us as well. Without this, a hundred
            // callers of an unreachable server would wait for a hundred time-outs, one after the other.
            let last = self.last.lock();
            if let Some(failure) = last.failure.as_ref().filter(|_| last.finished > seen) {
                return Err(failure.clone());
            }
        }
        let opening = Link::open(&pool.config);
        let opened = pool.breaker.attempt(opening).await.map(Arc::new);
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
