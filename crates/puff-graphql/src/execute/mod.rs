//! Running a plan: layer by layer, each field with a resolver asked once for all its objects.

pub(crate) mod bound;
pub(crate) mod join;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;

use self::bound::{Bound, BoundObject, BoundVariant, Layer, LayerData, Objects, Positions, TypeOf};
use self::bound::{bind_to_rows, check_table, fits_rows, misfit, value_column, variant_of};
use self::join::{Grouping, group};
use crate::backend::{Backend, Call, Indexes, ParentSource, Parents, Resolved, Spread, SqlResult, Statement};
use crate::error::FieldError;
use crate::explain::LayerTrace;
use crate::options::SchemaOptions;
use crate::plan::input::Variables;
use crate::plan::{FieldPlan, ObjectPlan, Output, Plan, PlannedResolver, ResolverPlan, Source, Variant};
use crate::rows::Rows;
use crate::schema::{SqlParam, SqlResolver};
use crate::table::{Column, Shape, Slot};
use crate::value::{Arguments, Value};
use crate::write::cell::CellWriter;

type Boxed<'x, T> = Pin<Box<dyn Future<Output = T> + Send + 'x>>;

/// One execution of one plan.
pub(crate) struct Execution<'x, B: Backend> {
    pub(crate) backend: &'x B,
    pub(crate) plan: &'x Plan,
    pub(crate) options: &'x SchemaOptions,
    pub(crate) context: B::Context,
    pub(crate) variables: Variables,
    /// Whether each of the plan's conditions holds.
    pub(crate) flags: Vec<bool>,
    pub(crate) trace: Option<Mutex<Vec<LayerTrace>>>,
}

impl Plan {
    /// Which conditions hold for these variables.
    pub(crate) fn flags(&self, variables: &Variables) -> Vec<bool> {
        let is = |slot: usize, wanted: bool| matches!(variables.get(slot), Some(Some(Value::Bool(value))) if *value == wanted);
        let holds = |guard: &Vec<(usize, bool)>| guard.iter().all(|(slot, wanted)| is(*slot, *wanted));
        self.conditions
            .iter()
            .map(|condition| condition.iter().any(holds))
            .collect()
    }
}

impl<'x, B: Backend> Execution<'x, B> {
    /// Runs everything below the root: queries concurrently, mutations one root field after the other.
    pub(crate) async fn run(&'x self) -> BoundObject<B> {
        let plan = &self.plan.root;
        if !self.plan.is_mutation {
            return self.bind(plan, Objects::Root, Indexes::All(1)).await;
        }
        let mut variants = Vec::with_capacity(plan.variants.len());
        for variant in &plan.variants {
            let order = self.order(variant);
            let mut fields: Vec<_> = variant.fields.iter().map(|_| Bound::Skipped).collect();
            let in_turn = order.clone().unwrap_or_else(|| (0..fields.len()).collect());
            for number in in_turn {
                fields[number] =
                    match self.start(plan, &variant.fields[number], &Objects::Root, &Indexes::All(1)) {
                        Started::Bound(bound) => bound,
                        Started::Running(future) => future.await,
                    };
            }
            variants.push(BoundVariant { fields, order });
        }
        BoundObject {
            source: Objects::Root,
            variants,
            types: TypeOf::Only,
        }
    }

    /// The order of a variant's fields for these variables, if it is not that of the plan.
    fn order(&self, variant: &Variant) -> Option<Vec<usize>> {
        let mut order = Vec::with_capacity(variant.fields.len());
        let mut placed = vec![false; variant.fields.len()];
        for (field, condition) in variant.order.as_ref()? {
            let counts = condition.is_none_or(|condition| self.flags[condition]);
            if counts && !std::mem::replace(&mut placed[*field], true) {
                order.push(*field);
            }
        }
        Some(order)
    }

    pub(crate) fn skips(&self, field: &FieldPlan) -> bool {
        field.condition.is_some_and(|condition| !self.flags[condition])
    }

    /// Binds the fields of the `live` objects of a source, running the resolvers below them concurrently.
    fn bind(&'x self, plan: &'x ObjectPlan, source: Objects<B>, live: Indexes) -> Boxed<'x, BoundObject<B>> {
        let types = TypeOf::new(plan, &source);
        let mut variants = Vec::with_capacity(plan.variants.len());
        let mut running = Vec::new();
        for (number, variant) in plan.variants.iter().enumerate() {
            let live = match types {
                TypeOf::Only => live.clone(),
                _ if plan.has_layers => of_variant(plan, &source, &types, &live, number),
                // Nobody looks at it.
                _ => Indexes::All(0),
            };
            let mut fields = Vec::with_capacity(variant.fields.len());
            for field in &variant.fields {
                fields.push(match self.start(plan, field, &source, &live) {
                    Started::Bound(bound) => bound,
                    Started::Running(future) => {
                        running.push((number, fields.len(), future));
                        Bound::Skipped
                    }
                });
            }
            variants.push(BoundVariant {
                fields,
                order: self.order(variant),
            });
        }
        let mut bound = BoundObject {
            source,
            variants,
            types,
        };
        Box::pin(async move {
            // One alone needs no set of futures around it.
            if let [(variant, field, future)] = &mut running[..] {
                bound.variants[*variant].fields[*field] = future.await;
                return bound;
            }
            let places: Vec<_> = running
                .iter()
                .map(|(variant, field, _)| (*variant, *field))
                .collect();
            let results = join_all(running.into_iter().map(|(_, _, future)| future)).await;
            for ((variant, field), result) in places.into_iter().zip(results) {
                bound.variants[variant].fields[field] = result;
            }
            bound
        })
    }

    fn start(
        &'x self,
        plan: &'x ObjectPlan,
        field: &'x FieldPlan,
        source: &Objects<B>,
        live: &Indexes,
    ) -> Started<'x, B> {
        if self.skips(field) {
            return Started::Bound(Bound::Skipped);
        }
        Started::Bound(match (&field.source, source) {
            (Source::Typename, _) => Bound::Typename,
            (Source::Introspection, _) => Bound::Introspected,
            (Source::Resolver(resolver), _) => {
                // Without parents there is nothing to ask, and nobody to ask for it.
                if live.len() == 0 {
                    return Started::Bound(Bound::Skipped);
                }
                let parents = parents(plan, source, live);
                let positions = Positions::new(live, source.len());
                return Started::Running(Box::pin(self.layer(field, resolver, parents, positions)));
            }
            (Source::Attribute { name, .. }, Objects::Rows(rows)) => bind_to_rows(field, name, &**rows),
            (Source::Attribute { column, .. }, Objects::Table(table)) => {
                match (table.columns.get(*column), &field.output) {
                    (Some(Column::Values(_)), Output::Leaf(_)) => Bound::Values { column: *column },
                    (Some(Column::Objects(nested)), Output::Object(object)) => {
                        let (column, inner) = (*column, nested.table.clone());
                        let all = Indexes::All(inner.len);
                        let bound = self.bind(object, Objects::Table(inner), all);
                        return Started::Running(Box::pin(async move {
                            Bound::Nested {
                                column,
                                object: Box::new(bound.await),
                            }
                        }));
                    }
                    _ => Bound::Failed(misfit(field, "a column of the wrong kind")),
                }
            }
            (Source::Attribute { name, .. }, Objects::Root) => {
                let message = format!("{}: a root has no attribute `{name}`", field.name);
                Bound::Failed(FieldError::new("MISSING_RESOLVER", message))
            }
        })
    }

    async fn layer(
        &'x self,
        field: &'x FieldPlan,
        resolver: &'x ResolverPlan,
        parents: Option<Parents<B>>,
        positions: Positions,
    ) -> Bound<B> {
        let mut trace = LayerTrace {
            path: String::new(),
            field: field.name.clone(),
            parents: parents.as_ref().map(Parents::len),
            sql: None,
            params: 0,
            rows: 0,
            resolve: Duration::ZERO,
            load: Duration::ZERO,
            error: None,
        };
        let result = self.solve(field, resolver, parents, &mut trace).await;
        let solved = result.inspect_err(|error| trace.error = Some(error.message.clone()));
        if let Some(traces) = &self.trace {
            trace.path = resolver.path.to_string();
            traces.lock().push(trace);
        }
        let data = match solved {
            Err(error) => return Bound::Failed(error),
            Ok(Solved::Done(data)) => data,
            Ok(Solved::Objects { source, live, place }) => {
                let Output::Object(plan) = &field.output else {
                    return Bound::Failed(misfit(field, "objects for a leaf"));
                };
                let object = self.bind(plan, source, live).await;
                match place {
                    Place::Slots { slots, spread } => LayerData::Objects {
                        slots,
                        spread,
                        object,
                    },
                    Place::Rows(grouping) => LayerData::Rows { grouping, object },
                }
            }
        };
        Bound::Layer(Box::new(Layer { positions, data }))
    }

    /// Asks the resolver, runs its statement, groups the rows.
    async fn solve(
        &'x self,
        field: &'x FieldPlan,
        resolver: &'x ResolverPlan,
        parents: Option<Parents<B>>,
        trace: &mut LayerTrace,
    ) -> Result<Solved<B>, FieldError> {
        let arguments = resolver.arguments.evaluate(&self.variables)?;
        let places = parents.as_ref().map_or(1, Parents::len);
        let resolved = match &resolver.kind {
            PlannedResolver::Sql(sql) => Resolved::Sql(self.constant(sql, &arguments, parents.as_ref())?),
            PlannedResolver::Call(id) => {
                let call = Call {
                    id: *id,
                    context: self.context.clone(),
                    arguments,
                    parents: parents.clone(),
                    wanted: resolver.wanted.clone(),
                    field: field.name.clone(),
                    is_mutation: self.plan.is_mutation,
                };
                let start = self.trace.is_some().then(Instant::now);
                let resolved = self.backend.resolve(call).await;
                trace.resolve = start.map(|start| start.elapsed()).unwrap_or_default();
                resolved?
            }
        };
        let check = |got: usize, spread: Spread| match spread {
            Spread::Shared if got == 1 => Ok(()),
            Spread::PerParent if got == places => Ok(()),
            Spread::Shared => Err(misfit(
                field,
                &format!("{got} values where one is shared by all parents"),
            )),
            Spread::PerParent => Err(misfit(field, &format!("{got} values for {places} parents"))),
        };
        match resolved {
            Resolved::Values { values, spread } => {
                check(values.len(), spread)?;
                trace.rows = values.len();
                match field.output {
                    Output::Leaf(_) => Ok(Solved::Done(LayerData::Values { values, spread })),
                    Output::Object(_) => Err(misfit(field, "plain values for a field of objects")),
                }
            }
            Resolved::Objects { objects, spread } => {
                check(objects.slots.len(), spread)?;
                check_table(field, &objects)?;
                trace.rows = objects.table.len;
                self.limit(field, objects.table.len)?;
                let live = Indexes::All(objects.table.len);
                let place = Place::Slots {
                    slots: objects.slots,
                    spread,
                };
                Ok(Solved::Objects {
                    source: Objects::Table(objects.table),
                    live,
                    place,
                })
            }
            Resolved::Sql(result) => {
                fits_rows(field)?;
                let SqlResult {
                    statement,
                    join,
                    parent_values,
                } = result;
                trace.sql = Some(statement.sql.clone());
                trace.params = statement.params.len();
                let start = self.trace.is_some().then(Instant::now);
                let loaded = self.backend.load(&self.context, statement).await;
                trace.load = start.map(|start| start.elapsed()).unwrap_or_default();
                let rows = Arc::new(loaded?);
                trace.rows = rows.len();
                self.limit(field, rows.len())?;
                let grouping = match (&join, &parents) {
                    (Some(join), Some(parents)) => group(&*rows, parents, join, parent_values.as_deref())
                        .map_err(|mut error| {
                            error.message = format!("{}: {}", field.name, error.message);
                            error
                        })?,
                    _ => Grouping::Shared(rows.len()),
                };
                let is_list = matches!(field.shape, Shape::List { .. });
                match &field.output {
                    Output::Object(_) => {
                        let live = grouping.live(rows.len(), is_list);
                        Ok(Solved::Objects {
                            source: Objects::Rows(rows),
                            live,
                            place: Place::Rows(grouping),
                        })
                    }
                    Output::Leaf(leaf) => {
                        let keys = join.map(|join| join.child_keys).unwrap_or_default();
                        let column = value_column::<B>(field, &rows, &keys)
                            .ok_or_else(|| misfit(field, "a statement without a column for the value"))?;
                        let shape = match &field.shape {
                            Shape::List { item, .. } => item,
                            one => one,
                        };
                        let writer =
                            CellWriter::new(leaf, shape, rows.column_type(column), rows.column_name(column))?;
                        Ok(Solved::Done(LayerData::Column {
                            rows,
                            grouping,
                            column,
                            writer,
                        }))
                    }
                }
            }
        }
    }

    fn limit(&self, field: &FieldPlan, rows: usize) -> Result<(), FieldError> {
        let most = self.options.max_rows;
        if rows > most {
            let message = format!("{}: the result has {rows} rows; {most} are allowed", field.name);
            return Err(FieldError::new("LIMIT_EXCEEDED", message));
        }
        Ok(())
    }

    /// The statement of a resolver that is nothing but a statement.
    fn constant(
        &self,
        sql: &SqlResolver,
        arguments: &Arguments,
        parents: Option<&Parents<B>>,
    ) -> Result<SqlResult<B>, FieldError> {
        let mut params = Vec::with_capacity(sql.params.len());
        for param in &sql.params {
            params.push(match (param, parents) {
                (SqlParam::Constant(value), _) => self.backend.param(value)?,
                (SqlParam::Argument(name), _) => {
                    self.backend.param(arguments.get(name).unwrap_or(&Value::Null))?
                }
                (SqlParam::ParentValues(name), Some(parents)) => {
                    let values = parents.values(&[name])?.pop().unwrap_or_default();
                    self.backend.param(&Value::List(distinct(values)))?
                }
                (SqlParam::ParentValues(_), None) => self.backend.param(&Value::List(Vec::new()))?,
            });
        }
        let statement = Statement {
            sql: sql.sql.clone(),
            params,
        };
        Ok(SqlResult {
            statement,
            join: sql.join.clone(),
            parent_values: None,
        })
    }
}

enum Started<'x, B: Backend> {
    Bound(Bound<B>),
    Running(Boxed<'x, Bound<B>>),
}

/// What came of a resolver, before the fields of its objects are bound.
enum Solved<B: Backend> {
    Done(LayerData<B>),
    Objects {
        source: Objects<B>,
        live: Indexes,
        place: Place,
    },
}

enum Place {
    Slots { slots: Vec<Slot>, spread: Spread },
    Rows(Grouping),
}

fn parents<B: Backend>(plan: &ObjectPlan, source: &Objects<B>, live: &Indexes) -> Option<Parents<B>> {
    let source = match source {
        Objects::Root => return None,
        Objects::Rows(rows) => ParentSource::Rows(rows.clone()),
        Objects::Table(table) => ParentSource::Table {
            table: table.clone(),
            attributes: plan.attributes.clone(),
        },
    };
    Some(Parents::new(source, live.clone()))
}

/// Those of the `live` objects that are of the plan's variant `number`.
fn of_variant<B: Backend>(
    plan: &ObjectPlan,
    source: &Objects<B>,
    types: &TypeOf,
    live: &Indexes,
    number: usize,
) -> Indexes {
    let is = |index: &usize| variant_of(plan, source, types, *index).is_ok_and(|variant| variant == number);
    let found: Vec<u32> = (0..live.len())
        .map(|position| live.get(position))
        .filter(is)
        .map(|index| index as u32)
        .collect();
    Indexes::Some(found.into())
}

/// Each value once, without nulls, in order of first occurrence.
fn distinct(values: Vec<Value>) -> Vec<Value> {
    let mut numbers = hashbrown::HashSet::with_capacity(values.len());
    let mut texts = hashbrown::HashSet::new();
    let mut keep = |value: &Value| match value {
        Value::Null => false,
        Value::Int(number) => numbers.insert(*number),
        Value::Str(text) | Value::Big(text) => texts.insert(text.clone()),
        _ => true,
    };
    values.into_iter().filter(|value| keep(value)).collect()
}
