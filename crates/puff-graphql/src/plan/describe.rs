//! A plan for people.

use std::sync::Arc;

use super::{ObjectPlan, Origin, Plan, PlannedResolver};
use crate::explain::{PlanDescription, PlannedLayer};

impl Plan {
    pub(crate) fn describe(&self) -> PlanDescription {
        let mut layers = Vec::new();
        self.root.layers(&mut layers);
        PlanDescription {
            operation: match (self.is_mutation, self.is_subscription) {
                (true, _) => "mutation",
                (_, true) => "subscription",
                _ => "query",
            },
            layers,
        }
    }
}

impl ObjectPlan {
    fn layers(&self, found: &mut Vec<PlannedLayer>) {
        for child in &self.children {
            let object = child.output.object();
            match &child.origin {
                Origin::Resolver(resolver) => {
                    let mut below = Vec::new();
                    if let Some(object) = object {
                        object.layers(&mut below);
                    }
                    found.push(PlannedLayer {
                        path: resolver.path.to_string(),
                        field: child.name.clone(),
                        sql: match &resolver.kind {
                            PlannedResolver::Sql(sql) => Some(sql.sql.clone()),
                            PlannedResolver::Call(_) => None,
                        },
                        columns: object.map(Self::attributes).unwrap_or_default(),
                        layers: below,
                    });
                }
                Origin::Attribute { .. } => object.into_iter().for_each(|object| object.layers(found)),
            }
        }
    }

    /// The attributes in the order of the query, each once.
    fn attributes(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in self.attributes.iter() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}
