//! What a command asks of the connection that carries it.
//!
//! `MULTI` on a shared connection would swallow strangers' commands, `SELECT` would move them to another
//! database, `BLPOP` would make them wait.

use std::time::Duration;

use crate::{Command, Error};

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any connection: others may use it meanwhile.
    Nothing,
    /// A connection of its own until the answer is there, which may take so long; `None` is for ever.
    Patience(Option<Duration>),
    /// A connection of its own for longer: the command changes what later ones do.
    State(Effect),
}

/// What a command does to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// `WATCH`.
    Watches,
    /// `MULTI`.
    Begins,
    /// `EXEC`, `DISCARD`: ends both.
    Ends,
    /// `UNWATCH`.
    Unwatches,
    /// Subscriptions: what comes back are messages.
    Subscribes,
    /// Anything else that cannot be taken back.
    Spoils,
}

impl Needs {
    /// Of a command; `Error::Invalid` if it has no name.
    pub(crate) fn of(command: &Command) -> Result<Needs, Error> {
        if command.is_empty() {
            return Err(Error::Invalid {
                what: "the command".to_owned(),
                reason: "it is empty".to_owned(),
            });
        }
        let mut words = command.words();
        let Some(name) = words.next() else {
            return Ok(Needs::Nothing);
        };
        // Longer than any name below.
        let mut upper = [0u8; 16];
        let Some(upper) = upper.get_mut(..name.len()) else {
            return Ok(Needs::Nothing);
        };
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        Ok(match &*upper {
            b"GET" | b"SET" | b"MGET" | b"DEL" | b"INCR" | b"INCRBY" => Needs::Nothing,
            b"WATCH" => Needs::State(Effect::Watches),
            b"MULTI" => Needs::State(Effect::Begins),
            b"EXEC" | b"DISCARD" => Needs::State(Effect::Ends),
            b"UNWATCH" => Needs::State(Effect::Unwatches),
            b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE"
            | b"SUNSUBSCRIBE" => Needs::State(Effect::Subscribes),
            b"SELECT" | b"AUTH" | b"HELLO" | b"RESET" | b"QUIT" | b"MONITOR" | b"SYNC" | b"PSYNC"
            | b"READONLY" | b"READWRITE" | b"ASKING" => Needs::State(Effect::Spoils),
            b"CLIENT" => client(words.next()),
            b"SCRIPT" if is(words.next(), b"DEBUG") => Needs::State(Effect::Spoils),
            // The time is the last argument, or comes first where the number of keys is free.
            b"BLPOP" | b"BRPOP" | b"BRPOPLPUSH" | b"BLMOVE" | b"BZPOPMIN" | b"BZPOPMAX" => {
                Needs::Patience(seconds(words.last()))
            }
            b"BLMPOP" | b"BZMPOP" => Needs::Patience(seconds(words.next())),
            b"WAIT" | b"WAITAOF" => Needs::Patience(milliseconds(words.last())),
            b"XREAD" | b"XREADGROUP" => stream(words),
            _ => Needs::Nothing,
        })
    }

    /// Why it cannot travel over a shared connection.
    pub(crate) fn refusal(effect: Effect, command: &Command) -> Error {
        let reason = match effect {
            Effect::Subscribes => "subscriptions need a connection of their own, or a pub-sub",
            _ => {
                "it changes the state of a connection that other commands share; \
                 it needs a connection of its own"
            }
        };
        Error::Invalid {
            what: format!("{} is not possible here", command.name().to_ascii_uppercase()),
            reason: reason.to_owned(),
        }
    }
}

fn is(word: Option<&[u8]>, expected: &[u8]) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(expected))
}

fn client(subcommand: Option<&[u8]>) -> Needs {
    const STATE: [&[u8]; 8] = [
        b"REPLY",
        b"TRACKING",
        b"CACHING",
        b"NO-EVICT",
        b"NO-TOUCH",
        b"SETNAME",
        b"SETINFO",
        b"CAPA",
    ];
    match STATE.iter().any(|each| is(subcommand, each)) {
        true => Needs::State(Effect::Spoils),
        false => Needs::Nothing,
    }
}

fn stream<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Needs {
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"BLOCK") {
            return Needs::Patience(milliseconds(words.next()));
        }
        if word.eq_ignore_ascii_case(b"STREAMS") {
            break;
        }
        if word.eq_ignore_ascii_case(b"GROUP") {
            // Its name and the consumer's may be any words.
            words.nth(1);
        }
    }
    Needs::Nothing
}

fn number(word: Option<&[u8]>) -> Option<f64> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

/// What is no number is the server's to refuse, at once.
fn seconds(word: Option<&[u8]>) -> Option<Duration> {
    let seconds = number(word).unwrap_or(1.0);
    // Zero waits for ever, and so does what no clock counts.
    (seconds != 0.0)
        .then(|| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
        .flatten()
}

fn milliseconds(word: Option<&[u8]>) -> Option<Duration> {
    let milliseconds = number(word).unwrap_or(1.0);
    (milliseconds != 0.0)
        .then(|| Duration::try_from_secs_f64(milliseconds.max(0.0) / 1000.0).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> Needs {
        let mut command = Command::default();
        text.split(' ').for_each(|word| command.push(word));
        Needs::of(&command).unwrap()
    }

    #[test]
    fn what_changes_a_connection_is_known_in_any_case() {
        for (command, effect) in [
            ("multi", Effect::Begins),
            ("Watch k", Effect::Watches),
            ("EXEC", Effect::Ends),
            ("unwatch", Effect::Unwatches),
            ("SELECT 1", Effect::Spoils),
            ("CLIENT reply OFF", Effect::Spoils),
            ("client setname me", Effect::Spoils),
            ("script debug yes", Effect::Spoils),
            ("Subscribe c", Effect::Subscribes),
        ] {
            assert_eq!(needs(command), Needs::State(effect), "{command}");
        }
    }

    #[test]
    fn what_waits_tells_how_long() {
        let limit = |seconds| Needs::Patience(Some(Duration::from_secs_f64(seconds)));
        for (command, expected) in [
            ("blpop a b 0", Needs::Patience(None)),
            ("BRPOP k 1.5", limit(1.5)),
            ("BLMOVE a b LEFT RIGHT 2", limit(2.0)),
            ("BLMPOP 3 1 k LEFT", limit(3.0)),
            ("bzmpop 0 1 k MIN", Needs::Patience(None)),
            ("WAIT 1 500", limit(0.5)),
            ("XREAD BLOCK 250 STREAMS s $", limit(0.25)),
            (
                "xreadgroup GROUP g c COUNT 1 block 0 STREAMS s >",
                Needs::Patience(None),
            ),
            ("BLPOP k soon", limit(1.0)),
            ("BLPOP k -1", limit(0.0)),
            ("BLPOP k 1e300", Needs::Patience(None)),
        ] {
            assert_eq!(needs(command), expected, "{command}");
        }
    }

    #[test]
    fn ordinary_commands_need_nothing() {
        for command in [
            "GET multi",
            "CLIENT ID",
            "XREAD COUNT 1 STREAMS block 0",
            "PUBLISH c m",
            "EVAL x 0",
            "SCRIPT LOAD x",
            "A.COMMAND.OF.SOME.MODULE",
        ] {
            assert_eq!(needs(command), Needs::Nothing, "{command}");
        }
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(Needs::of(&Command::default()).is_err());
        assert!(Needs::of(&Command::new("")).is_err());
    }
}
