//! Fields whose value is written down in the schema: it becomes JSON when the schema is built, and answers copy that.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::error::{FieldError, SchemaError};
use crate::plan::{Leaf, shape};
use crate::schema::SchemaInner;
use crate::table::Shape;
use crate::value::Value;
use crate::write::leaf::leaf_value;

/// The JSON of each constant, by type and field.
#[derive(Default)]
pub(crate) struct Constants {
    by_type: HashMap<String, HashMap<String, Arc<[u8]>>>,
}

impl Constants {
    pub(crate) fn get(&self, type_name: &str, field_name: &str) -> Option<&Arc<[u8]>> {
        self.by_type.get(type_name)?.get(field_name)
    }

    /// Adds the value of a field of `schema`.
    pub(crate) fn add(
        &mut self,
        schema: &SchemaInner,
        type_name: &str,
        field_name: &str,
        value: &Value,
    ) -> Result<(), SchemaError> {
        let refused = |problem: String| SchemaError::BadResolver {
            type_name: type_name.to_owned(),
            field_name: field_name.to_owned(),
            problem,
        };
        if schema.types.is_subscription(type_name) {
            let problem = "a constant has no events: a subscription needs a resolver";
            return Err(refused(problem.into()));
        }
        let json = schema
            .types
            .field_type(type_name, field_name)
            .and_then(|declared| {
                let leaf = schema.leaf(declared.inner_named_type(), &mut |name| name.into())?;
                Some((leaf, shape(declared)))
            })
            .ok_or_else(|| refused("a constant is a scalar, an enum or a list of these".into()))
            .and_then(|(leaf, shape)| {
                let mut json = Vec::new();
                write(&mut json, &leaf, &shape, value).map_err(|error| refused(error.message))?;
                Ok(json)
            })?;
        let fields = self.by_type.entry(type_name.to_owned()).or_default();
        fields.insert(field_name.to_owned(), json.into());
        Ok(())
    }
}

/// Appends `value` as JSON; unlike in an answer, nothing in it may be wrong.
fn write(out: &mut Vec<u8>, leaf: &Leaf, shape: &Shape, value: &Value) -> Result<(), FieldError> {
    let wrong = |message: &str| Err(FieldError::new("BAD_VALUE", message));
    match (value, shape) {
        (Value::Error(error), _) => Err((**error).clone()),
        (Value::Null, shape) if shape.nullable() => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        (Value::Null, _) => wrong("null for a type that is never null"),
        (value, Shape::One { .. }) => leaf_value(out, leaf, value),
        (Value::List(items), Shape::List { item, .. }) => {
            out.push(b'[');
            for (number, value) in items.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                write(out, leaf, item, value)?;
            }
            out.push(b']');
            Ok(())
        }
        (_, Shape::List { .. }) => wrong("a single value for a list"),
    }
}
