//! A connection on loan.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::inner::Inner;
use super::member::Poolable;
use super::metrics::Reason;
use super::state::Kept;

/// A connection of a pool; goes back when it is dropped, on any thread.
///
/// If a request is still under way then, because its future was dropped, it is cancelled; an open transaction
/// is rolled back. Until that is done the connection is nobody's.
pub struct Lent<S: Poolable> {
    /// `None` only while being dropped.
    kept: Option<Kept<S>>,
    pool: Arc<Inner<S>>,
}

impl<S: Poolable> Lent<S> {
    pub(super) fn new(kept: Kept<S>, pool: Arc<Inner<S>>) -> Self {
        Self {
            kept: Some(kept),
            pool,
        }
    }

    /// Closes the connection instead of giving it back, for a session in a state that nothing can clean.
    pub fn discard(self) {
        self.retire(Reason::Discarded);
    }

    pub(super) fn retire(mut self, reason: Reason) {
        if let Some(kept) = self.kept.take() {
            self.pool.retire(kept, reason);
        }
    }
}

impl<S: Poolable> Deref for Lent<S> {
    type Target = S;

    fn deref(&self) -> &S {
        match &self.kept {
            Some(kept) => &kept.session,
            None => unreachable!("the session leaves only together with the handle"),
        }
    }
}

impl<S: Poolable> DerefMut for Lent<S> {
    fn deref_mut(&mut self) -> &mut S {
        match &mut self.kept {
            Some(kept) => &mut kept.session,
            None => unreachable!("the session leaves only together with the handle"),
        }
    }
}

impl<S: Poolable> Drop for Lent<S> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.pool.release(kept);
        }
    }
}

impl<S: Poolable> fmt::Debug for Lent<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
