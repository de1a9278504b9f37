//! From a position to the present: what a receiver still needs, and whether that is all there was.

use std::sync::Arc;

use super::{Message, Position};

/// What the keeper of a channel (Redis, or this process) knows of it at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caught {
    /// The last message's position; `None` if the channel has no counter.
    pub(super) head: Option<Position>,
    /// The newest messages that it keeps, oldest first, perhaps without those before what was asked for.
    pub(super) messages: Vec<Arc<Message>>,
    /// Whether it keeps messages of this channel.
    pub(super) keeps: bool,
}

/// What a receiver gets before it goes on with what is live.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// From where the receiver's positions count.
    pub(super) base: Position,
    /// Whether something is missing between `base` and what follows.
    pub(super) gap: bool,
    pub(super) replay: Vec<Arc<Message>>,
    /// The position after the gap, where nothing else tells it.
    pub(super) next: Option<Position>,
}

impl Caught {
    /// For a receiver that begins now. `live` is the position of the first message that it has already.
    pub(super) fn begin(&self, live: Option<Position>) -> Resume {
        let base = live.map(Position::previous).or(self.head);
        Resume {
            base: base.unwrap_or(Position::START),
            gap: false,
            replay: Vec::new(),
            next: None,
        }
    }

    /// Whether `after` is a position that the keeper has come to, so that what is at or before it is no news.
    pub(super) fn knows(&self, after: Position) -> bool {
        self.head
            .is_some_and(|head| head.same_epoch(after) && head.sequence() >= after.sequence())
    }

    /// For a receiver that has everything up to `after`. `live` is as for [`begin`](Self::begin).
    pub(super) fn resume(&self, after: Position, live: Option<Position>) -> Resume {
        // The first position that need not be replayed.
        let Some(end) = live.or_else(|| self.head.map(Position::next)) else {
            return Resume {
                base: after,
                gap: after != Position::START,
                replay: Vec::new(),
                next: None,
            };
        };
        let from = match after {
            Position::START => end.beginning(),
            after => after,
        };
        let missing = from.between(end);
        // The counter went back: what is kept may be what the receiver has.
        let went_back = from.same_epoch(end) && missing.is_none();
        let kept = if went_back { &[] } else { &self.messages[..] };
        let mut replay = Vec::new();
        // The unbroken run that leads up to `end`, newest first.
        let mut expected = end;
        for message in kept.iter().rev() {
            let Some(position) = message.position else {
                continue;
            };
            if position.same_epoch(end) && position.sequence() >= expected.sequence() {
                continue;
            }
            if position.next() != expected || missing.is_some_and(|missing| replay.len() as u64 >= missing) {
                break;
            }
            expected = position;
            replay.push(message.clone());
        }
        replay.reverse();
        Resume {
            base: from,
            gap: missing != Some(replay.len() as u64),
            replay,
            next: Some(expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(epoch: u64, messages: impl IntoIterator<Item = u64>, head: u64) -> Caught {
        let message = |number| {
            let position = Some(Position::new(epoch, number));
            Arc::new(Message::new("c".into(), "".into(), None, position))
        };
        Caught {
            head: Some(Position::new(epoch, head)),
            messages: messages.into_iter().map(message).collect(),
            keeps: true,
        }
    }

    /// The replayed numbers, and whether there is a gap before them.
    fn resume(caught: &Caught, after: Position, live: Option<u64>) -> (Vec<u64>, bool) {
        let live = live.map(|number| Position::new(1, number));
        let Resume { gap, replay, .. } = caught.resume(after, live);
        let numbers = replay.iter().filter_map(|message| message.position);
        (numbers.map(Position::sequence).collect(), gap)
    }

    fn at(number: u64) -> Position {
        Position::new(1, number)
    }

    #[test]
    fn what_came_after_is_replayed_up_to_what_is_live() {
        let caught = caught(1, 3..=7, 7);
        assert_eq!(resume(&caught, at(4), None), (vec![5, 6, 7], false));
        assert_eq!(resume(&caught, at(7), None), (vec![], false));
        assert_eq!(resume(&caught, at(2), None), (vec![3, 4, 5, 6, 7], false));
        assert_eq!(resume(&caught, at(4), Some(6)), (vec![5], false));
        assert_eq!(resume(&caught, at(4), Some(8)), (vec![5, 6, 7], false));
        assert_eq!(resume(&caught, at(4), Some(5)), (vec![], false));
    }

    #[test]
    fn what_is_not_kept_is_a_gap() {
        let caught = caught(1, 3..=7, 7);
        assert_eq!(resume(&caught, at(1), None), (vec![3, 4, 5, 6, 7], true));
        assert_eq!(resume(&caught, at(4), Some(9)), (vec![], true), "8 is missing");
        assert_eq!(resume(&caught, at(9), None), (vec![], true), "it went back");
        let other = Position::new(2, 4);
        assert_eq!(resume(&caught, other, None), (vec![3, 4, 5, 6, 7], true));
        assert_eq!(resume(&Caught::default(), at(4), None), (vec![], true));
    }

    #[test]
    fn from_the_start() {
        assert_eq!(
            resume(&caught(1, 1..=2, 2), Position::START, None),
            (vec![1, 2], false)
        );
        assert_eq!(
            resume(&caught(1, 2..=3, 3), Position::START, None),
            (vec![2, 3], true)
        );
        assert_eq!(resume(&Caught::default(), Position::START, None), (vec![], false));
    }

    #[test]
    fn holes_in_what_is_kept_are_not_jumped() {
        assert_eq!(
            resume(&caught(1, [3, 4, 6, 7], 7), at(2), None),
            (vec![6, 7], true)
        );
        assert_eq!(
            resume(&caught(1, [3, 4], 7), at(2), None),
            (vec![], true),
            "the newest are missing"
        );
    }

    #[test]
    fn beginning_counts_from_before_what_is_live() {
        let caught = caught(1, [], 7);
        assert_eq!(caught.begin(None).base, at(7));
        assert_eq!(caught.begin(Some(at(6))).base, at(5));
        assert_eq!(Caught::default().begin(None).base, Position::START);
    }
}
