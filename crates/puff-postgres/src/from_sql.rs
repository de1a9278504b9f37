//! From PostgreSQL's text to Rust's values.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::SystemTime;

use crate::array;
use crate::calendar;
use crate::oid::{self, Oid};

#[cfg(feature = "chrono")]
mod chrono;

/// What is wrong with a cell, for people.
pub type DecodeReason = Cow<'static, str>;

/// A type that cells can be read as; see [`Row::get`](crate::Row::get).
///
/// | Rust | PostgreSQL |
/// |---|---|
/// | `i8` to `i64`, `u16` to `u64`, `usize` | `int2`, `int4`, `int8`, `oid`, if the value fits |
/// | `f32`, `f64` | `float4`, `float8`, `numeric` |
/// | `bool` | `bool` |
/// | `String`, `&str` | every type, as its text |
/// | `Vec<u8>` | `bytea` |
/// | `SystemTime` | `timestamptz`, `timestamp` (taken as UTC) |
/// | `IpAddr` | `inet` of one address |
/// | `uuid::Uuid` | `uuid` |
/// | `serde_json::Value` | `json`, `jsonb` |
/// | `chrono`: `NaiveDate`, `NaiveTime`, `NaiveDateTime`, `DateTime<Utc>`, `DateTime<FixedOffset>` | `date`, `time`, `timestamp`, `timestamptz` |
/// | `Option<T>` | the same, or null |
/// | `Vec<T>` | an array of one dimension |
///
/// The last three crates are features of their names, on by default.
pub trait FromSql<'a>: Sized {
    /// Whether cells of the type `oid` can be read.
    fn accepts(oid: Oid) -> bool;

    /// Reads a cell of the type `oid`, which [`accepts`](Self::accepts) has allowed.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn from_sql(oid: Oid, text: &'a [u8]) -> Result<Self, DecodeReason>;

    /// The value of SQL's null.
    ///
    /// # Errors
    /// For all but `Option`.
    fn from_null() -> Result<Self, DecodeReason> {
        Err("it is null: read it as an Option".into())
    }
}

impl<'a, T: FromSql<'a>> FromSql<'a> for Option<T> {
    fn accepts(oid: Oid) -> bool {
        T::accepts(oid)
    }

    fn from_sql(oid: Oid, text: &'a [u8]) -> Result<Self, DecodeReason> {
        T::from_sql(oid, text).map(Some)
    }

    fn from_null() -> Result<Self, DecodeReason> {
        Ok(None)
    }
}

impl<'a> FromSql<'a> for &'a str {
    fn accepts(_: Oid) -> bool {
        true
    }

    fn from_sql(_: Oid, text: &'a [u8]) -> Result<Self, DecodeReason> {
        utf8(text)
    }
}

impl FromSql<'_> for String {
    fn accepts(_: Oid) -> bool {
        true
    }

    fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
        utf8(text).map(str::to_owned)
    }
}

impl FromSql<'_> for bool {
    fn accepts(oid: Oid) -> bool {
        oid == oid::BOOL
    }

    fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
        match text {
            b"t" => Ok(true),
            b"f" => Ok(false),
            _ => Err("it is neither t nor f".into()),
        }
    }
}

macro_rules! parsed {
    ($($type:ty: $($oid:ident)|+;)*) => {$(
        impl FromSql<'_> for $type {
            fn accepts(oid: Oid) -> bool {
                matches!(oid, $(oid::$oid)|+)
            }

            fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
                parse(text)
            }
        }
    )*};
}

parsed! {
    i8: INT2 | INT4 | INT8 | OID;
    i16: INT2 | INT4 | INT8 | OID;
    i32: INT2 | INT4 | INT8 | OID;
    i64: INT2 | INT4 | INT8 | OID;
    u16: INT2 | INT4 | INT8 | OID;
    u32: INT2 | INT4 | INT8 | OID;
    u64: INT2 | INT4 | INT8 | OID;
    usize: INT2 | INT4 | INT8 | OID;
    f32: FLOAT4 | FLOAT8 | NUMERIC;
    f64: FLOAT4 | FLOAT8 | NUMERIC;
    IpAddr: INET;
}

#[cfg(feature = "uuid")]
parsed! { uuid::Uuid: UUID; }

#[cfg(feature = "serde_json")]
impl FromSql<'_> for serde_json::Value {
    fn accepts(oid: Oid) -> bool {
        matches!(oid, oid::JSON | oid::JSONB)
    }

    fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
        serde_json::from_slice(text).map_err(|error| error.to_string().into())
    }
}

impl FromSql<'_> for Vec<u8> {
    fn accepts(oid: Oid) -> bool {
        oid == oid::BYTEA
    }

    fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
        bytea(text).ok_or_else(|| "it is no bytea in hexadecimal form".into())
    }
}

impl FromSql<'_> for SystemTime {
    fn accepts(oid: Oid) -> bool {
        matches!(oid, oid::TIMESTAMPTZ | oid::TIMESTAMP)
    }

    fn from_sql(_: Oid, text: &[u8]) -> Result<Self, DecodeReason> {
        calendar::Timestamp::parse(utf8(text)?)
            .and_then(|timestamp| timestamp.to_system_time())
            .ok_or_else(|| out_of_range(text))
    }
}

impl<'a, T> FromSql<'a> for Vec<T>
where
    T: for<'b> FromSql<'b>,
{
    fn accepts(array: Oid) -> bool {
        oid::array_element(array).is_some_and(T::accepts)
    }

    fn from_sql(array: Oid, text: &'a [u8]) -> Result<Self, DecodeReason> {
        let element = oid::array_element(array).unwrap_or(oid::TEXT);
        let elements = array::elements(utf8(text)?).map_err(DecodeReason::Borrowed)?;
        let read = |value: Option<Cow<'_, str>>| match value {
            Some(text) => T::from_sql(element, text.as_bytes()),
            None => T::from_null(),
        };
        elements.into_iter().map(read).collect()
    }
}

fn utf8(text: &[u8]) -> Result<&str, DecodeReason> {
    std::str::from_utf8(text).map_err(|_| "it is not UTF-8".into())
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &[u8]) -> Result<T, DecodeReason> {
    let text = utf8(text)?;
    text.parse().map_err(|error| format!("{text}: {error}").into())
}

fn out_of_range(text: &[u8]) -> DecodeReason {
    format!("{} is outside of the type's range", String::from_utf8_lossy(text)).into()
}

fn bytea(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x")?;
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused() {
        assert_eq!(i16::from_sql(oid::INT8, b"-5"), Ok(-5));
        assert!(i16::from_sql(oid::INT8, b"40000").is_err_and(|reason| reason.contains("40000")));
        assert_eq!(f64::from_sql(oid::FLOAT8, b"-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(f64::from_sql(oid::NUMERIC, b"NaN").is_ok_and(f64::is_nan));
        assert_eq!(Vec::<u8>::from_sql(oid::BYTEA, br"\x00ff"), Ok(vec![0, 255]));
        for bad in [&br"\x0"[..], br"\xgg", b"ab"] {
            assert!(Vec::<u8>::from_sql(oid::BYTEA, bad).is_err());
        }
        let nullable = Vec::<Option<i32>>::from_sql(oid::INT4_ARRAY, b"{1,NULL}");
        assert_eq!(nullable, Ok(vec![Some(1), None]));
        assert!(Vec::<i32>::from_sql(oid::INT4_ARRAY, b"{1,NULL}").is_err());
        assert!(!Vec::<i32>::accepts(oid::INT4));
    }
}
