//! One channel of a hub: where it stands, and how far each of its listeners is.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::catchup::Caught;
use super::mailbox::Mailbox;
use super::registry::Confirmation;
use super::status::Counters;
use super::{Position, SubscribeOptions};

#[derive(Default)]
pub(super) struct Channel {
    /// The link that carries it.
    pub(super) link: Option<u64>,
    /// Whether the server has confirmed the subscription on this link.
    pub(super) confirmed: bool,
    /// Whether it has also told where the channel stands.
    pub(super) known: bool,
    /// The last position that has come, or where the channel stood before.
    pub(super) last: Option<Position>,
    /// Who has told it.
    pub(super) keeper: Option<Keeper>,
    /// Whether the keeper itself has said that it is not his any more.
    pub(super) handed_over: bool,
    /// Whether messages without a position have come, of other programs.
    pub(super) unnumbered: bool,
    pub(super) listeners: Vec<Listener>,
}

/// Who keeps a channel's numbers: one server, from its start or from when it became master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keeper {
    /// What the server calls this time.
    pub(super) reign: String,
    /// What all nodes of a cluster have in common that copy each other, if it is known.
    pub(super) shard: Option<String>,
}

impl Keeper {
    /// Whether what `before` has numbered is known here too: by itself, or because it was handed over. Who has only
    /// copied it, and took its place, may not have all; so may one that was restarted.
    fn continues(&self, before: &Keeper, handed_over: bool) -> bool {
        let other_shard = self.shard.is_some() && before.shard.is_some() && self.shard != before.shard;
        self.reign == before.reign || (handed_over && other_shard)
    }
}

pub(super) struct Listener {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) echo: bool,
    since: Option<Position>,
    pub(super) stage: Stage,
    /// The calls that wait for the first confirmation.
    pub(super) calls: Vec<oneshot::Sender<Confirmation>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for the server's confirmation.
    Asked,
    /// What comes is held until it is known what came after a position.
    CatchingUp {
        after: Option<Position>,
        /// Whether it was live on an earlier link.
        live: bool,
    },
    Live,
}

impl Stage {
    /// Whether the subscription has not begun yet.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Stage::Asked | Stage::CatchingUp { live: false, .. })
    }
}

impl Channel {
    pub(super) fn listener(&mut self, mailbox: &Arc<Mailbox>) -> Option<&mut Listener> {
        self.listeners
            .iter_mut()
            .find(|listener| Arc::ptr_eq(&listener.mailbox, mailbox))
    }

    /// A server has confirmed it, who is known by `keeper`. Returns the last position, if it is still good.
    pub(super) fn confirm(&mut self, keeper: Option<&Keeper>) -> Option<Position> {
        self.confirmed = true;
        let continues = match (keeper, &self.keeper) {
            (Some(now), Some(before)) => now.continues(before, self.handed_over),
            _ => false,
        };
        self.keeper = keeper.cloned();
        self.handed_over = false;
        // What another tells is no continuation of what was live: a gap, and on from where it stands.
        let last = self.last.take().filter(|_| continues);
        last.filter(|last| *last != Position::UNKNOWN)
    }

    /// No link carries it any more.
    pub(super) fn cast_off(&mut self, name: &Arc<str>, counters: &Counters) {
        (self.link, self.confirmed, self.known) = (None, false, false);
        for listener in &mut self.listeners {
            if let Stage::CatchingUp { after, live: true } = listener.stage {
                self.last = self.last.or(after);
            }
            listener.interrupt(name, counters);
        }
    }

    /// Where it stands, for whoever joins now.
    pub(super) fn stands(&self) -> Position {
        let known = self.last.filter(|last| *last != Position::UNKNOWN);
        known.unwrap_or(Position::START)
    }

    /// Notes a message's position; returns whether something is missing before it.
    pub(super) fn follow(&mut self, position: Option<Position>) -> bool {
        let Some(position) = position else {
            self.unnumbered = true;
            return false;
        };
        let expected = match self.last {
            // A new epoch of a channel that had none, or none that is known.
            None => true,
            Some(Position::START) => position.sequence() == 1,
            Some(last) => last.next() == position,
        };
        self.last = Some(position);
        !expected
    }
}

impl Listener {
    pub(super) fn new(mailbox: Arc<Mailbox>, options: SubscribeOptions) -> Self {
        Self {
            mailbox,
            echo: options.echo,
            since: options.since,
            stage: Stage::Asked,
            calls: Vec::new(),
        }
    }

    /// One more call that waits.
    pub(super) fn call(&mut self) -> oneshot::Receiver<Confirmation> {
        let (confirm, confirmed) = oneshot::channel();
        self.calls.push(confirm);
        confirmed
    }

    pub(super) fn answer_all(&mut self, answer: &Confirmation) {
        for call in self.calls.drain(..) {
            // A call given up just now leaves the listener live, as `subscribe` documents.
            let _ = call.send(answer.clone());
        }
    }

    pub(super) fn answer(mut self, answer: &Confirmation) {
        self.answer_all(answer);
    }

    /// The channel is confirmed: holds what comes. `last` is the position that listeners had who were live. Returns
    /// after what it has to catch up.
    pub(super) fn catch_up(&mut self, channel: &str, last: Option<Position>) -> Option<Position> {
        let live = !self.stage.is_new();
        let after = if live { last } else { self.since };
        self.mailbox.hold(channel);
        self.stage = Stage::CatchingUp { after, live };
        after
    }

    /// It is known what came after a position: the listener is live. Returns from where its messages come.
    pub(super) fn release(
        &mut self,
        channel: &Arc<str>,
        after: Option<Position>,
        caught: &Caught,
        always_gap: bool,
        counters: &Counters,
    ) -> Position {
        self.stage = Stage::Live;
        match self.mailbox.release(channel, after, caught, always_gap) {
            Some((resume, new_gap)) => {
                counters.gap(new_gap);
                counters.replayed(resume.replay.len());
                resume.base
            }
            // It was closed in between.
            None => Position::START,
        }
    }

    /// The link is lost. One who was catching up goes on with what it has, behind a gap; a new one begins anew.
    pub(super) fn interrupt(&mut self, channel: &Arc<str>, counters: &Counters) {
        let Stage::CatchingUp { live, .. } = self.stage else {
            return;
        };
        if live {
            counters.gap(self.mailbox.settle(channel));
            self.stage = Stage::Live;
        } else {
            self.mailbox.leave(channel);
            // It fails only if the connection was closed in between.
            let _ = self.mailbox.enter(channel, self.echo);
            self.stage = Stage::Asked;
        }
    }
}
