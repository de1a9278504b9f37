//! Statement parameters, in PostgreSQL's text format.

use std::fmt::{Display, Write};

use bytes::Bytes;

use crate::array::ArrayText;
use crate::oid::Oid;

mod types;

/// One statement parameter: a value in PostgreSQL's text format, or SQL's null.
///
/// Without a type (`oid` 0) the server infers it from the statement: in `WHERE id = $1` the parameter gets
/// the type of `id`. Give a type where nothing can be inferred, as in `jsonb_build_object('a', $1)`.
///
/// ```
/// use puff_postgres::{Param, oid};
///
/// let params = [Param::from(42), Param::from("Ada"), Param::from(None::<i64>), Param::from(&[1, 2, 3][..])];
/// assert_eq!(params[3].value.as_deref(), Some(&b"{1,2,3}"[..]));
/// assert_eq!(Param::from("x").with_oid(oid::TEXT).oid, oid::TEXT);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Param {
    /// The value as the type's input function reads it, UTF-8 without NUL; `None` is SQL's null.
    pub value: Option<Bytes>,
    /// The type; 0 lets the server infer it.
    pub oid: Oid,
}

impl Param {
    /// SQL's null.
    pub const NULL: Self = Self { value: None, oid: 0 };

    /// A value in text format whose type the server infers.
    pub fn text(value: impl Into<Bytes>) -> Self {
        Self {
            value: Some(value.into()),
            oid: 0,
        }
    }

    /// The same value with this type.
    pub fn with_oid(self, oid: Oid) -> Self {
        Self { oid, ..self }
    }

    fn display(value: impl Display) -> Self {
        Self::text(value.to_string())
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::text(Bytes::copy_from_slice(value.as_bytes()))
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::text(value)
    }
}

impl From<bool> for Param {
    fn from(value: bool) -> Self {
        Self::text(if value { &b"t"[..] } else { &b"f"[..] })
    }
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::NULL, Into::into)
    }
}

/// A `bytea` value, in the hex form that every supported server reads.
impl From<&[u8]> for Param {
    fn from(value: &[u8]) -> Self {
        let mut text = String::with_capacity(2 + 2 * value.len());
        text.push_str("\\x");
        for byte in value {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self::text(text)
    }
}

macro_rules! from_integer {
    ($($type:ty)*) => {$(
        impl From<$type> for Param {
            fn from(value: $type) -> Self {
                Self::display(value)
            }
        }
    )*};
}

from_integer!(i8 i16 i32 i64 i128 u16 u32 u64 usize isize);

/// An array of numbers.
macro_rules! from_slice {
    ($($type:ty)*) => {$(
        impl From<&[$type]> for Param {
            fn from(values: &[$type]) -> Self {
                Self::text(array(values.iter(), |array, value| {
                    array.bare(&value.to_string());
                }))
            }
        }
    )*};
}

from_slice!(i16 i32 i64);

impl From<f64> for Param {
    fn from(value: f64) -> Self {
        Self::text(float(value.to_string()))
    }
}

impl From<f32> for Param {
    fn from(value: f32) -> Self {
        Self::text(float(value.to_string()))
    }
}

impl From<&[f64]> for Param {
    fn from(values: &[f64]) -> Self {
        Self::text(array(values.iter(), |text, value| {
            text.bare(&float(value.to_string()));
        }))
    }
}

impl From<&[&str]> for Param {
    fn from(values: &[&str]) -> Self {
        Self::text(array(values.iter(), |array, value| {
            array.quoted(value);
        }))
    }
}

impl From<&[String]> for Param {
    fn from(values: &[String]) -> Self {
        Self::text(array(values.iter(), |array, value| {
            array.quoted(value);
        }))
    }
}

/// Rust prints infinities as `inf`, PostgreSQL reads that too; only its `NaN` is the same word already.
fn float(text: String) -> String {
    match text.as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        _ => text,
    }
}

fn array<T>(values: impl ExactSizeIterator<Item = T>, mut element: impl FnMut(&mut ArrayText, T)) -> String {
    let mut array = ArrayText::with_capacity(values.len());
    for value in values {
        element(&mut array, value);
    }
    array.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(param: impl Into<Param>) -> String {
        String::from_utf8(param.into().value.expect("not null").to_vec()).expect("UTF-8")
    }

    #[test]
    fn values_become_their_text() {
        assert_eq!(text(-7_i16), "-7");
        assert_eq!(text(u64::MAX), "18446744073709551615");
        assert_eq!(text(true), "t");
        assert_eq!(text(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(text(f64::NAN), "NaN");
        assert_eq!(text(0.1_f64), "0.1");
        assert_eq!(text(&b"\x00\xff"[..]), "\\x00ff");
        assert_eq!(Param::from(None::<&str>), Param::NULL);
    }

    #[test]
    fn array_elements_are_quoted() {
        assert_eq!(text(&[1_i64, -2][..]), "{1,-2}");
        assert_eq!(text(&[] as &[i32]), "{}");
        assert_eq!(text(&["NULL", "", "a\"b\\c"][..]), r#"{"NULL","","a\"b\\c"}"#);
    }
}
