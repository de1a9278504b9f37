//! Variables as they come, coerced to their declared types.

use std::fmt::Write;

use apollo_compiler::ast::Type;
use apollo_compiler::schema::{EnumType, ExtendedType, InputObjectType};

use super::{Check, default_value};
use crate::backend::Given;
use crate::document::TypeSystem;
use crate::value::Value;
use crate::write::leaf::json_value;

/// The largest whole number up to which a double holds each exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Longest piece of a wrong value that a message shows.
const MAX_SHOWN: usize = 60;

/// Coerces the value of the variable `name`.
///
/// Values of scalars that the backend checks are put into `checks`.
///
/// # Errors
/// A sentence that names the variable and the place inside its value.
pub(super) fn coerce(
    types: &TypeSystem,
    declared: &Type,
    given: Value,
    name: &str,
    checks: &mut Vec<Check>,
) -> Result<Value, String> {
    Coercion {
        checks,
        types,
        name,
        steps: Vec::new(),
        last: None,
    }
    .value(declared, given)
}

struct Coercion<'c> {
    types: &'c TypeSystem,
    name: &'c str,
    /// Where we are inside the value.
    steps: Vec<Step<'c>>,
    checks: &'c mut Vec<Check>,
    /// The type that was looked up last: the elements of a list have the same.
    last: Option<(&'c str, Option<&'c ExtendedType>)>,
}

enum Step<'c> {
    Index(usize),
    Field(&'c str),
}

impl<'c> Coercion<'c> {
    /// Where we are: `$name.field[3]`.
    fn place(&self) -> String {
        let mut place = format!("${}", self.name);
        for step in &self.steps {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Index(index) => write!(place, "[{index}]"),
                Step::Field(name) => write!(place, ".{name}"),
            };
        }
        place
    }

    fn wrong(&self, value: &Value, what: &str) -> String {
        format!("variable `{}`: {} is not {what}", self.place(), shown(value))
    }

    /// Goes one step into the value.
    fn within(&mut self, step: Step<'c>, declared: &'c Type, value: Value) -> Result<Value, String> {
        self.steps.push(step);
        let coerced = self.value(declared, value)?;
        self.steps.pop();
        Ok(coerced)
    }

    fn value(&mut self, declared: &'c Type, value: Value) -> Result<Value, String> {
        if value.is_null() {
            return if declared.is_non_null() {
                Err(format!(
                    "variable `{}` of type `{declared}` must not be null",
                    self.place()
                ))
            } else {
                Ok(Value::Null)
            };
        }
        let type_name = match declared {
            Type::List(item) | Type::NonNullList(item) => {
                let Value::List(items) = value else {
                    return Ok(Value::List(vec![self.value(item, value)?]));
                };
                // A long list is mostly right, and nothing is to be done with it then.
                if let Type::Named(name) | Type::NonNullNamed(name) = &**item
                    && items.iter().all(|value| is_as_is(name, value))
                {
                    return Ok(Value::List(items));
                }
                let coerce = |(index, value)| self.within(Step::Index(index), item, value);
                let coerced = items.into_iter().enumerate().map(coerce);
                return coerced.collect::<Result<_, _>>().map(Value::List);
            }
            Type::Named(name) | Type::NonNullNamed(name) => name.as_str(),
        };
        match self.type_named(type_name) {
            Some(ExtendedType::Enum(found)) => self.enum_value(found, value),
            Some(ExtendedType::InputObject(object)) => match value {
                Value::Object(fields) => self.object(object, fields),
                _ => Err(self.wrong(&value, &format!("an object of type `{type_name}`"))),
            },
            Some(ExtendedType::Scalar(_)) => self.scalar(type_name, value),
            _ => Err(format!(
                "variable `{}`: `{type_name}` is not an input type",
                self.place()
            )),
        }
    }

    fn type_named(&mut self, name: &'c str) -> Option<&'c ExtendedType> {
        match self.last {
            Some((last, found)) if std::ptr::eq(last, name) => found,
            _ => {
                let found = self.types.type_named(name);
                self.last = Some((name, found));
                found
            }
        }
    }

    fn scalar(&mut self, type_name: &str, value: Value) -> Result<Value, String> {
        let coerced = match type_name {
            "Int" => whole(&value)
                .filter(|number| i32::try_from(*number).is_ok())
                .map(Value::Int),
            "Float" => double(&value).map(Value::Float),
            "Boolean" => matches!(value, Value::Bool(_)).then(|| value.clone()),
            "String" => matches!(value, Value::Str(_)).then(|| value.clone()),
            "ID" => match &value {
                Value::Str(_) => Some(value.clone()),
                Value::Big(digits) if !digits.contains(['.', 'e', 'E']) => Some(Value::Str(digits.clone())),
                _ => whole(&value).map(|number| Value::str(number.to_string())),
            },
            _ => {
                if let Some(scalar) = self.types.checked.get(type_name) {
                    self.checks.push(Check {
                        place: Some(self.place()),
                        location: None,
                        given: Given {
                            scalar: scalar.clone(),
                            value: value.clone(),
                        },
                    });
                }
                return Ok(value);
            }
        };
        let what = match type_name {
            "Int" => "a whole number of 32 bits (Int)",
            "Float" => "a number (Float)",
            "Boolean" => "true or false (Boolean)",
            "ID" => "a string or a whole number (ID)",
            _ => "a string (String)",
        };
        coerced.ok_or_else(|| self.wrong(&value, what))
    }

    fn enum_value(&self, found: &EnumType, value: Value) -> Result<Value, String> {
        match value.as_str() {
            Some(text) if found.values.contains_key(text) => Ok(value),
            _ => {
                let names: Vec<_> = found.values.keys().map(|name| name.as_str()).collect();
                let what = format!("a value of the enum `{}` ({})", found.name, names.join(", "));
                Err(self.wrong(&value, &what))
            }
        }
    }

    fn object(
        &mut self,
        object: &'c InputObjectType,
        given: Vec<(Box<str>, Value)>,
    ) -> Result<Value, String> {
        let not_one = given.len() != 1 || given.iter().any(|(_, value)| value.is_null());
        let mut places: Vec<Option<Value>> = Vec::new();
        places.resize_with(object.fields.len(), || None);
        for (name, value) in given {
            match object.fields.get_index_of(&*name) {
                Some(place) => places[place] = Some(value),
                None => {
                    return Err(format!(
                        "variable `{}`: `{}` has no field `{name}`",
                        self.place(),
                        object.name
                    ));
                }
            }
        }
        if object.is_one_of() && not_one {
            return Err(format!(
                "variable `{}`: exactly one field of the `@oneOf` input object `{}` must have a value",
                self.place(),
                object.name
            ));
        }
        let mut fields = Vec::with_capacity(object.fields.len());
        for ((name, definition), value) in object.fields.iter().zip(places) {
            let value = match value {
                Some(value) => Some(self.within(Step::Field(name), &definition.ty, value)?),
                None => default_value(self.types, definition, 0).map_err(|error| error.to_string())?,
            };
            match value {
                Some(value) => fields.push((name.as_str().into(), value)),
                None if definition.ty.is_non_null() => {
                    return Err(format!(
                        "variable `{}`: field `{name}` of type `{}` needs a value",
                        self.place(),
                        definition.ty
                    ));
                }
                None => {}
            }
        }
        Ok(Value::Object(fields))
    }
}

/// Whether a value is one of a scalar of GraphQL's own as it stands.
fn is_as_is(type_name: &str, value: &Value) -> bool {
    match (type_name, value) {
        ("Int", Value::Int(number)) => i32::try_from(*number).is_ok(),
        ("Float", Value::Float(_)) | ("String" | "ID", Value::Str(_)) | ("Boolean", Value::Bool(_)) => true,
        _ => false,
    }
}

/// A value as JSON, cut to a bearable length.
fn shown(value: &Value) -> String {
    let mut json = Vec::new();
    // Only what comes beside the JSON has no JSON form.
    if json_value(&mut json, value).is_err() {
        return "a file".into();
    }
    let mut shown = String::from_utf8_lossy(&json).into_owned();
    if shown.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rev().find(|&end| shown.is_char_boundary(end));
        shown.truncate(end.unwrap_or(0));
        shown.push('…');
    }
    shown
}

/// A number without a fraction, `1.0` included.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Float(number) => {
            (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(*number as i64)
        }
        _ => None,
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Big(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}
