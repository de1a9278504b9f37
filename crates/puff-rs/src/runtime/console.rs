//! Lines for the person at the terminal, apart from the log.

use std::fmt::Display;
use std::io::Write;

/// Where a program says what it is doing while it starts: stderr, so that stdout stays the program's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    talkative: bool,
}

impl Console {
    /// A console that tells every step (servers), or only what makes the user wait (the rest).
    pub(crate) fn new(talkative: bool) -> Console {
        Console { talkative }
    }

    /// A step that is quick.
    pub(crate) fn step(self, text: impl Display) {
        if self.talkative {
            self.wait(text);
        }
    }

    /// A step that may take a while.
    pub(crate) fn wait(self, text: impl Display) {
        // A closed stderr is no reason to stop.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The one line that ends a program that cannot go on.
    pub(crate) fn error(self, program: &str, error: impl Display) {
        self.wait(format_args!("{program}: error: {error}"));
    }
}
