//! Statements with the placeholders of Python's DB-API: `%s`, `%(name)s`, and `%%` for a percent sign.

use memchr::memchr;

/// Takes a statement apart at its placeholders.
///
/// Nothing of SQL is understood: a `%` in a text literal or a comment counts as well, as users of this style
/// of placeholder expect. In all client encodings the bytes of `%` and of parentheses stand for themselves.
///
/// ```
/// use puff_postgres::literal::{Piece, Template};
///
/// let pieces: Vec<_> = Template::new(b"a = %s").collect();
/// assert_eq!(pieces, [Piece::Text(b"a = "), Piece::Value { name: None, fault: None }]);
/// ```
#[derive(Clone, Debug)]
pub struct Template<'a> {
    text: &'a [u8],
    at: usize,
}

/// A part of a [`Template`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Goes into the statement as it is; never empty.
    Text(&'a [u8]),
    /// The place of a value.
    Value {
        /// The name in `%(name)s`.
        name: Option<&'a [u8]>,
        /// What is wrong with the placeholder. It still asks for its value: a wrong value is reported first.
        fault: Option<FormatError>,
    },
    /// `%(` without `)`. The rest is not looked at.
    Unclosed,
}

/// A placeholder that does not end in `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The statement ends within the placeholder.
    #[error("incomplete format")]
    Incomplete,
    /// Another letter than `s`.
    #[error("unsupported format character '{}' ({byte:#x}) at index {index}", char::from(*.byte))]
    Unsupported {
        /// The first byte of that letter.
        byte: u8,
        /// Where it stands, counted in bytes from 0.
        index: usize,
    },
}

impl<'a> Template<'a> {
    /// The template of a whole statement.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The fault of the conversion that begins at `self.at`; steps over it if it is none.
    fn conversion(&mut self) -> Option<FormatError> {
        match self.text.get(self.at) {
            Some(b's') => {
                self.at += 1;
                None
            }
            Some(&byte) => Some(FormatError::Unsupported { byte, index: self.at }),
            None => Some(FormatError::Incomplete),
        }
    }
}

impl<'a> Iterator for Template<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let percent = memchr(b'%', rest).unwrap_or(rest.len());
        if percent > 0 {
            self.at += percent;
            return Some(Piece::Text(&rest[..percent]));
        }
        match rest.get(1) {
            Some(b'%') => {
                self.at += 2;
                Some(Piece::Text(&rest[..1]))
            }
            Some(b'(') => {
                let name = &rest[2..];
                let end = name.iter().position(|byte| matches!(byte, b')' | b'%'));
                let Some(end) = end.filter(|&end| name[end] == b')') else {
                    self.at = self.text.len();
                    return Some(Piece::Unclosed);
                };
                self.at += 2 + end + 1;
                Some(Piece::Value {
                    name: Some(&name[..end]),
                    fault: self.conversion(),
                })
            }
            _ => {
                self.at += 1;
                Some(Piece::Value {
                    name: None,
                    fault: self.conversion(),
                })
            }
        }
    }
}
