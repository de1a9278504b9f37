//! One open connection, shared by many commands, and the task that drives it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dial::dial;
use crate::{Address, Command, Error, RedisConfig, Reply, sentinel};

/// An open, logged-in RESP3 connection. Commands of many tasks interleave on it and are answered in order.
///
/// redis-rs's `ConnectionManager` would reconnect for us, but it makes commands wait through its whole series of
/// retries. So the socket and the driver task are ours: the task ends when the connection does, and dropping the link ends the task.
pub(crate) struct Link {
    connection: MultiplexedConnection,
    address: String,
    driver: JoinHandle<()>,
    /// Its sender lives in the driver task and is dropped with it, however the task ends.
    gone: watch::Receiver<()>,
}

impl Link {
    /// Opens a connection within `config.connect_timeout`.
    pub(crate) async fn open(config: &RedisConfig) -> Result<Self, Error> {
        let settings = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let after = config.connect_timeout;
        tokio::time::timeout(after, Self::connect(config, settings))
            .await
            .map_err(|_| Error::connect(config, format!("no connection within {after:?}")))?
    }

    async fn connect(config: &RedisConfig, settings: AsyncConnectionConfig) -> Result<Self, Error> {
        let stream = dial(config).await?;
        let opened = MultiplexedConnection::new_with_config(&config.login(), stream, settings).await;
        let (connection, drive) = opened.map_err(|error| match error.code() {
            Some(_) => Error::refused(config, &Error::answer(&error)),
            None => Error::connect(config, error),
        })?;
        let (alive, gone) = watch::channel(());
        let driver = tokio::spawn(async move {
            drive.await;
            drop(alive);
        });
        let link = Self {
            connection,
            address: config.address.to_string(),
            driver,
            gone,
        };
        if let Address::Sentinel { .. } = config.address {
            let role = link
                .send(&redis::cmd("ROLE"), "ROLE", config.connect_timeout)
                .await?;
            if !sentinel::is_master(&Reply::from_value(role)?) {
                return Err(sentinel::not_master(config));
            }
        }
        Ok(link)
    }

    /// Whether the connection has ended. `false` may already be out of date.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.has_changed().is_err()
    }

    /// Sends one command; an error reply of the server comes back as `Ok(Value::ServerError)`.
    pub(crate) async fn send(&self, command: &Cmd, what: &str, within: Duration) -> Result<Value, Error> {
        let mut connection = self.connection.clone();
        self.answer(connection.send_packed_command(command), what, within)
            .await
    }

    /// Sends commands in one piece, so that no other comes between them; their answers in the same order, errors
    /// of the server as `Value::ServerError`.
    pub(crate) async fn send_all(
        &self,
        commands: &[Command],
        what: &str,
        within: Duration,
    ) -> Result<Vec<Value>, Error> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.packed().clone());
        }
        let mut connection = self.connection.clone();
        let answers = connection.send_packed_commands(&pipeline, 0, commands.len());
        self.answer(answers, what, within).await
    }

    async fn answer<T>(
        &self,
        request: impl Future<Output = Result<T, RedisError>>,
        what: &str,
        within: Duration,
    ) -> Result<T, Error> {
        match tokio::time::timeout(within, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(Error::Timeout {
                address: self.address.clone(),
                what: what.to_owned(),
                after: within,
            }),
        }
    }

    fn explain(&self, error: &RedisError) -> Error {
        match error.code() {
            Some(_) => Error::answer(error),
            None => Error::Disconnected {
                address: self.address.clone(),
                reason: error.to_string(),
            },
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
