//! What the body of a request may weigh and take, and what it is refused with.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

/// Bytes that earn a slow client another second: a body of any size may arrive, but not drop by drop.
const SLOWEST_PER_SECOND: u64 = 1 << 10;

/// Why a request body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit.
    #[error("the request body is too large")]
    TooLarge,
    /// Slower than the limit.
    #[error("the request body took too long to arrive")]
    TooSlow,
    /// The client went away or broke the protocol.
    #[error("the request body broke off")]
    Broken,
}

impl BodyError {
    /// What a body's own error means: the server's limits may have been enforced below.
    pub fn behind(error: &(dyn std::error::Error + 'static)) -> BodyError {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| error.downcast_ref::<BodyError>().copied())
            .unwrap_or(BodyError::Broken)
    }

    /// The status that tells the client.
    pub fn status(self) -> StatusCode {
        match self {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// What a request's body may weigh and take.
#[derive(Debug, Clone, Copy)]
pub struct InputLimits {
    /// Most bytes.
    pub bytes: u64,
    /// How long the client may let a reader wait for the next piece, and altogether, plus a second for each KiB
    /// that has come.
    pub time: Duration,
}

/// Counts what has come, and how long it was waited for.
pub(super) struct Meter {
    pub(super) limits: InputLimits,
    pub(super) received: u64,
    pub(super) waited: Duration,
}

impl Meter {
    /// Takes a piece into account.
    pub(super) fn count(&mut self, piece: &Bytes) -> Result<(), BodyError> {
        self.received += piece.len() as u64;
        if self.received > self.limits.bytes {
            return Err(BodyError::TooLarge);
        }
        Ok(())
    }

    /// How long the next piece may take.
    pub(super) fn patience(&self) -> Duration {
        let earned = Duration::from_secs(self.received / SLOWEST_PER_SECOND);
        let allowed = self.limits.time.saturating_add(earned);
        allowed.saturating_sub(self.waited).min(self.limits.time)
    }
}
