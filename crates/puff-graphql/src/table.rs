//! Objects of the host language as plain columns, and the list of what a query wants of them.

use std::sync::Arc;

use crate::backend::Backend;
use crate::error::FieldError;
use crate::value::Value;

/// The lists around a field's type, with what may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One {
        /// Whether null is allowed.
        nullable: bool,
    },
    /// A list.
    List {
        /// Whether null is allowed instead of the list.
        nullable: bool,
        /// What each element is.
        item: Box<Shape>,
    },
}

impl Shape {
    /// How many lists lie around the value.
    pub fn list_depth(&self) -> usize {
        match self {
            Self::One { .. } => 0,
            Self::List { item, .. } => 1 + item.list_depth(),
        }
    }

    /// Whether null is allowed at the outermost place.
    pub fn nullable(&self) -> bool {
        match self {
            Self::One { nullable } | Self::List { nullable, .. } => *nullable,
        }
    }

    /// What is in the outermost list; itself if there is none.
    pub(crate) fn item(&self) -> &Self {
        match self {
            Self::One { .. } => self,
            Self::List { item, .. } => item,
        }
    }
}

/// What a query needs of a field's value: an adapter reads exactly this from host objects, in one visit.
///
/// Fields behind `@skip` and `@include` are always listed, so that one plan serves all variables.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The lists around the value.
    pub shape: Shape,
    /// What the value inside the lists is.
    pub kind: WantedKind,
}

/// The two kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub enum WantedKind {
    /// A scalar or an enum value, to be given as a [`Value`].
    Leaf {
        /// The scalar's or enum's name in the schema; empty for a key that only a statement below needs and
        /// that the schema does not declare: any plain value does.
        type_name: Arc<str>,
    },
    /// Objects, to be given as a [`Table`].
    Objects(WantedObjects),
}

/// What is needed of each object.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedObjects {
    /// The object type, interface or union that the field declares.
    pub type_name: Arc<str>,
    /// Whether that is an interface or union: then [`Table::types`] must tell each object's own type.
    pub is_abstract: bool,
    /// The object types that an object can have; only the declared one unless that is abstract.
    pub types: Arc<[Arc<str>]>,
    /// One column of the [`Table`] for each, in this order.
    pub fields: Vec<WantedField>,
    /// Whether fields with resolvers lie below: then [`Table::objects`] must keep the objects.
    pub keep_objects: bool,
}

/// One attribute that is needed of each object.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedField {
    /// The attribute's name on the host object.
    pub attribute: Arc<str>,
    /// Of which object types it is needed, by their numbers in [`WantedObjects::types`]; objects of another
    /// type get [`Value::Null`] or [`Slot::Null`].
    pub types: Vec<usize>,
    /// What is needed of its value.
    pub value: Wanted,
    /// When it is selected: if one of these holds, where none always does. Without any it only serves a statement.
    pub(crate) conditions: Vec<Option<usize>>,
}

/// What a client selects of a field's value, for the variables of one request.
#[derive(Clone)]
pub struct Selection {
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) flags: Arc<[bool]>,
}

impl Selection {
    /// Whether an attribute is read: `page_info`, or within its objects `page_info.end_cursor`. Fields with
    /// resolvers of their own are no attributes.
    pub fn has(&self, path: &str) -> bool {
        let mut kind = &self.wanted.kind;
        path.split('.').all(|name| {
            let WantedKind::Objects(objects) = kind else {
                return false;
            };
            let holds = |condition: &Option<usize>| condition.is_none_or(|condition| self.flags[condition]);
            let is = |field: &&WantedField| *field.attribute == *name && field.conditions.iter().any(holds);
            match objects.fields.iter().find(is) {
                Some(field) => {
                    kind = &field.value.kind;
                    true
                }
                None => false,
            }
        })
    }
}

/// Host objects as plain columns.
pub struct Table<B: Backend> {
    /// How many objects there are.
    pub len: usize,
    /// For each [`WantedObjects::fields`] its values, in the same order.
    pub columns: Vec<Column<B>>,
    /// A handle on the objects themselves, for resolvers below that take `parents`.
    pub objects: Option<B::Objects>,
    /// Where the declared type is abstract, the type of each object: its number in [`WantedObjects::types`],
    /// or why it is none of these. Else empty.
    pub types: Vec<Result<usize, Box<FieldError>>>,
    /// The text of each object, if they come from a JSON column: what the query did not ask for is there too.
    pub json: Option<Arc<[Box<str>]>>,
}

/// The values of one attribute, one entry per object of the table.
pub enum Column<B: Backend> {
    /// Scalars, enum values and lists of them.
    Values(Vec<Value>),
    /// Objects and lists of them.
    Objects(Nested<B>),
    /// Rows of a statement, and lists of them.
    Rows {
        /// The rows that the slots number.
        rows: Arc<B::Rows>,
        /// One slot per object of the table.
        slots: Vec<Slot>,
    },
}

impl<B: Backend> Column<B> {
    /// The places of objects, if it holds objects.
    pub(crate) fn slots(&self) -> Option<&[Slot]> {
        match self {
            Self::Values(_) => None,
            Self::Objects(nested) => Some(&nested.slots),
            Self::Rows { slots, .. } => Some(slots),
        }
    }
}

/// Objects in their places: which slot holds which object of a table.
///
/// Each object of the table should stand in a slot: all of them are parents of the fields below.
pub struct Nested<B: Backend> {
    /// One slot per owner (per object of the outer table, per parent, or just one).
    pub slots: Vec<Slot>,
    /// The objects that the slots number.
    pub table: Arc<Table<B>>,
}

/// What stands in one place that wants an object or a list of objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// No value.
    Null,
    /// The object of this number in the table.
    Object(u32),
    /// A list of consecutive objects of the table, `start..end`: no allocation per list.
    Range {
        /// The first object.
        start: u32,
        /// One past the last object.
        end: u32,
    },
    /// Any other list: with nulls, with lists inside, with errors.
    List(Vec<Slot>),
    /// This place failed.
    Error(Box<FieldError>),
}

impl<B: Backend> Table<B> {
    /// The plain values of a column, unless it holds objects.
    pub(crate) fn values(&self, column: usize) -> Option<&[Value]> {
        match self.columns.get(column)? {
            Column::Values(values) => Some(values),
            Column::Objects(_) | Column::Rows { .. } => None,
        }
    }

    /// The plain values of the attribute `name`; `names` are those of the columns.
    pub(crate) fn attribute(&self, names: &[Arc<str>], name: &str) -> Option<AttributeValues<'_>> {
        let columns = names.iter().enumerate().filter(|(_, known)| &***known == name);
        let columns: Vec<_> = columns.filter_map(|(column, _)| self.values(column)).collect();
        (!columns.is_empty()).then_some(AttributeValues { columns })
    }
}

/// One attribute of all objects of a table.
pub(crate) struct AttributeValues<'t> {
    /// More than one where object types declare it differently; each object has its value in one of them.
    columns: Vec<&'t [Value]>,
}

impl<'t> AttributeValues<'t> {
    /// The value of one object.
    pub(crate) fn get(&self, index: usize) -> &'t Value {
        let mut values = self.columns.iter().filter_map(|values| values.get(index));
        values.find(|value| !value.is_null()).unwrap_or(&Value::Null)
    }
}
