//! Connections that one has alone: for commands that wait, for `WATCH` and `MULTI`, for `MONITOR`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::breaker::Breaker;
use crate::config::Node;
use crate::exclusive::{Effect, Needs};
use crate::slots::Redirect;
use crate::wire::{Reader, Wire};
use crate::{Command, Error, Incoming, RedisConfig, Reply};

/// One that was idle for longer is not used again: something between here and the server may have forgotten it.
const LONGEST_IDLE: Duration = Duration::from_secs(60);
/// How often a key may turn out to be elsewhere.
const MOST_MOVES: usize = 5;
/// Pushes that came while somebody waited for an answer, and that nobody has received.
const MOST_PUSHES: usize = 1024;

/// The dedicated connections of a pool: those that are out, and those that are idle.
pub(crate) struct Stable {
    config: RedisConfig,
    breaker: Arc<Breaker>,
    permits: Arc<Semaphore>,
    inner: Mutex<Inside>,
    /// Ends what waits for the server when the pool is closed: it may wait for ever.
    closing: watch::Sender<bool>,
}

#[derive(Default)]
struct Inside {
    idle: Vec<Idle>,
    closed: bool,
    waiting: usize,
    timed_out: u64,
}

struct Idle {
    wire: Wire,
    since: Instant,
}

/// What is known of a pool's dedicated connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DedicatedStatus {
    /// The most there may be.
    pub max_size: usize,
    /// How many somebody has.
    pub in_use: usize,
    /// How many are open and wait to be used.
    pub idle: usize,
    /// How many tasks wait for one.
    pub waiting: usize,
    /// How many have waited in vain so far.
    pub timed_out: u64,
}

impl Stable {
    pub(crate) fn new(config: &RedisConfig, breaker: Arc<Breaker>) -> Arc<Self> {
        Arc::new(Self {
            breaker,
            permits: Arc::new(Semaphore::new(config.dedicated_connections)),
            config: config.clone(),
            inner: Mutex::default(),
            closing: watch::Sender::new(false),
        })
    }

    pub(crate) fn status(&self) -> DedicatedStatus {
        let max_size = self.config.dedicated_connections;
        let inner = self.inner.lock();
        DedicatedStatus {
            max_size,
            in_use: max_size.saturating_sub(self.permits.available_permits()),
            idle: inner.idle.len(),
            waiting: inner.waiting,
            timed_out: inner.timed_out,
        }
    }

    /// Leases one: an idle one that is still open, else a new one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<DedicatedConnection, Error> {
        let permit = self.permit().await?;
        let wire = match self.idle(None) {
            Some(wire) => wire,
            None => self.breaker.attempt(Wire::open(&self.config)).await?,
        };
        Ok(DedicatedConnection {
            stable: self.clone(),
            wire: Some(wire),
            state: Mutex::default(),
            _permit: permit,
        })
    }

    /// Leases one, and sends it `first`, a `WATCH` or `SSUBSCRIBE`; in a cluster it is one to the node that takes it.
    pub(crate) async fn lease_with(self: &Arc<Self>, first: Command) -> Result<DedicatedConnection, Error> {
        Ok(self.followed(&first).await?.0)
    }

    /// Sends one command over a connection of its own; in a cluster to the node that has its keys.
    pub(crate) async fn command(self: &Arc<Self>, command: Command) -> Result<Reply, Error> {
        Ok(self.followed(&command).await?.1)
    }

    /// Sends a command to a node, and then to the one that it says has the keys.
    async fn followed(self: &Arc<Self>, command: &Command) -> Result<(DedicatedConnection, Reply), Error> {
        let mut connection = self.lease().await?;
        for _ in 0..MOST_MOVES {
            let moved = match connection.begin(command).await {
                Err(Error::Command { code, message }) if code == "MOVED" => message,
                answer => return answer.map(|answer| (connection, answer)),
            };
            let asked = connection.wire().node.as_ref();
            let Some(redirect) = Redirect::read(&moved, asked) else {
                break;
            };
            connection = self.elsewhere(connection, redirect.node).await?;
        }
        let answer = connection.begin(command).await?;
        Ok((connection, answer))
    }

    /// Another connection in the place of one, to another node.
    async fn elsewhere(
        self: &Arc<Self>,
        mut connection: DedicatedConnection,
        node: Node,
    ) -> Result<DedicatedConnection, Error> {
        let wire = match self.idle(Some(&node)) {
            Some(wire) => wire,
            None => Wire::open(&self.config.for_node(node)).await?,
        };
        connection.exchange(wire);
        Ok(connection)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        /// Waits, also when given up.
        struct Waiting<'a>(&'a Stable);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.inner.lock().waiting -= 1;
            }
        }
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        self.inner.lock().waiting += 1;
        let _waiting = Waiting(self);
        let after = self.config.dedicated_timeout;
        match tokio::time::timeout(after, self.permits.clone().acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| closed()),
            Err(_) => {
                self.inner.lock().timed_out += 1;
                Err(Error::PoolTimeout {
                    max_size: self.config.dedicated_connections,
                    after,
                })
            }
        }
    }

    /// The latest idle one, to any node or to this one.
    fn idle(&self, node: Option<&Node>) -> Option<Wire> {
        let mut inner = self.inner.lock();
        loop {
            let fits = |idle: &Idle| node.is_none() || idle.wire.node.as_ref() == node;
            let at = inner.idle.iter().rposition(fits)?;
            let Idle { mut wire, since } = inner.idle.remove(at);
            if since.elapsed() < LONGEST_IDLE && wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    /// Keeps one, in one of so many places that nobody has.
    fn take_back(&self, wire: Wire, places: usize) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
            inner.idle.push(Idle {
                wire,
                since: Instant::now(),
            });
            // To several nodes there may be more: the oldest make room.
            let surplus = inner.idle.len().saturating_sub(places);
            inner.idle.drain(..surplus);
        }
    }

    /// Closes what is idle, and ends what waits, now and later; what somebody has is closed when he gives it back.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.closing.send_replace(true);
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.idle.clear();
    }
}

fn closed() -> Error {
    Error::Closed {
        what: "the Redis pool",
    }
}

/// A connection of its own, leased from a [`RedisPool`](crate::RedisPool).
///
/// Dropped, it goes back to the pool if it is as it came: every command answered, no `WATCH` or `MULTI` open,
/// nothing changed that outlives them (`SELECT`, `CLIENT TRACKING`, a subscription). Else it is closed.
///
/// [`command`](Self::command) is for a command and its answer. [`send`](Self::send) and
/// [`receive`](Self::receive) part the two, for who reads what the server sends by itself: one task may send
/// while another receives. All futures may be dropped; the connection is closed then, if that leaves it between
/// two states.
///
/// ```no_run
/// # async fn example(pool: puff_redis::RedisPool) -> Result<(), puff_redis::Error> {
/// use puff_redis::Command;
///
/// // Waits for the next job for up to an hour, and disturbs nobody.
/// let connection = pool.dedicated().await?;
/// let job = connection.command(Command::new("BLPOP").arg("jobs").arg("3600")).await?;
/// # Ok(())
/// # }
/// ```
pub struct DedicatedConnection {
    stable: Arc<Stable>,
    /// Until it is given back.
    wire: Option<Wire>,
    state: Mutex<State>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    /// Commands without an answer so far.
    unanswered: usize,
    /// How long the slowest of them may take beyond the response time-out; `None` is for ever.
    patience: Option<Option<Duration>>,
    watching: bool,
    in_transaction: bool,
    /// What comes from the server are messages.
    subscribed: bool,
    /// Cannot be used by others any more.
    spoiled: bool,
}

impl DedicatedConnection {
    /// Sends a command and waits for its answer: for as long as the command itself waits (`BLPOP key 30`), and the
    /// response time-out; for ever if it does.
    ///
    /// # Errors
    /// [`Error::Command`] if the server answers with an error, [`Error::Disconnected`] and [`Error::Timeout`] if
    /// there is no answer, [`Error::Invalid`] for an empty command, or a subscription, which has no answer.
    pub async fn command(&self, command: impl Into<Command>) -> Result<Reply, Error> {
        let command = command.into();
        let needs = Needs::of(&command)?;
        if needs == Needs::State(Effect::Subscribes) {
            return Err(Error::Invalid {
                what: command.name().to_ascii_uppercase(),
                reason: "its answers are messages: use send and receive".to_owned(),
            });
        }
        let limit = match needs {
            Needs::Patience(patience) => patience.map(|more| self.stable.config.response_timeout + more),
            _ => Some(self.stable.config.response_timeout),
        };
        let wire = self.wire();
        // Before anything is sent: the answer is whose turn it was.
        let mut reader = wire.reader.lock().await;
        self.send(std::slice::from_ref(&command)).await?;
        let answer = async {
            loop {
                match self.next(&mut reader).await? {
                    Incoming::Reply(reply) => return Ok(reply),
                    Incoming::Push(_) if reader.pushes.len() >= MOST_PUSHES => {
                        self.state.lock().spoiled = true;
                        return Err(self.lost("more messages than anyone receives"));
                    }
                    push => reader.pushes.push_back(push),
                }
            }
        };
        let reply = match limit {
            None => answer.await,
            Some(after) => match tokio::time::timeout(after, answer).await {
                Ok(reply) => reply,
                Err(_) => {
                    self.state.lock().spoiled = true;
                    Err(Error::Timeout {
                        address: self.stable.config.address.to_string(),
                        what: command.name().to_ascii_uppercase(),
                        after,
                    })
                }
            },
        };
        reply?.whole()
    }

    /// Sends the first command on this connection, which may be a subscription, and waits for its answer.
    async fn begin(&self, first: &Command) -> Result<Reply, Error> {
        let taken = match Needs::of(first)? {
            Needs::State(Effect::Subscribes) => {
                self.send(std::slice::from_ref(first)).await?;
                let after = self.stable.config.response_timeout;
                match tokio::time::timeout(after, self.receive()).await {
                    Ok(Ok(Incoming::Reply(reply))) => reply.whole(),
                    Ok(Ok(Incoming::Push(confirmed))) => Ok(Reply::Array(confirmed)),
                    Ok(Err(error)) => Err(error),
                    Err(_) => Err(Error::Timeout {
                        address: self.stable.config.address.to_string(),
                        what: first.name().to_ascii_uppercase(),
                        after,
                    }),
                }
            }
            _ => self.command(first.clone()).await,
        };
        if let Err(Error::Command { .. }) = taken {
            // It has changed nothing.
            let mut state = self.state.lock();
            (state.watching, state.subscribed) = (false, false);
        }
        taken
    }

    /// Sends commands in one piece, and does not wait for their answers.
    ///
    /// # Errors
    /// [`Error::Disconnected`] and [`Error::Timeout`] if they cannot be sent, [`Error::Invalid`] for an empty
    /// command.
    pub async fn send(&self, commands: &[Command]) -> Result<(), Error> {
        let needs = commands.iter().map(Needs::of).collect::<Result<Vec<_>, _>>()?;
        let mut packed = Vec::new();
        for command in commands {
            command.packed().write_packed_command(&mut packed);
        }
        let mut writer = self.wire().writer.lock().await;
        // From here on the server may have some of it.
        let mut unsent = Unsent(Some(&self.state));
        self.state.lock().expect(&needs);
        let after = self.stable.config.response_timeout;
        match tokio::time::timeout(after, writer.write_all(&packed)).await {
            Ok(Ok(())) => {
                unsent.0 = None;
                Ok(())
            }
            Ok(Err(error)) => Err(self.lost(&error.to_string())),
            Err(_) => Err(Error::Timeout {
                address: self.stable.config.address.to_string(),
                what: "what was sent".to_owned(),
                after,
            }),
        }
    }

    /// The next thing that the server sends: an answer, in the order of the commands, or a push. Waits for as long
    /// as it takes, and may be dropped without a loss.
    ///
    /// # Errors
    /// [`Error::Disconnected`] if nothing comes any more.
    pub async fn receive(&self) -> Result<Incoming, Error> {
        let mut reader = self.wire().reader.lock().await;
        match reader.pushes.pop_front() {
            Some(push) => Ok(push),
            None => self.next(&mut reader).await,
        }
    }

    /// Waits until [`receive`](Self::receive) has something to return at once, for as long as it takes. May be dropped.
    ///
    /// # Errors
    /// As `receive`.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut reader = self.wire().reader.lock().await;
        if reader.pushes.is_empty() && reader.ahead.is_none() {
            let next = self.read(&mut reader).await?;
            reader.ahead = Some(next);
        }
        Ok(())
    }

    /// How long [`receive`](Self::receive) should be waited for after what was sent; `None` is for ever.
    pub fn patience(&self) -> Option<Duration> {
        let response_timeout = self.stable.config.response_timeout;
        match self.state.lock().patience {
            Some(None) => None,
            Some(Some(more)) => Some(response_timeout + more),
            None => Some(response_timeout),
        }
    }

    /// Whether it would go back to the pool if it were dropped now.
    pub fn is_clean(&self) -> bool {
        let state = self.state.lock();
        state.unanswered == 0
            && !state.watching
            && !state.in_transaction
            && !state.subscribed
            && !state.spoiled
    }

    /// Makes sure that it is closed when it is dropped.
    pub fn spoil(&self) {
        self.state.lock().spoiled = true;
    }

    /// Puts another socket in the place of this one, which goes back if it is clean.
    fn exchange(&mut self, wire: Wire) {
        if self.is_clean()
            && let Some(mut old) = self.wire.take()
            && old.is_quiet()
        {
            self.stable
                .take_back(old, self.stable.permits.available_permits());
        }
        self.wire = Some(wire);
        self.state = Mutex::default();
    }

    async fn next(&self, reader: &mut Reader) -> Result<Incoming, Error> {
        let next = match reader.ahead.take() {
            Some(next) => next,
            None => self.read(reader).await?,
        };
        if let Incoming::Reply(_) = next {
            let mut state = self.state.lock();
            state.unanswered = state.unanswered.saturating_sub(1);
            if state.unanswered == 0 {
                state.patience = None;
            }
        }
        Ok(next)
    }

    async fn read(&self, reader: &mut Reader) -> Result<Incoming, Error> {
        let mut closing = self.stable.closing.subscribe();
        let error = tokio::select! {
            biased;
            read = reader.read() => match read {
                Ok(next) => return Ok(next),
                Err(error) => self.lost(&error.to_string()),
            },
            // Also if that was before the read began.
            _ = closing.wait_for(|closed| *closed) => closed(),
        };
        self.state.lock().spoiled = true;
        Err(error)
    }

    fn wire(&self) -> &Wire {
        // Taken by `drop` only.
        #[allow(clippy::unwrap_used, reason = "see above")]
        self.wire.as_ref().unwrap()
    }

    fn lost(&self, reason: &str) -> Error {
        Error::Disconnected {
            address: self.stable.config.address.to_string(),
            reason: reason.to_owned(),
        }
    }
}

impl Drop for DedicatedConnection {
    fn drop(&mut self) {
        if self.is_clean()
            && let Some(mut wire) = self.wire.take()
            && wire.is_quiet()
        {
            // Its own is among them.
            self.stable
                .take_back(wire, self.stable.permits.available_permits() + 1);
        }
    }
}

impl fmt::Debug for DedicatedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedConnection")
            .field("address", &self.stable.config.address)
            .field("clean", &self.is_clean())
            .finish_non_exhaustive()
    }
}

/// Spoils a connection unless what was to be sent was sent.
struct Unsent<'a>(Option<&'a Mutex<State>>);

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.lock().spoiled = true;
        }
    }
}

impl State {
    /// Notes what commands do.
    fn expect(&mut self, needs: &[Needs]) {
        for needs in needs {
            self.unanswered += 1;
            match needs {
                Needs::Nothing => {}
                Needs::Patience(more) => {
                    self.patience = match (self.patience, more) {
                        (Some(None), _) | (_, None) => Some(None),
                        (Some(Some(known)), Some(more)) => Some(Some(known + *more)),
                        (None, Some(more)) => Some(Some(*more)),
                    }
                }
                Needs::State(effect) => match effect {
                    Effect::Watches => self.watching = true,
                    Effect::Begins => self.in_transaction = true,
                    Effect::Ends => (self.watching, self.in_transaction) = (false, false),
                    Effect::Unwatches => self.watching = false,
                    Effect::Subscribes => self.subscribed = true,
                    Effect::Spoils => self.spoiled = true,
                },
            }
        }
    }
}
