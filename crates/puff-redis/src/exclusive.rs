//! Commands that must not travel over a connection that others share.
//!
//! `MULTI` on a shared connection would swallow strangers' commands, `SELECT` would move them to another
//! database, `BLPOP` would make them wait. They are refused before they are sent.

use bytes::Bytes;

use crate::Error;

const STATE: &str = "it changes the state of a connection that other commands share";
const BLOCKS: &str = "it may block a connection that other commands share";

/// Checks a command before it goes to a shared connection.
pub(crate) fn check(command: &[Bytes]) -> Result<(), Error> {
    let Some(name) = command.first().filter(|name| !name.is_empty()) else {
        return Err(Error::Invalid {
            what: "the command".to_owned(),
            reason: "it is empty".to_owned(),
        });
    };
    let name = String::from_utf8_lossy(name).to_ascii_uppercase();
    let second = || {
        command
            .get(1)
            .map(|word| word.to_ascii_uppercase())
            .unwrap_or_default()
    };
    let reason = match name.as_str() {
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => {
            "subscriptions belong to a pub-sub connection"
        }
        "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "UNWATCH" | "SELECT" | "AUTH" | "HELLO" | "RESET"
        | "QUIT" | "MONITOR" | "SYNC" | "PSYNC" | "READONLY" | "READWRITE" | "ASKING" => STATE,
        "CLIENT"
            if matches!(
                &*second(),
                b"REPLY" | b"TRACKING" | b"CACHING" | b"NO-EVICT" | b"NO-TOUCH"
            ) =>
        {
            STATE
        }
        "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BLMPOP" | "BZPOPMIN" | "BZPOPMAX" | "BZMPOP"
        | "WAIT" | "WAITAOF" => BLOCKS,
        "XREAD" | "XREADGROUP" if command.iter().any(|word| word.eq_ignore_ascii_case(b"BLOCK")) => BLOCKS,
        _ => return Ok(()),
    };
    Err(Error::Invalid {
        what: format!("{name} is not possible here"),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Bytes> {
        text.split_whitespace()
            .map(|word| Bytes::copy_from_slice(word.as_bytes()))
            .collect()
    }

    #[test]
    fn what_would_disturb_others_is_refused_in_any_case() {
        for command in [
            "multi",
            "SELECT 1",
            "blpop k 0",
            "CLIENT reply OFF",
            "xread block 0 STREAMS s $",
            "Subscribe c",
        ] {
            assert!(
                matches!(check(&words(command)), Err(Error::Invalid { .. })),
                "{command}"
            );
        }
    }

    #[test]
    fn ordinary_commands_pass() {
        for command in [
            "GET multi",
            "CLIENT ID",
            "XREAD COUNT 1 STREAMS s 0",
            "PUBLISH c m",
            "EVAL x 0",
        ] {
            assert_eq!(check(&words(command)), Ok(()), "{command}");
        }
    }

    #[test]
    fn an_empty_command_is_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[Bytes::new()]).is_err());
    }
}
