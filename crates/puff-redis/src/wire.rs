//! One connection: opened and logged in, with RESP on it.

use std::collections::VecDeque;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Mutex;

use crate::config::Node;
use crate::dial::{Stream, dial, dial_any};
use crate::resp::Frames;
use crate::{Address, Command, Error, Incoming, RedisConfig, Reply, sentinel};

/// Room for what the server sends at a time.
const READ: usize = 16 << 10;

/// An open, logged-in socket.
pub(crate) struct Wire {
    /// The node, if it is one of many.
    pub(crate) node: Option<Node>,
    pub(crate) reader: Mutex<Reader>,
    pub(crate) writer: Mutex<Writer>,
}

/// What is written to a socket.
pub(crate) type Writer = WriteHalf<Box<dyn Stream>>;

/// What is read from one.
pub(crate) struct Reader {
    stream: ReadHalf<Box<dyn Stream>>,
    buffer: BytesMut,
    frames: Frames,
    /// What has been read, and not been received.
    pub(crate) ahead: Option<Incoming>,
    /// Likewise, before that.
    pub(crate) pushes: VecDeque<Incoming>,
}

impl Reader {
    /// What the server sends next. May be dropped without a loss.
    pub(crate) async fn read(&mut self) -> std::io::Result<Incoming> {
        loop {
            let next = self.frames.next(&mut self.buffer);
            match next {
                Ok(Some(next)) => return Ok(next),
                Ok(None) => {}
                Err(_) => return Err(std::io::Error::other("what answers there is no Redis")),
            }
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::Error::other("the server closed the connection"));
            }
        }
    }
}

impl Wire {
    pub(crate) async fn open(config: &RedisConfig) -> Result<Self, Error> {
        let after = config.connect_timeout;
        let opened = tokio::time::timeout(after, async {
            let (socket, node) = match &config.address {
                Address::Cluster(nodes) => dial_any(config, nodes).await?,
                Address::Tcp(node) => (dial(config).await?, Some(node.clone())),
                _ => (dial(config).await?, None),
            };
            let (stream, writer) = tokio::io::split(socket);
            let mut wire = Self {
                node,
                reader: Mutex::new(Reader {
                    stream,
                    buffer: BytesMut::new(),
                    frames: Frames::default(),
                    ahead: None,
                    pushes: VecDeque::new(),
                }),
                writer: Mutex::new(writer),
            };
            wire.log_in(config).await?;
            Ok(wire)
        });
        opened
            .await
            .unwrap_or_else(|_| Err(Error::connect(config, format!("no connection within {after:?}"))))
    }

    async fn log_in(&mut self, config: &RedisConfig) -> Result<(), Error> {
        let mut hello = Command::new("HELLO").arg("3");
        if let Some(password) = &config.password {
            let user = config.username.as_deref().unwrap_or("default");
            hello = hello.arg("AUTH").arg(user).arg(password);
        }
        self.exchange(config, &hello).await?;
        if config.database != 0 {
            let select = Command::new("SELECT").arg(config.database.to_string());
            self.exchange(config, &select).await?;
        }
        if let Address::Sentinel { .. } = config.address
            && !sentinel::is_master(&self.exchange(config, &Command::new("ROLE")).await?)
        {
            return Err(sentinel::not_master(config));
        }
        Ok(())
    }

    /// A question and its answer, for those who have just opened it. The time is limited.
    pub(crate) async fn ask(&mut self, config: &RedisConfig, command: &Command) -> Result<Reply, Error> {
        let after = config.connect_timeout;
        match tokio::time::timeout(after, self.exchange(config, command)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::connect(config, format!("no answer within {after:?}"))),
        }
    }

    /// Its two halves, for who has each to himself.
    pub(crate) fn into_halves(self) -> (Reader, Writer) {
        (self.reader.into_inner(), self.writer.into_inner())
    }

    async fn exchange(&mut self, config: &RedisConfig, command: &Command) -> Result<Reply, Error> {
        let failed = |error: std::io::Error| Error::connect(config, error);
        let packed = command.packed().get_packed_command();
        self.writer.get_mut().write_all(&packed).await.map_err(failed)?;
        loop {
            if let Incoming::Reply(reply) = self.reader.get_mut().read().await.map_err(failed)? {
                return reply.whole().map_err(|error| Error::refused(config, &error));
            }
        }
    }

    /// Whether it is open and the server has sent nothing: so is one that can be used again.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let reader = self.reader.get_mut();
        if reader.ahead.is_some() || !reader.pushes.is_empty() || !reader.buffer.is_empty() {
            return false;
        }
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut read = std::pin::pin!(reader.stream.read_buf(&mut reader.buffer));
        read.as_mut().poll(&mut context).is_pending()
    }
}
