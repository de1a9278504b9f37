//! From the selections of an operation to what is read and written for them.

use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, Type, Value as Literal};
use apollo_compiler::executable::Field;
use apollo_compiler::parser::SourceMap;
use hashbrown::{HashMap, HashSet};

use super::collect::{Collector, Occurrence, too_large};
use super::conditions::Conditions;
use super::input::{Literals, compile_arguments};
use super::layer::{ChildSource, Layer, Place, Sets, Unplanned, leaf_column};
use super::{
    ArgumentsPlan, Child, FieldPlan, Items, Leaf, ObjectPlan, Origin, Output, PlannedResolver, ResolverPlan,
    Source, User, Variant,
};
use crate::backend::FieldName;
use crate::document::location;
use crate::error::{Location, RequestError, RequestErrorCode};
use crate::schema::{ResolverKind, SchemaInner, SqlParam};
use crate::table::{Shape, Wanted, WantedField, WantedKind, WantedObjects};
use crate::write::string::json_string;

/// Arguments that say how many items a list has at most.
const LIST_BOUNDS: [&str; 3] = ["first", "last", "limit"];

/// Most places of one field that its errors name.
const MAX_LOCATIONS: usize = 10;

/// Plans the selections of one operation.
pub(super) struct Builder<'d> {
    schema: &'d SchemaInner,
    pub(super) collector: Collector<'d>,
    sources: &'d SourceMap,
    literals: &'d Literals<'d>,
    pub(super) conditions: Conditions,
    /// Names that occur often, shared.
    names: HashMap<String, Arc<str>>,
    /// How many fields the operation selects.
    fields: usize,
    /// How many fields are planned: more where objects have several types.
    pub(super) planned: usize,
}

/// What the schema says about a field's value.
enum FieldSource {
    Resolver(PlannedResolver),
    /// An attribute of host objects; of rows it is this column.
    Attribute {
        attribute: Arc<str>,
        column: Arc<str>,
    },
    Itself(Arc<str>),
    /// Always this JSON.
    Constant(Arc<[u8]>),
}

impl<'d> Builder<'d> {
    pub(super) fn new(
        schema: &'d SchemaInner,
        collector: Collector<'d>,
        sources: &'d SourceMap,
        literals: &'d Literals<'d>,
    ) -> Self {
        Builder {
            schema,
            collector,
            sources,
            literals,
            conditions: Conditions::default(),
            names: HashMap::default(),
            fields: 0,
            planned: 0,
        }
    }

    /// Plans the selections on objects of one declared type, and says what to read from host objects.
    pub(super) fn objects(
        &mut self,
        type_name: &str,
        views: &[Sets<'d>],
        place: Place<'_>,
    ) -> Result<(ObjectPlan, WantedObjects), RequestError> {
        let types = self.schema.types.possible_types(type_name);
        let is_abstract = self
            .schema
            .types
            .type_named(type_name)
            .is_some_and(|found| found.is_interface() || found.is_union());
        let type_names: Arc<[Arc<str>]> = types.iter().map(|object| self.name(object)).collect();
        let mut layer = Layer {
            place,
            wanted: WantedObjects {
                type_name: self.name(type_name),
                is_abstract,
                types: type_names.clone(),
                fields: Vec::new(),
                keep_objects: false,
            },
            children: Vec::new(),
            permissions: Vec::new(),
            has_variants: views.len() * types.len() > 1,
            by_key: HashMap::default(),
            types,
        };
        let mut variants = Vec::with_capacity(views.len() * layer.types.len());
        for sets in views {
            let mut counted = HashSet::new();
            for number in 0..layer.types.len() {
                let collected = self.collector.collect(&layer.types[number], sets)?;
                // What all types of a view have counts once.
                let is_new = |one: &&Vec<Occurrence<'d>>| {
                    !is_abstract || counted.insert(one[0].field.response_name().as_str())
                };
                self.count(collected.iter().filter(is_new).count())?;
                let fields = collected
                    .iter()
                    .map(|occurrences| self.field(occurrences, &mut layer, variants.len(), number))
                    .collect::<Result<_, _>>()?;
                let order = self.conditions.order(&collected);
                variants.push(Variant { fields, order });
            }
        }
        let Layer {
            mut wanted,
            children: unplanned,
            permissions,
            ..
        } = layer;
        wanted.keep_objects = !permissions.is_empty();
        let mut children = Vec::with_capacity(unplanned.len());
        let mut nested = vec![None; wanted.fields.len()];
        for one in unplanned {
            let child = self.child(one, &mut wanted, place)?;
            if let Origin::Attribute { .. } = &child.origin {
                nested.push(Some(children.len()));
            }
            children.push(child);
        }
        let attributes = wanted.fields.iter().map(|field| field.attribute.clone());
        let has_layers = |child: &Child| match (&child.origin, &child.output) {
            (Origin::Resolver(_), _) => true,
            (_, Output::Object(object)) => object.has_layers,
            (_, Output::Leaf(_)) => false,
        };
        let type_permissions: Vec<_> = type_names
            .iter()
            .map(|name| self.schema.objects_permission(name))
            .collect();
        let is_guarded_child = |child: &Child| {
            let object = child.output.object();
            object.is_some_and(|object| object.permission_before().is_some())
        };
        let is_guarded = !permissions.is_empty()
            || (is_abstract && type_permissions.iter().any(Option::is_some))
            || children.iter().any(is_guarded_child);
        let plan = ObjectPlan {
            type_name: wanted.type_name.clone(),
            is_abstract,
            types: type_names,
            views: views.len(),
            variants,
            has_layers: is_guarded || children.iter().any(has_layers),
            permissions,
            type_permissions,
            is_guarded,
            children,
            attributes: attributes.collect(),
            nested,
        };
        Ok((plan, wanted))
    }

    fn count(&mut self, fields: usize) -> Result<(), RequestError> {
        self.fields += fields;
        let most = self.schema.options.max_fields;
        if self.fields > most {
            return Err(too_large(format!(
                "the operation selects more than {most} fields"
            )));
        }
        Ok(())
    }

    /// Plans one field of the variant `variant`, which is that of the object type `type_number`.
    fn field(
        &mut self,
        occurrences: &[Occurrence<'d>],
        layer: &mut Layer<'d, '_>,
        variant: usize,
        type_number: usize,
    ) -> Result<FieldPlan, RequestError> {
        self.planned += 1;
        let first = occurrences[0].field;
        let key = first.response_name().as_str();
        let mut key_json = Vec::with_capacity(key.len() + 3);
        json_string(&mut key_json, key.as_bytes());
        key_json.push(b':');
        let key = self.name(key);
        let name = FieldName {
            type_name: layer.wanted.types[type_number].clone(),
            field_name: self.name(&first.name),
        };
        let definition = self.definition(&name, first);
        let shape = shape(&definition.ty);
        let condition = self.condition(occurrences);
        let permission = match self.schema.field_permission(&name.type_name, &name.field_name) {
            Some(id) => Some(layer.guard(id, self.arguments(definition, first)?, variant, condition)),
            None => None,
        };
        let leaf = self.leaf(definition.ty.inner_named_type());
        let source = match &*first.name {
            "__typename" => Source::Typename,
            "__schema" | "__type" => Source::Introspection,
            _ => 'source: {
                let below = match (self.source(&name, layer, type_number), &leaf) {
                    (FieldSource::Constant(json), _) => break 'source Source::Constant(json),
                    (
                        FieldSource::Attribute {
                            attribute,
                            column: name,
                        },
                        Some(_),
                    ) => {
                        let value = Wanted {
                            shape: shape.clone(),
                            kind: WantedKind::Leaf {
                                type_name: self.name(definition.ty.inner_named_type()),
                            },
                        };
                        let column = leaf_column(
                            &mut layer.wanted,
                            attribute.clone(),
                            type_number,
                            value,
                            Some(condition),
                        );
                        break 'source Source::Attribute { name, column };
                    }
                    (FieldSource::Attribute { column: name, .. }, None) => ChildSource::Attribute {
                        name,
                        or_itself: false,
                    },
                    (FieldSource::Itself(name), _) => ChildSource::Attribute {
                        name,
                        or_itself: true,
                    },
                    (FieldSource::Resolver(kind), _) => {
                        ChildSource::Resolver(kind, self.arguments(definition, first)?)
                    }
                };
                let one = Unplanned {
                    name: name.clone(),
                    field: first,
                    type_name: definition.ty.inner_named_type(),
                    shape: shape.clone(),
                    source: below,
                    users: Vec::new(),
                    views: Vec::new(),
                    path: String::new(),
                };
                let user = User {
                    variant,
                    condition,
                    view: 0,
                    permission,
                };
                layer.add(&key, one, user, occurrences)
            }
        };
        let cost = self.schema.cost(&name.type_name, &name.field_name).of_itself;
        Ok(FieldPlan {
            key,
            key_json: key_json.into(),
            name,
            locations: self.locations(occurrences),
            condition,
            permission,
            cost,
            source,
            shape,
            leaf,
        })
    }

    fn arguments(
        &self,
        definition: &FieldDefinition,
        field: &Node<Field>,
    ) -> Result<ArgumentsPlan, RequestError> {
        let variables = &self.collector.variables;
        compile_arguments(&self.schema.types, definition, field, variables, self.literals)
    }

    /// The definition of a field on an object type. That of an interface, through which a document may select
    /// it, can be wider: what is null there may not be null here.
    fn definition(&self, name: &FieldName, field: &'d Node<Field>) -> &'d FieldDefinition {
        let types = &self.schema.types.schema;
        let own = types.type_field(&name.type_name, &name.field_name);
        own.map_or(&*field.definition, |own| &**own)
    }

    /// Plans what is below a child.
    fn child(
        &mut self,
        one: Unplanned<'d>,
        wanted: &mut WantedObjects,
        above: Place<'_>,
    ) -> Result<Child, RequestError> {
        let type_name = one.type_name;
        let cost = self.schema.cost(&one.name.type_name, &one.name.field_name);
        let bound = self.bound(one.field, cost.list_size);
        let (items, lists) = match &one.shape {
            Shape::List { .. } => (bound.unwrap_or(above.lists), None),
            // The argument of a connection bounds the list within.
            Shape::One { .. } => (Items::Fixed(1), bound),
        };
        let (output, kind) = match self.leaf(type_name) {
            Some(leaf) => {
                let type_name = self.name(type_name);
                (Output::Leaf(leaf), WantedKind::Leaf { type_name })
            }
            None => {
                let most = self.schema.options.max_depth;
                if above.depth >= most {
                    let message = format!("the operation is nested deeper than {most} fields");
                    let place = location(one.field.name.location(), self.sources);
                    return Err(RequestError::at(RequestErrorCode::LimitExceeded, message, place));
                }
                let default = Items::Fixed(self.schema.options.list_size as u64);
                let place = Place {
                    depth: above.depth + 1,
                    path: &one.path,
                    lists: lists.unwrap_or(default),
                };
                let (object, wanted) = self.objects(type_name, &one.views, place)?;
                (Output::Object(object), WantedKind::Objects(wanted))
            }
        };
        let value = Wanted {
            shape: one.shape.clone(),
            kind,
        };
        let type_of = |user: &User| user.variant % wanted.types.len().max(1);
        let mut types: Vec<usize> = one.users.iter().map(type_of).collect();
        types.sort_unstable();
        types.dedup();
        let mut name = one.name;
        if types.len() > 1 && self.schema.types.has_field(&wanted.type_name, &name.field_name) {
            name.type_name = wanted.type_name.clone();
        }
        let origin = match one.source {
            ChildSource::Resolver(kind, arguments) => {
                wanted.keep_objects = true;
                Origin::Resolver(ResolverPlan {
                    kind,
                    arguments,
                    wanted: value.into(),
                    path: one.path.into(),
                    number: 0,
                    below: None,
                })
            }
            ChildSource::Attribute { name, or_itself } => {
                let column = wanted.fields.len();
                wanted.fields.push(WantedField {
                    attribute: name,
                    types,
                    value,
                    conditions: one.users.iter().map(|user| user.condition).collect(),
                });
                Origin::Attribute { column, or_itself }
            }
        };
        Ok(Child {
            name,
            shape: one.shape,
            origin,
            users: one.users,
            output,
            items,
        })
    }

    /// How many items the arguments of a field allow; `usual` is how many there are by what the author says.
    fn bound(&self, field: &Field, usual: Option<u64>) -> Option<Items> {
        let by_argument = LIST_BOUNDS.iter().find_map(|name| {
            let number = |value: &Literal| {
                let number = value.to_i32()?;
                u64::try_from(number).ok()
            };
            let declared = field.definition.argument_by_name(name)?;
            let default = declared.default_value.as_deref().and_then(number);
            let given = field.arguments.iter().find(|argument| argument.name == *name);
            match given.map(|argument| &*argument.value) {
                Some(Literal::Variable(variable)) => Some(Items::Variable {
                    slot: *self.collector.variables.get(variable.as_str())?,
                    otherwise: default.or(usual).unwrap_or(self.schema.options.list_size as u64),
                }),
                Some(value) => number(value).map(Items::Fixed),
                None => default.map(Items::Fixed),
            }
        });
        by_argument.or(usual.map(Items::Fixed))
    }

    fn leaf(&mut self, type_name: &str) -> Option<Leaf> {
        let schema = self.schema;
        schema.leaf(type_name, &mut |name| self.name(name))
    }

    /// Where the schema says that a field's value is; what a statement of its own needs is wanted then.
    fn source(&mut self, field: &FieldName, layer: &mut Layer<'d, '_>, type_number: usize) -> FieldSource {
        let attribute = |name: Arc<str>| FieldSource::Attribute {
            column: name.clone(),
            attribute: name,
        };
        match self.schema.resolver(&field.type_name, &field.field_name) {
            Some(ResolverKind::Call(id)) => FieldSource::Resolver(PlannedResolver::Call(*id)),
            Some(ResolverKind::Sql(sql)) => {
                let joined = sql.join.iter().flat_map(|join| &join.parent_keys);
                let listed = sql.params.iter().filter_map(|param| match param {
                    SqlParam::ParentValues(name) => Some(name),
                    _ => None,
                });
                for attribute in joined.chain(listed) {
                    self.want_key(&mut layer.wanted, type_number, attribute);
                }
                FieldSource::Resolver(PlannedResolver::Sql(sql.clone()))
            }
            Some(ResolverKind::Itself) => FieldSource::Itself(field.field_name.clone()),
            Some(ResolverKind::Attribute(name)) => attribute(self.name(name)),
            Some(ResolverKind::Column(column)) => FieldSource::Attribute {
                attribute: field.field_name.clone(),
                column: self.name(column),
            },
            Some(ResolverKind::Constant(_)) => {
                let json = self.schema.constants.get(&field.type_name, &field.field_name);
                // Each constant has been written when the schema was built.
                FieldSource::Constant(json.cloned().unwrap_or_else(|| b"null"[..].into()))
            }
            None => attribute(field.field_name.clone()),
        }
    }

    /// Adds an attribute that only a statement below needs.
    fn want_key(&mut self, wanted: &mut WantedObjects, type_number: usize, name: &str) {
        let declared = self
            .schema
            .types
            .type_named(&wanted.types[type_number])
            .and_then(|found| found.as_object()?.fields.get(name));
        let (shape, type_name) = match declared {
            Some(field) => (shape(&field.ty), self.name(field.ty.inner_named_type())),
            None => (Shape::One { nullable: true }, self.name("")),
        };
        let value = Wanted {
            shape,
            kind: WantedKind::Leaf { type_name },
        };
        leaf_column(wanted, self.name(name), type_number, value, None);
    }

    fn locations(&mut self, occurrences: &[Occurrence<'d>]) -> Box<[(Option<usize>, Location)]> {
        let mut found = Vec::with_capacity(1);
        for one in occurrences.iter().take(MAX_LOCATIONS) {
            let name = one.field.alias.as_ref().unwrap_or(&one.field.name);
            if let Some(place) = location(name.location(), self.sources) {
                found.push((self.conditions.any_of(vec![one.guard.clone()]), place));
            }
        }
        found.into()
    }

    fn condition(&mut self, occurrences: &[Occurrence<'d>]) -> Option<usize> {
        self.conditions
            .any_of(occurrences.iter().map(|one| one.guard.clone()).collect())
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        match self.names.get(name) {
            Some(known) => known.clone(),
            None => self.names.entry(name.to_owned()).or_insert(name.into()).clone(),
        }
    }
}

/// The lists and nulls of a declared type.
pub(crate) fn shape(declared: &Type) -> Shape {
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
