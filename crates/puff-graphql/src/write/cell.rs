//! Cells of SQL rows as leaves: how is chosen once per column, not per cell.

use super::leaf::{bad_value, int};
use super::moment::{base64, duration, moment};
use super::string::json_string;
use crate::error::FieldError;
use crate::plan::Leaf;
use crate::rows::{CellType, ScalarType};
use crate::schema::CellRule;
use crate::table::Shape;

/// How the cells of one column become a field's values.
#[derive(Debug)]
pub(crate) enum CellWriter {
    /// One value.
    One(ScalarWriter),
    /// A PostgreSQL array as a list.
    Array(ScalarWriter),
    /// JSON that must be read, since the field's type has something to say about it.
    Parsed,
}

/// How the text of one value becomes JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScalarWriter {
    /// As it is: the text is JSON already.
    Verbatim,
    /// As it is, if it is a finite number.
    Number,
    /// As a 32-bit number, checked.
    Int,
    /// Between quotation marks: the text needs no escapes.
    Quoted,
    /// As a string.
    Text,
    /// A time or timestamp in ISO 8601, as a string.
    Moment,
    /// An interval as a duration in ISO 8601, as a string.
    Duration,
    /// Bytes in base64, as a string.
    Base64,
    /// As it is, if it is JSON.
    Json,
    /// `t` and `f`.
    Bool,
    /// `t` and `f` as strings.
    BoolText,
    /// A number that is not zero.
    Truth,
    /// One of the enum's values.
    Enum,
    /// No value of this column fits the type.
    Never,
}

impl CellWriter {
    /// The writer for a column of type `kind` that holds values of the leaf type `leaf` in `shape`.
    ///
    /// # Errors
    /// When a list is declared and the column holds none, or the other way round.
    pub(crate) fn new(leaf: &Leaf, shape: &Shape, kind: CellType, column: &str) -> Result<Self, FieldError> {
        let is_list = shape.list_depth() > 0;
        match kind {
            CellType::Scalar(ScalarType::Json) if is_list || !takes_json(leaf) => Ok(Self::Parsed),
            CellType::Scalar(kind) if !is_list => Ok(Self::One(ScalarWriter::new(leaf, kind))),
            CellType::Array(kind) if is_list || matches!(leaf, Leaf::Custom { .. }) => {
                Ok(Self::Array(ScalarWriter::new(leaf, kind)))
            }
            CellType::Array(_) if matches!(leaf, Leaf::String | Leaf::Id) => {
                Ok(Self::One(ScalarWriter::Text))
            }
            _ => {
                let wanted = if is_list { "a list" } else { "a single value" };
                let message = format!("the field is {wanted}, but the column `{column}` is {kind}");
                Err(FieldError::new("BAD_COLUMN", message))
            }
        }
    }
}

/// Whether JSON text is written without a look at it.
fn takes_json(leaf: &Leaf) -> bool {
    matches!(leaf, Leaf::Custom { .. } | Leaf::String | Leaf::Id)
}

impl ScalarWriter {
    fn new(leaf: &Leaf, kind: ScalarType) -> Self {
        use ScalarType as S;
        let is_whole = matches!(kind, S::Int2 | S::Int4 | S::Int8 | S::Oid);
        let is_number = is_whole || matches!(kind, S::Float4 | S::Float8 | S::Numeric);
        match leaf {
            Leaf::Int if matches!(kind, S::Int2 | S::Int4) => Self::Verbatim,
            Leaf::Int => Self::Int,
            Leaf::Float if is_whole => Self::Verbatim,
            Leaf::Float => Self::Number,
            Leaf::Boolean if kind == S::Bool => Self::Bool,
            Leaf::Boolean if is_number => Self::Truth,
            Leaf::Boolean => Self::Never,
            Leaf::Enum { .. } => Self::Enum,
            Leaf::Custom { cells, .. } if *cells != CellRule::Text => match kind {
                _ if is_whole => Self::Verbatim,
                _ if is_number => Self::Number,
                S::Bool => Self::Bool,
                S::Json => Self::Verbatim,
                _ if *cells == CellRule::Json => Self::Json,
                // A field declared as text shows PostgreSQL's; scalars such as `DateTime` promise a format.
                S::Time | S::Timestamp | S::TimestampTz => Self::Moment,
                S::Interval => Self::Duration,
                S::Bytea => Self::Base64,
                S::Uuid | S::Date => Self::Quoted,
                _ => Self::Text,
            },
            Leaf::String | Leaf::Id | Leaf::Custom { .. } => match kind {
                S::Bool => Self::BoolText,
                S::Uuid | S::Date | S::Time | S::Timestamp | S::TimestampTz => Self::Quoted,
                _ if is_number => Self::Quoted,
                _ => Self::Text,
            },
        }
    }

    /// Appends one value. Nothing is appended on an error.
    #[inline]
    pub(super) fn write(self, out: &mut Vec<u8>, text: &[u8], leaf: &Leaf) -> Result<(), FieldError> {
        match self {
            Self::Verbatim => out.extend_from_slice(text),
            Self::Text => json_string(out, text),
            Self::Quoted => {
                out.reserve(text.len() + 2);
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
            Self::Moment => moment(out, text),
            Self::Duration => duration(out, text),
            Self::Base64 => return base64(out, text).ok_or_else(|| wrong(leaf, text)),
            Self::Json if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
                out.extend_from_slice(text);
            }
            Self::Bool => out.extend_from_slice(if text == b"t" { b"true" } else { b"false" }),
            Self::BoolText => out.extend_from_slice(if text == b"t" { b"\"true\"" } else { b"\"false\"" }),
            Self::Number if is_json_number(text) => out.extend_from_slice(text),
            Self::Int => return self::checked_int(out, text).ok_or_else(|| wrong(leaf, text)),
            Self::Truth => match str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<f64>().ok())
            {
                Some(number) => out.extend_from_slice(if number == 0.0 { b"false" } else { b"true" }),
                None => return Err(wrong(leaf, text)),
            },
            Self::Enum => match leaf.enum_value(str::from_utf8(text).unwrap_or_default()) {
                Some(value) => json_string(out, value.as_bytes()),
                None => return Err(wrong(leaf, text)),
            },
            Self::Number | Self::Json | Self::Never => return Err(wrong(leaf, text)),
        }
        Ok(())
    }
}

#[cold]
fn wrong(leaf: &Leaf, text: &[u8]) -> FieldError {
    bad_value(leaf, &String::from_utf8_lossy(text))
}

fn checked_int(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    let text = str::from_utf8(text).ok()?;
    let number = match text.parse::<i64>() {
        Ok(number) => number,
        Err(_) => {
            let number = text.parse::<f64>().ok()?;
            (number.fract() == 0.0 && number.abs() < 1e10).then_some(number as i64)?
        }
    };
    int(out, number).ok()
}

/// Whether PostgreSQL's text of a number is JSON as well: `NaN`, `Infinity` and text that is no number are not.
fn is_json_number(text: &[u8]) -> bool {
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |rest: &mut &[u8]| {
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        *rest = &rest[end..];
        end
    };
    let has_leading_zero = rest.first() == Some(&b'0');
    let whole = digits(&mut rest);
    if whole == 0 || (has_leading_zero && whole > 1) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction;
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        rest = exponent
            .strip_prefix(b"+")
            .or_else(|| exponent.strip_prefix(b"-"))
            .unwrap_or(exponent);
        if digits(&mut rest) == 0 {
            return false;
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::is_json_number;

    proptest! {
        #[test]
        fn numbers_are_what_json_says(text in "[-+]?[0-9.eE+-]{0,8}|NaN|-?Infinity|-?[0-9]{1,4}(\\.[0-9]{1,3})?(e[+-]?[0-9]{1,2})?") {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            let theirs = theirs.is_ok_and(|raw| raw.get() == text && text.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
            prop_assert_eq!(is_json_number(text.as_bytes()), theirs);
        }
    }
}
