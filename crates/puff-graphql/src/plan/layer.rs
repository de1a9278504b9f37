//! One layer of objects while it is planned: the children and permissions that its variants come to share.

use std::sync::Arc;

use apollo_compiler::executable::{Field, SelectionSet};
use apollo_compiler::{Name, Node};
use hashbrown::HashMap;

use super::collect::{Guard, Occurrence};
use super::{ArgumentsPlan, Items, PermissionPlan, PlannedResolver, Source, User};
use crate::backend::FieldName;
use crate::permission::PermissionId;
use crate::table::{Shape, Wanted, WantedField, WantedObjects};

/// The selection sets of one view, with when they count.
pub(super) type Sets<'d> = Vec<(&'d SelectionSet, Guard)>;

/// One layer of objects while it is planned.
pub(super) struct Layer<'d, 'p> {
    pub(super) place: Place<'p>,
    pub(super) types: Vec<Name>,
    pub(super) wanted: WantedObjects,
    pub(super) children: Vec<Unplanned<'d>>,
    pub(super) permissions: Vec<PermissionPlan>,
    /// Whether there is more than one variant; one alone has each response name once.
    pub(super) has_variants: bool,
    /// The children of a response name, if there are several variants.
    pub(super) by_key: HashMap<Arc<str>, Vec<usize>>,
}

/// Where a layer stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) depth: usize,
    /// Response names joined by dots.
    pub(super) path: &'p str,
    /// How many items lists have that no argument of their own bounds.
    pub(super) lists: Items,
}

/// A child whose own objects are not planned yet: more variants may come to share it.
pub(super) struct Unplanned<'d> {
    pub(super) name: FieldName,
    pub(super) field: &'d Node<Field>,
    pub(super) type_name: &'d Name,
    pub(super) shape: Shape,
    pub(super) source: ChildSource,
    pub(super) users: Vec<User>,
    pub(super) views: Vec<Sets<'d>>,
    pub(super) path: String,
}

#[derive(PartialEq)]
pub(super) enum ChildSource {
    Resolver(PlannedResolver, ArgumentsPlan),
    Attribute { name: Arc<str>, or_itself: bool },
}

impl<'d> Layer<'d, '_> {
    /// Adds a permission, or another user to the one that is the same.
    pub(super) fn guard(
        &mut self,
        id: PermissionId,
        arguments: ArgumentsPlan,
        variant: usize,
        condition: Option<usize>,
    ) -> usize {
        let same = |known: &PermissionPlan| known.id == id && known.arguments == arguments;
        let number = self.permissions.iter().position(same).unwrap_or_else(|| {
            self.permissions.push(PermissionPlan {
                id,
                arguments,
                users: Vec::new(),
            });
            self.permissions.len() - 1
        });
        self.permissions[number].users.push(User {
            variant,
            condition,
            view: 0,
            permission: None,
        });
        number
    }

    /// Adds a child, or another user to the one that is the same.
    pub(super) fn add(
        &mut self,
        key: &Arc<str>,
        one: Unplanned<'d>,
        mut user: User,
        occurrences: &[Occurrence<'d>],
    ) -> Source {
        let known = self.by_key.get(key).into_iter().flatten().copied();
        let known = known
            .into_iter()
            .find(|number| self.children[*number].is_same(&one));
        let number = known.unwrap_or_else(|| {
            if self.has_variants {
                self.by_key
                    .entry(key.clone())
                    .or_default()
                    .push(self.children.len());
            }
            let dot = if self.place.path.is_empty() { "" } else { "." };
            let lists = "[]".repeat(one.shape.list_depth());
            let path = format!("{}{dot}{key}{lists}", self.place.path);
            self.children.push(Unplanned { path, ..one });
            self.children.len() - 1
        });
        let child = &mut self.children[number];
        let sets = sets(occurrences);
        let known = child.views.iter().position(|known| same_sets(known, &sets));
        user.view = known.unwrap_or_else(|| {
            child.views.push(sets);
            child.views.len() - 1
        });
        let view = user.view;
        child.users.push(user);
        Source::Child { number, view }
    }
}

impl Unplanned<'_> {
    /// Whether one call or one attribute gives the values of both. That their response names are the same is
    /// known.
    fn is_same(&self, other: &Self) -> bool {
        self.name.field_name == other.name.field_name
            && self.type_name == other.type_name
            && self.shape == other.shape
            && self.source == other.source
    }
}

/// The column of a leaf; leaves are read once however often they are selected. `condition` says when the answer
/// has it, if it has.
pub(super) fn leaf_column(
    wanted: &mut WantedObjects,
    attribute: Arc<str>,
    type_number: usize,
    value: Wanted,
    condition: Option<Option<usize>>,
) -> usize {
    let known = |field: &WantedField| field.attribute == attribute && field.value == value;
    let known = wanted.fields.iter().position(known);
    let column = known.unwrap_or_else(|| {
        wanted.fields.push(WantedField {
            attribute,
            types: Vec::new(),
            value,
            conditions: Vec::new(),
        });
        wanted.fields.len() - 1
    });
    wanted.fields[column].conditions.extend(condition);
    let types = &mut wanted.fields[column].types;
    if !types.contains(&type_number) {
        types.push(type_number);
    }
    column
}

/// The selections below a field, from all its occurrences.
fn sets<'d>(occurrences: &[Occurrence<'d>]) -> Sets<'d> {
    // What is below a field counts when its own occurrence counts. If all occurrences count together the
    // field's own condition says it already.
    let same = occurrences.iter().all(|one| one.guard == occurrences[0].guard);
    let set = |one: &Occurrence<'d>| {
        let guard = if same { Guard::new() } else { one.guard.clone() };
        Some((one.field.selection_set.as_ref()?, guard))
    };
    occurrences.iter().filter_map(set).collect()
}

fn same_sets(one: &Sets<'_>, other: &Sets<'_>) -> bool {
    let same = |(one, other): (&(&SelectionSet, Guard), &(&SelectionSet, Guard))| {
        std::ptr::eq(one.0, other.0) && one.1 == other.1
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}
