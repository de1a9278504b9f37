//! What an operation means, worked out once per document: fields merged, sources chosen, keys encoded.

mod build;
mod collect;
mod conditions;
mod cost;
mod describe;
pub(crate) mod input;
mod layer;
mod operation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use apollo_compiler::executable::Operation;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};
use hashbrown::HashMap;

pub(crate) use self::build::shape;
pub(crate) use self::cost::Items;
pub(crate) use self::input::{ArgumentsPlan, Check, VariablePlan};
use crate::backend::{FieldName, ResolverId};
use crate::error::Location;
use crate::permission::PermissionId;
use crate::schema::{CellRule, SqlResolver};
use crate::table::{Shape, Wanted};

/// A planned operation. It holds for any variables: `@skip` and `@include` are conditions in it.
pub(crate) struct Plan {
    pub(crate) is_mutation: bool,
    pub(crate) is_subscription: bool,
    pub(crate) root: ObjectPlan,
    pub(crate) variables: Vec<VariablePlan>,
    /// Conditions of fields, which refer to them by number.
    pub(crate) conditions: Vec<Condition>,
    /// The variables that conditions are about.
    pub(crate) deciding: Box<[usize]>,
    /// The operation itself, kept only where `__schema` or `__type` is selected.
    pub(crate) introspection: Option<Introspection>,
    /// Whether its cost is to be estimated for each request.
    pub(crate) has_variable_cost: bool,
    /// What the backend is to check of the document before it runs for the first time.
    pub(crate) checks: Vec<Check>,
    /// Whether it has, and takes all of it.
    pub(crate) checked: AtomicBool,
    /// How long it took to read and check the document.
    pub(crate) parsed_in: Duration,
    /// How many fields are planned, each for every type and view.
    planned_fields: usize,
    /// How many bytes the last answer had: how many to reserve for the next.
    answer_bytes: AtomicUsize,
}

pub(crate) struct Introspection {
    pub(crate) document: Valid<ExecutableDocument>,
    pub(crate) operation: Node<Operation>,
}

/// A field is there if one of these lists holds: each a list of variables with the value they must have.
pub(crate) type Condition = Vec<Vec<(usize, bool)>>;

/// What is selected of the objects of one layer, which have one declared type.
///
/// Usually that is one selection. It is several, the *views*, where the field above was merged for parents of
/// several types that select different things below it: `... on Cat { owner { name } } ... on Dog { owner
/// { age } }`. Which view counts is known from the parent, which type from the object.
pub(crate) struct ObjectPlan {
    pub(crate) type_name: Arc<str>,
    pub(crate) is_abstract: bool,
    /// The object types that an object can have; exactly one unless the type is abstract.
    pub(crate) types: Arc<[Arc<str>]>,
    /// How many views there are, at least one.
    pub(crate) views: usize,
    /// What is selected of an object of one type in one view: for each view one per type.
    pub(crate) variants: Vec<Variant>,
    /// Fields of objects, each once however many variants have it.
    pub(crate) children: Vec<Child>,
    /// The attributes that tables of these objects have as columns.
    pub(crate) attributes: Arc<[Arc<str>]>,
    /// For each of them the child whose objects the column holds; `None` for leaves.
    pub(crate) nested: Vec<Option<usize>>,
    /// Whether a field with a resolver, or something that is guarded, lies anywhere below.
    pub(crate) has_layers: bool,
    /// What is asked before fields are shown.
    pub(crate) permissions: Vec<PermissionPlan>,
    /// As `types`: what is asked before objects are shown.
    pub(crate) type_permissions: Vec<Option<PermissionId>>,
    /// Whether something has to be asked before the fields are bound.
    pub(crate) is_guarded: bool,
}

/// A permission that guards a field, in all variants that have it.
pub(crate) struct PermissionPlan {
    pub(crate) id: PermissionId,
    /// Those of the field.
    pub(crate) arguments: ArgumentsPlan,
    /// The variants that have the field.
    pub(crate) users: Vec<User>,
}

/// What is selected of objects of one type.
pub(crate) struct Variant {
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
    /// Where the document has the field, and when that counts; a few if there are many.
    pub(crate) locations: Box<[(Option<usize>, Location)]>,
    pub(crate) condition: Option<usize>,
    /// One of [`ObjectPlan::permissions`].
    pub(crate) permission: Option<usize>,
    /// As how many fields it counts by estimate, what is below it aside.
    pub(crate) cost: u64,
    pub(crate) source: Source,
    pub(crate) shape: Shape,
    /// The rules by which a leaf is written; `None` for objects.
    pub(crate) leaf: Option<Leaf>,
}

/// Where a field's value comes from.
pub(crate) enum Source {
    Typename,
    Introspection,
    /// Always this JSON.
    Constant(Arc<[u8]>),
    /// A column of the rows or an attribute of the objects that the field belongs to, with a leaf in it.
    Attribute {
        name: Arc<str>,
        /// The column's number in a [`crate::Table`].
        column: usize,
    },
    /// One of [`ObjectPlan::children`], and the view that counts for the objects in it.
    Child {
        number: usize,
        view: usize,
    },
}

/// A field with a resolver, or with objects in an attribute: what it gives is shared by all variants that
/// select it alike.
pub(crate) struct Child {
    /// The field, by the declared type if several object types have it.
    pub(crate) name: FieldName,
    pub(crate) shape: Shape,
    pub(crate) origin: Origin,
    /// The variants that have it.
    pub(crate) users: Vec<User>,
    pub(crate) output: Output,
    /// How many objects it has for each parent, by estimate.
    pub(crate) items: Items,
}

/// What a [`Child`] holds.
pub(crate) enum Output {
    Leaf(Leaf),
    Object(ObjectPlan),
}

/// Where a [`Child`] comes from.
pub(crate) enum Origin {
    Resolver(ResolverPlan),
    /// An attribute of host objects.
    Attribute {
        /// The column's number in a [`crate::Table`].
        column: usize,
        /// Whether the object of a row is that very row.
        or_itself: bool,
    },
}

/// A variant that has a [`Child`], or a field that a permission guards.
pub(crate) struct User {
    pub(crate) variant: usize,
    /// When the field counts.
    pub(crate) condition: Option<usize>,
    /// The view of the objects below.
    pub(crate) view: usize,
    /// What has to be granted, if the field is guarded.
    pub(crate) permission: Option<usize>,
}

pub(crate) struct ResolverPlan {
    pub(crate) kind: PlannedResolver,
    pub(crate) arguments: ArgumentsPlan,
    pub(crate) wanted: Arc<Wanted>,
    /// The layer's place in the answer, for people.
    pub(crate) path: Arc<str>,
    /// The layer's number in the plan, depth first.
    pub(crate) number: usize,
    /// The number of the layer that it lies below.
    pub(crate) below: Option<usize>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum PlannedResolver {
    Call(ResolverId),
    Sql(SqlResolver),
}

impl PlannedResolver {
    /// By which the backend knows it.
    pub(crate) fn id(&self) -> Option<ResolverId> {
        match self {
            Self::Call(id) => Some(*id),
            Self::Sql(sql) => sql.id,
        }
    }
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
        /// The value that is meant by each text: its own name and others.
        texts: Arc<HashMap<Box<str>, Box<str>>>,
    },
    /// A scalar that the schema declares: numbers, truth values and JSON as they are, the rest as strings,
    /// unless there is another rule for the cells of rows.
    Custom {
        name: Arc<str>,
        cells: CellRule,
    },
}

impl Leaf {
    /// The value of the enum that `text` means.
    pub(crate) fn enum_value(&self, text: &str) -> Option<&str> {
        match self {
            Self::Enum { texts, .. } => texts.get(text).map(|value| &**value),
            _ => None,
        }
    }

    /// The scalar, if the backend makes its values of cells.
    pub(crate) fn converted(&self) -> Option<&Arc<str>> {
        match self {
            Self::Custom { name, cells } if *cells == CellRule::Backend => Some(name),
            _ => None,
        }
    }
}

impl Plan {
    /// How many bytes to reserve for an answer.
    pub(crate) fn expected_bytes(&self) -> usize {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    /// About how many bytes the plan takes.
    pub(crate) fn weight(&self) -> usize {
        // A field with its shape, locations and names, and its part in what is wanted; measured roughly.
        const FIELD: usize = 512;
        self.planned_fields * FIELD + size_of::<Self>()
    }

    pub(crate) fn answered(&self, bytes: usize) {
        self.answer_bytes.store(bytes, Ordering::Relaxed);
    }
}

impl ObjectPlan {
    /// The number of a variant.
    pub(crate) fn variant(&self, view: usize, type_number: usize) -> usize {
        view * self.types.len() + type_number
    }

    /// What is asked before a field is asked for whose objects have this type and no other.
    pub(crate) fn permission_before(&self) -> Option<PermissionId> {
        self.type_permissions
            .first()
            .copied()
            .flatten()
            .filter(|_| !self.is_abstract)
    }

    /// Numbers the layers below, depth first; `next` is the next number.
    fn number_layers(&mut self, below: Option<usize>, next: &mut usize) {
        for child in &mut self.children {
            let mut inside = below;
            if let Origin::Resolver(resolver) = &mut child.origin {
                (resolver.number, resolver.below) = (*next, below);
                inside = Some(*next);
                *next += 1;
            }
            if let Output::Object(object) = &mut child.output {
                object.number_layers(inside, next);
            }
        }
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
