//! JSON as plain values, with every digit of its numbers.

use hashbrown::HashSet;
use memchr::memchr2;
use serde_json::value::RawValue;

use crate::value::Value;

/// Deepest nesting of lists and objects.
const MAX_NESTING: usize = 128;

/// How many significant digits a double holds, whichever they are.
const SAFE_DIGITS: usize = 15;

/// So many fields of an object are compared one by one.
const FEW: usize = 8;

/// Why a text is no JSON for us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON.
    #[error("{0}")]
    Syntax(String),
    /// It is nested deeper than we follow.
    #[error("lists and objects are nested deeper than {MAX_NESTING} levels")]
    Depth,
}

impl Value {
    /// Reads a JSON text, in UTF-8. Of the fields of an object that have the same name the last one counts.
    ///
    /// Numbers that neither 64 bits nor a double hold exactly are [`Value::Big`].
    ///
    /// ```
    /// use puff_graphql::Value;
    /// assert_eq!(Value::from_json(b"[1, 0.5]")?, Value::List(vec![Value::Int(1), Value::Float(0.5)]));
    /// let digits = "12345678901234567890.12345";
    /// assert_eq!(Value::from_json(digits.as_bytes())?, Value::Big(digits.into()));
    /// # Ok::<(), puff_graphql::JsonError>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`]
    pub fn from_json(text: &[u8]) -> Result<Self, JsonError> {
        // Checks the syntax without making anything of it, so that the reader need not.
        let text: &RawValue = serde_json::from_slice(text).map_err(syntax)?;
        Reader {
            text: text.get(),
            place: 0,
        }
        .value(MAX_NESTING)
    }
}

fn syntax(error: serde_json::Error) -> JsonError {
    JsonError::Syntax(error.to_string())
}

/// Reads a text that is JSON.
struct Reader<'t> {
    text: &'t str,
    place: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.place..).unwrap_or_default()
    }

    /// The next byte that is no white space; separators are where they belong, so they say nothing.
    fn next(&mut self) -> Option<u8> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
        let blanks = self.rest().iter().take_while(|byte| is_blank(byte)).count();
        self.place += blanks;
        self.rest().first().copied()
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        let below = || depth.checked_sub(1).ok_or(JsonError::Depth);
        Ok(match self.next() {
            Some(b'{') => {
                let depth = below()?;
                self.place += 1;
                let mut fields = Vec::new();
                while let Some(b'"') = self.next() {
                    fields.push((self.string()?, self.value(depth)?));
                }
                self.place += 1;
                last_of_each(&mut fields);
                Value::Object(fields)
            }
            Some(b'[') => {
                let depth = below()?;
                self.place += 1;
                let mut items = Vec::new();
                while self.next().is_some_and(|byte| byte != b']') {
                    items.push(self.value(depth)?);
                }
                self.place += 1;
                Value::List(items)
            }
            Some(b'"') => Value::Str(self.string()?),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) => self.number(),
            None => return Err(JsonError::Syntax("the text ends early".into())),
        })
    }

    fn word(&mut self, word: &str, value: Value) -> Value {
        self.place += word.len();
        value
    }

    fn string(&mut self) -> Result<Box<str>, JsonError> {
        let start = self.place;
        let mut end = start + 1;
        let mut is_plain = true;
        loop {
            let rest = self.text.as_bytes().get(end..).unwrap_or_default();
            match memchr2(b'"', b'\\', rest) {
                Some(length) if rest[length] == b'"' => {
                    end += length;
                    break;
                }
                Some(length) => {
                    is_plain = false;
                    end += length + 2;
                }
                None => return Err(JsonError::Syntax("a string ends early".into())),
            }
        }
        self.place = end + 1;
        let inner = self.text.get(start + 1..end).unwrap_or_default();
        if is_plain {
            return Ok(inner.into());
        }
        let quoted = self.text.get(start..=end).unwrap_or_default();
        serde_json::from_str::<String>(quoted)
            .map(Into::into)
            .map_err(syntax)
    }

    fn number(&mut self) -> Value {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest().iter().take_while(|byte| is_part(byte)).count();
        let text = self.text.get(self.place..self.place + length).unwrap_or_default();
        // One at least: what is no number either is passed over.
        self.place += length.max(1);
        number(text)
    }
}

/// A number of JSON, or of a GraphQL document, whose grammar is the same.
pub(crate) fn number(text: &str) -> Value {
    if let Ok(number) = text.parse() {
        return Value::Int(number);
    }
    let big = || Value::Big(text.into());
    if !text.contains(['.', 'e', 'E']) {
        return big();
    }
    let digits = significant(text);
    match text.parse::<f64>() {
        Ok(number) if number.is_normal() && digits.len() <= SAFE_DIGITS => Value::Float(number),
        // What would be written for this double: if its digits are others, some would be lost.
        Ok(number) if written(number).is_some_and(|text| significant(&text) == digits) => {
            Value::Float(number)
        }
        _ => big(),
    }
}

/// A double as answers have it; of two texts that are equally short, `format!` may take the other.
fn written(number: f64) -> Option<String> {
    Some(serde_json::Number::from_f64(number)?.to_string())
}

/// The digits of a number without zeros at either end.
fn significant(text: &str) -> String {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

/// Leaves the last one of the fields that have the same name.
fn last_of_each(fields: &mut Vec<(Box<str>, Value)>) {
    let differ = if fields.len() <= FEW {
        let is_new = |(place, (name, _)): (usize, &(Box<str>, _))| {
            fields[..place].iter().all(|(before, _)| before != name)
        };
        fields.iter().enumerate().all(is_new)
    } else {
        let mut names = HashSet::with_capacity(fields.len());
        fields.iter().all(|(name, _)| names.insert(&**name))
    };
    if differ {
        return;
    }
    let mut names: HashSet<Box<str>> = HashSet::new();
    fields.reverse();
    fields.retain(|(name, _)| names.insert(name.clone()));
    fields.reverse();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Value, JsonError> {
        Value::from_json(text.as_bytes())
    }

    #[test]
    fn of_two_shortest_texts_the_written_one_is_the_double() {
        assert_eq!(read("-1723336425445441.2"), Ok(Value::Float(-1723336425445441.2)));
        let other = "-1723336425445441.3";
        assert_eq!(read(other), Ok(Value::Big(other.into())));
    }

    #[test]
    fn numbers_keep_their_digits() {
        for text in [
            "9007199254740993.0",
            "9223372036854775808",
            "-99999999999999999999999999",
            "0.1234567890123456789",
            "1e400",
            "1e-400",
            "3.14159265358979323846",
        ] {
            assert_eq!(read(text), Ok(Value::Big(text.into())));
        }
        for text in [
            "0.1",
            "-0.0",
            "1.10",
            "2.5e3",
            "1e22",
            "123456.789",
            "1.7976931348623157e308",
            "5e-324",
        ] {
            assert_eq!(read(text), Ok(Value::Float(text.parse().unwrap())), "{text}");
        }
        for text in ["0", "-0", "9007199254740993", "-9223372036854775808"] {
            assert_eq!(read(text), Ok(Value::Int(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn the_last_field_of_a_name_counts() {
        let fields = |pairs: &[(&str, i64)]| {
            let pair = |(name, value): &(&str, i64)| (Box::from(*name), Value::Int(*value));
            Ok(Value::Object(pairs.iter().map(pair).collect()))
        };
        assert_eq!(read(r#"{"a": 1, "b": 2, "a": 3}"#), fields(&[("b", 2), ("a", 3)]));
        assert_eq!(read("{ }"), fields(&[]));
        // Many are not compared one by one.
        let many: Vec<String> = (0..50)
            .map(|number| format!("\"{}\": {number}", number % 40))
            .collect();
        let read = read(&format!("{{{}}}", many.join(","))).unwrap();
        assert_eq!(read.as_object().map(<[_]>::len), Some(40));
        assert_eq!(
            (read.get("0"), read.get("39")),
            (Some(&Value::Int(40)), Some(&Value::Int(39)))
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "[1",
            "{\"a\" 1}",
            "1 2",
            "nul",
            "\"\\ud800\"",
            "\"a",
            "01",
            "[1,]",
            "\u{feff}1",
        ] {
            assert!(matches!(read(text), Err(JsonError::Syntax(_))), "{text}");
        }
        assert!(matches!(Value::from_json(b"\"\xff\""), Err(JsonError::Syntax(_))));
        assert_eq!(
            read(&"[".repeat(129)),
            Err(JsonError::Syntax(
                "EOF while parsing a list at line 1 column 129".into()
            ))
        );
        assert_eq!(
            read(&format!("{}{}", "[".repeat(129), "]".repeat(129))),
            Err(JsonError::Depth)
        );
        assert!(read(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(text in "[\\[\\]{},:\"\\\\u0-9a-f .eE+tnul-]{0,40}") {
            let (ours, theirs) = (read(&text), serde_json::from_str::<serde_json::Value>(&text));
            if let Ok(theirs) = theirs {
                let mut json = Vec::new();
                crate::write::leaf::json_value(&mut json, &ours.unwrap()).unwrap();
                let again: serde_json::Value = serde_json::from_slice(&json).unwrap();
                prop_assert_eq!(again, theirs);
            }
        }

        #[test]
        fn it_reads_what_serde_writes(texts in prop::collection::vec(any::<String>(), 0..6), numbers in prop::collection::vec(any::<f64>(), 0..6)) {
            let numbers: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
            let json = serde_json::to_vec(&(&texts, &numbers)).unwrap();
            let list = |values: Vec<Value>| Value::List(values);
            let number = |number: &f64| Value::Float(*number);
            let text = |text: &String| Value::str(text.as_str());
            let expected = vec![list(texts.iter().map(text).collect()), list(numbers.iter().map(number).collect())];
            prop_assert_eq!(Value::from_json(&json), Ok(list(expected)));
        }
    }
}
