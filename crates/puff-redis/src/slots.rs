//! Which node of a cluster has which channels: hash slots, and who has them.
//!
//! redis-rs knows this too and keeps it to itself: it sends commands, and has no subscriptions that follow a slot.

use rustc_hash::FxHashMap;

use crate::Reply;
use crate::config::Node;

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16384;

/// The part of a name that Redis hashes, if it is not the whole.
pub(crate) fn tag(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// The hash slot of a channel or of a key.
pub(crate) fn slot(name: &str) -> u16 {
    let hashed = tag(name).unwrap_or(name);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// Who has which slots, as the nodes have told.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// First and last slot of each range.
    ranges: Vec<(u16, u16, Node)>,
    /// What nodes have said of single slots since.
    moved: FxHashMap<u16, Node>,
}

impl Slots {
    /// Reads the answer to `CLUSTER SLOTS`; `asked` is who answered. None if it has no slots: a node that has left a
    /// cluster knows nobody.
    pub(crate) fn read(reply: &Reply, asked: &Node) -> Option<Self> {
        let Reply::Array(items) = reply else { return None };
        let range = |item: &Reply| {
            let Reply::Array(parts) = item else { return None };
            let [Reply::Int(first), Reply::Int(last), Reply::Array(master), ..] = &parts[..] else {
                return None;
            };
            let [host, Reply::Int(port), ..] = &master[..] else {
                return None;
            };
            let host = match host {
                Reply::Bulk(host) => std::str::from_utf8(host).ok()?,
                // It does not know by which name it is reached; whoever asked does.
                _ => "",
            };
            let node = node(host, u16::try_from(*port).ok()?, Some(asked))?;
            Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, node))
        };
        let ranges = items.iter().map(range).collect::<Option<Vec<_>>>()?;
        (!ranges.is_empty()).then_some(Self {
            ranges,
            moved: FxHashMap::default(),
        })
    }

    /// Who has a slot.
    pub(crate) fn owner(&self, slot: u16) -> Option<&Node> {
        self.moved.get(&slot).or_else(|| {
            let range = |(first, last, _): &&(u16, u16, Node)| (*first..=*last).contains(&slot);
            self.ranges.iter().find(range).map(|(_, _, node)| node)
        })
    }

    /// All nodes that have slots.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        for node in self
            .ranges
            .iter()
            .map(|(_, _, node)| node)
            .chain(self.moved.values())
        {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        nodes
    }

    /// `said` has told that another has a slot.
    pub(crate) fn learn(&mut self, redirect: Redirect) {
        self.moved.insert(redirect.slot, redirect.node);
    }
}

/// What `MOVED` and `ASK` tell: slot, host and port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    slot: u16,
    pub(crate) node: Node,
}

impl Redirect {
    /// Reads the error's message; `asked` is who answered, where that is known.
    pub(crate) fn read(message: &str, asked: Option<&Node>) -> Option<Self> {
        let (slot, address) = message.split_once(' ')?;
        let (host, port) = address.rsplit_once(':')?;
        let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
        Some(Self {
            slot,
            node: node(host, port.parse().ok()?, asked)?,
        })
    }
}

/// A node as one who answered tells of it: without a host it is on its own.
fn node(host: &str, port: u16, asked: Option<&Node>) -> Option<Node> {
    let host = if host.is_empty() { &asked?.host } else { host };
    Some(Node {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Node {
        Node {
            host: "here".to_owned(),
            port,
        }
    }

    fn range(first: i64, last: i64, host: Reply, port: i64) -> Reply {
        let node = |host, port| Reply::Array(vec![host, Reply::Int(port), Reply::Bulk("id".into())]);
        let replica = node(Reply::Bulk("replica".into()), 9);
        Reply::Array(vec![
            Reply::Int(first),
            Reply::Int(last),
            node(host, port),
            replica,
        ])
    }

    #[test]
    fn slots_are_those_of_the_server() {
        // As `CLUSTER KEYSLOT` tells.
        for (name, expected) in [
            ("foo", 12182),
            ("{foo}bar", 12182),
            ("a{foo}", 12182),
            ("foo{}{bar}", 8363),
            ("123456789", 12739),
        ] {
            assert_eq!(slot(name), expected, "{name}");
        }
    }

    #[test]
    fn ranges_have_owners_and_slots_may_move() {
        let reply = Reply::Array(vec![
            range(0, 99, Reply::Bulk("there".into()), 1),
            range(100, 16000, Reply::Nil, 2),
        ]);
        let mut slots = Slots::read(&reply, &at(7)).unwrap();
        let there = Node {
            host: "there".to_owned(),
            port: 1,
        };
        assert_eq!(slots.owner(99), Some(&there));
        assert_eq!(slots.owner(100), Some(&at(2)), "it is where it was asked");
        assert_eq!(slots.owner(16383), None);
        slots.learn(Redirect::read("99 10.0.0.1:3", Some(&at(7))).unwrap());
        assert_eq!(slots.owner(99).unwrap().to_string(), "10.0.0.1:3");
        assert_eq!(slots.owner(98), Some(&there));
        assert_eq!(slots.nodes().len(), 3);
    }

    #[test]
    fn what_is_no_topology_is_none() {
        for reply in [
            Reply::Nil,
            Reply::Array(vec![]),
            Reply::Array(vec![Reply::Int(1)]),
        ] {
            assert!(Slots::read(&reply, &at(1)).is_none());
        }
        assert_eq!(
            Redirect::read("5 :3", Some(&at(7))).map(|redirect| redirect.node),
            Some(at(3))
        );
        let six = Redirect::read("5 ::1:3", Some(&at(7))).unwrap();
        assert_eq!(six.node.to_string(), "[::1]:3");
        for message in [
            "",
            "5",
            "5 here",
            "16384 here:1",
            "x here:1",
            "5 here:x",
            "5 here:65536",
        ] {
            assert_eq!(Redirect::read(message, Some(&at(1))), None, "{message}");
        }
        assert_eq!(Redirect::read("5 :3", None), None, "nobody knows where that is");
        let there = Redirect::read("5 10.0.0.1:3", None).unwrap();
        assert_eq!(there.node.to_string(), "10.0.0.1:3");
    }
}
