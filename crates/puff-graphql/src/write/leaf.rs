//! Plain values as leaves of the answer, by the rules of their types.

use super::string::json_string;
use crate::error::FieldError;
use crate::plan::Leaf;
use crate::value::Value;

/// Longest piece of a wrong value that a message shows.
const MAX_SHOWN: usize = 60;

/// The error for a value that its type cannot represent.
pub(super) fn bad_value(leaf: &Leaf, shown: &str) -> FieldError {
    let name = match leaf {
        Leaf::Int => "Int",
        Leaf::Float => "Float",
        Leaf::String => "String",
        Leaf::Boolean => "Boolean",
        Leaf::Id => "ID",
        Leaf::Enum { name, .. } | Leaf::Custom { name, .. } => name,
    };
    let end = (0..=MAX_SHOWN.min(shown.len()))
        .rev()
        .find(|&end| shown.is_char_boundary(end))
        .unwrap_or(0);
    let dots = if end < shown.len() { "…" } else { "" };
    FieldError::new(
        "BAD_VALUE",
        format!("{name} cannot represent {}{dots}", &shown[..end]),
    )
}

/// Appends a value that is not null and not a list as `leaf`. Nothing is appended on an error.
pub(crate) fn leaf_value(out: &mut Vec<u8>, leaf: &Leaf, value: &Value) -> Result<(), FieldError> {
    if let Value::Error(error) = value {
        return Err((**error).clone());
    }
    let wrong = || {
        let mut shown = Vec::new();
        match json_value(&mut shown, value) {
            Ok(()) => bad_value(leaf, &String::from_utf8_lossy(&shown)),
            Err(error) => bad_value(leaf, &error.message),
        }
    };
    if let (Value::Json(text), Leaf::Int | Leaf::Float | Leaf::Boolean | Leaf::Enum { .. }) = (value, leaf) {
        return match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) if !json.is_array() && !json.is_object() && !json.is_null() => {
                leaf_value(out, leaf, &Value::from(json))
            }
            _ => Err(wrong()),
        };
    }
    match leaf {
        Leaf::Int => int(out, whole(value).ok_or_else(wrong)?).map_err(|()| wrong()),
        Leaf::Float => match value {
            Value::Int(number) => number_text(out, itoa::Buffer::new().format(*number)),
            Value::Bool(value) => number_text(out, if *value { "1" } else { "0" }),
            Value::Big(text) => number_text(out, text),
            Value::Float(number) => float(out, *number).map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        Leaf::Boolean => {
            let value = match value {
                Value::Bool(value) => *value,
                Value::Int(number) => *number != 0,
                Value::Float(number) if number.is_finite() => *number != 0.0,
                _ => return Err(wrong()),
            };
            number_text(out, if value { "true" } else { "false" })
        }
        Leaf::String | Leaf::Id => match value {
            Value::Str(text) | Value::Big(text) | Value::Json(text) => {
                json_string(out, text.as_bytes());
                Ok(())
            }
            Value::Int(number) => quoted(out, itoa::Buffer::new().format(*number)),
            Value::Bool(value) => quoted(out, if *value { "true" } else { "false" }),
            Value::Float(number) => {
                let mut text = Vec::new();
                float(&mut text, *number).map_err(|_| wrong())?;
                json_string(out, &text);
                Ok(())
            }
            _ => Err(wrong()),
        },
        Leaf::Enum { .. } => {
            let found = match value {
                Value::Str(text) => leaf.enum_value(text),
                Value::Int(number) => leaf.enum_value(itoa::Buffer::new().format(*number)),
                _ => None,
            };
            quoted(out, found.ok_or_else(wrong)?)
        }
        Leaf::Custom { .. } => {
            let start = out.len();
            json_value(out, value).inspect_err(|_| out.truncate(start))
        }
    }
}

/// Appends any value as JSON. On an error a piece of it may have been appended.
pub(crate) fn json_value(out: &mut Vec<u8>, value: &Value) -> Result<(), FieldError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Int(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Big(text) | Value::Json(text) => out.extend_from_slice(text.as_bytes()),
        Value::Float(number) => float(out, *number)?,
        Value::Str(text) => json_string(out, text.as_bytes()),
        Value::List(items) => {
            out.push(b'[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                json_value(out, item)?;
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (number, (name, value)) in fields.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                json_string(out, name.as_bytes());
                out.push(b':');
                json_value(out, value)?;
            }
            out.push(b'}');
        }
        Value::Host(_) => return Err(FieldError::new("BAD_VALUE", "a file has no JSON form")),
        Value::Error(error) => return Err((**error).clone()),
    }
    Ok(())
}

/// A whole number in the range of `Int`.
pub(super) fn int(out: &mut Vec<u8>, number: i64) -> Result<(), ()> {
    let number = i32::try_from(number).map_err(|_| ())?;
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    Ok(())
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bool(value) => Some((*value).into()),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e10 => Some(*number as i64),
        _ => None,
    }
}

fn float(out: &mut Vec<u8>, number: f64) -> Result<(), FieldError> {
    match serde_json::Number::from_f64(number) {
        // A `String` or `Float` reader expects `3`, not `3.0`, as JavaScript prints it.
        Some(_) if number.fract() == 0.0 && number.abs() < 1e15 => {
            out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
        }
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => return Err(bad_value(&Leaf::Float, &number.to_string())),
    }
    Ok(())
}

fn number_text(out: &mut Vec<u8>, text: &str) -> Result<(), FieldError> {
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Text that needs no escape.
fn quoted(out: &mut Vec<u8>, text: &str) -> Result<(), FieldError> {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}
