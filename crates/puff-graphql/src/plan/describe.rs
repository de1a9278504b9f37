//! A plan for people.

use std::sync::Arc;

use super::{ObjectPlan, Output, Plan, PlannedResolver, Source};
use crate::explain::{PlanDescription, PlannedLayer};

impl Plan {
    pub(crate) fn describe(&self) -> PlanDescription {
        let mut layers = Vec::new();
        self.root.layers(&mut layers);
        PlanDescription {
            operation: if self.is_mutation { "mutation" } else { "query" },
            layers,
        }
    }
}

impl ObjectPlan {
    fn layers(&self, found: &mut Vec<PlannedLayer>) {
        for field in self.variants.iter().flat_map(|variant| &variant.fields) {
            let object = field.output.object();
            match &field.source {
                Source::Resolver(resolver) => {
                    let mut below = Vec::new();
                    if let Some(object) = object {
                        object.layers(&mut below);
                    }
                    found.push(PlannedLayer {
                        path: resolver.path.to_string(),
                        field: field.name.clone(),
                        sql: match &resolver.kind {
                            PlannedResolver::Sql(sql) => Some(sql.sql.clone()),
                            PlannedResolver::Call(_) => None,
                        },
                        columns: match &field.output {
                            Output::Object(object) => object.columns(),
                            Output::Leaf(_) => Vec::new(),
                        },
                        layers: below,
                    });
                }
                _ => object.into_iter().for_each(|object| object.layers(found)),
            }
        }
    }

    /// The attributes in the order of the query, each once.
    fn columns(&self) -> Vec<Arc<str>> {
        let mut columns: Vec<Arc<str>> = Vec::new();
        for name in self.attributes.iter() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        columns
    }
}
