//! Whose session it is in the end: ours, or a pool's.

use std::ops::{Deref, DerefMut};

use puff_postgres::{DirectConnection, PooledSession};

/// A session and who gets it back.
pub(super) enum Owned {
    /// Ours.
    Own(DirectConnection),
    /// A pool's; dropped, it goes back.
    Pooled(PooledSession),
}

impl From<DirectConnection> for Owned {
    fn from(connection: DirectConnection) -> Self {
        Self::Own(connection)
    }
}

impl From<PooledSession> for Owned {
    fn from(session: PooledSession) -> Self {
        Self::Pooled(session)
    }
}

impl Deref for Owned {
    type Target = DirectConnection;

    fn deref(&self) -> &DirectConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Pooled(session) => session,
        }
    }
}

impl DerefMut for Owned {
    fn deref_mut(&mut self) -> &mut DirectConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Pooled(session) => session,
        }
    }
}
