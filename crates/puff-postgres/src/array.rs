//! Array literals: `{1,NULL,"a \"quoted\" word",{2,3}}`.

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
