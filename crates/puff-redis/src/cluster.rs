//! Commands to a cluster: redis-rs' client, which knows who has which key and follows `MOVED` and `ASK`.

use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, TlsMode, Value};

use crate::config::{Node, Verify};
use crate::{Command, Error, RedisConfig, tls};

/// How many slots a cluster has, for cursors.
const SLOTS: u128 = crate::slots::SLOTS as u128;

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
            let files = tls.clone();
            let pem = tokio::task::spawn_blocking(move || tls::pem(&files)).await;
            let pem = pem.map_err(|error| Error::connect(config, error))?;
            let pem = pem.map_err(|reason| Error::connect(config, reason))?;
            builder = builder
                .tls(mode(tls.verify))
                .danger_accept_invalid_hostnames(tls.verify == Verify::Authority)
                .certs(pem);
        }
        let client = builder.build().map_err(failed)?;
        let connection = client.get_async_connection().await.map_err(failed)?;
        Ok(Self { connection })
    }

    /// Sends one command to who has its keys, or to all nodes if it is one of those.
    pub(crate) async fn send(&self, config: &RedisConfig, command: &Command) -> Result<Value, Error> {
        let mut connection = self.connection.clone();
        let answer = match &*command.name().to_ascii_uppercase() {
            "SCAN" => self.scan(command).await,
            // redis-rs would ask all, and give a map of texts. Everybody expects one.
            "INFO" => {
                connection
                    .route_command(command.packed().clone(), master_of(0))
                    .await
            }
            "PUBSUB" => connection.req_packed_command(command.packed()).await.map(flat),
            _ => connection.req_packed_command(command.packed()).await,
        };
        answer.map_err(|error| explain(config, &error, &command.name()))
    }

    /// One step through the keys of all masters, one after the other. redis-rs would ask any node each time. The
    /// cursor is that of the node, times the number of slots, plus the first slot of the node, by which the next step
    /// finds it.
    async fn scan(&self, command: &Command) -> Result<Value, RedisError> {
        let mut connection = self.connection.clone();
        let mut words = command.words();
        let mut step = Cmd::new();
        step.arg(words.next().unwrap_or_default());
        let cursor = words.next().unwrap_or_default();
        // What is no cursor is the server's to refuse.
        let position = std::str::from_utf8(cursor)
            .ok()
            .and_then(|text| text.parse::<u128>().ok());
        match position {
            Some(position) => step.arg((position / SLOTS).to_string()),
            None => step.arg(cursor),
        };
        words.for_each(|word| {
            step.arg(word);
        });
        let slot = (position.unwrap_or_default() % SLOTS) as u16;
        let mut answer = connection.route_command(step, master_of(slot)).await?;
        if let Value::Array(parts) = &mut answer
            && let Some(Value::BulkString(cursor)) = parts.first_mut()
            && let Some(at) = std::str::from_utf8(cursor)
                .ok()
                .and_then(|text| text.parse::<u128>().ok())
        {
            let next = match at {
                0 => self.master_after(slot).await?.map_or(0, u128::from),
                at => at * SLOTS + u128::from(slot),
            };
            *cursor = next.to_string().into_bytes();
        }
        Ok(answer)
    }

    /// The first slot of the next master, whose slots begin after `slot`.
    async fn master_after(&self, slot: u16) -> Result<Option<u16>, RedisError> {
        let mut connection = self.connection.clone();
        let mut question = Cmd::new();
        question.arg("CLUSTER").arg("SLOTS");
        let Value::Array(ranges) = connection.route_command(question, master_of(0)).await? else {
            return Ok(None);
        };
        let mut ranges: Vec<(u16, Value)> = ranges
            .into_iter()
            .filter_map(|range| match range {
                Value::Array(range) => {
                    let mut parts = range.into_iter();
                    let Some(Value::Int(first)) = parts.next() else {
                        return None;
                    };
                    Some((u16::try_from(first).ok()?, parts.nth(1)?))
                }
                _ => None,
            })
            .collect();
        ranges.sort_by_key(|(first, _)| *first);
        let mut seen: Vec<Value> = Vec::new();
        for (first, master) in ranges {
            if !seen.contains(&master) {
                if first > slot {
                    return Ok(Some(first));
                }
                seen.push(master);
            }
        }
        Ok(None)
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

/// As a single server answers `PUBSUB NUMSUB`: channel, number, channel... redis-rs adds the nodes' numbers up, and makes
/// a map of them.
fn flat(answer: Value) -> Value {
    match answer {
        Value::Map(pairs) => Value::Array(
            pairs
                .into_iter()
                .flat_map(|(name, number)| [name, number])
                .collect(),
        ),
        answer => answer,
    }
}

fn master_of(slot: u16) -> RoutingInfo {
    RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(Route::new(
        slot,
        SlotAddr::Master,
    )))
}

fn address(config: &RedisConfig, node: &Node) -> ConnectionAddr {
    let (host, port) = (node.host.clone(), node.port);
    match &config.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(tls) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: matches!(mode(tls.verify), TlsMode::Insecure),
            tls_params: None,
        },
    }
}

fn mode(verify: Verify) -> TlsMode {
    match verify {
        Verify::Full | Verify::Authority => TlsMode::Secure,
        Verify::Nothing => TlsMode::Insecure,
    }
}

fn explain(config: &RedisConfig, error: &RedisError, what: &str) -> Error {
    match error.code() {
        // redis-rs' own: nothing was sent.
        Some(code @ "CROSSSLOT") if error.detail().is_none() => {
            return Error::Command {
                code: code.to_owned(),
                message: format!("the keys of {what} are not all in one slot"),
            };
        }
        Some(_) => return Error::answer(error),
        None => {}
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
