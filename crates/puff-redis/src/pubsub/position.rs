//! Where a message stands in its channel.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A message's place in its channel: an epoch and a number.
///
/// Numbers of one epoch count the channel's messages one by one, so that a receiver sees when one is missing. An
/// epoch is the life of a channel's counter; a new one begins when the counter is lost (Redis came back empty) or has
/// expired. Programs pass positions on as text and do not look inside:
///
/// ```
/// use puff_redis::Position;
///
/// let text = "00000000000000ff-17";
/// let position: Position = text.parse()?;
/// assert_eq!((position.sequence(), position.to_string().as_str()), (17, text));
/// assert!("yesterday".parse::<Position>().is_err());
/// # Ok::<(), puff_redis::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: u64,
    sequence: u64,
}

/// Digits of an epoch, as Redis holds it and envelopes carry it.
pub(super) const EPOCH_DIGITS: usize = 16;

impl Position {
    /// Before the first message of a channel, whatever its epoch.
    pub const START: Position = Position {
        epoch: 0,
        sequence: 0,
    };

    /// Where a channel stands that nobody could tell of.
    pub(super) const UNKNOWN: Position = Position {
        epoch: 0,
        sequence: 1,
    };

    pub(super) fn new(epoch: u64, sequence: u64) -> Self {
        Self { epoch, sequence }
    }

    /// The number within the epoch; a channel's first message has 1.
    pub fn sequence(self) -> u64 {
        self.sequence
    }

    /// How many messages lie between this position and `next`; `None` if nobody can tell, because they are of
    /// different epochs or not in this order.
    ///
    /// ```
    /// # use puff_redis::Position;
    /// let at = |text: &str| text.parse::<Position>().unwrap();
    /// assert_eq!(at("00000000000000ff-17").between(at("00000000000000ff-20")), Some(2));
    /// assert_eq!(at("00000000000000ff-17").between(at("00000000000000fe-20")), None);
    /// ```
    pub fn between(self, next: Position) -> Option<u64> {
        let same = self.epoch == next.epoch;
        let between = next.sequence.checked_sub(self.sequence)?.checked_sub(1)?;
        same.then_some(between)
    }

    pub(super) fn same_epoch(self, other: Position) -> bool {
        self.epoch == other.epoch
    }

    /// The position after this one.
    pub(super) fn next(self) -> Self {
        Self::new(self.epoch, self.sequence + 1)
    }

    /// The position before this one.
    pub(super) fn previous(self) -> Self {
        Self::new(self.epoch, self.sequence.saturating_sub(1))
    }

    /// The beginning of this position's epoch.
    pub(super) fn beginning(self) -> Self {
        Self::new(self.epoch, 0)
    }

    /// An epoch's digits and a number.
    pub(super) fn parts(self) -> (String, u64) {
        (format!("{:016x}", self.epoch), self.sequence)
    }

    /// A position from an epoch's digits and a number's.
    pub(super) fn read(epoch: &str, sequence: &str) -> Option<Self> {
        let whole = epoch.len() == EPOCH_DIGITS && epoch.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = !sequence.is_empty() && sequence.bytes().all(|digit| digit.is_ascii_digit());
        if !whole || !number {
            return None;
        }
        Some(Self::new(
            u64::from_str_radix(epoch, 16).ok()?,
            sequence.parse().ok()?,
        ))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, self.sequence)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split_once('-')
            .and_then(|(epoch, sequence)| Self::read(epoch, sequence))
            .ok_or_else(|| Error::Invalid {
                what: "the position".to_owned(),
                reason: "it is none that a message or a subscription had".to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_no_positions_are_refused() {
        for text in [
            "",
            "-",
            "1-2",
            "00000000000000ff",
            "00000000000000ff-",
            "00000000000000ff-+1",
            "+0000000000000ff-1",
            "00000000000000ff-99999999999999999999",
            "00000000000000fg-1",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_lies_between() {
        let at = |epoch, sequence| Position::new(epoch, sequence);
        assert_eq!(at(1, 1).between(at(1, 2)), Some(0));
        assert_eq!(at(1, 2).between(at(1, 2)), None);
        assert_eq!(at(1, 3).between(at(1, 2)), None);
        assert_eq!(at(1, 1).between(at(2, 2)), None);
    }
}
