//! The whole state machine against a model, with faults: whatever happens, each message reaches each live listener
//! in order, or a gap stands in its place.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use rustc_hash::FxHashSet;
use tokio::sync::oneshot;

use super::catchup::Caught;
use super::local::Store;
use super::mailbox::Mailbox;
use super::queue::Bounds;
use super::registry::{CatchUp, Confirmation, Joined, Registry};
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
    /// The link carries out its plans.
    Work {
        fails: bool,
    },
    /// So much of what the server sent arrives.
    Arrive {
        count: usize,
    },
    Cut,
    /// The server is gone and back, without data.
    Restart,
    Remember,
    /// The server is gone and back, with what it had at the last `Remember`.
    GoBack,
}

fn step() -> impl Strategy<Value = Step> {
    let (channel, connection) = (0..CHANNELS.len(), 0..4usize);
    prop_oneof![
        8 => (channel.clone(), connection.clone(), any::<bool>())
            .prop_map(|(channel, from, plain)| Step::Publish { channel, from, plain }),
        // Not among plain messages: such a loss shows at the next number, and they have none.
        1 => (0..2usize).prop_map(|channel| Step::Swallow { channel }),
        4 => (connection.clone(), channel.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(connection, channel, since, echo)| Step::Join { connection, channel, since, echo }),
        1 => (connection.clone(), channel)
            .prop_map(|(connection, channel)| Step::Leave { connection, channel }),
        4 => (connection, 1..4usize).prop_map(|(connection, count)| Step::Take { connection, count }),
        6 => prop::bool::weighted(0.1).prop_map(|fails| Step::Work { fails }),
        8 => (1..6usize).prop_map(|count| Step::Arrive { count }),
        1 => Just(Step::Cut),
        1 => Just(Step::Restart),
        1 => Just(Step::Remember),
        1 => Just(Step::GoBack),
    ]
}

/// What the server has sent and the link has not brought yet.
enum Sent {
    Confirmed(Arc<str>),
    Message(&'static str, Bytes),
    Told(CatchUp, Result<Caught, Error>),
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
    store: Store,
    remembered: Store,
    stream: VecDeque<Sent>,
    on_server: FxHashSet<Arc<str>>,
    link: u64,
    now: Instant,
}

fn id(connection: usize) -> String {
    format!("connection {connection}")
}

impl World {
    fn new(policies: &[Overflow]) -> Self {
        let registry = Registry::new(bounds(Overflow::Gap), None);
        let store = || Store::new(Duration::from_secs(60));
        let link = registry.next_link();
        registry.linked(link, false);
        let connect =
            |(number, policy): (usize, &Overflow)| Some(registry.connect(id(number).into(), bounds(*policy)));
        Self {
            mailboxes: policies.iter().enumerate().map(connect).collect(),
            registry,
            views: HashMap::new(),
            calls: Vec::new(),
            log: HashMap::new(),
            valid_from: HashMap::new(),
            store: store(),
            remembered: store(),
            stream: VecDeque::new(),
            on_server: FxHashSet::default(),
            link,
            now: Instant::now(),
        }
    }

    fn publish(&mut self, channel: &'static str, from: usize, plain: bool, arrives: bool) {
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
                self.store
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
        if arrives && self.on_server.contains(channel) {
            self.stream.push_back(Sent::Message(channel, payload));
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
        let channel = CHANNELS.into_iter().find(|known| *known == &**channel).unwrap();
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

    fn work(&mut self, fails: bool) {
        // The link's task waits for the answers to what it has asked.
        if self.stream.iter().any(|sent| !matches!(sent, Sent::Message(..))) {
            return;
        }
        let plan = self.registry.plan(&self.on_server);
        for channel in plan.unsubscribe {
            self.on_server.remove(&channel);
        }
        for channel in plan.subscribe {
            self.on_server.insert(channel.clone());
            self.stream.push_back(Sent::Confirmed(channel));
        }
        for asked in self.registry.catch_ups() {
            let answer = if fails {
                Err(Error::Command {
                    code: "NOPERM".into(),
                    message: String::new(),
                })
            } else {
                Ok(self.store.caught(&asked.channel, 64, 1 << 20, self.now))
            };
            self.stream.push_back(Sent::Told(asked, answer));
        }
    }

    fn arrive(&mut self, count: usize) {
        for _ in 0..count {
            match self.stream.pop_front() {
                Some(Sent::Confirmed(channel)) => self.registry.confirm(self.link, &channel),
                Some(Sent::Message(channel, payload)) => self.registry.dispatch(self.link, channel, payload),
                Some(Sent::Told(asked, answer)) => self.registry.caught_up(self.link, &asked, &answer),
                None => return,
            }
            self.settle_calls();
        }
    }

    fn cut(&mut self, other_server: bool) {
        self.stream.clear();
        self.on_server.clear();
        self.link = self.registry.next_link();
        self.registry.linked(self.link, other_server);
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
            Step::Work { fails } => self.work(fails),
            Step::Arrive { count } => self.arrive(count),
            Step::Cut => self.cut(false),
            Step::Restart => {
                self.store = Store::new(Duration::from_secs(60));
                self.cut(true);
            }
            Step::Remember => self.remembered = self.store.clone(),
            Step::GoBack => {
                self.store = self.remembered.clone();
                self.valid_from = self
                    .log
                    .iter()
                    .map(|(channel, log)| (*channel, log.len()))
                    .collect();
                self.views.values_mut().for_each(|view| view.position = None);
                for (connection, channel, since, call) in std::mem::take(&mut self.calls) {
                    match since {
                        Some(_) => self.leave(connection, channel),
                        None => self.calls.push((connection, channel, since, call)),
                    }
                }
                self.cut(true);
            }
        }
        self.settle_calls();
        Ok(())
    }

    /// Everything heals, a last message is published everywhere, and all is taken.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        for round in 0..2 {
            for _ in 0..4 {
                self.work(false);
                self.arrive(usize::MAX);
            }
            if round == 0 {
                for channel in CHANNELS {
                    self.publish(channel, usize::MAX, false, true);
                }
            }
        }
        let listening: HashSet<_> = self.on_server.iter().cloned().collect();
        for connection in 0..self.mailboxes.len() {
            while self.take(connection, 1)? > 0 {}
        }
        for ((connection, channel), view) in self.views.iter().filter(|(_, view)| view.live) {
            Self::complete(view, *connection, channel, &self.log[channel])?;
            prop_assert!(listening.contains(*channel));
        }
        prop_assert!(self.calls.is_empty());
        Ok(())
    }
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
