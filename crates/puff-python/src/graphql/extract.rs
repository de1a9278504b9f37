//! Python objects as the engine's columns: exactly what the query wants, read in one visit.

use std::sync::Arc;

use puff_graphql::{
    Call, Column, Nested, Resolved, Shape, Slot, Spread, Table, Value, Wanted, WantedKind, WantedObjects,
};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::backend::PythonBackend;
use super::failure::{Failures, is_exception};
use super::types::Types;

/// With what objects are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'r> {
    pub(super) types: &'r Types,
    pub(super) failures: &'r Failures,
}

/// The values of a layer, or its objects with what is wanted of them.
pub(super) fn resolved(
    values: &[Bound<'_, PyAny>],
    call: &Call<PythonBackend>,
    spread: Spread,
    reading: Reading<'_>,
) -> PyResult<Resolved<PythonBackend>> {
    Ok(match &call.wanted.kind {
        WantedKind::Leaf { .. } => {
            let leaf = reading.types.leaf(&call.wanted, reading.failures);
            Resolved::Values {
                values: values.iter().map(|value| leaf.value(value)).collect(),
                spread,
            }
        }
        WantedKind::Objects(wanted) => Resolved::Objects {
            objects: nested(values, &call.wanted.shape, wanted, reading)?,
            spread,
        },
    })
}

/// An attribute of an object, or an item of a dict.
pub(super) fn attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    match object.cast::<PyDict>() {
        Ok(dict) => dict.get_item(name)?.ok_or_else(|| {
            PyAttributeError::new_err(format!("the dict has no item {:?}", name.to_string_lossy()))
        }),
        Err(_) => object.getattr(name),
    }
}

/// Objects in their places: one slot per value, all objects of all slots in one table.
fn nested(
    values: &[Bound<'_, PyAny>],
    shape: &Shape,
    wanted: &WantedObjects,
    reading: Reading<'_>,
) -> PyResult<Nested<PythonBackend>> {
    let mut objects = Vec::new();
    let slots = values
        .iter()
        .map(|value| place(value, shape, &mut objects, reading.failures))
        .collect();
    let py = values.first().map(Bound::py);
    let table = match py {
        Some(py) => table(py, objects, wanted, reading)?,
        None => Table {
            json: None,
            len: 0,
            columns: Vec::new(),
            objects: None,
            types: Vec::new(),
        },
    };
    Ok(Nested {
        slots,
        table: Arc::new(table),
    })
}

/// Puts a value (an object, or lists of objects) into its slot.
fn place<'py>(
    value: &Bound<'py, PyAny>,
    shape: &Shape,
    objects: &mut Vec<Bound<'py, PyAny>>,
    failures: &Failures,
) -> Slot {
    if value.is_none() {
        return Slot::Null;
    }
    if is_exception(value) {
        return Slot::Error(Box::new(failures.of(value)));
    }
    match shape {
        Shape::One { .. } => {
            objects.push(value.clone());
            Slot::Object(objects.len() as u32 - 1)
        }
        Shape::List { item, .. } => {
            let items = match list_items(value) {
                Ok(items) => items,
                Err(error) => return Slot::Error(Box::new(failures.of_raised(value.py(), &error))),
            };
            let start = objects.len() as u32;
            let plain = matches!(**item, Shape::One { .. })
                && !items.iter().any(|item| item.is_none() || is_exception(item));
            if plain {
                objects.extend(items);
                return Slot::Range {
                    start,
                    end: objects.len() as u32,
                };
            }
            Slot::List(
                items
                    .iter()
                    .map(|each| place(each, item, objects, failures))
                    .collect(),
            )
        }
    }
}

fn list_items<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyDict>() {
        return Err(PyTypeError::new_err(format!(
            "a list was expected, not {}",
            value.get_type().qualname()?
        )));
    }
    let items = value.try_iter().map_err(|_| {
        let name = value
            .get_type()
            .qualname()
            .map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("a list was expected, not {name}"))
    })?;
    items.collect()
}

fn table(
    py: Python<'_>,
    objects: Vec<Bound<'_, PyAny>>,
    wanted: &WantedObjects,
    reading: Reading<'_>,
) -> PyResult<Table<PythonBackend>> {
    let kinds = match wanted.is_abstract {
        true => reading.types.object_types(&objects, wanted)?,
        false => Vec::new(),
    };
    let mut columns = Vec::with_capacity(wanted.fields.len());
    for field in &wanted.fields {
        let name = PyString::intern(py, &field.attribute);
        let has = |number: usize| match kinds.get(number) {
            Some(Ok(kind)) => field.types.contains(kind),
            Some(Err(_)) => false,
            None => true,
        };
        let values = objects
            .iter()
            .enumerate()
            .map(|(number, object)| match has(number) {
                true => attribute(object, &name),
                false => Ok(py.None().into_bound(py)),
            });
        columns.push(match &field.value.kind {
            WantedKind::Leaf { .. } => {
                let leaf = reading.types.leaf(&field.value, reading.failures);
                let value = |value: PyResult<Bound<'_, PyAny>>| match value {
                    Ok(value) => leaf.value(&value),
                    Err(error) => Value::Error(Box::new(reading.failures.of_raised(py, &error))),
                };
                Column::Values(values.map(value).collect())
            }
            WantedKind::Objects(inner) => Column::Objects(column(py, values, &field.value, inner, reading)?),
        });
    }
    let len = objects.len();
    let objects = wanted
        .keep_objects
        .then(|| objects.into_iter().map(Bound::unbind).collect());
    Ok(Table {
        json: None,
        len,
        columns,
        objects,
        types: kinds,
    })
}

/// An attribute that holds objects; one that cannot be read is its owner's error.
fn column<'py>(
    py: Python<'py>,
    values: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    wanted: &Wanted,
    inner: &WantedObjects,
    reading: Reading<'_>,
) -> PyResult<Nested<PythonBackend>> {
    let mut objects = Vec::new();
    let slots = values
        .map(|value| match value {
            Ok(value) => place(&value, &wanted.shape, &mut objects, reading.failures),
            Err(error) => Slot::Error(Box::new(reading.failures.of_raised(py, &error))),
        })
        .collect();
    Ok(Nested {
        slots,
        table: Arc::new(table(py, objects, inner, reading)?),
    })
}
