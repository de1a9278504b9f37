//! Commands to a cluster: redis-rs' client, which knows who has which key and follows `MOVED` and `ASK`.

use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, TlsMode, Value};

use crate::config::Node;
use crate::{Command, Error, RedisConfig, tls};

/// Connections to all nodes of a cluster, which tend to themselves.
#[derive(Clone)]
pub(crate) struct Cluster {
    connection: ClusterConnection,
}

impl Cluster {
    /// Connects to the nodes, within the time that `config` gives.
    pub(crate) async fn open(config: &RedisConfig, nodes: &[Node]) -> Result<Self, Error> {
        let after = config.connect_timeout;
        match tokio::time::timeout(after, Self::connect(config, nodes)).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::connect(config, format!("no connection within {after:?}"))),
        }
    }

    async fn connect(config: &RedisConfig, nodes: &[Node]) -> Result<Self, Error> {
        let failed = |error: RedisError| match error.code() {
            Some(_) => Error::refused(config, &Error::answer(&error)),
            None => Error::connect(config, error),
        };
        let infos = nodes
            .iter()
            .map(|node| address(config, node).into_connection_info());
        let infos = infos.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut builder = ClusterClient::builder(infos)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(config.connect_timeout)
            .response_timeout(config.response_timeout)
            .retries(5);
        if let Some(username) = &config.username {
            builder = builder.username(username);
        }
        if let Some(password) = &config.password {
            builder = builder.password(password);
        }
        if let Some(tls) = &config.tls {
            // redis-rs asks for the process's default, which nobody else may have chosen.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let tls = tls.clone();
            let pem = tokio::task::spawn_blocking(move || tls::pem(&tls)).await;
            let pem = pem.map_err(|error| Error::connect(config, error))?;
            let pem = pem.map_err(|reason| Error::connect(config, reason))?;
            builder = builder.tls(TlsMode::Secure).certs(pem);
        }
        let client = builder.build().map_err(failed)?;
        let connection = client.get_async_connection().await.map_err(failed)?;
        Ok(Self { connection })
    }

    /// Sends one command to who has its keys, or to all nodes if it is one of those.
    pub(crate) async fn send(&self, config: &RedisConfig, command: &Command) -> Result<Value, Error> {
        let mut connection = self.connection.clone();
        let answer = connection.req_packed_command(command.packed()).await;
        answer.map_err(|error| explain(config, &error, &command.name()))
    }

    /// Sends commands side by side, each to who has its keys. Those to one node stay in order.
    pub(crate) async fn send_all(
        &self,
        config: &RedisConfig,
        commands: &[Command],
    ) -> Vec<Result<Value, Error>> {
        join_all(commands.iter().map(|command| self.send(config, command))).await
    }

    /// Sends commands between `MULTI` and `EXEC`; their keys have to be in one slot.
    pub(crate) async fn transaction(
        &self,
        config: &RedisConfig,
        commands: &[Command],
    ) -> Result<Value, Error> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        pipeline.atomic();
        for command in commands {
            pipeline.add_command(command.packed().clone());
        }
        let mut connection = self.connection.clone();
        let answer = connection
            .req_packed_commands(&pipeline, commands.len() + 1, 1)
            .await;
        let answer = answer.map_err(|error| explain(config, &error, "a transaction"))?;
        Ok(answer.into_iter().next().unwrap_or(Value::Nil))
    }
}

fn address(config: &RedisConfig, node: &Node) -> ConnectionAddr {
    let (host, port) = (node.host.clone(), node.port);
    match &config.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(_) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        },
    }
}

fn explain(config: &RedisConfig, error: &RedisError, what: &str) -> Error {
    if error.code().is_some() {
        return Error::answer(error);
    }
    let address = config.address.to_string();
    match error.is_timeout() {
        true => Error::Timeout {
            address,
            what: what.to_owned(),
            after: config.response_timeout,
        },
        false => Error::Disconnected {
            address,
            reason: error.to_string(),
        },
    }
}
