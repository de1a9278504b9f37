//! Plain values: what arguments are made of, and what resolvers that return no SQL hand back.

use std::any::Any;
use std::sync::Arc;

use crate::error::FieldError;

/// One plain value, free of any host language.
///
/// It is what a coerced argument is made of, and what a field gets that is not read from SQL rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A number kept as JSON number text because neither 64 bits nor a double hold it exactly.
    Big(Box<str>),
    /// A double. `NaN` and the infinities have no JSON form: they become a field error when written.
    Float(f64),
    /// Text; enum values are text as well.
    Str(Box<str>),
    /// A list.
    List(Vec<Value>),
    /// An input object or a JSON object, in order.
    Object(Vec<(Box<str>, Value)>),
    /// A complete JSON text, copied into the answer as it is. The producer vouches for its syntax.
    Json(Box<str>),
    /// Something of the host's that came with the request, such as a file. It has no JSON form.
    Host(Host),
    /// This one value failed; its neighbours did not.
    Error(Box<FieldError>),
}

/// Something that the engine only hands on, from the variables of a request to a resolver. Clones are the same thing.
#[derive(Clone)]
pub struct Host(Arc<dyn Any + Send + Sync>);

impl Host {
    /// Wraps something.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// What was wrapped, if it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host(..)")
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Value {
    /// Text as a value.
    pub fn str(text: impl Into<Box<str>>) -> Self {
        Self::Str(text.into())
    }

    /// The text of a [`Value::Str`].
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The fields of a [`Value::Object`].
    pub fn as_object(&self) -> Option<&[(Box<str>, Value)]> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The field `name` of a [`Value::Object`].
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.as_object()?.iter();
        fields.find(|(known, _)| &**known == name).map(|(_, value)| value)
    }

    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => crate::json::number(&number.to_string()),
            serde_json::Value::String(text) => Self::Str(text.into()),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(fields) => Self::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
            ),
        }
    }
}

/// The coerced arguments of one field, in the order of the schema, defaults applied.
///
/// An argument that was not given and has no default is absent, which is different from null.
/// Clones share the values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
    values: Arc<[(Arc<str>, Value)]>,
}

impl Arguments {
    /// Arguments from name and value pairs.
    pub fn new(values: Vec<(Arc<str>, Value)>) -> Self {
        Self {
            values: values.into(),
        }
    }

    /// The value of the argument `name`, or `None` when it was not given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value)
    }

    /// Name and value pairs in the order of the schema.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (&**name, value))
    }

    /// How many arguments have a value.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no argument has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
