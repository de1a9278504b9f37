//! A plan with its data: for each field where its values are, ready to be written.

use std::sync::Arc;

use super::join::Grouping;
use super::permit::Permits;
use crate::backend::{Backend, FieldName, Indexes, Spread};
use crate::cell::find_column;
use crate::error::FieldError;
use crate::plan::{Child, FieldPlan, ObjectPlan, Output};
use crate::rows::Rows;
use crate::table::{Column, Nested, Shape, Slot, Table};
use crate::value::Value;
use crate::write::cell::CellWriter;

/// Objects with what their fields are bound to.
pub(crate) struct BoundObject<B: Backend> {
    pub(crate) source: Objects<B>,
    pub(crate) kinds: Kinds,
    /// As [`ObjectPlan::variants`]; without fields where no object is of the variant's type.
    pub(crate) variants: Vec<BoundVariant>,
    /// As [`ObjectPlan::children`].
    pub(crate) children: Vec<BoundChild<B>>,
    /// Columns that the backend makes values of.
    pub(crate) conversions: Vec<Conversion>,
    /// What may be shown; `None` if nothing is guarded.
    pub(crate) permits: Option<Arc<Permits>>,
}

/// A column as values of a scalar.
pub(crate) struct Conversion {
    pub(crate) scalar: Arc<str>,
    pub(crate) column: usize,
    pub(crate) list_depth: usize,
    pub(crate) field: FieldName,
    /// One for each row.
    pub(crate) values: Result<Vec<Value>, FieldError>,
}

/// The fields of objects of one type.
#[derive(Default)]
pub(crate) struct BoundVariant {
    pub(crate) fields: Vec<Bound>,
    /// The numbers of the fields in the order of the answer, if it is not that of the plan.
    pub(crate) order: Option<Vec<usize>>,
}

/// Where the data of objects is.
pub(crate) enum Objects<B: Backend> {
    Root,
    Rows(Arc<B::Rows>),
    Table(Arc<Table<B>>),
}

/// The object type of each object.
pub(crate) enum Kinds {
    /// There is only one.
    Only,
    /// Of each row its number among the plan's types; [`NO_KIND`] if it is none of them.
    Rows { kinds: Vec<u32>, column: usize },
    /// As [`Table::types`] says.
    Table,
    /// Rows without a column that tells: the error of all of them.
    Unknown(Box<FieldError>),
}

/// The kind of a row that names no object type of the field's.
const NO_KIND: u32 = u32::MAX;

/// Where the values of one field are.
pub(crate) enum Bound {
    /// Not selected for these variables, or nobody will ask.
    Skipped,
    Typename,
    /// The answer to an introspection field.
    Introspected,
    /// The JSON is in the plan.
    Constant,
    Cell {
        column: usize,
        writer: CellWriter,
    },
    /// A column of plain values in a table.
    Values {
        column: usize,
    },
    /// One of [`BoundObject::conversions`].
    Converted {
        number: usize,
    },
    /// One of [`BoundObject::children`].
    Child,
    Failed(FieldError),
}

/// Where the values of a child are.
pub(crate) enum BoundChild<B: Backend> {
    /// Not selected for these variables, or nobody will ask.
    Skipped,
    Layer(Box<Layer<B>>),
    /// A column of objects in a table.
    Nested {
        column: usize,
        object: Box<BoundObject<B>>,
    },
    /// Objects in a JSON column of rows, or the rows themselves: one slot per row.
    InColumn {
        slots: Vec<Slot>,
        object: Box<BoundObject<B>>,
    },
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
    /// Values that the backend has made of such a column.
    Converted {
        grouping: Grouping,
        values: Vec<Value>,
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

impl<B: Backend> BoundObject<B> {
    /// What is wrong with the rows of one statement: of its own, and of the objects in them.
    pub(crate) fn errors_of_statement<'b>(&'b mut self, found: &mut Vec<&'b mut FieldError>) {
        if let Objects::Rows(_) = self.source {
            if let Kinds::Unknown(error) = &mut self.kinds {
                found.push(error);
            }
            let fields = self.variants.iter_mut().flat_map(|variant| &mut variant.fields);
            found.extend(fields.filter_map(|field| match field {
                Bound::Failed(error) if error.is_of_statement() => Some(error),
                _ => None,
            }));
        }
        for child in &mut self.children {
            match child {
                BoundChild::Nested { object, .. } | BoundChild::InColumn { object, .. } => {
                    object.errors_of_statement(found);
                }
                BoundChild::Failed(error) if error.code == "MISSING_RESOLVER" => found.push(error),
                BoundChild::Failed(_) | BoundChild::Layer(_) | BoundChild::Skipped => {}
            }
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

impl Kinds {
    pub(crate) fn new<B: Backend>(plan: &ObjectPlan, source: &Objects<B>) -> Self {
        let rows = match source {
            _ if !plan.is_abstract => return Self::Only,
            Objects::Root => return Self::Only,
            Objects::Table(_) => return Self::Table,
            Objects::Rows(rows) => rows,
        };
        let Some(column) = find_column(&**rows, "__typename") else {
            let message = format!(
                "`{}` is abstract: the SQL result needs a column `__typename` with each row's object type",
                plan.type_name
            );
            return Self::Unknown(Box::new(FieldError::new("MISSING_COLUMN", message)));
        };
        let number = |name: &[u8]| plan.types.iter().position(|known| known.as_bytes() == name);
        let mut last: Option<(&[u8], u32)> = None;
        let kind = |row| {
            let name = rows.cell(row, column)?;
            // Rows of one type often follow each other.
            match last {
                Some((same, kind)) if same == name => Some(kind),
                _ => {
                    let kind = number(name)? as u32;
                    last = Some((name, kind));
                    Some(kind)
                }
            }
        };
        let kinds = (0..rows.len()).map(kind).map(|kind| kind.unwrap_or(NO_KIND));
        Self::Rows {
            kinds: kinds.collect(),
            column,
        }
    }

    /// The object type of one object: its number among the plan's types.
    #[inline]
    pub(crate) fn of<B: Backend>(&self, source: &Objects<B>, index: usize) -> Option<usize> {
        match (self, source) {
            (Self::Only, _) => Some(0),
            (Self::Rows { kinds, .. }, _) => {
                let kind = *kinds.get(index)?;
                (kind != NO_KIND).then_some(kind as usize)
            }
            (Self::Table, Objects::Table(table)) => table.types.get(index)?.as_ref().ok().copied(),
            _ => None,
        }
    }

    /// Which of the plan's types occur; `None` if there is only one.
    pub(crate) fn present<B: Backend>(&self, plan: &ObjectPlan, source: &Objects<B>) -> Option<Vec<bool>> {
        if let Self::Only = self {
            return None;
        }
        let mut present = vec![false; plan.types.len()];
        for index in 0..source.len() {
            if let Some(is) = self.of(source, index).and_then(|kind| present.get_mut(kind)) {
                *is = true;
            }
        }
        Some(present)
    }

    /// Why [`Kinds::of`] an object is not known.
    #[cold]
    pub(crate) fn unknown<B: Backend>(
        &self,
        plan: &ObjectPlan,
        source: &Objects<B>,
        index: usize,
    ) -> FieldError {
        let name = match (self, source) {
            (Self::Rows { column, .. }, Objects::Rows(rows)) => rows.cell(index, *column),
            (Self::Table, Objects::Table(table)) => match table.types.get(index) {
                Some(Err(error)) => return (**error).clone(),
                _ => None,
            },
            (Self::Unknown(error), _) => return (**error).clone(),
            _ => None,
        };
        let name = name.map_or("null".into(), String::from_utf8_lossy);
        bad_typename(plan, &name)
    }
}

/// The error of an object whose type is none of those that its field can have.
pub(crate) fn bad_typename(plan: &ObjectPlan, name: &str) -> FieldError {
    let message = format!(
        "`{name}` is not an object type of `{}` ({})",
        plan.type_name,
        plan.types.join(", ")
    );
    FieldError::new("BAD_TYPENAME", message)
}

/// Binds a leaf that needs no resolver to a column of rows.
pub(crate) fn bind_to_rows<B: Backend>(
    field: &FieldPlan,
    name: &str,
    rows: &B::Rows,
    conversions: &mut Vec<Conversion>,
) -> Bound {
    let Some(leaf) = &field.leaf else {
        return Bound::Failed(no_objects_in_rows(&field.name));
    };
    let Some(column) = find_column(rows, name) else {
        let columns = crate::cell::column_names(rows);
        let message = format!(
            "{}: the SQL result has no column `{name}` (columns: {columns})",
            field.name
        );
        return Bound::Failed(FieldError::new("MISSING_COLUMN", message));
    };
    if let Some(scalar) = leaf.converted() {
        let list_depth = field.shape.list_depth();
        let same = |known: &Conversion| {
            known.column == column && known.scalar == *scalar && known.list_depth == list_depth
        };
        let number = conversions.iter().position(same).unwrap_or_else(|| {
            conversions.push(Conversion {
                scalar: scalar.clone(),
                column,
                list_depth,
                field: field.name.clone(),
                values: Ok(Vec::new()),
            });
            conversions.len() - 1
        });
        return Bound::Converted { number };
    }
    match CellWriter::new(leaf, &field.shape, rows.column_type(column), name) {
        Ok(writer) => Bound::Cell { column, writer },
        Err(error) => Bound::Failed(error),
    }
}

/// The error of a field of objects that is neither resolved nor an attribute of an object.
pub(crate) fn no_objects_in_rows(field: &FieldName) -> FieldError {
    let message = format!(
        "{field}: the parents are SQL rows, which hold objects only in columns of type json or jsonb: the field \
         needs such a column, or a resolver"
    );
    FieldError::new("MISSING_RESOLVER", message)
}

/// The column of rows that a leaf field with a statement of its own takes its values from: the one of its
/// name, else the first that is no join key.
pub(crate) fn value_column<B: Backend>(child: &Child, rows: &B::Rows, keys: &[String]) -> Option<usize> {
    find_column(rows, &child.name.field_name).or_else(|| {
        (0..rows.columns()).find(|&column| keys.iter().all(|key| key != rows.column_name(column)))
    })
}

/// Checks that a table has what the plan will read, so that writing needs no doubt.
///
/// # Errors
/// What does not fit, for the backend's author.
pub(crate) fn check_table<B: Backend>(child: &Child, nested: &Nested<B>) -> Result<(), FieldError> {
    let name = &child.name;
    let Output::Object(plan) = &child.output else {
        return Err(misfit(name, "objects for a leaf"));
    };
    let table = &nested.table;
    if table.columns.len() != plan.nested.len() {
        return Err(misfit(name, "a table with other columns than wanted"));
    }
    if plan.is_abstract && table.types.len() != table.len {
        return Err(misfit(
            name,
            "a table of an abstract type without each object's type",
        ));
    }
    let fits = |kind: &Result<usize, _>| kind.as_ref().is_ok_and(|kind| *kind >= plan.types.len());
    if table.types.iter().any(fits) {
        return Err(misfit(name, "an object of a type that was not wanted"));
    }
    if !nested.slots.iter().all(|slot| slot_fits(slot, table.len)) {
        return Err(misfit(name, "a slot for an object that is not in the table"));
    }
    for (column, inner) in table.columns.iter().zip(&plan.nested) {
        let len = match column {
            Column::Values(values) => values.len(),
            Column::Objects(inner) => inner.slots.len(),
            Column::Rows { slots, .. } => slots.len(),
        };
        if len != table.len {
            return Err(misfit(name, "a column of another length than its table"));
        }
        match (column, inner) {
            (Column::Objects(nested), Some(inner)) => check_table(&plan.children[*inner], nested)?,
            (Column::Values(_), None) => {}
            (Column::Rows { rows, slots }, Some(_))
                if slots.iter().all(|slot| slot_fits(slot, rows.len())) => {}
            _ => return Err(misfit(name, "a column of the wrong kind")),
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
pub(crate) fn misfit(field: &FieldName, what: &str) -> FieldError {
    FieldError::new("BAD_RESULT", format!("{field}: the resolver returned {what}"))
}

/// Whether a statement can fill a field of this shape.
pub(crate) fn fits_rows(child: &Child) -> Result<(), FieldError> {
    match (&child.shape, &child.output) {
        (Shape::List { item, .. }, Output::Object(_)) if item.list_depth() > 0 => {
            let message = format!(
                "{}: the rows of a statement cannot fill a list of lists",
                child.name
            );
            Err(FieldError::new("BAD_RESULT", message))
        }
        _ => Ok(()),
    }
}
