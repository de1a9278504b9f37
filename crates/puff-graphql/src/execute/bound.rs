//! A plan with its data: for each field where its values are, ready to be written.

use std::sync::Arc;

use super::join::Grouping;
use crate::backend::{Backend, Indexes, Spread};
use crate::cell::find_column;
use crate::error::FieldError;
use crate::plan::{FieldPlan, ObjectPlan, Output, Source};
use crate::rows::Rows;
use crate::table::{Column, Nested, Shape, Slot, Table};
use crate::value::Value;
use crate::write::cell::CellWriter;

/// Objects with what their fields are bound to.
pub(crate) struct BoundObject<B: Backend> {
    pub(crate) source: Objects<B>,
    /// As [`ObjectPlan::variants`].
    pub(crate) variants: Vec<BoundVariant<B>>,
    pub(crate) types: TypeOf,
}

/// The fields of objects of one type.
pub(crate) struct BoundVariant<B: Backend> {
    pub(crate) fields: Vec<Bound<B>>,
    /// The numbers of the fields in the order of the answer, if it is not that of the plan.
    pub(crate) order: Option<Vec<usize>>,
}

/// Where the data of objects is.
pub(crate) enum Objects<B: Backend> {
    Root,
    Rows(Arc<B::Rows>),
    Table(Arc<Table<B>>),
}

/// How the object type of one object is found.
pub(crate) enum TypeOf {
    /// There is only one.
    Only,
    /// In this column of the rows.
    Column(usize),
    /// In [`Table::types`].
    Table,
    /// Not at all.
    Unknown(FieldError),
}

/// Where the values of one field are.
pub(crate) enum Bound<B: Backend> {
    /// Not selected for these variables, or nobody will ask.
    Skipped,
    Typename,
    /// The answer to an introspection field.
    Introspected,
    Cell {
        column: usize,
        writer: CellWriter,
    },
    /// A column of plain values in a table.
    Values {
        column: usize,
    },
    /// A column of objects in a table.
    Nested {
        column: usize,
        object: Box<BoundObject<B>>,
    },
    Layer(Box<Layer<B>>),
    Failed(FieldError),
}

/// The result of one resolver for all the objects it served.
pub(crate) struct Layer<B: Backend> {
    pub(crate) positions: Positions,
    pub(crate) data: LayerData<B>,
}

/// From the number of an object in its source to its position among the parents.
pub(crate) enum Positions {
    Same,
    Mapped(Vec<u32>),
}

pub(crate) enum LayerData<B: Backend> {
    Values {
        values: Vec<Value>,
        spread: Spread,
    },
    Objects {
        slots: Vec<Slot>,
        spread: Spread,
        object: BoundObject<B>,
    },
    Rows {
        grouping: Grouping,
        object: BoundObject<B>,
    },
    /// Leaves out of one column of rows.
    Column {
        rows: Arc<B::Rows>,
        grouping: Grouping,
        column: usize,
        writer: CellWriter,
    },
}

impl Positions {
    /// For `parents` out of `owners` objects.
    pub(crate) fn new(parents: &Indexes, owners: usize) -> Self {
        match parents {
            Indexes::All(_) => Self::Same,
            Indexes::Some(indexes) => {
                let mut mapped = vec![u32::MAX; owners];
                for (position, index) in indexes.iter().enumerate() {
                    if let Some(place) = mapped.get_mut(*index as usize) {
                        *place = position as u32;
                    }
                }
                Self::Mapped(mapped)
            }
        }
    }

    pub(crate) fn get(&self, index: usize) -> usize {
        match self {
            Self::Same => index,
            Self::Mapped(mapped) => mapped
                .get(index)
                .map_or(usize::MAX, |position| *position as usize),
        }
    }
}

impl<B: Backend> Objects<B> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Root => 1,
            Self::Rows(rows) => rows.len(),
            Self::Table(table) => table.len,
        }
    }
}

impl<B: Backend> Clone for Objects<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Root => Self::Root,
            Self::Rows(rows) => Self::Rows(rows.clone()),
            Self::Table(table) => Self::Table(table.clone()),
        }
    }
}

impl TypeOf {
    pub(crate) fn new<B: Backend>(plan: &ObjectPlan, source: &Objects<B>) -> Self {
        if !plan.is_abstract {
            return Self::Only;
        }
        match source {
            Objects::Root => Self::Only,
            Objects::Table(_) => Self::Table,
            Objects::Rows(rows) => find_column(&**rows, "__typename").map_or_else(
                || {
                    let message = format!(
                        "`{}` is abstract: the SQL result needs a column `__typename` with each row's object type",
                        plan.type_name
                    );
                    Self::Unknown(FieldError::new("MISSING_COLUMN", message))
                },
                Self::Column,
            ),
        }
    }
}

impl<B: Backend> BoundObject<B> {
    /// Which of the plan's variants the object at `index` is.
    pub(crate) fn variant(&self, plan: &ObjectPlan, index: usize) -> Result<usize, FieldError> {
        variant_of(plan, &self.source, &self.types, index)
    }
}

pub(crate) fn variant_of<B: Backend>(
    plan: &ObjectPlan,
    source: &Objects<B>,
    types: &TypeOf,
    index: usize,
) -> Result<usize, FieldError> {
    let name = match (types, source) {
        (TypeOf::Only, _) => return Ok(0),
        (TypeOf::Unknown(error), _) => return Err(error.clone()),
        (TypeOf::Column(column), Objects::Rows(rows)) => rows.cell(index, *column),
        (TypeOf::Table, Objects::Table(table)) => table.types.get(index).map(|name| name.as_bytes()),
        _ => None,
    };
    let name = name.unwrap_or(b"null");
    plan.variants
        .iter()
        .position(|variant| variant.type_name.as_bytes() == name)
        .ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            FieldError::new(
                "BAD_TYPENAME",
                format!("`{name}` is not an object type of `{}`", plan.type_name),
            )
        })
}

/// Binds a field that needs no resolver of its own to a column of rows.
pub(crate) fn bind_to_rows<B: Backend>(field: &FieldPlan, name: &str, rows: &B::Rows) -> Bound<B> {
    let Output::Leaf(leaf) = &field.output else {
        let message = format!(
            "{}: the parents are SQL rows, which cannot hold objects: the field needs a resolver",
            field.name
        );
        return Bound::Failed(FieldError::new("MISSING_RESOLVER", message));
    };
    let Some(column) = find_column(rows, name) else {
        let columns = crate::cell::column_names(rows);
        let message = format!(
            "{}: the SQL result has no column `{name}` (columns: {columns})",
            field.name
        );
        return Bound::Failed(FieldError::new("MISSING_COLUMN", message));
    };
    match CellWriter::new(leaf, &field.shape, rows.column_type(column), name) {
        Ok(writer) => Bound::Cell { column, writer },
        Err(error) => Bound::Failed(error),
    }
}

/// The column of rows that a leaf field with a statement of its own takes its values from: the one of its
/// name, else the first that is no join key.
pub(crate) fn value_column<B: Backend>(field: &FieldPlan, rows: &B::Rows, keys: &[String]) -> Option<usize> {
    find_column(rows, &field.name.field_name).or_else(|| {
        (0..rows.columns()).find(|&column| keys.iter().all(|key| key != rows.column_name(column)))
    })
}

/// Checks that a table has what the plan will read, so that writing needs no doubt.
///
/// # Errors
/// What does not fit, for the backend's author.
pub(crate) fn check_table<B: Backend>(field: &FieldPlan, nested: &Nested<B>) -> Result<(), FieldError> {
    let Some(plan) = field.output.object() else {
        return Err(misfit(field, "objects for a leaf"));
    };
    let table = &nested.table;
    if table.columns.len() != plan.attributes.len() {
        return Err(misfit(field, "a table with other columns than wanted"));
    }
    if plan.is_abstract && table.types.len() != table.len {
        return Err(misfit(
            field,
            "a table of an abstract type without each object's type",
        ));
    }
    if !nested.slots.iter().all(|slot| slot_fits(slot, table.len)) {
        return Err(misfit(field, "a slot for an object that is not in the table"));
    }
    for column in &table.columns {
        let len = match column {
            Column::Values(values) => values.len(),
            Column::Objects(inner) => inner.slots.len(),
        };
        if len != table.len {
            return Err(misfit(field, "a column of another length than its table"));
        }
    }
    for inner in plan.variants.iter().flat_map(|variant| &variant.fields) {
        if let Source::Attribute { column, .. } = &inner.source {
            match (table.columns.get(*column), &inner.output) {
                (Some(Column::Objects(nested)), Output::Object(_)) => check_table(inner, nested)?,
                (Some(Column::Values(_)), Output::Leaf(_)) => {}
                _ => return Err(misfit(inner, "a column of the wrong kind")),
            }
        }
    }
    Ok(())
}

fn slot_fits(slot: &Slot, len: usize) -> bool {
    match slot {
        Slot::Null | Slot::Error(_) => true,
        Slot::Object(index) => (*index as usize) < len,
        Slot::Range { start, end } => start <= end && *end as usize <= len,
        Slot::List(items) => items.iter().all(|item| slot_fits(item, len)),
    }
}

/// The error for a result that has not the form its field needs.
pub(crate) fn misfit(field: &FieldPlan, what: &str) -> FieldError {
    FieldError::new(
        "BAD_RESULT",
        format!("{}: the resolver returned {what}", field.name),
    )
}

/// Whether a statement can fill a field of this shape.
pub(crate) fn fits_rows(field: &FieldPlan) -> Result<(), FieldError> {
    match &field.shape {
        Shape::List { item, .. } if item.list_depth() > 0 && matches!(field.output, Output::Object(_)) => {
            let message = format!(
                "{}: the rows of a statement cannot fill a list of lists",
                field.name
            );
            Err(FieldError::new("BAD_RESULT", message))
        }
        _ => Ok(()),
    }
}
