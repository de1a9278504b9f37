//! Who is master, as the Sentinels know it.
//!
//! redis-rs can ask them too, but opens sockets of its own for that, with another TLS and other limits. It is one
//! question.

use crate::config::Node;
use crate::wire::Wire;
use crate::{Command, Error, RedisConfig, Reply};

/// Asks one Sentinel after the other, and believes the first that knows.
pub(crate) async fn find(config: &RedisConfig, master: &str, sentinels: &[Node]) -> Result<Node, Error> {
    let mut last = "no Sentinel is known".to_owned();
    for sentinel in sentinels {
        let mut own = config.for_node(sentinel.clone());
        own.database = 0;
        own.username.clone_from(&config.sentinel_username);
        own.password.clone_from(&config.sentinel_password);
        // One that is silent must not take the time of the others.
        own.connect_timeout = config.connect_timeout / (sentinels.len() as u32 + 1);
        match ask(&own, master).await {
            Ok(Some(node)) => return Ok(node),
            Ok(None) => last = format!("the Sentinel at {sentinel} knows no master called {master:?}"),
            Err(error) => last = format!("Sentinel: {error}"),
        }
    }
    Err(Error::connect(config, last))
}

async fn ask(config: &RedisConfig, master: &str) -> Result<Option<Node>, Error> {
    // Boxed: opening a connection may ask a Sentinel.
    let mut wire = Box::pin(Wire::open(config)).await?;
    let question = Command::new("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(master);
    match wire.ask(config, &question).await? {
        Reply::Nil => Ok(None),
        Reply::Array(items) => match &items[..] {
            [Reply::Bulk(host), Reply::Bulk(port)] => {
                let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
                Ok(port.map(|port| Node {
                    host: String::from_utf8_lossy(host).into_owned(),
                    port,
                }))
            }
            _ => Ok(None),
        },
        other => Err(Error::Unexpected {
            command: "SENTINEL",
            reply: other.kind(),
        }),
    }
}

/// Whether a `ROLE` is that of a master; one that was deposed does not know it for a moment, or the Sentinel did not.
pub(crate) fn is_master(role: &Reply) -> bool {
    matches!(role, Reply::Array(items) if matches!(items.first(), Some(Reply::Bulk(role)) if role == "master"))
}

/// The error of a connection to one that is not.
pub(crate) fn not_master(config: &RedisConfig) -> Error {
    Error::connect(
        config,
        "what the Sentinels call the master is a replica; there may be a fail-over",
    )
}
