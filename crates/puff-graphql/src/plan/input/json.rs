//! Variables as they come in JSON, coerced to their declared types.

use std::fmt::Write;

use apollo_compiler::ast::Type;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};
use serde_json::{Map, Value as Json};

use super::default_value;
use crate::document::TypeSystem;
use crate::value::Value;

/// The largest whole number up to which a double holds each exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Longest piece of a wrong value that a message shows.
const MAX_SHOWN: usize = 60;

/// Coerces the value of the variable `name`.
///
/// # Errors
/// A sentence that names the variable and the place inside its value.
pub(super) fn coerce(types: &TypeSystem, declared: &Type, json: &Json, name: &str) -> Result<Value, String> {
    let mut place = format!("${name}");
    Coercion {
        types,
        place: &mut place,
    }
    .value(declared, json)
}

struct Coercion<'c> {
    types: &'c TypeSystem,
    /// Where we are: `$name.field[3]`.
    place: &'c mut String,
}

impl Coercion<'_> {
    fn wrong(&self, json: &Json, what: &str) -> String {
        let mut shown = json.to_string();
        if shown.len() > MAX_SHOWN {
            let end = (0..=MAX_SHOWN)
                .rev()
                .find(|&end| shown.is_char_boundary(end))
                .unwrap_or(0);
            shown.truncate(end);
            shown.push('…');
        }
        format!("variable `{}`: {shown} is not {what}", self.place)
    }

    /// Goes one step into the value.
    fn within<R>(&mut self, step: std::fmt::Arguments<'_>, run: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.place.len();
        // Writing to a string cannot fail.
        let _ = self.place.write_fmt(step);
        let result = run(self);
        self.place.truncate(length);
        result
    }

    fn value(&mut self, declared: &Type, json: &Json) -> Result<Value, String> {
        if json.is_null() {
            return if declared.is_non_null() {
                Err(format!(
                    "variable `{}` of type `{declared}` must not be null",
                    self.place
                ))
            } else {
                Ok(Value::Null)
            };
        }
        let type_name = match declared {
            Type::List(item) | Type::NonNullList(item) => {
                let Json::Array(items) = json else {
                    return Ok(Value::List(vec![self.value(item, json)?]));
                };
                let coerce =
                    |(index, json)| self.within(format_args!("[{index}]"), |at| at.value(item, json));
                return items
                    .iter()
                    .enumerate()
                    .map(coerce)
                    .collect::<Result<_, _>>()
                    .map(Value::List);
            }
            Type::Named(name) | Type::NonNullNamed(name) => name.as_str(),
        };
        match self.types.type_named(type_name) {
            Some(ExtendedType::Enum(found)) => self.enum_value(found, json),
            Some(ExtendedType::InputObject(object)) => match json {
                Json::Object(fields) => self.object(object, fields),
                _ => Err(self.wrong(json, &format!("an object of type `{type_name}`"))),
            },
            Some(ExtendedType::Scalar(_)) => self.scalar(type_name, json),
            _ => Err(format!(
                "variable `{}`: `{type_name}` is not an input type",
                self.place
            )),
        }
    }

    fn scalar(&self, type_name: &str, json: &Json) -> Result<Value, String> {
        let value = match (type_name, json) {
            ("Int", Json::Number(number)) => whole(number)
                .filter(|value| i32::try_from(*value).is_ok())
                .map(Value::Int),
            ("Float", Json::Number(number)) => number.as_f64().map(Value::Float),
            ("String" | "ID", Json::String(text)) => Some(Value::str(text.as_str())),
            ("ID", Json::Number(number)) => {
                if number.is_u64() {
                    Some(Value::str(number.to_string()))
                } else {
                    whole(number).map(|value| Value::str(value.to_string()))
                }
            }
            ("Boolean", Json::Bool(value)) => Some(Value::Bool(*value)),
            ("Int" | "Float" | "String" | "ID" | "Boolean", _) => None,
            _ => Some(Value::from(json.clone())),
        };
        let what = match type_name {
            "Int" => "a whole number of 32 bits (Int)",
            "Float" => "a number (Float)",
            "Boolean" => "true or false (Boolean)",
            "ID" => "a string or a whole number (ID)",
            _ => "a string (String)",
        };
        value.ok_or_else(|| self.wrong(json, what))
    }

    fn enum_value(&self, found: &EnumType, json: &Json) -> Result<Value, String> {
        match json.as_str() {
            Some(text) if found.values.contains_key(text) => Ok(Value::str(text)),
            _ => {
                let names: Vec<_> = found.values.keys().map(|name| name.as_str()).collect();
                Err(self.wrong(
                    json,
                    &format!("a value of the enum `{}` ({})", found.name, names.join(", ")),
                ))
            }
        }
    }

    fn object(&mut self, object: &InputObjectType, given: &Map<String, Json>) -> Result<Value, String> {
        if let Some(unknown) = given
            .keys()
            .find(|name| !object.fields.contains_key(name.as_str()))
        {
            return Err(format!(
                "variable `{}`: `{}` has no field `{unknown}`",
                self.place, object.name
            ));
        }
        if object.is_one_of() && (given.len() != 1 || given.values().any(Json::is_null)) {
            return Err(format!(
                "variable `{}`: exactly one field of the `@oneOf` input object `{}` must have a value",
                self.place, object.name
            ));
        }
        let mut fields = Vec::with_capacity(object.fields.len());
        for (name, definition) in &object.fields {
            let value = match given.get(name.as_str()) {
                Some(json) => self
                    .within(format_args!(".{name}"), |at| at.value(&definition.ty, json))
                    .map(Some)?,
                None => default_value(self.types, definition, 0).map_err(|error| error.to_string())?,
            };
            match value {
                Some(value) => fields.push((name.as_str().into(), value)),
                None if definition.ty.is_non_null() => {
                    return Err(format!(
                        "variable `{}`: field `{name}` of type `{}` needs a value",
                        self.place, definition.ty
                    ));
                }
                None => {}
            }
        }
        Ok(Value::Object(fields))
    }
}

/// A number without a fraction, `1.0` included.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let value = number.as_f64()?;
        (value.fract() == 0.0 && value.abs() <= MAX_EXACT).then_some(value as i64)
    })
}
