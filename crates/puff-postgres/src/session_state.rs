//! What statements leave in their session, for whoever has it next.
//!
//! Of commands the server tells: each has a tag. It does not tell of functions, and a temporary table has the tag of
//! any other; for those that everybody knows, the text is looked at. What functions of the user's own do is seen by
//! nobody: that is what [`Reset::Always`](crate::Reset) is for.
//!
//! The texts are not parsed. Where they leave a doubt, a session is reset for nothing.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

/// Whether there is such state after a command with this tag; `None` if that is as before.
pub(crate) fn left_by_command(tag: &str) -> Option<bool> {
    match tag {
        "SET" | "LISTEN" | "PREPARE" | "DECLARE CURSOR" | "LOAD" => Some(true),
        "DISCARD ALL" => Some(false),
        _ => None,
    }
}

/// Whether a text names what leaves such state and has no tag for it: `set_config`, locks that outlive their
/// transaction, temporary tables.
pub(crate) fn left_by_text(sql: &[u8]) -> bool {
    const WORDS: [&str; 4] = ["set_config", "advisory_lock", "temp", "on commit drop"];
    static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(WORDS)
            .expect("four words are a few states")
    });
    let (mut is_temporary, mut is_dropped) = (false, false);
    for found in FINDER.find_iter(sql) {
        let (before, after) = (&sql[..found.start()], &sql[found.end()..]);
        match WORDS[found.pattern()] {
            "set_config" if is_of_transaction(after) => {}
            "temp" => is_temporary |= is_created(before, after),
            "on commit drop" => is_dropped = true,
            _ => return true,
        }
    }
    is_temporary && !is_dropped
}

/// Whether a call's last argument is `true`: of `set_config`, the setting ends with the transaction.
///
/// No for what may hide an end or a quotation mark: backslashes, comments, dollar quotes.
fn is_of_transaction(call: &[u8]) -> bool {
    let mut depth = 0;
    let mut quote = None;
    for (index, byte) in call.iter().enumerate() {
        match (quote, byte) {
            (Some(_), b'\\') => return false,
            (Some(open), _) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'-' | b'/') => return false,
            (None, b'$') if !call.get(index + 1).is_some_and(u8::is_ascii_digit) => return false,
            (None, b'\'' | b'"') => quote = Some(*byte),
            (None, b'(') => depth += 1,
            (None, b')') if depth > 1 => depth -= 1,
            (None, b')') => return ends_with_true(&call[..index]),
            (None, _) if depth == 0 && !byte.is_ascii_whitespace() => return false,
            _ => {}
        }
    }
    false
}

/// Whether arguments end with a bare `true`, and not with `not true` or `$3 = true`.
fn ends_with_true(arguments: &[u8]) -> bool {
    let arguments = arguments.trim_ascii_end();
    let start = arguments.len().saturating_sub(4);
    let (before, last) = (arguments[..start].trim_ascii_end(), &arguments[start..]);
    last.eq_ignore_ascii_case(b"true") && (before.ends_with(b",") || before.ends_with(b"=>"))
}

/// Whether `temp` stands in a `CREATE TEMP TABLE` and its kin or in a `SELECT INTO TEMP`, rather than for a column or
/// a table of that name.
fn is_created(before: &[u8], after: &[u8]) -> bool {
    let rest = match after.get(..5) {
        Some(more) if more.eq_ignore_ascii_case(b"orary") => &after[5..],
        _ => after,
    };
    let is_apart = |next: Option<&u8>| next.is_some_and(u8::is_ascii_whitespace);
    if !is_apart(rest.first()) || !is_apart(before.last()) {
        return false;
    }
    let (sooner, last) = without_last_word(before);
    match &*last {
        b"create" | b"replace" | b"global" | b"local" => true,
        b"into" => !matches!(&*without_last_word(sooner).1, b"insert" | b"merge"),
        _ => false,
    }
}

/// A text without its last word and the white space behind that, and the word in small letters.
fn without_last_word(text: &[u8]) -> (&[u8], Vec<u8>) {
    let text = text.trim_ascii_end();
    let start = text
        .iter()
        .rposition(|byte| !is_of_word(*byte))
        .map_or(0, |end| end + 1);
    (&text[..start], text[start..].to_ascii_lowercase())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

#[cfg(test)]
mod tests;
