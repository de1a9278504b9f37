//! The servers that carry a hub's channels: one, or the nodes of a cluster; and the scripts that are sent to them.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::scripts::{self, Call};
use crate::config::Node;
use crate::slots::{Redirect, Slots, slot};
use crate::wire::Wire;
use crate::{Address, Command, Error, RedisConfig, RedisPool, Reply};

/// The nodes are asked at most so often who has which slots.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Where a channel is: at a node of a cluster, or at the only server.
pub(super) type Place = Option<Node>;

/// What is known of the servers, and the connections for what is published.
pub(super) struct Servers {
    config: RedisConfig,
    /// Nodes of a cluster that are named, else none.
    named: Vec<Node>,
    slots: Mutex<Slots>,
    /// Whether `slots` may be out of date.
    stale: AtomicBool,
    /// Held while the nodes are asked, so that a crowd shares one answer; counts them.
    asking: tokio::sync::Mutex<Asked>,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Asked {
    latest: Option<(Instant, Result<(), Error>)>,
    /// Whom to ask first: one that is behind should not be asked every time.
    turn: usize,
}

#[derive(Default)]
struct Pools {
    by_place: FxHashMap<Place, RedisPool>,
    closed: bool,
}

impl Servers {
    /// Does no I/O.
    pub(super) fn new(config: RedisConfig) -> Self {
        let named = match &config.address {
            Address::Cluster(nodes) => nodes.clone(),
            _ => Vec::new(),
        };
        Self {
            config,
            named,
            slots: Mutex::default(),
            stale: AtomicBool::new(true),
            asking: tokio::sync::Mutex::default(),
            pools: Mutex::default(),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        !self.named.is_empty()
    }

    /// Whether the server may be another one tomorrow: then a connection to one that is no master is of no use.
    pub(super) fn changes_masters(&self) -> bool {
        self.is_cluster() || matches!(self.config.address, Address::Sentinel { .. })
    }

    pub(super) fn config(&self) -> &RedisConfig {
        &self.config
    }

    /// How to connect to one of them.
    pub(super) fn config_of(&self, place: &Place) -> RedisConfig {
        match place {
            Some(node) => self.config.for_node(node.clone()),
            None => self.config.clone(),
        }
    }

    /// Where a channel or a key is, as far as is known.
    ///
    /// # Errors
    /// `CLUSTERDOWN` if no node has its slot.
    pub(super) fn place(&self, name: &str) -> Result<Place, Error> {
        if !self.is_cluster() {
            return Ok(None);
        }
        let slot = slot(name);
        match self.slots.lock().owner(slot) {
            Some(node) => Ok(Some(node.clone())),
            None => {
                self.suspect();
                Err(Error::Command {
                    code: "CLUSTERDOWN".to_owned(),
                    message: format!("no node has the hash slot {slot} of {name:?}"),
                })
            }
        }
    }

    /// A node could not be reached: somebody may have taken its place.
    pub(super) fn suspect(&self) {
        self.stale.store(true, Relaxed);
    }

    /// What a node has answered; returns to where it has sent us, if it has.
    pub(super) fn redirect(&self, place: &Place, error: &Error) -> Option<Redirected> {
        let (Error::Command { code, message }, Some(asked)) = (error, place) else {
            return None;
        };
        let redirect = Redirect::read(message, Some(asked))?;
        match code.as_str() {
            "MOVED" => {
                self.slots.lock().learn(redirect);
                Some(Redirected::Moved)
            }
            "ASK" => Some(Redirected::Ask(redirect.node)),
            _ => None,
        }
    }

    /// Asks the nodes who has which slots, if that may have changed.
    ///
    /// # Errors
    /// Those of the last node that was asked.
    pub(super) async fn refresh(&self) -> Result<(), Error> {
        if !self.is_cluster() || !self.stale.load(Relaxed) {
            return Ok(());
        }
        let mut asked = self.asking.lock().await;
        if let Some((when, outcome)) = &asked.latest
            && when.elapsed() < BETWEEN_QUESTIONS
        {
            return outcome.clone();
        }
        asked.turn = asked.turn.wrapping_add(1);
        let after = self.config.connect_timeout;
        let outcome = match tokio::time::timeout(after, self.ask_nodes(asked.turn)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::connect(
                &self.config,
                format!("no node has answered within {after:?}"),
            )),
        };
        asked.latest = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn ask_nodes(&self, turn: usize) -> Result<(), Error> {
        let mut nodes = self.slots.lock().nodes();
        if !nodes.is_empty() {
            let first = turn % nodes.len();
            nodes.rotate_left(first);
        }
        for node in &self.named {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        let mut last = Error::connect(&self.config, "no node is known");
        for node in &nodes {
            let mut config = self.config.for_node(node.clone());
            // One that is silent must not take the time of the others.
            config.connect_timeout /= u32::try_from(nodes.len()).unwrap_or(u32::MAX).saturating_add(1);
            match ask_node(&config, node).await {
                Ok(Some(slots)) => {
                    *self.slots.lock() = slots;
                    self.stale.store(false, Relaxed);
                    self.forget_pools();
                    return Ok(());
                }
                Ok(None) => last = Error::connect(&self.config, format!("{node} is in no cluster")),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Closes the connections to nodes that have left.
    fn forget_pools(&self) {
        let nodes = self.slots.lock().nodes();
        let known = |place: &Place| place.as_ref().is_none_or(|node| nodes.contains(node));
        self.pools.lock().by_place.retain(|place, _| known(place));
    }

    /// Runs a script where its keys are.
    ///
    /// It is sent once: after a lost connection nobody knows whether it was carried out. What a node does not carry
    /// out goes to the one that does, until the response time-out is over.
    pub(super) async fn call(&self, call: &Call) -> Result<Reply, Error> {
        let until = Instant::now() + self.config.response_timeout;
        let (mut pause, mut ask, mut by_text, mut away) = (Duration::ZERO, None, false, false);
        loop {
            self.refresh().await?;
            let asking = ask.take();
            let place = match &asking {
                Some(node) => Some(Node::clone(node)),
                None => self.place(call.key())?,
            };
            let command = if by_text { call.by_text() } else { call.by_hash() };
            let answer = self.send(&place, asking.is_some(), &command, call.name()).await;
            let Err(error) = answer else { return answer };
            match self.redirect(&place, &error) {
                Some(Redirected::Ask(node)) => ask = Some(node),
                // Asked with leave, by one who has it not: from the beginning.
                Some(Redirected::Moved) => {}
                None => match &error {
                    error if scripts::is_unknown(error) && !by_text => {
                        by_text = true;
                        ask = asking;
                        continue;
                    }
                    Error::Command { code, .. } if code == "TRYAGAIN" => {}
                    // Nothing was sent.
                    Error::Connect { .. } | Error::CircuitOpen { .. } if self.is_cluster() && !away => {
                        away = true;
                        self.suspect();
                        self.refresh().await?;
                        if self.place(call.key())? == place {
                            return Err(error);
                        }
                        continue;
                    }
                    Error::Connect { .. }
                    | Error::CircuitOpen { .. }
                    | Error::Disconnected { .. }
                    | Error::Timeout { .. } => {
                        self.suspect();
                        return Err(error);
                    }
                    _ => return Err(error),
                },
            }
            if Instant::now() + pause >= until {
                return Err(error);
            }
            // Not before the first time: a slot has moved, and that is that.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    /// Runs a script at a node that has the keys already, and not yet their slot.
    pub(super) async fn ask(&self, node: Node, call: &Call) -> Result<Reply, Error> {
        let place = Some(node);
        match self.send(&place, true, &call.by_hash(), call.name()).await {
            Err(error) if scripts::is_unknown(&error) => {
                self.send(&place, true, &call.by_text(), call.name()).await
            }
            answer => answer,
        }
    }

    async fn send(&self, place: &Place, asking: bool, command: &Command, name: &str) -> Result<Reply, Error> {
        let pool = self.pool(place)?;
        if !asking {
            return pool.send(command.packed(), name).await;
        }
        // Leave to ask is for the next command on the connection.
        let both = [Command::new("ASKING"), command.clone()];
        let mut answers = pool.send_all(&both, name).await?;
        answers.pop().unwrap_or(Ok(Reply::Nil))
    }

    /// One connection to each, so that what one process publishes arrives in the order in which it was sent.
    fn pool(&self, place: &Place) -> Result<RedisPool, Error> {
        let mut pools = self.pools.lock();
        if pools.closed {
            return Err(Error::Closed { what: "pub-sub" });
        }
        let pool = pools.by_place.entry(place.clone()).or_insert_with(|| {
            RedisPool::new(RedisConfig {
                connections: 1,
                ..self.config_of(place)
            })
        });
        Ok(pool.clone())
    }

    pub(super) fn close(&self) {
        let mut pools = self.pools.lock();
        pools.closed = true;
        pools.by_place.drain().for_each(|(_, pool)| pool.close());
    }
}

/// To where a node sends who asks it.
pub(super) enum Redirected {
    /// It is somewhere else for good, as is known now.
    Moved,
    /// For once: this key has gone, and the others of its slot have not.
    Ask(Node),
}

async fn ask_node(config: &RedisConfig, node: &Node) -> Result<Option<Slots>, Error> {
    let mut wire = Wire::open(config).await?;
    let question = Command::new("CLUSTER").arg("SLOTS");
    Ok(Slots::read(&wire.ask(config, &question).await?, node))
}
