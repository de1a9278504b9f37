//! One command, ready to be sent.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use redis::{Arg, Cmd};

/// A command: its name, then its arguments, all of them any bytes.
///
/// ```
/// use puff_redis::Command;
///
/// let command = Command::new("SET").arg("greeting").arg([0, 159]);
/// assert_eq!(command.name(), "SET");
/// assert_eq!(command.len(), 3);
/// ```
#[derive(Clone, Default)]
pub struct Command {
    words: Cmd,
}

impl Command {
    /// A command without arguments so far.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self::default().arg(name)
    }

    /// An empty one, with room for so many words of so many bytes together.
    pub fn with_capacity(words: usize, bytes: usize) -> Self {
        Self {
            words: Cmd::with_capacity(words, bytes),
        }
    }

    /// The command with one argument more.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.push(argument);
        self
    }

    /// Adds an argument.
    pub fn push(&mut self, argument: impl AsRef<[u8]>) {
        self.words.arg(argument.as_ref());
    }

    /// The first word; empty if there is none.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.words().next().unwrap_or_default())
    }

    /// How many words there are, the name among them.
    pub fn len(&self) -> usize {
        self.words.args_iter().len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.words().next().is_none_or(<[u8]>::is_empty)
    }

    /// The name and the arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.words.args_iter().map(|word| match word {
            Arg::Simple(bytes) => bytes,
            // Nobody makes the others: redis-rs' own iterators do.
            _ => &[],
        })
    }

    pub(crate) fn packed(&self) -> &Cmd {
        &self.words
    }
}

/// Words of which the first is the name.
impl From<Vec<Bytes>> for Command {
    fn from(words: Vec<Bytes>) -> Self {
        let mut command = Self::with_capacity(words.len(), words.iter().map(Bytes::len).sum());
        for word in &words {
            command.push(word);
        }
        command
    }
}

/// Shows the name and how many arguments there are: these may be secrets.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (+{})", self.name(), self.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_as_they_are() {
        let command = Command::from(vec![Bytes::from("GET"), Bytes::from_static(b"\0\r\n\xff")]);
        assert_eq!(command.words().collect::<Vec<_>>(), [&b"GET"[..], b"\0\r\n\xff"]);
        assert_eq!(
            command.packed().get_packed_command(),
            b"*2\r\n$3\r\nGET\r\n$4\r\n\0\r\n\xff\r\n"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Command::new("AUTH").arg("hush")), "AUTH (+1)");
    }

    #[test]
    fn without_a_name_it_is_empty() {
        assert!(Command::default().is_empty());
        assert!(Command::new("").is_empty());
        assert!(!Command::new("PING").is_empty());
    }
}
