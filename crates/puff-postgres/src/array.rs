//! Array literals: `{1,NULL,"a \"quoted\" word",{2,3}}`.

use std::borrow::Cow;

/// Writes an array in PostgreSQL's text format, element by element.
///
/// ```
/// use puff_postgres::ArrayText;
///
/// let mut array = ArrayText::new();
/// array.bare("1").null().quoted("a \"b\"");
/// let mut nested = ArrayText::new();
/// nested.bare("2");
/// array.array(nested);
/// assert_eq!(array.finish(), r#"{1,NULL,"a \"b\"",{2}}"#);
/// ```
#[derive(Debug)]
pub struct ArrayText {
    text: String,
}

impl ArrayText {
    /// An array without elements so far.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// The same, with room for about `elements` short elements.
    pub fn with_capacity(elements: usize) -> Self {
        let mut text = String::with_capacity(2 + 8 * elements);
        text.push('{');
        Self { text }
    }

    /// Appends an element that needs no quotes: a number, a truth value.
    pub fn bare(&mut self, element: &str) -> &mut Self {
        self.separate().push_str(element);
        self
    }

    /// Appends any text. It is always quoted: the word `NULL` and the empty string need it.
    pub fn quoted(&mut self, element: &str) -> &mut Self {
        let text = self.separate();
        text.push('"');
        for character in element.chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
        self
    }

    /// Appends SQL's null.
    pub fn null(&mut self) -> &mut Self {
        self.bare("NULL")
    }

    /// Appends an array, as one more dimension.
    pub fn array(&mut self, inner: ArrayText) -> &mut Self {
        self.bare(&inner.finish())
    }

    /// The whole literal.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn separate(&mut self) -> &mut String {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        &mut self.text
    }
}

impl Default for ArrayText {
    fn default() -> Self {
        Self::new()
    }
}

/// The elements of an array of one dimension in PostgreSQL's text format, unquoted; `None` for nulls.
pub(crate) fn elements(text: &str) -> Result<Vec<Option<Cow<'_, str>>>, &'static str> {
    const BAD: &str = "it is no array";
    // Bounds other than the usual ones are written in front: `[0:1]={1,2}`.
    let body = match text.strip_prefix('[') {
        Some(_) => text.split_once('=').ok_or(BAD)?.1,
        None => text,
    };
    let mut rest = body.strip_prefix('{').ok_or(BAD)?;
    let mut elements = Vec::new();
    if rest == "}" {
        return Ok(elements);
    }
    loop {
        if rest.starts_with('{') {
            return Err("it is an array of several dimensions");
        }
        let (element, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = unquote(quoted).ok_or(BAD)?;
                (Some(value), after)
            }
            None => {
                let end = rest.find([',', '}']).ok_or(BAD)?;
                let (word, after) = rest.split_at(end);
                (
                    (!word.eq_ignore_ascii_case("NULL")).then_some(Cow::Borrowed(word)),
                    after,
                )
            }
        };
        elements.push(element);
        match after.split_at_checked(1) {
            Some((",", after)) => rest = after,
            Some(("}", "")) => return Ok(elements),
            _ => return Err(BAD),
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_read() {
        let read = |text| {
            elements(text).map(|all| {
                all.into_iter()
                    .map(|each| each.map(Cow::into_owned))
                    .collect::<Vec<_>>()
            })
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("{}"), Ok(vec![]));
        assert_eq!(read("[0:1]={1,NULL}"), Ok(vec![some("1"), None]));
        assert_eq!(
            read(r#"{"NULL","a \"b\" \\",","}"#),
            Ok(vec![some("NULL"), some(r#"a "b" \"#), some(",")])
        );
        for bad in [
            "",
            "{",
            "1",
            "{1",
            "{1,",
            "{\"a}",
            "{\"a\"b}",
            "{1}x",
            "{{1},{2}}",
            "[1:2]",
            "{\"\\",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(prop::option::of(".*"), 0..6)) {
            let mut array = ArrayText::new();
            for value in &values {
                match value {
                    Some(value) => array.quoted(value),
                    None => array.null(),
                };
            }
            let text = array.finish();
            let read: Vec<_> = elements(&text).expect("an array").into_iter().map(|each| each.map(Cow::into_owned)).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"[\[{}"\\,:=a1é]{0,20}"#) {
            let _ = elements(&text);
        }
    }
}
