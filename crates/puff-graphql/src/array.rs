//! PostgreSQL's text form of arrays, such as `{1,NULL,"a \"b\""}`, read piece by piece.

use std::borrow::Cow;

/// One piece of an array's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArrayEvent<'a> {
    Open,
    Close,
    Null,
    Item(Cow<'a, [u8]>),
}

/// The text is not an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadArray;

/// Reads an array's text; after [`ArrayEvent::Close`] of the outermost level it is at its end.
pub(crate) struct ArrayReader<'a> {
    text: &'a [u8],
    depth: usize,
    /// Whether an element (or `}`) must follow, not a comma.
    expects_element: bool,
}

impl<'a> ArrayReader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, BadArray> {
        // Arrays whose lower bounds are not 1 start with them: `[0:1]={...}`.
        let text = match text.first() {
            Some(b'[') => {
                let equals = memchr::memchr(b'=', text).ok_or(BadArray)?;
                &text[equals + 1..]
            }
            _ => text,
        };
        if text.first() == Some(&b'{') {
            Ok(Self {
                text,
                depth: 0,
                expects_element: true,
            })
        } else {
            Err(BadArray)
        }
    }

    /// The next piece, `None` after the end.
    pub(crate) fn next(&mut self) -> Result<Option<ArrayEvent<'a>>, BadArray> {
        loop {
            let Some((&first, rest)) = self.text.split_first() else {
                return if self.depth == 0 && !self.expects_element {
                    Ok(None)
                } else {
                    Err(BadArray)
                };
            };
            if self.depth == 0 && !self.expects_element {
                return Err(BadArray);
            }
            match first {
                b'{' if self.expects_element => {
                    self.text = rest;
                    self.depth += 1;
                    return Ok(Some(ArrayEvent::Open));
                }
                b'}' if self.depth > 0 => {
                    self.text = rest;
                    self.depth -= 1;
                    self.expects_element = false;
                    return Ok(Some(ArrayEvent::Close));
                }
                b',' if !self.expects_element => {
                    self.text = rest;
                    self.expects_element = true;
                }
                b'"' if self.expects_element => return self.quoted(rest).map(Some),
                b'{' | b'}' | b',' | b'"' => return Err(BadArray),
                _ if self.expects_element => {
                    let end = self
                        .text
                        .iter()
                        .position(|byte| matches!(byte, b',' | b'}'))
                        .ok_or(BadArray)?;
                    let (item, rest) = self.text.split_at(end);
                    self.text = rest;
                    self.expects_element = false;
                    let null = item.eq_ignore_ascii_case(b"null");
                    return Ok(Some(if null {
                        ArrayEvent::Null
                    } else {
                        ArrayEvent::Item(unescaped(item))
                    }));
                }
                _ => return Err(BadArray),
            }
        }
    }

    /// Reads to the end of the level that the last piece belongs to.
    pub(crate) fn skip_level(&mut self) -> Result<(), BadArray> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?.ok_or(BadArray)?;
        }
        Ok(())
    }

    fn quoted(&mut self, text: &'a [u8]) -> Result<ArrayEvent<'a>, BadArray> {
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', &text[at..]).ok_or(BadArray)?;
            if text[at] == b'"' {
                break;
            }
            at += 2;
            if at > text.len() {
                return Err(BadArray);
            }
        }
        self.text = &text[at + 1..];
        self.expects_element = false;
        Ok(ArrayEvent::Item(unescaped(&text[..at])))
    }
}

/// Takes the backslashes out.
fn unescaped(item: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', item).is_none() {
        return Cow::Borrowed(item);
    }
    let mut plain = Vec::with_capacity(item.len());
    let mut bytes = item.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::{ArrayEvent, ArrayReader, BadArray};

    fn read(text: &str) -> Result<Json, BadArray> {
        let mut reader = ArrayReader::new(text.as_bytes())?;
        let mut open: Vec<Vec<Json>> = Vec::new();
        let mut done = None;
        while let Some(event) = reader.next()? {
            let item = match event {
                ArrayEvent::Open => {
                    open.push(Vec::new());
                    continue;
                }
                ArrayEvent::Close => Json::Array(open.pop().unwrap()),
                ArrayEvent::Null => Json::Null,
                ArrayEvent::Item(text) => Json::String(String::from_utf8(text.into_owned()).unwrap()),
            };
            match open.last_mut() {
                Some(list) => list.push(item),
                None => done = Some(item),
            }
        }
        done.ok_or(BadArray)
    }

    fn write(json: &Json, out: &mut String) {
        match json {
            Json::Array(items) => {
                out.push('{');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push('}');
            }
            Json::String(text) => {
                out.push('"');
                for letter in text.chars() {
                    if matches!(letter, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(letter);
                }
                out.push('"');
            }
            _ => out.push_str("NULL"),
        }
    }

    #[test]
    fn reads_what_postgresql_writes() {
        assert_eq!(read("{}").unwrap(), serde_json::json!([]));
        assert_eq!(read("[0:1]={1,NULL}").unwrap(), serde_json::json!(["1", null]));
        assert_eq!(
            read(r#"{{a,"b c"},{"NULL","d\"\\"}}"#).unwrap(),
            serde_json::json!([["a", "b c"], ["NULL", "d\"\\"]])
        );
    }

    #[test]
    fn refuses_what_is_no_array() {
        for text in [
            "",
            "x",
            "{",
            "{1",
            "{1,",
            "{\"a",
            "{1}}",
            "{1}x",
            "{\"a\\",
            "[0:1]",
            "{a\"b\"}{",
            "{,1}",
        ] {
            assert_eq!(read(text), Err(BadArray), "{text}");
        }
    }

    fn arrays() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            "(?s).{0,8}|[\"\\\\{},N]{0,6}".prop_map(Json::String)
        ];
        let tree = leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::vec(inner, 0..4).prop_map(Json::Array)
        });
        prop::collection::vec(tree, 0..4).prop_map(Json::Array)
    }

    proptest! {
        #[test]
        fn reads_back_what_is_written(json in arrays()) {
            let mut text = String::new();
            write(&json, &mut text);
            prop_assert_eq!(read(&text), Ok(json));
        }

        #[test]
        fn never_panics(text in "[\\[\\]{},\"\\\\a1=:N]{0,24}") {
            let _ = read(&text);
        }
    }
}
