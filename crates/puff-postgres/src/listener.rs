//! `LISTEN`: a session of its own that stays with its channels, through the server's restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::Notification;
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;

mod queue;

pub(crate) use queue::NotificationQueue;

/// The pauses between attempts to come back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a silent server is asked for a sign of life, and how long it may take to answer.
const HEARTBEAT: Duration = Duration::from_secs(30);
const HEARTBEAT_LIMIT: Duration = Duration::from_secs(10);
/// How long a channel's name may be; PostgreSQL cuts off what is beyond.
const MAX_CHANNEL: usize = 63;

/// What a [`Listener`] hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A notification.
    Notification(Notification),
    /// Notifications may be missing here: read again whatever they stand for.
    Gap(Gap),
}

/// Why notifications may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Gap {
    /// How many were thrown away because the listener's queue was full.
    pub dropped: u64,
    /// Whether the connection was lost meanwhile; nobody knows what was sent until it was back.
    pub reconnected: bool,
}

/// Listens on channels over a session of its own, beside the pools and not counted by them.
///
/// Up to 1,024 notifications wait to be read; what comes beyond that is dropped. If the connection is lost it
/// is made anew, however long that takes. Both are told by a [`Gap`] in their place, never silently.
///
/// ```no_run
/// # async fn example(connection: puff_postgres::Connection) -> Result<(), puff_postgres::Error> {
/// use puff_postgres::{Heard, Listener};
///
/// let mut listener = Listener::connect(&"postgres://ada@localhost/shop".parse()?, &["orders"]).await?;
/// connection.notify("orders", "7").await?;
/// match listener.next().await {
///     Heard::Notification(order) => println!("order {}", order.payload),
///     Heard::Gap(_) => println!("look at all orders again"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    queue: Arc<NotificationQueue>,
    task: JoinHandle<Option<()>>,
    address: String,
}

impl Listener {
    /// Opens a session and listens on `channels`. Runs on Tokio, which also serves the session.
    ///
    /// Notifications that are sent after this has returned are heard.
    ///
    /// # Errors
    /// As [`Connection::connect`]; [`Error::InvalidInput`] for a channel without a name, or with one that
    /// PostgreSQL would cut off; [`Error::Unsupported`] behind PgBouncer, where no session stays with a client.
    pub async fn connect(config: &Config, channels: &[&str]) -> Result<Self, Error> {
        if config.pgbouncer {
            let text =
                "LISTEN needs a session of its own, which PgBouncer does not give: connect to the server";
            return Err(Error::Unsupported(text.to_owned()));
        }
        let sql = listen(channels)?;
        let queue = Arc::new(NotificationQueue::default());
        let config = Arc::new(config.clone());
        let connection = open(&config, &sql, &queue).await?;
        let stay = stay(connection, config.clone(), sql, queue.clone());
        let task = puff_core::task::spawn(&Handle::current(), "postgres listener", stay);
        Ok(Self {
            queue,
            task,
            address: config.address(),
        })
    }

    /// What is heard next; waits for it without a limit.
    ///
    /// **Cancel safety.** Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Heard {
        self.queue.next().await
    }

    /// What has been heard already.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.queue.try_next()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}

/// Watches the connection, and makes a new one when it is lost.
async fn stay(mut connection: Connection, config: Arc<Config>, sql: String, queue: Arc<NotificationQueue>) {
    loop {
        watch(&connection).await;
        tracing::debug!(
            "a listener lost its connection to PostgreSQL at {}",
            config.address()
        );
        // Before anything new, or the gap would not be where it belongs.
        drop(connection);
        let mut pause = FIRST_PAUSE;
        connection = loop {
            match open(&config, &sql, &queue).await {
                Ok(connection) => break connection,
                Err(error) => tracing::warn!("a listener cannot come back yet: {error}"),
            }
            // Many listeners shall not come back all at once.
            let share = rand::rng().random_range(0.5..1.0);
            sleep(pause.mul_f64(share)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        queue.reconnected();
    }
}

/// Returns when the connection is lost.
async fn watch(connection: &Connection) {
    while !connection.is_closed() {
        tokio::select! {
            () = connection.wait_closed() => {}
            () = sleep(HEARTBEAT) => match timeout(HEARTBEAT_LIMIT, connection.sync()).await {
                Ok(Ok(())) => {}
                _ => return,
            },
        }
    }
}

async fn open(config: &Arc<Config>, sql: &str, queue: &Arc<NotificationQueue>) -> Result<Connection, Error> {
    let connection = Connection::connect_listening(config.clone(), queue.clone()).await?;
    match timeout(config.connect_timeout, connection.simple_query(sql)).await {
        Ok(done) => done.map(|_| connection),
        Err(_) => Err(Error::Timeout {
            operation: format!("LISTEN at {}", config.address()),
            after: config.connect_timeout,
        }),
    }
}

/// The statements that listen on all channels.
fn listen(channels: &[&str]) -> Result<String, Error> {
    if channels.is_empty() {
        return Err(Error::InvalidInput("a listener needs a channel".to_owned()));
    }
    let mut sql = String::new();
    for channel in channels {
        check_channel(channel)?;
        sql.push_str(&format!("LISTEN \"{}\";", channel.replace('"', "\"\"")));
    }
    Ok(sql)
}

/// Refuses names that PostgreSQL would take for another's.
pub(crate) fn check_channel(channel: &str) -> Result<(), Error> {
    if channel.is_empty() || channel.len() > MAX_CHANNEL || channel.contains('\0') {
        let text = format!(
            "{channel:?} is no name of a channel: it has 1 to {MAX_CHANNEL} bytes, and no NUL among them"
        );
        return Err(Error::InvalidInput(text));
    }
    Ok(())
}
