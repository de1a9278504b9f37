//! Which objects take part: in which view of their layer, as whose children.

use super::bound::{Kinds, Objects};
use crate::backend::{Backend, Indexes};
use crate::plan::{Child, ObjectPlan};
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

/// The owners of a child.
pub(crate) struct Owners {
    /// The objects that have the field.
    pub(crate) indexes: Indexes,
    /// Where the child has several views: for each the positions of its owners among `indexes`.
    pub(crate) views: Vec<Vec<u32>>,
}

impl Owners {
    /// Those objects of a layer for which a child is selected. `holds` says whether a condition does.
    pub(crate) fn new<B: Backend>(
        plan: &ObjectPlan,
        child: &Child,
        (source, kinds, live): (&Objects<B>, &Kinds, &Live),
        holds: impl Fn(Option<usize>) -> bool,
    ) -> Self {
        if let (1, Live::One(live)) = (plan.variants.len(), live) {
            let is_selected = child.users.iter().any(|user| holds(user.condition));
            return Self {
                indexes: if is_selected {
                    live.clone()
                } else {
                    Indexes::All(0)
                },
                views: Vec::new(),
            };
        }
        let mut view_below = vec![None; plan.variants.len()];
        for user in child.users.iter().filter(|user| holds(user.condition)) {
            view_below[user.variant] = Some(user.view);
        }
        let mut owners: Vec<(u32, usize)> = Vec::new();
        for view in 0..plan.views {
            for index in live.view(view).into_iter().flat_map(Indexes::iter) {
                let kind = kinds.of(source, index);
                if let Some(below) = kind.and_then(|kind| view_below[plan.variant(view, kind)]) {
                    owners.push((index as u32, below));
                }
            }
        }
        if plan.views > 1 {
            owners.sort_unstable();
            owners.dedup();
        }
        let below = child.output.object().map_or(1, |object| object.views);
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
            indexes: Indexes::listed(indexes, source.len()),
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
