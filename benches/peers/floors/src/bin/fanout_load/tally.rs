//! What was published and what has arrived.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::message::Arrived;

/// All counts but `published` and `delivered` are of the whole run, the warm-up with it.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// While it was measured.
    pub(crate) seconds: f64,
    /// Messages, while it was measured.
    pub(crate) published: u64,
    /// Frames that arrived while it was measured.
    pub(crate) delivered: u64,
    /// From just before publishing to a client's having the text, of the messages published while it was measured.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Passed over: a later message of the channel arrived instead.
    pub(crate) skipped: u64,
    /// Arrived a second time, or after a later one.
    pub(crate) repeated: u64,
    /// Not the load's messages.
    pub(crate) strange: u64,
    /// Had not arrived when the waiting was over.
    pub(crate) outstanding: u64,
    /// Whether a socket ended early.
    pub(crate) closed: bool,
}

/// By channel, the number of the message that one socket must get next.
pub(crate) struct Expected(Vec<(usize, u64)>);

impl Expected {
    pub(crate) fn new(channels: Vec<usize>) -> Self {
        Self(channels.into_iter().map(|channel| (channel, 0)).collect())
    }
}

pub(crate) struct Tally {
    began: Instant,
    /// By channel, how many messages were published.
    channels: RefCell<Vec<u64>>,
    all: Cell<u64>,
    /// When what is measured began and ended, on the load's clock.
    from: Cell<u64>,
    until: Cell<u64>,
    measuring: Cell<bool>,
    published: Cell<u64>,
    delivered: Cell<u64>,
    latencies: RefCell<Vec<u64>>,
    arrived: Cell<u64>,
    skipped: Cell<u64>,
    repeated: Cell<u64>,
    strange: Cell<u64>,
}

fn add(counter: &Cell<u64>, count: u64) {
    counter.set(counter.get() + count);
}

impl Tally {
    pub(crate) fn new(channels: usize) -> Self {
        Self {
            began: Instant::now(),
            channels: RefCell::new(vec![0; channels]),
            all: Cell::default(),
            from: Cell::new(u64::MAX),
            until: Cell::new(u64::MAX),
            measuring: Cell::default(),
            published: Cell::default(),
            delivered: Cell::default(),
            latencies: RefCell::default(),
            arrived: Cell::default(),
            skipped: Cell::default(),
            repeated: Cell::default(),
            strange: Cell::default(),
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Begins or ends what is measured.
    pub(crate) fn measure(&self, begins: bool) {
        self.measuring.set(begins);
        if begins { &self.from } else { &self.until }.set(self.now());
    }

    /// The channel whose turn it is, and the number of the message to publish there.
    pub(crate) fn next(&self) -> (usize, u64) {
        let channels = &mut *self.channels.borrow_mut();
        let channel = self.all.get() as usize % channels.len();
        add(&self.all, 1);
        if self.measuring.get() {
            add(&self.published, 1);
        }
        let number = channels[channel];
        channels[channel] += 1;
        (channel, number)
    }

    /// A socket got a text; None if it is none of ours.
    pub(crate) fn arrived(&self, expected: &mut Expected, message: Option<Arrived>) {
        let found = message.and_then(|message| {
            let next = expected
                .0
                .iter_mut()
                .find(|(channel, _)| *channel == message.channel)?;
            Some((message, &mut next.1))
        });
        let Some((message, next)) = found else {
            return add(&self.strange, 1);
        };
        if message.number < *next {
            return add(&self.repeated, 1);
        }
        add(&self.skipped, message.number - *next);
        *next = message.number + 1;
        add(&self.arrived, 1);
        if self.measuring.get() {
            add(&self.delivered, 1);
        }
        if (self.from.get()..self.until.get()).contains(&message.sent) {
            self.latencies.borrow_mut().push(self.now() - message.sent);
        }
    }

    /// How many frames are still to come, if each channel has so many subscribers.
    pub(crate) fn outstanding(&self, subscribers: usize) -> u64 {
        let expected = self.all.get() * subscribers as u64;
        expected.saturating_sub(self.arrived.get() + self.skipped.get())
    }

    pub(crate) fn figures(&self, subscribers: usize, took: Duration) -> Figures {
        let latencies = &mut *self.latencies.borrow_mut();
        latencies.sort_unstable();
        let at = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            let found = latencies.get(index.min(latencies.len().saturating_sub(1)));
            found.copied().unwrap_or_default() as f64 / 1e6
        };
        Figures {
            seconds: took.as_secs_f64(),
            published: self.published.get(),
            delivered: self.delivered.get(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: at(1.0),
            skipped: self.skipped.get(),
            repeated: self.repeated.get(),
            strange: self.strange.get(),
            outstanding: self.outstanding(subscribers),
            closed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One socket on channels 0 and 1, two messages published to each; then these arrive: (channel, number).
    fn counted(arrivals: &[(usize, u64)]) -> Figures {
        let tally = Tally::new(2);
        tally.measure(true);
        for _ in 0..4 {
            tally.next();
        }
        let mut expected = Expected::new(vec![0, 1]);
        for (channel, number) in arrivals {
            let message = Arrived {
                channel: *channel,
                number: *number,
                sent: tally.now(),
            };
            tally.arrived(&mut expected, Some(message));
        }
        tally.figures(1, Duration::from_secs(1))
    }

    #[test]
    fn each_once_and_in_order_is_right() {
        let figures = counted(&[(0, 0), (1, 0), (1, 1), (0, 1)]);
        assert_eq!((figures.published, figures.delivered), (4, 4));
        assert_eq!(
            (
                figures.skipped,
                figures.repeated,
                figures.strange,
                figures.outstanding
            ),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn losses_repetitions_and_disorder_are_seen() {
        assert_eq!(counted(&[(0, 0), (1, 0), (1, 1)]).outstanding, 1);
        assert_eq!(counted(&[(0, 1), (1, 0), (1, 1)]).skipped, 1);
        assert_eq!(counted(&[(0, 0), (0, 0)]).repeated, 1);
        let swapped = counted(&[(0, 1), (0, 0), (1, 0), (1, 1)]);
        assert_eq!((swapped.skipped, swapped.repeated), (1, 1));
        assert_eq!(counted(&[(2, 0)]).strange, 1);
    }
}
