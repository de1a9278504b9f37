//! Arrays as lists: `{1,NULL,"a \"quoted\" word",{2,3}}`.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{Fault, Reader, Rule, cast as cast_cell};

/// As deep as psycopg2 goes; the server allows six.
const MAX_DEPTH: usize = 16;

/// An array of elements that `rule` casts, nulls among them too: a user's caster sees them.
pub(super) fn cast<'py>(rule: &Rule, text: &[u8], reader: &Reader<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = reader.py;
    let fail = |message: &str| Fault::Data.raise(py, message);
    let mut tokens = Tokens::new(text).ok_or_else(|| fail("array does not start with '{'"))?;
    // The values of all open lists lie behind each other; `open` tells where each list starts.
    let mut values: Vec<Bound<'py, PyAny>> = Vec::new();
    let (mut open, mut depth) = ([0; MAX_DEPTH], 0);
    loop {
        let token = tokens.next().ok_or_else(|| fail("unbalanced braces in array"))?;
        match token {
            Token::Open if depth == MAX_DEPTH => return Err(fail("excessive array dimensions")),
            Token::Open => {
                open[depth] = values.len();
                depth += 1;
            }
            Token::Close => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| fail("unbalanced braces in array"))?;
                let list = PyList::new(py, values.drain(open[depth]..))?.into_any();
                if depth > 0 {
                    values.push(list);
                } else if tokens.rest.is_empty() {
                    return Ok(list);
                } else {
                    return Err(fail("unbalanced braces in array"));
                }
            }
            Token::Element(element) => values.push(cast_cell(rule, element.as_deref(), reader)?),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    /// The element's text without quotes and escapes; `None` for a null.
    Element(Option<Cow<'a, [u8]>>),
}

struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// Skips the bounds that an array has which does not start at 1, as in `[0:1]={1,2}`.
    fn new(text: &'a [u8]) -> Option<Self> {
        let rest = match text {
            [b'[', ..] => &text[text.iter().position(|byte| *byte == b'=')? + 1..],
            other => other,
        };
        rest.starts_with(b"{").then_some(Tokens { rest })
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        match first {
            b',' => {
                self.rest = rest;
                // Between two commas, or a comma and a brace, lies an empty element no server sends.
                self.next()
            }
            b'{' => {
                self.rest = rest;
                Some(Token::Open)
            }
            b'}' => {
                self.rest = rest;
                Some(Token::Close)
            }
            b'"' => {
                let end = closing_quote(rest)?;
                let (quoted, after) = rest.split_at(end);
                self.rest = &after[1..];
                Some(Token::Element(Some(unescape(quoted))))
            }
            _ => {
                let end = bare_end(self.rest)?;
                let (bare, after) = self.rest.split_at(end);
                self.rest = after;
                let null = bare.eq_ignore_ascii_case(b"NULL");
                Some(Token::Element((!null).then(|| unescape(bare))))
            }
        }
    }
}

/// Where the first byte of `text` lies that `stops`, not counting those after a backslash.
fn find(text: &[u8], stops: impl Fn(u8) -> bool) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if *byte == b'\\' {
            at += 2;
        } else if stops(*byte) {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    find(text, |byte| byte == b'"')
}

fn bare_end(text: &[u8]) -> Option<usize> {
    find(text, |byte| matches!(byte, b',' | b'}'))
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            other => plain.push(*other),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Option<Vec<Option<String>>> {
        let mut tokens = Tokens::new(text.as_bytes())?;
        let mut found = Vec::new();
        while !tokens.rest.is_empty() {
            if let Token::Element(element) = tokens.next()? {
                found.push(element.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Some(found)
    }

    #[test]
    fn elements_in_every_form() {
        let expected = ["a b", "NULL", "q\"x", "b\\s", "", "{,}", "ü"].map(|text| Some(text.to_owned()));
        let text = r#"[0:6]={"a b","NULL","q\"x","b\\s","","{,}",ü}"#;
        assert_eq!(elements(text).unwrap(), expected);
        assert_eq!(elements("{NULL,null}").unwrap(), [None, None]);
        assert_eq!(elements("[0:0][1:2]={{1,2}}").unwrap().len(), 2);
        for broken in ["", "1", "[0:1]", "{\"a}", "{a", "{\\"] {
            assert_eq!(elements(broken), None, "{broken}");
        }
    }
}
