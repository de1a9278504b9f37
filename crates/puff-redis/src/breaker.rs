//! The circuit breaker: when a server cannot be reached, nobody waits to learn it again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{Error, RedisConfig};

const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Counts attempts to connect. After some that failed in a row it refuses further ones for a while; then it lets one
/// through, and waits longer if that fails.
pub(crate) struct Breaker {
    threshold: u32,
    longest: Duration,
    address: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failed_in_a_row: u32,
    open: Option<Open>,
    opened: u64,
    failed: u64,
}

struct Open {
    until: Instant,
    pause: Duration,
    probing: bool,
    reason: String,
}

/// What a breaker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CircuitStatus {
    /// Whether it refuses commands that would need a new connection.
    pub open: bool,
    /// When the next attempt is let through; zero if one is under way, or nothing is refused.
    pub retry_in: Duration,
    /// Connections that were opened so far.
    pub connected: u64,
    /// Attempts that failed so far.
    pub failed: u64,
}

impl Breaker {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        Self {
            threshold: config.breaker_threshold,
            longest: config.breaker_pause,
            address: config.address.to_string(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn status(&self) -> CircuitStatus {
        let state = self.state.lock();
        let now = Instant::now();
        CircuitStatus {
            open: state.open.is_some(),
            retry_in: state
                .open
                .as_ref()
                .map_or(Duration::ZERO, |open| open.until.saturating_duration_since(now)),
            connected: state.opened,
            failed: state.failed,
        }
    }

    /// Runs an attempt, if it is let through.
    pub(crate) async fn attempt<T>(
        &self,
        connect: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut attempt = Attempt {
            breaker: self,
            probe: self.begin()?,
        };
        let outcome = connect.await;
        attempt.probe = false;
        self.end(outcome.as_ref().err());
        outcome
    }

    /// Whether it is the one that is let through.
    fn begin(&self) -> Result<bool, Error> {
        let mut state = self.state.lock();
        let Some(open) = &mut state.open else {
            return Ok(false);
        };
        let retry_in = open.until.saturating_duration_since(Instant::now());
        if open.probing || !retry_in.is_zero() {
            return Err(Error::CircuitOpen {
                address: self.address.clone(),
                reason: open.reason.clone(),
                retry_in,
            });
        }
        open.probing = true;
        Ok(true)
    }

    fn end(&self, failure: Option<&Error>) {
        let mut state = self.state.lock();
        let Some(failure) = failure else {
            state.opened += 1;
            (state.failed_in_a_row, state.open) = (0, None);
            return;
        };
        state.failed += 1;
        state.failed_in_a_row = state.failed_in_a_row.saturating_add(1);
        if self.threshold == 0 || state.failed_in_a_row < self.threshold {
            return;
        }
        let pause = match &state.open {
            // One that had begun before it opened.
            Some(open) if !open.probing => return,
            Some(open) => open.pause * 2,
            None => FIRST_PAUSE,
        };
        let pause = pause.min(self.longest);
        state.open = Some(Open {
            until: Instant::now() + pause,
            pause,
            probing: false,
            reason: match failure {
                Error::Connect { reason, .. } => reason.clone(),
                other => other.to_string(),
            },
        });
    }
}

/// One that is given up lets the next one through.
struct Attempt<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.probe
            && let Some(open) = &mut self.breaker.state.lock().open
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(threshold: u32, longest: u64) -> Breaker {
        let mut config = RedisConfig::from_url("redis://localhost").unwrap();
        config.breaker_threshold = threshold;
        config.breaker_pause = Duration::from_millis(longest);
        Breaker::new(&config)
    }

    async fn fail(breaker: &Breaker) -> Error {
        let config = RedisConfig::from_url("redis://localhost").unwrap();
        let outcome: Result<(), _> = breaker
            .attempt(async { Err(Error::connect(&config, "no luck")) })
            .await;
        outcome.unwrap_err()
    }

    async fn succeed(breaker: &Breaker) -> Result<(), Error> {
        breaker.attempt(async { Ok(()) }).await
    }

    fn refuses(error: &Error) -> bool {
        matches!(error, Error::CircuitOpen { .. })
    }

    #[tokio::test]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = breaker(3, 60_000);
        for _ in 0..3 {
            assert!(!refuses(&fail(&breaker).await));
            assert!(!refuses(&fail(&breaker).await));
            succeed(&breaker).await.unwrap();
        }
        for _ in 0..3 {
            assert!(!refuses(&fail(&breaker).await));
        }
        let error = succeed(&breaker).await.unwrap_err();
        assert!(refuses(&error));
        let text = error.to_string();
        assert!(
            text.starts_with("Redis at localhost:6379 cannot be reached, and is not tried again for"),
            "{text}"
        );
        assert!(text.ends_with(": no luck"), "{text}");
        let status = breaker.status();
        assert!(status.open);
        assert_eq!((status.connected, status.failed), (3, 9));
    }

    #[tokio::test]
    async fn one_at_a_time_is_let_through_and_one_that_is_given_up_lets_the_next() {
        let breaker = breaker(1, 0);
        fail(&breaker).await;
        let first = breaker.attempt(std::future::pending::<Result<(), Error>>());
        let mut first = Box::pin(first);
        assert!(futures_poll(first.as_mut()).is_none());
        assert!(
            refuses(&succeed(&breaker).await.unwrap_err()),
            "another is under way"
        );
        drop(first);
        succeed(&breaker).await.unwrap();
        assert!(!breaker.status().open);
    }

    /// Polls once.
    fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn the_pause_grows_and_is_bounded() {
        let breaker = breaker(1, 350);
        let config = RedisConfig::from_url("redis://localhost").unwrap();
        let failure = Error::connect(&config, "no luck");
        let mut pauses = Vec::new();
        for _ in 0..4 {
            breaker.end(Some(&failure));
            let mut state = breaker.state.lock();
            let open = state.open.as_mut().unwrap();
            pauses.push(open.pause.as_millis());
            // As if it were over.
            open.probing = true;
        }
        assert_eq!(pauses, [100, 200, 350, 350]);
    }

    #[tokio::test]
    async fn without_a_threshold_it_never_opens() {
        let breaker = breaker(0, 60_000);
        for _ in 0..100 {
            assert!(!refuses(&fail(&breaker).await));
        }
    }
}
