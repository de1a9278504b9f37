//! A connection on loan.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Inner, Member};
use crate::connection::Connection;

/// A connection of a pool; goes back when it is dropped, on any thread.
///
/// If a request is still under way then, because its future was dropped, it is cancelled; an open transaction
/// is rolled back. Until that is done the connection is nobody's.
pub struct PooledConnection {
    /// `None` only while being dropped.
    member: Option<Member>,
    pool: Arc<Inner>,
}

impl PooledConnection {
    pub(super) fn new(member: Member, pool: Arc<Inner>) -> Self {
        Self {
            member: Some(member),
            pool,
        }
    }

    /// Closes the connection instead of giving it back, for a session in a state that nothing can clean.
    pub fn discard(mut self) {
        if let Some(member) = self.member.take() {
            self.pool.retire(member);
        }
    }
}

impl Deref for PooledConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.member {
            Some(member) => &member.connection,
            None => unreachable!("the member leaves only together with the handle"),
        }
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if let Some(member) = self.member.take() {
            self.pool.release(member);
        }
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
