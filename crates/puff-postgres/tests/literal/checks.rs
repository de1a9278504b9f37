//! What must hold for any bytes; the fuzz target and the property tests ask the same.

use puff_postgres::literal::{self, Backslashes, Charset, Piece, Quoting, Template};

const CHARSETS: [Charset; 6] = [
    Charset::AsciiSafe,
    Charset::Sjis,
    Charset::ShiftJis2004,
    Charset::TwoBytes,
    Charset::Gb18030,
    Charset::Johab,
];

/// A text literal is refused, or is exactly one literal for the server, under each setting it is made for.
pub(crate) fn text_stays_within_its_quotes(text: &[u8]) {
    for charset in CHARSETS {
        for backslashes in [Backslashes::Ordinary, Backslashes::Escape, Backslashes::Unknown] {
            let mut sql = Vec::new();
            if literal::text(&mut sql, text, Quoting { backslashes, charset }).is_err() {
                assert!(
                    charset != Charset::AsciiSafe || text.contains(&0),
                    "refused without reason"
                );
                continue;
            }
            for escape in [false, true] {
                if backslashes == Backslashes::Unknown || escape == (backslashes == Backslashes::Escape) {
                    let value = read(&sql, charset, escape);
                    assert_eq!(
                        value.as_deref(),
                        Some(text),
                        "{charset:?} {backslashes:?}: {sql:?}"
                    );
                }
            }
        }
    }
}

/// The value of a statement that is one text literal, as a server reads it; `None` if it is anything else.
/// A server takes its input apart into characters before it looks for quotes.
fn read(sql: &[u8], charset: Charset, mut escape: bool) -> Option<Vec<u8>> {
    let mut characters = characters(sql, charset)?
        .into_iter()
        .skip_while(|&character| character == b" ");
    let mut opening = characters.next()?;
    if opening == b"E" {
        escape = true;
        opening = characters.next()?;
    }
    let mut value = Vec::new();
    let mut open = opening == b"'";
    while open {
        let mut character = characters.next()?;
        let is_backslash =
            character == b"\\" || (charset == Charset::ShiftJis2004 && character == b"\x81\x5f");
        if escape && is_backslash {
            character = characters.next()?;
        } else if character == b"'" {
            match characters.next() {
                Some(second) if second == b"'" => {}
                Some(_) => return None,
                None => {
                    open = false;
                    continue;
                }
            }
        }
        value.extend_from_slice(character);
    }
    Some(value)
}

/// Splits into characters by PostgreSQL's lengths; `None` if the last one is cut off.
fn characters(mut bytes: &[u8], charset: Charset) -> Option<Vec<&[u8]>> {
    let mut characters = Vec::new();
    while let [lead, rest @ ..] = bytes {
        let length = match (charset, lead) {
            (Charset::AsciiSafe, _) | (_, ..0x80) => 1,
            (Charset::Sjis | Charset::ShiftJis2004, 0xa1..=0xdf) => 1,
            (Charset::Gb18030, _) if matches!(rest, [b'0'..=b'9', ..]) => 4,
            (Charset::Johab, 0x8f) => 3,
            _ => 2,
        };
        characters.push(bytes.get(..length)?);
        bytes = &bytes[length..];
    }
    Some(characters)
}

/// Nothing of a template is lost or invented, and placeholders are found where they are.
pub(crate) fn template_is_taken_apart_without_loss(template: &[u8]) {
    let mut again = Vec::new();
    let mut unclosed = false;
    for piece in Template::new(template) {
        assert!(!unclosed, "something follows what is never closed");
        match piece {
            Piece::Text(b"%") => again.extend_from_slice(b"%%"),
            Piece::Text(text) => {
                assert!(!text.is_empty() && !text.contains(&b'%'));
                again.extend_from_slice(text);
            }
            Piece::Value { name, fault } => {
                again.push(b'%');
                if let Some(name) = name {
                    assert!(!name.contains(&b')') && !name.contains(&b'%'));
                    again.extend_from_slice(&[b"(", name, b")"].concat());
                }
                if fault.is_none() {
                    again.push(b's');
                }
            }
            Piece::Unclosed => unclosed = true,
        }
    }
    assert!(template.starts_with(&again));
    assert_eq!(unclosed, template.len() > again.len());
}
