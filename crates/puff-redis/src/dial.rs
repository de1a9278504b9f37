//! Opens the socket of a connection.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::config::Node;
use crate::{Address, Error, RedisConfig, sentinel, tls};

/// A socket of any kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Stream for S {}

/// Connects to where the server is; in a cluster, to the first node that can be reached. Whoever calls limits the
/// time.
pub(crate) async fn dial(config: &RedisConfig) -> Result<Box<dyn Stream>, Error> {
    match &config.address {
        Address::Tcp(node) => tcp(config, node).await,
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Ok(Box::new(stream.map_err(|error| Error::connect(config, error))?))
        }
        Address::Sentinel { master, sentinels } => {
            tcp(config, &sentinel::find(config, master, sentinels).await?).await
        }
        Address::Cluster(nodes) => Ok(dial_any(config, nodes).await?.0),
    }
}

/// Connects to the first of these nodes that can be reached; also says which that is.
pub(crate) async fn dial_any(
    config: &RedisConfig,
    nodes: &[Node],
) -> Result<(Box<dyn Stream>, Option<Node>), Error> {
    let mut last = Error::connect(config, "no node is known");
    for node in nodes {
        match tokio::time::timeout(config.connect_timeout / 2, tcp(config, node)).await {
            Ok(Ok(stream)) => return Ok((stream, Some(node.clone()))),
            Ok(Err(error)) => last = error,
            Err(_) => last = Error::connect(config, format!("{node} does not answer")),
        }
    }
    Err(last)
}

async fn tcp(config: &RedisConfig, node: &Node) -> Result<Box<dyn Stream>, Error> {
    let stream = TcpStream::connect((node.host.as_str(), node.port)).await;
    let stream = stream.map_err(|error| Error::connect(config, error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| Error::connect(config, error))?;
    let Some(tls) = &config.tls else {
        return Ok(Box::new(stream));
    };
    let stream = tls::encrypt(tls, &node.host, stream).await;
    Ok(Box::new(stream.map_err(|reason| Error::connect(config, reason))?))
}
