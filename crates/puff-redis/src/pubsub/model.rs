//! The whole state machine against a model, with faults: whatever happens, each message reaches each live listener
//! in order, or a gap stands in its place.
//!
//! The model has three servers as a cluster does: the second may take the place of the first, and channels move between
//! them and the third. Left out is one that takes a channel over and goes back to before that at the very same time:
//! nobody could tell.

mod servers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tokio::sync::oneshot;

use self::servers::{Failure, SERVERS, Sent, Server, empty};
use super::mailbox::Mailbox;
use super::queue::Bounds;
use super::registry::{Confirmation, Joined, Registry};
use super::{Event, History, Overflow, Position, SubscribeOptions, envelope};
use crate::Error;

/// Kept messages; numbers only; with plain messages of another program between.
const CHANNELS: [&str; 3] = ["kept", "numbered", "mixed"];
const KEPT: usize = 4;
const QUEUE: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Publish {
        channel: usize,
        from: usize,
        plain: bool,
    },
    /// A message that the server numbers and never sends, as between nodes of a cluster.
    Swallow {
        channel: usize,
    },
    Join {
        connection: usize,
        channel: usize,
        since: bool,
        echo: bool,
    },
    Leave {
        connection: usize,
        channel: usize,
    },
    Take {
        connection: usize,
        count: usize,
    },
    /// Channels that are adrift get links.
    Place {
        fails: bool,
    },
    /// A link carries out its plans.
    Work {
        server: usize,
        fails: Option<Failure>,
    },
    /// So much of what a server sent arrives.
    Arrive {
        server: usize,
        count: usize,
    },
    Cut {
        server: usize,
    },
    /// The server is gone and back, without data.
    Restart {
        server: usize,
    },
    Remember {
        server: usize,
    },
    /// The server is gone and back, with what it had at the last `Remember`.
    GoBack {
        server: usize,
    },
    /// The other server of the shard takes the place of the first, with what it had at the last `Remember`. The first
    /// lives on and gives its channels up.
    FailOver,
    /// The channel moves to the other shard.
    Move {
        channel: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (channel, connection, server) = (0..CHANNELS.len(), 0..4usize, 0..SERVERS.len());
    let fails = prop_oneof![
        8 => Just(None),
        1 => Just(Some(Failure::Never)),
        1 => Just(Some(Failure::ForTheMoment)),
    ];
    prop_oneof![
        8 => (channel.clone(), connection.clone(), any::<bool>())
            .prop_map(|(channel, from, plain)| Step::Publish { channel, from, plain }),
        // Not among plain messages: such a loss shows at the next number, and they have none.
        1 => (0..2usize).prop_map(|channel| Step::Swallow { channel }),
        4 => (connection.clone(), channel.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(connection, channel, since, echo)| Step::Join { connection, channel, since, echo }),
        1 => (connection.clone(), channel.clone())
            .prop_map(|(connection, channel)| Step::Leave { connection, channel }),
        4 => (connection, 1..4usize).prop_map(|(connection, count)| Step::Take { connection, count }),
        5 => prop::bool::weighted(0.1).prop_map(|fails| Step::Place { fails }),
        9 => (server.clone(), fails).prop_map(|(server, fails)| Step::Work { server, fails }),
        12 => (server.clone(), 1..6usize).prop_map(|(server, count)| Step::Arrive { server, count }),
        1 => server.clone().prop_map(|server| Step::Cut { server }),
        1 => server.clone().prop_map(|server| Step::Restart { server }),
        1 => server.clone().prop_map(|server| Step::Remember { server }),
        1 => server.prop_map(|server| Step::GoBack { server }),
        1 => Just(Step::FailOver),
        2 => channel.prop_map(|channel| Step::Move { channel }),
    ]
}

/// One connection's view of a channel.
#[derive(Clone, Default)]
struct View {
    live: bool,
    echo: bool,
    /// The log's index of the last message that came, and of the first that must come or be covered.
    last: Option<usize>,
    must: usize,
    covered: bool,
    /// Where it stands, to come back to.
    position: Option<(Position, usize)>,
}

type Call = (
    usize,
    &'static str,
    Option<usize>,
    oneshot::Receiver<Confirmation>,
);

struct World {
    registry: Registry,
    mailboxes: Vec<Option<Arc<Mailbox>>>,
    views: HashMap<(usize, &'static str), View>,
    calls: Vec<Call>,
    /// Who published each message, in the order of the server.
    log: HashMap<&'static str, Vec<usize>>,
    /// From which message on positions are good to come back to.
    valid_from: HashMap<&'static str, usize>,
    servers: Vec<Server>,
    /// Who has each channel, who is thought to, and who has confirmed it last.
    owner: HashMap<&'static str, usize>,
    route: HashMap<&'static str, usize>,
    confirmed_by: HashMap<&'static str, usize>,
    reigns: usize,
    now: Instant,
}

fn id(connection: usize) -> String {
    format!("connection {connection}")
}

impl World {
    fn new(policies: &[Overflow]) -> Self {
        let registry = Registry::new(bounds(Overflow::Gap), None);
        let owner: HashMap<_, _> = CHANNELS.into_iter().zip([0, 0, 2]).collect();
        let connect =
            |(number, policy): (usize, &Overflow)| Some(registry.connect(id(number).into(), bounds(*policy)));
        Self {
            mailboxes: policies.iter().enumerate().map(connect).collect(),
            registry,
            views: HashMap::new(),
            calls: Vec::new(),
            log: HashMap::new(),
            valid_from: HashMap::new(),
            servers: (0..SERVERS.len()).map(Server::new).collect(),
            route: owner.clone(),
            owner,
            confirmed_by: HashMap::new(),
            reigns: SERVERS.len(),
            now: Instant::now(),
        }
    }

    fn publish(&mut self, channel: &'static str, from: usize, plain: bool, arrives: bool) {
        let server = &mut self.servers[self.owner[channel]];
        let log = self.log.entry(channel).or_default();
        let body = log.len().to_string();
        log.push(from);
        let payload = if plain {
            body.into()
        } else {
            let history = (channel == "kept").then_some(History {
                messages: KEPT,
                time: Duration::from_secs(60),
            });
            let from = id(from);
            let sealed = envelope::seal(Some(&from), body.as_bytes());
            let message =
                server
                    .store
                    .append(&channel.into(), body.into(), Some(from.into()), history, self.now);
            let (epoch, number) = message.position.unwrap().parts();
            [
                envelope::HEAD,
                epoch.as_bytes(),
                number.to_string().as_bytes(),
                b";",
                &sealed,
            ]
            .concat()
            .into()
        };
        if arrives && server.on_server.contains(channel) {
            server.stream.push_back(Sent::Message(channel, payload));
        }
    }

    fn join(&mut self, connection: usize, channel: &'static str, since: bool, echo: bool) {
        let Some(mailbox) = &self.mailboxes[connection] else {
            return;
        };
        let view = self.views.entry((connection, channel)).or_default();
        if view.live
            || self
                .calls
                .iter()
                .any(|call| (call.0, call.1) == (connection, channel))
        {
            return;
        }
        let since = view.position.filter(|_| since && channel != "mixed");
        let options = SubscribeOptions {
            since: since.map(|(position, _)| position),
            echo,
        };
        view.echo = echo;
        let index = since.map(|(_, index)| index);
        match self.registry.join(channel, mailbox, options) {
            Ok(Joined::Live(_)) => self.begin(connection, channel, index),
            Ok(Joined::Asked(call)) => self.calls.push((connection, channel, index, call)),
            // It is found out at the next `Take`.
            Err(Error::TooSlow { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A call to subscribe has succeeded: from here on the promise holds.
    fn begin(&mut self, connection: usize, channel: &'static str, since: Option<usize>) {
        let length = self.log.get(channel).map_or(0, Vec::len);
        let view = self.views.entry((connection, channel)).or_default();
        view.live = true;
        view.last = since;
        view.must = since.map_or(length, |index| index + 1);
        view.covered = false;
    }

    fn settle_calls(&mut self) {
        for (connection, channel, since, mut call) in std::mem::take(&mut self.calls) {
            match call.try_recv() {
                Ok(Ok(_)) => self.begin(connection, channel, since),
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.calls.push((connection, channel, since, call));
                }
            }
        }
    }

    fn leave(&mut self, connection: usize, channel: &'static str) {
        if let Some(mailbox) = &self.mailboxes[connection] {
            self.registry.leave(channel, mailbox);
            self.views.entry((connection, channel)).or_default().live = false;
        }
    }

    fn take(&mut self, connection: usize, count: usize) -> Result<usize, TestCaseError> {
        let Some(mailbox) = self.mailboxes[connection].clone() else {
            return Ok(0);
        };
        for taken in 0..count {
            match mailbox.try_receive() {
                Ok(Some(event)) => self.check(connection, event)?,
                Ok(None) => return Ok(taken),
                Err(error) => {
                    let too_slow = matches!(error, Error::TooSlow { .. });
                    prop_assert!(too_slow, "{}", error);
                    self.mailboxes[connection] = None;
                    self.views.retain(|(of, _), _| *of != connection);
                    self.calls.retain(|call| call.0 != connection);
                    return Ok(taken);
                }
            }
        }
        Ok(count)
    }

    fn check(&mut self, connection: usize, event: Event) -> Result<(), TestCaseError> {
        let channel = match &event {
            Event::Message(message) => &message.channel,
            Event::Gap(gap) => &gap.channel,
            Event::Presence(presence) => &presence.channel,
        };
        let channel = known(channel);
        let view = self.views.get_mut(&(connection, channel)).unwrap();
        let Event::Message(message) = event else {
            view.covered = true;
            return Ok(());
        };
        let index: usize = std::str::from_utf8(&message.body).unwrap().parse().unwrap();
        if let Some(last) = view.last {
            prop_assert!(index > last, "{} after {} on {}", index, last, channel);
        }
        Self::complete(view, connection, channel, &self.log[channel][..index])?;
        view.last = Some(index);
        view.covered = false;
        // A position from before the server went back may stand for another message by now, and nobody can tell.
        if let Some(position) = message.position
            && self.valid_from.get(channel).is_none_or(|from| index >= *from)
        {
            view.position = Some((position, index));
        }
        Ok(())
    }

    /// Everything before the log's end has come or is covered.
    fn complete(view: &View, connection: usize, channel: &str, log: &[usize]) -> Result<(), TestCaseError> {
        let from = view.last.map_or(view.must, |last| view.must.max(last + 1));
        let missing = log
            .iter()
            .skip(from)
            .filter(|from| view.echo || **from != connection);
        prop_assert!(
            view.covered || missing.count() == 0,
            "{} misses of {} something from {} to {}",
            connection,
            channel,
            from,
            log.len()
        );
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish { channel, from, plain } => {
                let plain = plain && CHANNELS[channel] == "mixed";
                // Nobody knows the sender of a plain message.
                self.publish(
                    CHANNELS[channel],
                    if plain { usize::MAX } else { from },
                    plain,
                    true,
                );
            }
            Step::Swallow { channel } => self.publish(CHANNELS[channel], usize::MAX, false, false),
            Step::Join {
                connection,
                channel,
                since,
                echo,
            } => {
                self.join(connection, CHANNELS[channel], since, echo);
            }
            Step::Leave { connection, channel } => {
                self.leave(connection, CHANNELS[channel]);
                self.calls
                    .retain(|call| (call.0, call.1) != (connection, CHANNELS[channel]));
            }
            Step::Take { connection, count } => {
                self.take(connection, count)?;
            }
            Step::Place { fails } => self.place(fails),
            Step::Work { server, fails } => self.work(server, fails),
            Step::Arrive { server, count } => self.arrive(server, count),
            Step::Cut { server } => self.cut(server),
            Step::Restart { server } => {
                self.servers[server].store = empty();
                self.begin_again(server);
                self.cut(server);
            }
            Step::Remember { server } => {
                self.servers[server].remembered = self.servers[server].store.clone();
            }
            Step::GoBack { server } if self.is_taking_over(server) => {}
            Step::GoBack { server } => {
                self.servers[server].store = self.servers[server].remembered.clone();
                self.went_back(&self.channels_of(server));
                self.begin_again(server);
                self.cut(server);
            }
            Step::FailOver => self.fail_over(),
            Step::Move { channel } => self.change_shard(CHANNELS[channel]),
        }
        self.settle_calls();
        Ok(())
    }

    /// Everything heals, a last message is published everywhere, and all is taken.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        for round in 0..2 {
            for _ in 0..6 {
                self.place(false);
                for server in 0..SERVERS.len() {
                    self.work(server, None);
                    self.arrive(server, usize::MAX);
                }
            }
            if round == 0 {
                for channel in CHANNELS {
                    self.publish(channel, usize::MAX, false, true);
                }
            }
        }
        for connection in 0..self.mailboxes.len() {
            while self.take(connection, 1)? > 0 {}
        }
        for ((connection, channel), view) in self.views.iter().filter(|(_, view)| view.live) {
            Self::complete(view, *connection, channel, &self.log[channel])?;
            prop_assert!(self.servers[self.owner[channel]].on_server.contains(*channel));
        }
        prop_assert!(self.calls.is_empty());
        Ok(())
    }
}

fn known(channel: &str) -> &'static str {
    CHANNELS.into_iter().find(|known| *known == channel).unwrap()
}

fn bounds(overflow: Overflow) -> Bounds {
    Bounds {
        messages: QUEUE,
        bytes: 1 << 20,
        overflow,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_in_order_or_is_covered_by_a_gap(
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let policies = [Overflow::Gap, Overflow::DropOldest, Overflow::Disconnect, Overflow::Gap];
        let mut world = World::new(&policies);
        for step in steps {
            world.step(step)?;
        }
        world.finish()?;
    }
}
