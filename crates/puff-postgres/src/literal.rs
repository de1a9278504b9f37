//! Values written into the text of a statement, for clients that send no parameters apart.
//!
//! Everything here appends to a byte buffer in the client's encoding, and is the place where injection is
//! prevented: quotes and backslashes are doubled per *character* of that encoding, because in some of them
//! (SJIS, BIG5, GBK, GB18030, JOHAB) the second byte of a character may be the byte of a backslash.
//!
//! ```
//! use puff_postgres::literal::{self, Backslashes, Charset, Quoting};
//!
//! let quoting = Quoting { backslashes: Backslashes::Ordinary, charset: Charset::AsciiSafe };
//! let mut sql = b"SELECT ".to_vec();
//! literal::text(&mut sql, b"it's", quoting)?;
//! assert_eq!(sql, b"SELECT 'it''s'");
//! # Ok::<(), literal::LiteralError>(())
//! ```

mod number;
mod template;
mod time;

pub use number::{float, integer};
pub use template::{FormatError, Piece, Template};
pub use time::{date, interval, time_of_day};

use memchr::{memchr, memchr2, memchr3};

/// What a backslash means between plain quotes: the server's `standard_conforming_strings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backslashes {
    /// `standard_conforming_strings` is on: a backslash is a character like any other.
    Ordinary,
    /// It is off: a backslash begins an escape. Literals are written as `E'...'`.
    Escape,
    /// There is no session to ask. Literals with a backslash take the form ` E'...'`, which means the same
    /// under both settings; the space keeps the `E` from a word before it.
    Unknown,
}

/// How the bytes of the client's encoding make up characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// The bytes below 128 are ASCII wherever they stand: UTF-8, the EUC and all one-byte encodings.
    AsciiSafe,
    /// SJIS: two bytes from a lead byte on, one for half-width katakana.
    Sjis,
    /// SHIFT_JIS_2004: the same, and one character of two bytes becomes a backslash in the server.
    ShiftJis2004,
    /// BIG5, GBK, UHC: two bytes from a lead byte on.
    TwoBytes,
    /// GB18030: two bytes from a lead byte on, or four if the second is a digit.
    Gb18030,
    /// JOHAB, as PostgreSQL reads it: two bytes from a lead byte on, three after 0x8f.
    Johab,
}

impl Charset {
    /// The character set of a Python codec. An unknown name is taken for ASCII-safe, as all of the server's
    /// encodings but those that are named here are.
    pub fn of_codec(codec: &str) -> Self {
        let mut name = codec.to_ascii_lowercase();
        name.retain(|character| character.is_ascii_alphanumeric());
        let has = |part: &str| name.contains(part);
        if has("euc") {
            Self::AsciiSafe
        } else if has("jis2004") || has("jisx0213") {
            Self::ShiftJis2004
        } else if has("jis") || has("932") || has("kanji") {
            Self::Sjis
        } else if has("gb18030") {
            Self::Gb18030
        } else if has("johab") || has("1361") {
            Self::Johab
        } else if ["big5", "950", "gbk", "936", "949", "uhc"].into_iter().any(has) {
            Self::TwoBytes
        } else {
            Self::AsciiSafe
        }
    }

    /// Bytes of the character that begins with `lead`, followed by `next`.
    fn width(self, lead: u8, next: Option<u8>) -> usize {
        match self {
            _ if lead < 0x80 => 1,
            Self::AsciiSafe => 1,
            Self::Sjis | Self::ShiftJis2004 if (0xa1..=0xdf).contains(&lead) => 1,
            Self::Gb18030 if next.is_some_and(|next| next.is_ascii_digit()) => 4,
            Self::Johab if lead == 0x8f => 3,
            Self::Sjis | Self::ShiftJis2004 | Self::TwoBytes | Self::Gb18030 | Self::Johab => 2,
        }
    }
}

/// What text literals depend on.
#[derive(Clone, Copy, Debug)]
pub struct Quoting {
    /// What a backslash means to the server.
    pub backslashes: Backslashes,
    /// How the text is encoded.
    pub charset: Charset,
}

/// Text that has no literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// PostgreSQL's text holds every character but NUL.
    #[error("A string literal cannot contain NUL (0x00) characters.")]
    Nul,
    /// Bytes that are no character of the client's encoding, so that the server would take the quote for a part
    /// of them; or a character that depending on the server's encoding begins an escape or does not.
    #[error("byte {at} begins no character that has a literal in the client's encoding")]
    NotACharacter {
        /// Where, counted in bytes from 0.
        at: usize,
    },
}

/// Appends a text literal: `'it''s'`.
///
/// # Errors
/// If the text holds NUL, or is not in the encoding that `quoting` names; `out` is then unfinished.
pub fn text(out: &mut Vec<u8>, text: &[u8], quoting: Quoting) -> Result<(), LiteralError> {
    let escape = match quoting.backslashes {
        Backslashes::Ordinary => false,
        Backslashes::Escape => true,
        Backslashes::Unknown => quoting.charset == Charset::ShiftJis2004 || memchr(b'\\', text).is_some(),
    };
    out.reserve(text.len() + 4);
    if escape {
        out.extend_from_slice(if quoting.backslashes == Backslashes::Unknown {
            b" E'"
        } else {
            b"E'"
        });
    } else {
        out.push(b'\'');
    }
    match (quoting.charset, escape) {
        (Charset::AsciiSafe, false) => doubled(out, text, |rest| memchr2(b'\'', 0, rest))?,
        (Charset::AsciiSafe, true) => doubled(out, text, |rest| memchr3(b'\'', b'\\', 0, rest))?,
        (charset, false) => doubled_by_character(out, text, charset, b"'")?,
        (charset, true) => doubled_by_character(out, text, charset, br"'\")?,
    }
    out.push(b'\'');
    Ok(())
}

/// Copies the text; each byte that `find` finds is written twice.
fn doubled(
    out: &mut Vec<u8>,
    mut text: &[u8],
    find: impl Fn(&[u8]) -> Option<usize>,
) -> Result<(), LiteralError> {
    while let Some(at) = find(text) {
        if text[at] == 0 {
            return Err(LiteralError::Nul);
        }
        out.extend_from_slice(&text[..=at]);
        out.push(text[at]);
        text = &text[at + 1..];
    }
    out.extend_from_slice(text);
    Ok(())
}

/// The same where a character may hold the byte of another: each of the `special` characters twice.
fn doubled_by_character(
    out: &mut Vec<u8>,
    text: &[u8],
    charset: Charset,
    special: &[u8],
) -> Result<(), LiteralError> {
    let mut at = 0;
    while let Some(&lead) = text.get(at) {
        if lead == 0 {
            return Err(LiteralError::Nul);
        }
        let width = charset.width(lead, text.get(at + 1).copied());
        let character = text
            .get(at..at + width)
            .ok_or(LiteralError::NotACharacter { at })?;
        // No encoding continues a character with a byte below "0"; a quote there is not part of it.
        let is_half = character[1..].iter().any(|&byte| byte < b'0');
        // A database in UTF-8 gets a backslash for it, one in EUC_JIS_2004 does not.
        let is_doubtful =
            charset == Charset::ShiftJis2004 && special.contains(&b'\\') && character == [0x81, 0x5f];
        if is_half || is_doubtful {
            return Err(LiteralError::NotACharacter { at });
        }
        out.extend_from_slice(character);
        if special.contains(&lead) {
            out.push(lead);
        }
        at += width;
    }
    Ok(())
}

/// Appends bytes as a `bytea` literal in hexadecimal form: `'\x6869'::bytea`.
pub fn bytea(out: &mut Vec<u8>, bytes: &[u8], backslashes: Backslashes) {
    let opening: &[u8] = match backslashes {
        Backslashes::Ordinary => br"'\x",
        Backslashes::Escape => br"E'\\x",
        Backslashes::Unknown => br" E'\\x",
    };
    out.reserve(opening.len() + 2 * bytes.len() + 8);
    out.extend_from_slice(opening);
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    for (pair, byte) in out[start..].chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    out.extend_from_slice(b"'::bytea");
}

/// Computed rather than looked up, so that the compiler does many at once.
fn hex_digit(value: u8) -> u8 {
    value + if value < 10 { b'0' } else { b'a' - 10 }
}

#[cfg(test)]
mod tests;
