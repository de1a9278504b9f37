//! Objects in a JSON column of rows: the selection goes on inside, without anybody else being asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::bound::bad_typename;
use crate::backend::{Backend, FieldName};
use crate::cell::find_column;
use crate::error::FieldError;
use crate::plan::{Child, ObjectPlan, Output};
use crate::rows::{CellType, Rows, ScalarType};
use crate::table::{Column, Nested, Shape, Slot, Table};
use crate::value::Value;

/// An object: what it holds, and its text.
struct Found<'j> {
    fields: BTreeMap<String, &'j RawValue>,
    text: &'j str,
}

/// The JSON column of this name.
pub(crate) fn json_column(rows: &impl Rows, name: &str) -> Option<usize> {
    find_column(rows, name).filter(|&column| rows.column_type(column) == CellType::Scalar(ScalarType::Json))
}

/// The objects that a column holds: one slot per row. Rows that are not among the `live` ones are not read.
pub(crate) fn objects_in_column<B: Backend>(
    rows: &B::Rows,
    live: impl Iterator<Item = usize>,
    column: usize,
    child: &Child,
    plan: &ObjectPlan,
) -> Nested<B> {
    let mut slots = vec![Slot::Null; rows.len()];
    let mut found = Vec::new();
    for row in live {
        let text = rows.cell(row, column).and_then(|text| str::from_utf8(text).ok());
        if let (Some(text), Some(slot)) = (text, slots.get_mut(row)) {
            *slot = match serde_json::from_str::<&RawValue>(text) {
                Ok(json) => place(json, &child.shape, &child.name, &mut found),
                Err(error) => bad(&child.name, &format!("text that is not valid JSON ({error})")),
            };
        }
    }
    Nested {
        slots,
        table: Arc::new(table(&found, plan)),
    }
}

fn bad(name: &FieldName, what: &str) -> Slot {
    let message = format!("{name}: the JSON holds {what}");
    Slot::Error(Box::new(FieldError::new("BAD_VALUE", message)))
}

/// Puts an object, or lists of objects, into its slot.
fn place<'j>(json: &'j RawValue, shape: &Shape, name: &FieldName, found: &mut Vec<Found<'j>>) -> Slot {
    match (json.get().as_bytes().first(), shape) {
        (Some(b'n'), _) => Slot::Null,
        (Some(b'{'), Shape::One { .. }) => match serde_json::from_str(json.get()) {
            Ok(fields) => {
                let text = json.get();
                found.push(Found { fields, text });
                Slot::Object(found.len() as u32 - 1)
            }
            Err(error) => bad(name, &format!("an object that cannot be read ({error})")),
        },
        (Some(b'['), Shape::List { item, .. }) => match serde_json::from_str::<Vec<&RawValue>>(json.get()) {
            Ok(items) => Slot::List(items.iter().map(|each| place(each, item, name, found)).collect()),
            Err(error) => bad(name, &format!("a list that cannot be read ({error})")),
        },
        (_, Shape::One { .. }) => bad(name, "no object where one was expected"),
        (_, Shape::List { .. }) => bad(name, "no list where one was expected"),
    }
}

/// What the plan wants of the objects, as columns.
fn table<B: Backend>(found: &[Found<'_>], plan: &ObjectPlan) -> Table<B> {
    let columns = plan.attributes.iter().zip(&plan.nested).map(|(name, nested)| {
        let values = found.iter().map(|object| object.fields.get(&**name).copied());
        let child = nested.map(|number| &plan.children[number]);
        match child.map(|child| (child, &child.output)) {
            Some((child, Output::Object(object))) => {
                let mut below = Vec::new();
                let mut slot = |json| place(json, &child.shape, &child.name, &mut below);
                let slots = values.map(|json| json.map_or(Slot::Null, &mut slot)).collect();
                Column::Objects(Nested {
                    slots,
                    table: Arc::new(table(&below, object)),
                })
            }
            _ => Column::Values(values.map(|json| json.map_or(Value::Null, leaf)).collect()),
        }
    });
    let kind = |object: &Found<'_>| {
        let name = match object.fields.get("__typename").map(|json| leaf(json)) {
            Some(Value::Str(name)) => name,
            _ => "null".into(),
        };
        let known = plan.types.iter().position(|known| **known == *name);
        known.ok_or_else(|| Box::new(bad_typename(plan, &name)))
    };
    Table {
        len: found.len(),
        columns: columns.collect(),
        objects: None,
        types: match plan.is_abstract {
            true => found.iter().map(kind).collect(),
            false => Vec::new(),
        },
        json: Some(found.iter().map(|object| object.text.into()).collect()),
    }
}

/// A member of an object that the query may not have asked for; null if it has none of this name.
pub(crate) fn member(text: &str, name: &str) -> Value {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    fields.get(name).map_or(Value::Null, |json| leaf(json))
}

/// A value that is no object to the plan. Numbers keep all their digits.
fn leaf(json: &RawValue) -> Value {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => serde_json::from_str::<String>(text).map_or(Value::Null, Value::str),
        Some(b'{' | b'[') => Value::Json(text.into()),
        _ => text.parse().map_or_else(|_| Value::Big(text.into()), Value::Int),
    }
}
