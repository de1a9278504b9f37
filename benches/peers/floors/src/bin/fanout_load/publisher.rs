//! Who publishes: this process by `PUBLISH`, or a program that knows how its system wants it.

use std::process::Stdio;
use std::time::Duration;

use puff_bench_floors::AnyError;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// For a program to publish what it has been given.
const END: Duration = Duration::from_secs(30);

pub(crate) enum Publisher {
    Redis(MultiplexedConnection),
    Program(Child, ChildStdin),
}

impl Publisher {
    pub(crate) async fn open(redis_url: &str, command: Option<&[String]>) -> Result<Self, AnyError> {
        let Some(command) = command else {
            let client = redis::Client::open(redis_url)?;
            return Ok(Self::Redis(client.get_multiplexed_async_connection().await?));
        };
        let [program, arguments @ ..] = command else {
            return Err("the publisher has no program".into());
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("the publisher has no standard input")?;
        Ok(Self::Program(child, input))
    }

    /// Returns when Redis has it, or when the program has been given it.
    pub(crate) async fn publish(&mut self, channel: &str, message: &str) -> Result<(), AnyError> {
        match self {
            Self::Redis(connection) => Ok(connection.publish(channel, message).await?),
            Self::Program(_, input) => {
                let line = format!("{channel} {message}\n");
                Ok(input.write_all(line.as_bytes()).await?)
            }
        }
    }

    /// Waits for the program's end.
    pub(crate) async fn close(self) -> Result<(), AnyError> {
        if let Self::Program(mut child, input) = self {
            drop(input);
            let status = timeout(END, child.wait()).await??;
            if !status.success() {
                return Err(format!("the publisher ended with {status}").into());
            }
        }
        Ok(())
    }
}
