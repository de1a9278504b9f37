//! What a schema says of its Python classes and scalars: object types of objects, values of leaves.

use std::collections::HashMap;

use puff_graphql::{CellRule, FieldError, SchemaRule, Value, Wanted, WantedKind, WantedObjects};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::failure::{Failures, is_exception};
use crate::convert::object_to_value;

/// The classes and scalars of one schema.
pub(super) struct Types {
    /// The name of each class that is one object type.
    exact: Py<PyDict>,
    /// `of(object)`: the name of the type of any other object.
    of: Py<PyAny>,
    /// The scalars that are not written by the usual rules.
    scalars: HashMap<String, Scalar>,
}

/// A scalar with a rule of its own.
struct Scalar {
    /// Makes the Python value of what a client gave, or raises an exception.
    parse: Option<Py<PyAny>>,
    /// Makes JSON data of a Python value.
    serialize: Option<Py<PyAny>>,
    /// Makes JSON data of a cell's value.
    from_cell: Option<Py<PyAny>>,
    cells: CellRule,
}

impl Types {
    /// Of the `SchemaDefinition` of the Python half.
    pub(super) fn new(definition: &Bound<'_, PyAny>) -> PyResult<Types> {
        let names = definition.getattr("types")?;
        let mut scalars = HashMap::new();
        for scalar in definition.getattr("scalars")?.try_iter()? {
            let scalar = scalar?;
            let rule = scalar.getattr("cells")?;
            let cells = match rule.cast::<PyString>() {
                Ok(name) => match name.to_str()? {
                    "text" => CellRule::Text,
                    "json" => CellRule::Json,
                    _ => CellRule::Auto,
                },
                Err(_) => CellRule::Backend,
            };
            let parse = scalar.getattr("parse")?;
            let encode = scalar.getattr("encode")?;
            // What we bring along, the conversions know.
            let is_built_in: bool = scalar.getattr("built_in")?.extract()?;
            scalars.insert(
                scalar.getattr("name")?.extract()?,
                Scalar {
                    parse: (!parse.is_none()).then(|| parse.unbind()),
                    serialize: (!is_built_in && !encode.is_none()).then(|| encode.unbind()),
                    from_cell: (cells == CellRule::Backend).then(|| rule.unbind()),
                    cells,
                },
            );
        }
        Ok(Types {
            exact: names.getattr("exact")?.cast_into::<PyDict>()?.unbind(),
            of: names.getattr("of")?.unbind(),
            scalars,
        })
    }

    /// The rules of the scalars, for the engine.
    pub(super) fn rules(&self) -> impl Iterator<Item = SchemaRule> + '_ {
        self.scalars.iter().map(|(name, scalar)| SchemaRule::Scalar {
            type_name: name.clone(),
            cells: scalar.cells,
            checked: scalar.parse.is_some(),
        })
    }

    /// The function that makes JSON data of the cells of a scalar.
    pub(super) fn cell_function(&self, scalar: &str) -> Option<&Py<PyAny>> {
        self.scalars.get(scalar)?.from_cell.as_ref()
    }

    /// The function that makes Python values of what clients give for a scalar.
    pub(super) fn parse_function(&self, scalar: &str) -> Option<&Py<PyAny>> {
        self.scalars.get(scalar)?.parse.as_ref()
    }

    /// The object types of objects whose declared type is abstract: those of their classes, or what a dict
    /// says in its item `__typename`.
    pub(super) fn object_types(
        &self,
        objects: &[Bound<'_, PyAny>],
        wanted: &WantedObjects,
    ) -> PyResult<Vec<Result<usize, Box<FieldError>>>> {
        let mut last: Option<(Py<PyAny>, usize)> = None;
        let mut kinds = Vec::with_capacity(objects.len());
        for object in objects {
            let class = object.get_type();
            // Objects of one class often follow each other.
            if let Some((known, kind)) = &last
                && class.is(known)
            {
                kinds.push(Ok(*kind));
                continue;
            }
            let exact = self.exact.bind(object.py()).get_item(&class)?;
            let is_exact = exact.is_some();
            let kind = match exact {
                Some(name) => number(&name, wanted)?,
                None => self.look(object, wanted)?,
            };
            if let (Ok(kind), true) = (&kind, is_exact) {
                last = Some((class.into_any().unbind(), *kind));
            }
            kinds.push(kind);
        }
        Ok(kinds)
    }

    /// The object type of an object whose class alone does not tell.
    fn look(
        &self,
        object: &Bound<'_, PyAny>,
        wanted: &WantedObjects,
    ) -> PyResult<Result<usize, Box<FieldError>>> {
        if let Ok(dict) = object.cast::<PyDict>() {
            return match dict.get_item("__typename")? {
                Some(name) => number(&name, wanted),
                None => Ok(Err(Box::new(no_typename(wanted)))),
            };
        }
        match self.of.bind(object.py()).call1((object,)) {
            Ok(name) => number(&name, wanted),
            Err(error) => {
                let message = error.value(object.py()).to_string();
                Ok(Err(Box::new(FieldError::new("BAD_TYPENAME", message))))
            }
        }
    }

    /// What makes values of the objects that a leaf wants.
    pub(super) fn leaf<'t>(&'t self, wanted: &Wanted, failures: &'t Failures) -> Leaf<'t> {
        let scalar = match &wanted.kind {
            WantedKind::Leaf { type_name } => self.scalars.get(&**type_name),
            WantedKind::Objects(_) => None,
        };
        Leaf {
            scalar,
            failures,
            list_depth: wanted.shape.list_depth(),
        }
    }
}

/// Makes the values of one leaf.
pub(super) struct Leaf<'t> {
    scalar: Option<&'t Scalar>,
    failures: &'t Failures,
    list_depth: usize,
}

impl Leaf<'_> {
    /// The value of an object; what has no JSON form is this value's own error.
    pub(super) fn value(&self, object: &Bound<'_, PyAny>) -> Value {
        self.read(object, self.list_depth)
    }

    fn read(&self, object: &Bound<'_, PyAny>, depth: usize) -> Value {
        let items = || items(object).map(|item| self.read(&item, depth - 1)).collect();
        let is_list = object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>();
        if depth > 0 && is_list && self.scalar.is_some() {
            return Value::List(items());
        }
        let error = match self.one(object) {
            Ok(value) => return value,
            Err(error) => error,
        };
        Value::Error(Box::new(match is_exception(object) {
            // In a value's place it is that value's own error.
            true => self.failures.of(object),
            // One bad element of a list leaves the others.
            false if depth > 0 && is_list => return Value::List(items()),
            false => self.failures.of_raised(object.py(), &error),
        }))
    }

    fn one(&self, object: &Bound<'_, PyAny>) -> PyResult<Value> {
        let Some(scalar) = self.scalar else {
            return object_to_value(object);
        };
        if object.is_none() {
            return Ok(Value::Null);
        }
        match &scalar.serialize {
            Some(serialize) => object_to_value(&serialize.bind(object.py()).call1((object,))?),
            None if scalar.cells == CellRule::Text => Ok(as_text(object_to_value(object)?)),
            None => object_to_value(object),
        }
    }
}

fn items<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Box<dyn Iterator<Item = Bound<'py, PyAny>> + 'a> {
    match (object.cast::<PyList>(), object.cast::<PyTuple>()) {
        (Ok(list), _) => Box::new(list.iter()),
        (_, Ok(tuple)) => Box::new(tuple.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Numbers and truth values as PostgreSQL's text of them would be shown.
fn as_text(value: Value) -> Value {
    match value {
        Value::Int(number) => Value::str(number.to_string()),
        Value::Big(text) => Value::Str(text),
        Value::Float(number) => Value::str(number.to_string()),
        Value::Bool(value) => Value::str(if value { "true" } else { "false" }),
        other => other,
    }
}

/// The number of the object type of this name among those that are wanted.
fn number(name: &Bound<'_, PyAny>, wanted: &WantedObjects) -> PyResult<Result<usize, Box<FieldError>>> {
    let name = name.str()?;
    let name = name.to_str()?;
    let known = wanted.types.iter().position(|known| **known == *name);
    Ok(known.ok_or_else(|| Box::new(bad_typename(wanted, name))))
}

fn no_typename(wanted: &WantedObjects) -> FieldError {
    let message = format!(
        "a dict that stands for `{}` needs an item `__typename` ({})",
        wanted.type_name,
        wanted.types.join(", ")
    );
    FieldError::new("BAD_TYPENAME", message)
}

fn bad_typename(wanted: &WantedObjects, name: &str) -> FieldError {
    let message = format!(
        "`{name}` is not an object type of `{}` ({})",
        wanted.type_name,
        wanted.types.join(", ")
    );
    FieldError::new("BAD_TYPENAME", message)
}
