//! When fields count: the `@skip` and `@include` of a plan, each combination once.

use hashbrown::HashMap;

use super::Condition;
use super::collect::Occurrence;

/// The conditions of a plan, each once.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) list: Vec<Condition>,
    numbers: HashMap<Condition, usize>,
}

impl Conditions {
    /// The number of a condition; `None` if it always holds.
    pub(super) fn any_of(&mut self, mut condition: Condition) -> Option<usize> {
        if condition.iter().any(Vec::is_empty) {
            return None;
        }
        condition.sort_unstable();
        condition.dedup();
        let Self { list, numbers } = self;
        Some(*numbers.entry(condition).or_insert_with_key(|condition| {
            list.push(condition.clone());
            list.len() - 1
        }))
    }

    /// Which occurrences decide the order of fields, if that depends on variables: a field stands where its
    /// first occurrence that counts stands.
    pub(super) fn order(&mut self, collected: &[Vec<Occurrence<'_>>]) -> Option<Vec<(usize, Option<usize>)>> {
        if collected
            .iter()
            .all(|occurrences| occurrences.len() == 1 || occurrences[0].guard.is_empty())
        {
            return None;
        }
        let mut all: Vec<_> = collected
            .iter()
            .enumerate()
            .flat_map(|(field, occurrences)| {
                occurrences.iter().map(move |one| (one.number, field, &one.guard))
            })
            .collect();
        all.sort_unstable_by_key(|(number, ..)| *number);
        Some(
            all.into_iter()
                .map(|(_, field, guard)| (field, self.any_of(vec![guard.clone()])))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_always_holds_has_no_number() {
        let mut conditions = Conditions::default();
        assert_eq!(conditions.any_of(vec![vec![(0, true)], vec![]]), None);
        assert!(conditions.list.is_empty());
    }

    #[test]
    fn a_condition_has_one_number_however_it_is_written() {
        let mut conditions = Conditions::default();
        let (a, b) = (vec![(0, true)], vec![(0, false), (1, true)]);
        let first = conditions.any_of(vec![a.clone(), b.clone()]);
        assert_eq!(conditions.any_of(vec![b.clone(), a.clone(), b.clone()]), first);
        assert_ne!(conditions.any_of(vec![a.clone()]), first);
        assert_eq!(conditions.list.len(), 2);
    }
}
