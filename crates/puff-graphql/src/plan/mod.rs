//! What an operation means, worked out once per document: fields merged, sources chosen, keys encoded.

mod build;
mod collect;
mod describe;
pub(crate) mod input;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use apollo_compiler::executable::Operation;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};

pub(crate) use self::input::{ArgumentsPlan, VariablePlan};
use crate::backend::{FieldName, ResolverId};
use crate::error::Location;
use crate::schema::SqlResolver;
use crate::table::{Shape, Wanted};

/// A planned operation. It holds for any variables: `@skip` and `@include` are conditions in it.
pub(crate) struct Plan {
    pub(crate) is_mutation: bool,
    pub(crate) root: ObjectPlan,
    pub(crate) variables: Vec<VariablePlan>,
    /// Conditions of fields, which refer to them by number.
    pub(crate) conditions: Vec<Condition>,
    /// The operation itself, kept only where `__schema` or `__type` is selected.
    pub(crate) introspection: Option<Introspection>,
    /// How many bytes the last answer had: how many to reserve for the next.
    answer_bytes: AtomicUsize,
}

pub(crate) struct Introspection {
    pub(crate) document: Valid<ExecutableDocument>,
    pub(crate) operation: Node<Operation>,
}

/// A field is there if one of these lists holds: each a list of variables with the value they must have.
pub(crate) type Condition = Vec<Vec<(usize, bool)>>;

/// What is selected of objects of one declared type.
pub(crate) struct ObjectPlan {
    pub(crate) type_name: Arc<str>,
    pub(crate) is_abstract: bool,
    /// One per possible object type; exactly one unless the type is abstract.
    pub(crate) variants: Vec<Variant>,
    /// The attributes that tables of these objects have as columns.
    pub(crate) attributes: Arc<[Arc<str>]>,
    /// Whether a field with a resolver lies anywhere below.
    pub(crate) has_layers: bool,
}

pub(crate) struct Variant {
    pub(crate) type_name: Arc<str>,
    pub(crate) fields: Vec<FieldPlan>,
    /// Where the order of fields depends on variables: their numbers with conditions, to be taken in this
    /// order, each field where its condition holds first.
    pub(crate) order: Option<Vec<(usize, Option<usize>)>>,
}

pub(crate) struct FieldPlan {
    /// The response name.
    pub(crate) key: Arc<str>,
    /// The response name as JSON with its colon.
    pub(crate) key_json: Box<[u8]>,
    pub(crate) name: FieldName,
    pub(crate) location: Option<Location>,
    pub(crate) condition: Option<usize>,
    pub(crate) source: Source,
    pub(crate) shape: Shape,
    pub(crate) output: Output,
}

/// Where a field's value comes from.
pub(crate) enum Source {
    Typename,
    Introspection,
    /// A column of the rows or an attribute of the objects that the field belongs to.
    Attribute {
        name: Arc<str>,
        /// The column's number in a [`crate::Table`].
        column: usize,
    },
    Resolver(ResolverPlan),
}

pub(crate) struct ResolverPlan {
    pub(crate) kind: PlannedResolver,
    pub(crate) arguments: ArgumentsPlan,
    pub(crate) wanted: Arc<Wanted>,
    /// The layer's place in the answer, for people.
    pub(crate) path: Arc<str>,
}

pub(crate) enum PlannedResolver {
    Call(ResolverId),
    Sql(SqlResolver),
}

pub(crate) enum Output {
    Leaf(Leaf),
    Object(ObjectPlan),
}

/// The types of leaves, each with its own rules of writing.
#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    Int,
    Float,
    String,
    Boolean,
    Id,
    Enum {
        name: Arc<str>,
        values: Arc<[Box<str>]>,
    },
    /// A scalar that the schema declares: numbers, truth values and JSON as they are, the rest as strings.
    Custom,
}

impl Plan {
    /// How many bytes to reserve for an answer.
    pub(crate) fn expected_bytes(&self) -> usize {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn answered(&self, bytes: usize) {
        self.answer_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl Output {
    pub(crate) fn object(&self) -> Option<&ObjectPlan> {
        match self {
            Self::Object(object) => Some(object),
            Self::Leaf(_) => None,
        }
    }
}
