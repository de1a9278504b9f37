//! Which fields an object of one type gets from several selection sets: fragments expanded, fields merged.

use std::collections::BTreeSet;

use apollo_compiler::ast::{DirectiveList, Value as Literal};
use apollo_compiler::executable::{Field, FragmentMap, Selection, SelectionSet};
use apollo_compiler::{Name, Node};
use hashbrown::{HashMap, HashSet};

use crate::document::TypeSystem;
use crate::error::{RequestError, RequestErrorCode};

/// Deepest nesting of fragments in fragments.
const MAX_FRAGMENT_NESTING: usize = 256;

/// Variables with the value they must have, sorted; empty means always.
pub(super) type Guard = Vec<(usize, bool)>;

/// One occurrence of a field.
pub(super) struct Occurrence<'d> {
    pub(super) field: &'d Node<Field>,
    /// When it counts.
    pub(super) guard: Guard,
    /// Its place among all occurrences.
    pub(super) number: usize,
}

/// Collects fields for the planner.
pub(super) struct Collector<'d> {
    pub(super) types: &'d TypeSystem,
    pub(super) fragments: &'d FragmentMap,
    pub(super) variables: HashMap<&'d str, usize>,
    /// How many more selections may be visited.
    pub(super) budget: usize,
    /// The variables that decide a `@skip` or `@include`.
    pub(super) deciding: BTreeSet<usize>,
}

/// The fields of one object by response name, in order of their first occurrence.
#[derive(Default)]
pub(super) struct Collected<'d> {
    fields: Vec<Vec<Occurrence<'d>>>,
    occurrences: usize,
    by_key: HashMap<&'d str, usize>,
    visited: HashSet<(&'d Name, Guard)>,
}

impl<'d> Collector<'d> {
    /// The fields that an object of type `object` gets, each with all its occurrences.
    pub(super) fn collect(
        &mut self,
        object: &str,
        sets: &[(&'d SelectionSet, Guard)],
    ) -> Result<Vec<Vec<Occurrence<'d>>>, RequestError> {
        let mut found = Collected::default();
        for (set, guard) in sets {
            self.visit(object, set, guard, &mut found, 0)?;
        }
        Ok(found.fields)
    }

    fn visit(
        &mut self,
        object: &str,
        set: &'d SelectionSet,
        guard: &Guard,
        found: &mut Collected<'d>,
        nesting: usize,
    ) -> Result<(), RequestError> {
        if nesting > MAX_FRAGMENT_NESTING {
            return Err(too_large("fragments are nested too deeply"));
        }
        for selection in &set.selections {
            self.budget = self.budget.checked_sub(1).ok_or_else(|| {
                too_large("the operation selects too many fields once its fragments are expanded")
            })?;
            let Some(guard) = self.guarded(selection.directives(), guard) else {
                continue;
            };
            match selection {
                Selection::Field(field) => {
                    let key = field.response_name().as_str();
                    let place = *found.by_key.entry(key).or_insert_with(|| {
                        found.fields.push(Vec::new());
                        found.fields.len() - 1
                    });
                    found.fields[place].push(Occurrence {
                        field,
                        guard,
                        number: found.occurrences,
                    });
                    found.occurrences += 1;
                }
                Selection::InlineFragment(fragment) => {
                    if fragment
                        .type_condition
                        .as_ref()
                        .is_none_or(|on| self.applies(on, object))
                    {
                        self.visit(object, &fragment.selection_set, &guard, found, nesting + 1)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let Some(fragment) = self.fragments.get(&spread.fragment_name) else {
                        continue;
                    };
                    let is_new = found.visited.insert((&fragment.name, guard.clone()));
                    if is_new && self.applies(fragment.type_condition(), object) {
                        self.visit(object, &fragment.selection_set, &guard, found, nesting + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn applies(&self, condition: &str, object: &str) -> bool {
        condition == object || self.types.schema.is_subtype(condition, object)
    }

    /// The guard with `@skip` and `@include` added; `None` if the selection can never count.
    fn guarded(&mut self, directives: &DirectiveList, outer: &Guard) -> Option<Guard> {
        let mut guard = outer.clone();
        for (name, wanted) in [("skip", false), ("include", true)] {
            let Some(directive) = directives.get(name) else {
                continue;
            };
            match directive.specified_argument_by_name("if").map(|value| &**value) {
                Some(Literal::Boolean(value)) if *value != wanted => return None,
                Some(Literal::Variable(variable)) => {
                    let slot = *self.variables.get(variable.as_str())?;
                    self.deciding.insert(slot);
                    if guard.contains(&(slot, !wanted)) {
                        return None;
                    }
                    guard.push((slot, wanted));
                }
                _ => {}
            }
        }
        guard.sort_unstable();
        guard.dedup();
        Some(guard)
    }
}

pub(super) fn too_large(message: impl Into<String>) -> RequestError {
    RequestError::new(RequestErrorCode::LimitExceeded, message)
}
