//! From a document's text to the plan of one of its operations.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::Operation;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Node};

use super::build::Builder;
use super::collect::{Collector, Guard};
use super::input::{Literals, Variables, compile_variables};
use super::layer::Place;
use super::{FieldPlan, Introspection, Items, Plan, Source};
use crate::document::{TypeSystem, location};
use crate::error::{Location, RequestError, RequestErrorCode};
use crate::schema::SchemaInner;

/// Most `__schema` and `__type` fields of an operation: each may list the whole schema.
const MAX_INTROSPECTION_FIELDS: usize = 20;

/// How many selections may be visited for each field that is allowed: the same fragment may be spread often.
const VISITS_PER_FIELD: usize = 8;

impl Plan {
    /// Plans one operation of a document.
    pub(crate) fn build(schema: &SchemaInner, query: &str, name: Option<&str>) -> Result<Self, RequestError> {
        let start = Instant::now();
        let document = schema.types.document(query, &schema.options)?;
        let parsed_in = start.elapsed();
        let operation = document.operations.get(name).map_err(|error| {
            RequestError::new(RequestErrorCode::OperationUnknown, error.message().to_string())
        })?;
        Self::of(schema, &document, operation, parsed_in)
    }

    /// Plans an operation of a document that is valid.
    pub(crate) fn of(
        schema: &SchemaInner,
        document: &Valid<ExecutableDocument>,
        operation: &Node<Operation>,
        parsed_in: Duration,
    ) -> Result<Self, RequestError> {
        let literals = Literals::new(&document.sources);
        let variables = compile_variables(&schema.types, &operation.variables, &literals)?;
        let slots = variables.iter().enumerate();
        let collector = Collector {
            types: &schema.types,
            fragments: &document.fragments,
            variables: operation
                .variables
                .iter()
                .map(|v| v.name.as_str())
                .zip(slots.map(|(slot, _)| slot))
                .collect(),
            budget: schema.options.max_fields.saturating_mul(VISITS_PER_FIELD),
            deciding: BTreeSet::new(),
        };
        let mut builder = Builder::new(schema, collector, &document.sources, &literals);
        let set = &operation.selection_set;
        let place = Place {
            depth: 0,
            path: "",
            lists: Items::Fixed(schema.options.list_size as u64),
        };
        let planned = builder.objects(&set.ty, &[vec![(set, Guard::new())]], place);
        let (mut root, _) = planned.map_err(|mut error| {
            // Limits on the whole of an operation are exceeded nowhere in particular.
            for problem in error.problems.iter_mut().filter(|one| one.locations.is_empty()) {
                problem
                    .locations
                    .extend(location(operation.location(), &document.sources));
            }
            error
        })?;
        let roots = root.variants.first().map_or(&[][..], |variant| &variant.fields);
        let most = schema.options.max_root_fields;
        if let Some(field) = roots.get(most) {
            let message = format!(
                "the operation has {} root fields; {most} are allowed",
                roots.len()
            );
            let place = field.locations.first().map(|(_, place)| *place);
            return Err(RequestError::at(RequestErrorCode::LimitExceeded, message, place));
        }
        let roots_introspected = places_of_introspection(roots);
        root.number_layers(None, &mut 0);
        let (conditions, deciding) = (builder.conditions.list, builder.collector.deciding);
        let planned_fields = builder.planned;
        let introspection = introspection(schema, document, operation, roots_introspected)?;
        let mut plan = Self {
            is_mutation: operation.operation_type == OperationType::Mutation,
            is_subscription: operation.operation_type == OperationType::Subscription,
            root,
            variables,
            conditions,
            deciding: deciding.into_iter().collect(),
            introspection,
            has_variable_cost: false,
            checks: literals.take(),
            checked: AtomicBool::new(false),
            parsed_in,
            planned_fields,
            answer_bytes: AtomicUsize::new(256),
        };
        plan.has_variable_cost = plan.has_variable_cost();
        if !plan.has_variable_cost {
            plan.check_cost(&Variables::default(), None, schema.options.max_complexity)?;
        }
        Ok(plan)
    }
}

/// Where an operation asks about the schema itself.
fn places_of_introspection(roots: &[FieldPlan]) -> Vec<Option<Location>> {
    roots
        .iter()
        .filter(|field| matches!(field.source, Source::Introspection))
        .map(|field| field.locations.first().map(|(_, place)| *place))
        .collect()
}

/// What is kept to answer questions about the schema, if the operation has any and they are allowed.
fn introspection(
    schema: &SchemaInner,
    document: &Valid<ExecutableDocument>,
    operation: &Node<Operation>,
    places: Vec<Option<Location>>,
) -> Result<Option<Introspection>, RequestError> {
    let Some(first) = places.first() else {
        return Ok(None);
    };
    if !schema.options.introspection {
        return Err(RequestError::at(
            RequestErrorCode::ValidationFailed,
            "introspection is switched off",
            *first,
        ));
    }
    if let Some(place) = places.get(MAX_INTROSPECTION_FIELDS) {
        let message = format!("more than {MAX_INTROSPECTION_FIELDS} introspection fields");
        return Err(RequestError::at(RequestErrorCode::LimitExceeded, message, *place));
    }
    TypeSystem::check_introspection(document, operation)?;
    Ok(Some(Introspection {
        operation: operation.clone(),
        document: document.clone(),
    }))
}
