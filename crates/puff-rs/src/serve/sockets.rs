//! The sockets of a supervisor: bound once, inherited by every worker.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use socket2::SockRef;

use crate::errors::ProgramError;
use crate::web::{Bind, Listener, listen};

/// Sockets and where they were asked for. A clone holds the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sockets(Vec<(Bind, Arc<Listener>)>);

impl Sockets {
    /// Listens in all places.
    ///
    /// # Errors
    /// [`ProgramError::Listen`] for the first that is not to be had.
    pub(crate) fn bind(places: &[Bind]) -> Result<Sockets, ProgramError> {
        Sockets::default().moved(places)
    }

    /// Listens in `places`: with the sockets of these where there are some, with new ones elsewhere.
    ///
    /// # Errors
    /// As [`Sockets::bind`].
    pub(super) fn moved(&self, places: &[Bind]) -> Result<Sockets, ProgramError> {
        let listener = |place: &Bind| match self.0.iter().find(|(known, _)| known == place) {
            Some((_, listener)) => Ok(listener.clone()),
            None => listen(place).map(Arc::new),
        };
        let all = places.iter().map(|place| Ok((place.clone(), listener(place)?)));
        all.collect::<Result<_, _>>().map(Sockets)
    }

    /// The listeners.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.0.iter().map(|(_, listener)| &**listener)
    }

    /// Has `start` start a process that inherits the sockets under the numbers that it is given. Others do not.
    ///
    /// # Errors
    /// What the system says, and what `start` does.
    pub(super) fn inherited<T>(&self, start: impl FnOnce(Vec<RawFd>) -> io::Result<T>) -> io::Result<T> {
        let numbers = self.listeners().map(|listener| listener.as_fd().as_raw_fd());
        let started = self.set_cloexec(false).and_then(|()| start(numbers.collect()));
        self.set_cloexec(true)?;
        started
    }

    fn set_cloexec(&self, on: bool) -> io::Result<()> {
        self.listeners()
            .try_for_each(|listener| SockRef::from(listener).set_cloexec(on))
    }
}
