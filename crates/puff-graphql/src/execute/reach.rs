//! Which objects take part: in which view of their layer, as whose children.

use super::bound::{Kinds, Objects};
use super::permit::Permits;
use crate::backend::{Backend, Indexes};
use crate::plan::{ObjectPlan, User};
use crate::table::Slot;

/// The objects of a layer that can be reached from the root, for each view: the others are not asked for.
pub(crate) enum Live {
    /// There is one view.
    One(Indexes),
    Views(Vec<Indexes>),
}

impl Live {
    pub(crate) fn view(&self, view: usize) -> Option<&Indexes> {
        match self {
            Self::One(indexes) => (view == 0).then_some(indexes),
            Self::Views(views) => views.get(view),
        }
    }
}

/// The objects of one layer, of which some have a field.
pub(crate) struct Scope<'s, B: Backend> {
    pub(crate) plan: &'s ObjectPlan,
    pub(crate) source: &'s Objects<B>,
    pub(crate) kinds: &'s Kinds,
    pub(crate) live: &'s Live,
    /// What has been granted so far; `None` if nothing is guarded.
    pub(crate) permits: Option<&'s Permits>,
}

impl<B: Backend> Scope<'_, B> {
    /// Whether a field of an object is not to be shown.
    fn is_refused(&self, permission: Option<usize>, index: usize) -> bool {
        let refusal = |permits: &Permits| permits.field(permission?, index).map(|_| ());
        self.permits.and_then(refusal).is_some()
    }

    /// Which of the plan's types the live objects have.
    pub(crate) fn live_types(&self) -> Vec<bool> {
        let mut found = vec![false; self.plan.types.len()];
        for view in 0..self.plan.views {
            for index in self.live.view(view).into_iter().flat_map(Indexes::iter) {
                if let Some(kind) = self.kinds.of(self.source, index) {
                    found[kind] = true;
                }
            }
        }
        found
    }
}

/// The owners of a child.
pub(crate) struct Owners {
    /// The objects that have the field.
    pub(crate) indexes: Indexes,
    /// Where the child has several views: for each the positions of its owners among `indexes`.
    pub(crate) views: Vec<Vec<u32>>,
}

impl Owners {
    /// Those objects of a layer for which one of the `users` selects a field that they may see. `below` is how
    /// many views the objects below it have, `holds` says whether a condition does.
    pub(crate) fn new<B: Backend>(
        scope: &Scope<'_, B>,
        users: &[User],
        below: usize,
        holds: impl Fn(Option<usize>) -> bool,
    ) -> Self {
        let plan = scope.plan;
        if let (1, Live::One(live)) = (plan.variants.len(), scope.live) {
            let mut selected = users.iter().filter(|user| holds(user.condition));
            let indexes = match selected.next() {
                None => Indexes::All(0),
                Some(user) if user.permission.is_none() => live.clone(),
                Some(user) => {
                    let seen = |index: &usize| !scope.is_refused(user.permission, *index);
                    let seen = live.iter().filter(seen).map(|index| index as u32);
                    Indexes::listed(seen.collect(), scope.source.len())
                }
            };
            return Self {
                indexes,
                views: Vec::new(),
            };
        }
        let mut user_of = vec![None; plan.variants.len()];
        for user in users.iter().filter(|user| holds(user.condition)) {
            user_of[user.variant] = Some((user.view, user.permission));
        }
        let mut owners: Vec<(u32, usize)> = Vec::new();
        for view in 0..plan.views {
            for index in scope.live.view(view).into_iter().flat_map(Indexes::iter) {
                let kind = scope.kinds.of(scope.source, index);
                let is_seen =
                    |kind: &usize| scope.permits.is_none_or(|permits| permits.kind(*kind).is_none());
                let user = kind
                    .filter(is_seen)
                    .and_then(|kind| user_of[plan.variant(view, kind)]);
                if let Some((below, permission)) = user
                    && !scope.is_refused(permission, index)
                {
                    owners.push((index as u32, below));
                }
            }
        }
        if plan.views > 1 {
            owners.sort_unstable();
            owners.dedup();
        }
        let mut views = vec![Vec::new(); if below > 1 { below } else { 0 }];
        let mut indexes: Vec<u32> = Vec::with_capacity(owners.len());
        for (index, view) in owners {
            if indexes.last() != Some(&index) {
                indexes.push(index);
            }
            if let Some(positions) = views.get_mut(view) {
                positions.push(indexes.len() as u32 - 1);
            }
        }
        Self {
            indexes: Indexes::listed(indexes, scope.source.len()),
            views,
        }
    }

    /// The objects of a table that stand in the owners' slots; `slot` gives the slot of a position.
    pub(crate) fn reach<'s>(&self, objects: usize, slot: impl Fn(usize) -> Option<&'s Slot>) -> Live {
        let reached = |positions: &mut dyn Iterator<Item = usize>| {
            let mut marks = vec![false; objects];
            positions
                .filter_map(&slot)
                .for_each(|slot| mark(slot, &mut marks));
            Indexes::of(&marks)
        };
        if self.views.is_empty() {
            return Live::One(reached(&mut (0..self.indexes.len())));
        }
        let views = self.views.iter();
        Live::Views(
            views
                .map(|positions| reached(&mut positions.iter().map(|position| *position as usize)))
                .collect(),
        )
    }
}

fn mark(slot: &Slot, marks: &mut [bool]) {
    match slot {
        Slot::Null | Slot::Error(_) => {}
        Slot::Object(index) => marks[*index as usize] = true,
        Slot::Range { start, end } => marks[*start as usize..*end as usize].fill(true),
        Slot::List(items) => items.iter().for_each(|item| mark(item, marks)),
    }
}
