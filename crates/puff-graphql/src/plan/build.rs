//! From a valid document to a plan.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use apollo_compiler::Node;
use apollo_compiler::ast::{OperationType, Type};
use apollo_compiler::executable::{Field, SelectionSet};
use apollo_compiler::parser::SourceMap;
use apollo_compiler::schema::ExtendedType;
use hashbrown::HashMap;

use super::collect::{Collector, Guard, Occurrence, too_large};
use super::input::{compile_arguments, compile_variables};
use super::{
    Condition, FieldPlan, Introspection, Leaf, ObjectPlan, Output, Plan, PlannedResolver, ResolverPlan,
};
use super::{Source, Variant};
use crate::backend::FieldName;
use crate::document::{TypeSystem, location};
use crate::error::{RequestError, RequestErrorCode};
use crate::schema::{ResolverKind, SchemaInner, SqlParam};
use crate::table::{Shape, Wanted, WantedField, WantedKind, WantedObjects};
use crate::write::string::json_string;

/// Most `__schema` and `__type` fields of an operation: each may list the whole schema.
const MAX_INTROSPECTION_FIELDS: usize = 20;

/// How many selections may be visited for each field that is allowed: the same fragment may be spread often.
const VISITS_PER_FIELD: usize = 8;

impl Plan {
    /// Plans one operation of a document.
    pub(crate) fn build(schema: &SchemaInner, query: &str, name: Option<&str>) -> Result<Self, RequestError> {
        let document = schema.types.document(query, &schema.options)?;
        let operation = document.operations.get(name).map_err(|error| {
            RequestError::new(RequestErrorCode::OperationUnknown, error.message().to_string())
        })?;
        if operation.operation_type == OperationType::Subscription {
            let message = "subscriptions are not answered here: use the subscriptions endpoint";
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        }
        let variables = compile_variables(&schema.types, &operation.variables)?;
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
        };
        let mut builder = Builder {
            schema,
            collector,
            sources: &document.sources,
            conditions: Vec::new(),
            names: HashMap::default(),
            fields: 0,
        };
        let set = &operation.selection_set;
        let (root, _) = builder.object(&set.ty, &[(set, Guard::new())], 0, "")?;
        let roots = root.variants.first().map_or(&[][..], |variant| &variant.fields);
        if roots.len() > schema.options.max_root_fields {
            let most = schema.options.max_root_fields;
            return Err(too_large(format!(
                "the operation has {} root fields; {most} are allowed",
                roots.len()
            )));
        }
        let introspected = roots
            .iter()
            .filter(|field| matches!(field.source, Source::Introspection))
            .count();
        let conditions = builder.conditions;
        let introspection = if introspected > 0 {
            if !schema.options.introspection {
                return Err(RequestError::new(
                    RequestErrorCode::ValidationFailed,
                    "introspection is switched off",
                ));
            }
            if introspected > MAX_INTROSPECTION_FIELDS {
                return Err(too_large(format!(
                    "more than {MAX_INTROSPECTION_FIELDS} introspection fields"
                )));
            }
            TypeSystem::check_introspection(&document, operation)?;
            Some(Introspection {
                operation: operation.clone(),
                document: document.clone(),
            })
        } else {
            None
        };
        Ok(Self {
            is_mutation: operation.operation_type == OperationType::Mutation,
            root,
            variables,
            conditions,
            introspection,
            answer_bytes: AtomicUsize::new(256),
        })
    }
}

struct Builder<'d> {
    schema: &'d SchemaInner,
    collector: Collector<'d>,
    sources: &'d SourceMap,
    conditions: Vec<Condition>,
    /// Names that occur often, shared.
    names: HashMap<String, Arc<str>>,
    fields: usize,
}

impl<'d> Builder<'d> {
    /// Plans the selections on objects of one declared type, and says what to read from host objects.
    fn object(
        &mut self,
        type_name: &str,
        sets: &[(&'d SelectionSet, Guard)],
        depth: usize,
        path: &str,
    ) -> Result<(ObjectPlan, WantedObjects), RequestError> {
        if depth > self.schema.options.max_depth {
            return Err(too_large(format!(
                "the operation is nested deeper than {} fields",
                self.schema.options.max_depth
            )));
        }
        let is_abstract = self
            .schema
            .types
            .type_named(type_name)
            .is_some_and(|found| found.is_interface() || found.is_union());
        let mut wanted = WantedObjects {
            type_name: self.name(type_name),
            is_abstract,
            fields: Vec::new(),
            keep_objects: false,
        };
        let mut variants = Vec::new();
        let mut has_layers = false;
        for object in self.schema.types.possible_types(type_name) {
            let collected = self.collector.collect(&object, sets)?;
            let mut fields = Vec::with_capacity(collected.len());
            for occurrences in &collected {
                let field = self.field(&object, occurrences, depth, path, &mut wanted)?;
                match &field.source {
                    Source::Resolver(_) => {
                        has_layers = true;
                        wanted.keep_objects = true;
                    }
                    _ => has_layers |= field.output.object().is_some_and(|object| object.has_layers),
                }
                fields.push(field);
            }
            let order = self.order(&collected);
            variants.push(Variant {
                type_name: self.name(&object),
                fields,
                order,
            });
        }
        let plan = ObjectPlan {
            type_name: wanted.type_name.clone(),
            is_abstract,
            variants,
            attributes: wanted
                .fields
                .iter()
                .map(|field| field.attribute.clone())
                .collect(),
            has_layers,
        };
        Ok((plan, wanted))
    }

    fn field(
        &mut self,
        object: &str,
        occurrences: &[Occurrence<'d>],
        depth: usize,
        path: &str,
        wanted: &mut WantedObjects,
    ) -> Result<FieldPlan, RequestError> {
        self.fields += 1;
        if self.fields > self.schema.options.max_fields {
            let most = self.schema.options.max_fields;
            return Err(too_large(format!(
                "the operation selects more than {most} fields"
            )));
        }
        let first = occurrences[0].field;
        let key = first.response_name().as_str();
        let mut key_json = Vec::with_capacity(key.len() + 3);
        json_string(&mut key_json, key.as_bytes());
        key_json.push(b':');
        let mut place = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        let shape = shape(first.ty());
        place.push_str(&"[]".repeat(shape.list_depth()));

        let introspects = matches!(first.name.as_str(), "__schema" | "__type");
        let (output, value) = if first.name == "__typename" || introspects {
            (Output::Leaf(Leaf::String), None)
        } else {
            let (output, kind) = self.output(first, occurrences, depth, &place)?;
            (
                output,
                Some(Wanted {
                    shape: shape.clone(),
                    kind,
                }),
            )
        };
        let source = match value {
            None if introspects => Source::Introspection,
            None => Source::Typename,
            Some(value) => self.source(object, first, value, place, wanted)?,
        };
        Ok(FieldPlan {
            key: self.name(key),
            key_json: key_json.into(),
            name: FieldName {
                type_name: self.name(object),
                field_name: self.name(&first.name),
            },
            location: location(
                first.alias.as_ref().unwrap_or(&first.name).location(),
                self.sources,
            ),
            condition: self.condition(occurrences),
            source,
            shape,
            output,
        })
    }

    fn output(
        &mut self,
        field: &Node<Field>,
        occurrences: &[Occurrence<'d>],
        depth: usize,
        path: &str,
    ) -> Result<(Output, WantedKind), RequestError> {
        let type_name = field.ty().inner_named_type().as_str();
        if let Some(leaf) = self.leaf(type_name) {
            return Ok((
                Output::Leaf(leaf),
                WantedKind::Leaf {
                    type_name: self.name(type_name),
                },
            ));
        }
        // What is below a field counts when its own occurrence counts. If all occurrences count together the
        // field's own condition says it already.
        let same = occurrences.iter().all(|one| one.guard == occurrences[0].guard);
        let sets: Vec<_> = occurrences
            .iter()
            .filter_map(|one| {
                let guard = if same { Guard::new() } else { one.guard.clone() };
                Some((one.field.selection_set.as_ref()?, guard))
            })
            .collect();
        let (object, wanted) = self.object(type_name, &sets, depth + 1, path)?;
        Ok((Output::Object(object), WantedKind::Objects(wanted)))
    }

    fn leaf(&mut self, type_name: &str) -> Option<Leaf> {
        Some(match self.schema.types.type_named(type_name)? {
            ExtendedType::Scalar(_) => match type_name {
                "Int" => Leaf::Int,
                "Float" => Leaf::Float,
                "String" => Leaf::String,
                "Boolean" => Leaf::Boolean,
                "ID" => Leaf::Id,
                _ => Leaf::Custom,
            },
            ExtendedType::Enum(found) => {
                let values = found.values.keys().map(|value| value.as_str().into()).collect();
                Leaf::Enum {
                    name: self.name(type_name),
                    values,
                }
            }
            _ => return None,
        })
    }

    fn source(
        &mut self,
        object: &str,
        field: &Node<Field>,
        value: Wanted,
        path: String,
        owner: &mut WantedObjects,
    ) -> Result<Source, RequestError> {
        let kind = match self.schema.resolver(object, &field.name) {
            Some(ResolverKind::Call(id)) => PlannedResolver::Call(*id),
            Some(ResolverKind::Sql(sql)) => {
                let joined = sql.join.iter().flat_map(|join| &join.parent_keys);
                let listed = sql.params.iter().filter_map(|param| match param {
                    SqlParam::ParentValues(name) => Some(name),
                    _ => None,
                });
                for attribute in joined.chain(listed) {
                    self.want_key(owner, object, attribute);
                }
                PlannedResolver::Sql(sql.clone())
            }
            Some(ResolverKind::Attribute(name)) => return Ok(self.attribute(owner, object, name, value)),
            None => return Ok(self.attribute(owner, object, &field.name, value)),
        };
        let arguments = compile_arguments(&self.schema.types, field, &self.collector.variables)?;
        Ok(Source::Resolver(ResolverPlan {
            kind,
            arguments,
            wanted: value.into(),
            path: path.into(),
        }))
    }

    /// Adds an attribute to what is read from each object; leaves are read once however often they are selected.
    fn attribute(&mut self, owner: &mut WantedObjects, object: &str, name: &str, value: Wanted) -> Source {
        let (name, object) = (self.name(name), self.name(object));
        let is_leaf = matches!(value.kind, WantedKind::Leaf { .. });
        let known = owner
            .fields
            .iter()
            .position(|field| is_leaf && field.attribute == name && field.value == value);
        let column = known.unwrap_or_else(|| {
            owner.fields.push(WantedField {
                attribute: name.clone(),
                types: Vec::new(),
                value,
            });
            owner.fields.len() - 1
        });
        if let Some(field) = owner.fields.get_mut(column)
            && !field.types.contains(&object)
        {
            field.types.push(object);
        }
        Source::Attribute { name, column }
    }

    /// Adds an attribute that only a statement below needs.
    fn want_key(&mut self, owner: &mut WantedObjects, object: &str, name: &str) {
        let declared = self
            .schema
            .types
            .type_named(object)
            .and_then(|found| found.as_object()?.fields.get(name));
        let (shape, type_name) = match declared {
            Some(field) => (shape(&field.ty), self.name(field.ty.inner_named_type())),
            None => (Shape::One { nullable: true }, self.name("")),
        };
        self.attribute(
            owner,
            object,
            name,
            Wanted {
                shape,
                kind: WantedKind::Leaf { type_name },
            },
        );
    }

    fn condition(&mut self, occurrences: &[Occurrence<'d>]) -> Option<usize> {
        self.any_of(occurrences.iter().map(|one| one.guard.clone()).collect())
    }

    /// The number of a condition; `None` if it always holds.
    fn any_of(&mut self, mut condition: Condition) -> Option<usize> {
        if condition.iter().any(Vec::is_empty) {
            return None;
        }
        condition.sort_unstable();
        condition.dedup();
        let known = self.conditions.iter().position(|other| *other == condition);
        Some(known.unwrap_or_else(|| {
            self.conditions.push(condition);
            self.conditions.len() - 1
        }))
    }

    /// Which occurrences decide the order of fields, if that depends on variables: a field stands where its
    /// first occurrence that counts stands.
    fn order(&mut self, collected: &[Vec<Occurrence<'d>>]) -> Option<Vec<(usize, Option<usize>)>> {
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

    fn name(&mut self, name: &str) -> Arc<str> {
        match self.names.get(name) {
            Some(known) => known.clone(),
            None => self.names.entry(name.to_owned()).or_insert(name.into()).clone(),
        }
    }
}

/// The lists and nulls of a declared type.
fn shape(declared: &Type) -> Shape {
    match declared {
        Type::Named(_) => Shape::One { nullable: true },
        Type::NonNullNamed(_) => Shape::One { nullable: false },
        Type::List(item) => Shape::List {
            nullable: true,
            item: shape(item).into(),
        },
        Type::NonNullList(item) => Shape::List {
            nullable: false,
            item: shape(item).into(),
        },
    }
}
