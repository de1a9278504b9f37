//! What an answer may cost: an estimate of its fields, each counted for each object that has it.

use super::input::Variables;
use super::{ObjectPlan, Output, Plan, Source};
use crate::error::{RequestError, RequestErrorCode};
use crate::value::Value;

/// How many objects a field has for each of its parents, by estimate.
#[derive(Clone, Copy)]
pub(crate) enum Items {
    Fixed(u64),
    /// As many as a variable says, else so many.
    Variable {
        slot: usize,
        otherwise: u64,
    },
}

impl Items {
    fn count(self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(count) => count,
            Self::Variable { slot, otherwise } => match variables.get(slot) {
                Some(Some(Value::Int(count))) => u64::try_from(*count).unwrap_or(0),
                _ => otherwise,
            },
        }
    }
}

impl Plan {
    /// Refuses an operation whose answer may have more than `most` fields.
    ///
    /// `flags` tell which conditions hold; without, all do.
    pub(crate) fn check_cost(
        &self,
        variables: &Variables,
        flags: Option<&[bool]>,
        most: usize,
    ) -> Result<(), RequestError> {
        let counts = |condition: Option<usize>| match (condition, flags) {
            (Some(condition), Some(flags)) => flags.get(condition).copied().unwrap_or(true),
            _ => true,
        };
        let (cost, dearest) = self.root.cost(variables, &counts);
        if cost <= most as u64 {
            return Ok(());
        }
        let place = dearest.and_then(|number| {
            let field = self.root.variants.first()?.fields.get(number)?;
            Some(field.locations.first()?.1)
        });
        let message =
            format!("the answer may have {cost} fields by estimate; {most} are allowed: ask for fewer items");
        Err(RequestError::at(RequestErrorCode::LimitExceeded, message, place))
    }

    /// Whether the estimate depends on variables.
    pub(crate) fn has_variable_cost(&self) -> bool {
        !self.conditions.is_empty() || self.root.has_variable_cost()
    }
}

impl ObjectPlan {
    /// The cost of one object of the type for which it is highest, and its dearest field.
    fn cost(&self, variables: &Variables, counts: &impl Fn(Option<usize>) -> bool) -> (u64, Option<usize>) {
        // Each child once, however many variants have it.
        let below = self.children.iter().map(|child| match &child.output {
            Output::Object(object) => {
                let (one, _) = object.cost(variables, counts);
                one.saturating_mul(child.items.count(variables))
            }
            Output::Leaf(_) => 0,
        });
        let below: Vec<u64> = below.collect();
        let variants = self.variants.iter().map(|variant| {
            let (mut sum, mut dearest) = (0_u64, (0, None));
            for (number, field) in variant.fields.iter().enumerate() {
                if !counts(field.condition) {
                    continue;
                }
                let cost = match &field.source {
                    Source::Child { number, .. } => {
                        let below = below.get(*number).copied().unwrap_or_default();
                        below.saturating_add(field.cost)
                    }
                    _ => field.cost,
                };
                sum = sum.saturating_add(cost);
                if cost > dearest.0 {
                    dearest = (cost, Some(number));
                }
            }
            (sum, dearest.1)
        });
        variants.max_by_key(|(sum, _)| *sum).unwrap_or((0, None))
    }

    fn has_variable_cost(&self) -> bool {
        self.children.iter().any(|child| {
            matches!(child.items, Items::Variable { .. })
                || child.output.object().is_some_and(Self::has_variable_cost)
        })
    }
}
