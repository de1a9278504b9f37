//! Running a plan: layer by layer, each field with a resolver asked once for all its objects.

pub(crate) mod bound;
mod connection;
pub(crate) mod join;
pub(crate) mod json;
pub(crate) mod permit;
pub(crate) mod reach;
mod solve;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use parking_lot::Mutex;

use self::bound::{
    Bound, BoundChild, BoundObject, BoundVariant, Conversion, Kinds, Layer, LayerData, Objects, Positions,
};
use self::bound::{bind_to_rows, misfit, no_objects_in_rows};
use self::json::{json_column, objects_in_column};
use self::permit::Permits;
use self::reach::{Live, Owners, Scope};
use self::solve::Solved;
use crate::backend::{Backend, Cells, Indexes, Resolved};
use crate::error::FieldError;
use crate::options::SchemaOptions;
use crate::plan::input::Variables;
use crate::plan::{Child, FieldPlan, ObjectPlan, Origin, Output, Plan, ResolverPlan, Source, Variant};
use crate::rows::Rows;
use crate::table::{Column, Slot};
use crate::trace::Recorder;
use crate::value::Value;
use crate::write::answer::takes_all_data;

type Boxed<'x, T> = Pin<Box<dyn Future<Output = T> + Send + 'x>>;

/// One execution of one plan.
pub(crate) struct Execution<'x, B: Backend> {
    pub(crate) backend: &'x B,
    pub(crate) plan: &'x Plan,
    pub(crate) options: &'x SchemaOptions,
    pub(crate) context: B::Context,
    pub(crate) variables: Variables,
    /// Whether each of the plan's conditions holds.
    pub(crate) flags: Arc<[bool]>,
    pub(crate) recorder: Option<Recorder>,
    /// Of a subscription: what its root field is for this event. Taken by that field, which is the first to look.
    pub(crate) event: Mutex<Option<Result<Resolved<B>, FieldError>>>,
    /// The first error of a layer since [`Execution::settle`].
    pub(crate) failed: Mutex<Option<FieldError>>,
}

impl Plan {
    /// Which conditions hold for these variables.
    pub(crate) fn flags(&self, variables: &Variables) -> Arc<[bool]> {
        let is = |slot: usize, wanted: bool| matches!(variables.get(slot), Some(Some(Value::Bool(value))) if *value == wanted);
        let holds = |guard: &Vec<(usize, bool)>| guard.iter().all(|(slot, wanted)| is(*slot, *wanted));
        self.conditions
            .iter()
            .map(|condition| condition.iter().any(holds))
            .collect()
    }
}

impl<'x, B: Backend> Execution<'x, B> {
    /// Runs everything below the root: queries concurrently, mutations one root field after the other. After
    /// one that takes all data with it, the rest of a mutation is not begun.
    pub(crate) async fn run(&'x self) -> BoundObject<B> {
        let permits = self.root_permits().await;
        self.run_permitted(permits).await
    }

    /// Asks for what the root needs.
    pub(crate) async fn root_permits(&self) -> Option<Arc<Permits>> {
        let plan = &self.plan.root;
        if !plan.is_guarded {
            return None;
        }
        let scope = Scope {
            plan,
            source: &Objects::Root,
            kinds: &Kinds::Only,
            live: &Live::One(Indexes::All(1)),
            permits: None,
        };
        Some(Arc::new(self.permits(&scope).await))
    }

    /// Likewise, where it is known what the root's fields are granted.
    pub(crate) async fn run_permitted(&'x self, permits: Option<Arc<Permits>>) -> BoundObject<B> {
        let plan = &self.plan.root;
        let live = Live::One(Indexes::All(1));
        let mut root = self.bind_fields(plan, Objects::Root, Kinds::Only, permits);
        if !self.plan.is_mutation {
            return self.bind_children(plan, root, live).await;
        }
        let mut in_turn = Vec::with_capacity(plan.children.len());
        for (variant, bound) in plan.variants.iter().zip(&root.variants) {
            let order = bound.order.clone();
            for field in order.unwrap_or_else(|| (0..variant.fields.len()).collect()) {
                if let Source::Child { number, .. } = variant.fields[field].source {
                    in_turn.push((number, field));
                }
            }
        }
        for (number, field) in in_turn {
            let child = match self.start(plan, (number, &plan.children[number]), &root, &live) {
                Started::Bound(bound) => bound,
                Started::Running(future) => future.await,
            };
            root.children[number] = match self.settle().await {
                Ok(()) => child,
                Err(error) => BoundChild::Failed(error),
            };
            if takes_all_data(self, &root, field) {
                break;
            }
        }
        root
    }

    /// The event that the root field of a subscription is for; never held across a wait.
    fn take_event(&self) -> Option<Result<Resolved<B>, FieldError>> {
        self.event.lock().take()
    }

    /// Tells the backend that what has run is about to be answered.
    pub(crate) async fn settle(&self) -> Result<(), FieldError> {
        let failed = self.failed.lock().take();
        self.backend.settle(&self.context, failed).await
    }

    /// Keeps the first error of what has run for [`Execution::settle`].
    fn note(&self, result: &Result<Solved<'_, B>, FieldError>) {
        let error = match result {
            Err(error) => Some(error),
            Ok(Solved::Leaves(LayerData::Values { values, .. })) => {
                values.iter().find_map(|value| match value {
                    Value::Error(error) => Some(&**error),
                    _ => None,
                })
            }
            Ok(Solved::Slots { slots, .. }) => slots.iter().find_map(|slot| match slot {
                Slot::Error(error) => Some(&**error),
                _ => None,
            }),
            Ok(_) => None,
        };
        if let Some(error) = error {
            self.failed.lock().get_or_insert_with(|| error.clone());
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

    pub(crate) fn holds(&self, condition: Option<usize>) -> bool {
        condition.is_none_or(|condition| self.flags[condition])
    }

    pub(crate) fn skips(&self, field: &FieldPlan) -> bool {
        !self.holds(field.condition)
    }

    /// Binds the fields of the `live` objects of a source, running the resolvers below them concurrently.
    fn bind(&'x self, plan: &'x ObjectPlan, source: Objects<B>, live: Live) -> Boxed<'x, BoundObject<B>> {
        let kinds = Kinds::new(plan, &source);
        if !plan.is_guarded {
            let bound = self.bind_fields(plan, source, kinds, None);
            return self.bind_children(plan, bound, live);
        }
        Box::pin(async move {
            let scope = Scope {
                plan,
                source: &source,
                kinds: &kinds,
                live: &live,
                permits: None,
            };
            let permits = Arc::new(self.permits(&scope).await);
            let bound = self.bind_fields(plan, source, kinds, Some(permits));
            self.bind_children(plan, bound, live).await
        })
    }

    fn bind_children(
        &'x self,
        plan: &'x ObjectPlan,
        mut bound: BoundObject<B>,
        live: Live,
    ) -> Boxed<'x, BoundObject<B>> {
        let mut running = Vec::new();
        for (number, child) in plan.children.iter().enumerate() {
            match self.start(plan, (number, child), &bound, &live) {
                Started::Bound(child) => bound.children[number] = child,
                Started::Running(future) => running.push((number, future)),
            }
        }
        let conversions = std::mem::take(&mut bound.conversions);
        Box::pin(async move {
            if let (Objects::Rows(rows), false) = (&bound.source, conversions.is_empty()) {
                let converted = self.convert_all(rows.clone(), conversions);
                let (mut bound, conversions) = join(Self::finish(bound, running), converted).await;
                bound.conversions = conversions;
                return bound;
            }
            Self::finish(bound, running).await
        })
    }

    /// Waits for the children that are still running.
    async fn finish(
        mut bound: BoundObject<B>,
        mut running: Vec<(usize, Boxed<'x, BoundChild<B>>)>,
    ) -> BoundObject<B> {
        // One alone needs no set of futures around it.
        if let [(number, future)] = &mut running[..] {
            bound.children[*number] = future.await;
            return bound;
        }
        let numbers: Vec<_> = running.iter().map(|(number, _)| *number).collect();
        let results = join_all(running.into_iter().map(|(_, future)| future)).await;
        for (number, result) in numbers.into_iter().zip(results) {
            bound.children[number] = result;
        }
        bound
    }

    /// Lets the backend make values of columns.
    async fn convert_all(&self, rows: Arc<B::Rows>, mut columns: Vec<Conversion>) -> Vec<Conversion> {
        let cells = |column: &Conversion| Cells {
            scalar: column.scalar.clone(),
            rows: rows.clone(),
            column: column.column,
            list_depth: column.list_depth,
            field: column.field.clone(),
        };
        let values = join_all(columns.iter().map(|column| self.convert(cells(column)))).await;
        for (column, values) in columns.iter_mut().zip(values) {
            column.values = values;
        }
        columns
    }

    /// Lets the backend make values of one column.
    async fn convert(&self, cells: Cells<B>) -> Result<Vec<Value>, FieldError> {
        let (rows, field) = (cells.rows.len(), cells.field.clone());
        let values = self.backend.convert(cells).await?;
        if values.len() != rows {
            return Err(misfit(
                &field,
                &format!("{} values for {rows} rows", values.len()),
            ));
        }
        Ok(values)
    }

    /// Binds the leaves of a source's objects.
    fn bind_fields(
        &self,
        plan: &ObjectPlan,
        source: Objects<B>,
        kinds: Kinds,
        permits: Option<Arc<Permits>>,
    ) -> BoundObject<B> {
        let mut conversions = Vec::new();
        let is_refused = |field: &FieldPlan| {
            let refused = |permits: &Arc<Permits>| Some(permits.is_refused(field.permission?));
            permits.as_ref().and_then(refused).unwrap_or(false)
        };
        let present = kinds.present(plan, &source);
        let mut bind = |(number, variant): (usize, &Variant)| {
            // Nobody looks at variants without objects.
            if present
                .as_ref()
                .is_some_and(|present| !present[number % plan.types.len()])
            {
                return BoundVariant::default();
            }
            BoundVariant {
                fields: variant
                    .fields
                    .iter()
                    .map(|field| match is_refused(field) {
                        true => Bound::Skipped,
                        false => self.leaf(field, &source, &mut conversions),
                    })
                    .collect(),
                order: self.order(variant),
            }
        };
        BoundObject {
            variants: plan.variants.iter().enumerate().map(&mut bind).collect(),
            conversions,
            children: plan.children.iter().map(|_| BoundChild::Skipped).collect(),
            source,
            kinds,
            permits,
        }
    }

    fn leaf(&self, field: &FieldPlan, source: &Objects<B>, conversions: &mut Vec<Conversion>) -> Bound {
        if self.skips(field) {
            return Bound::Skipped;
        }
        match (&field.source, source) {
            (Source::Typename, _) => Bound::Typename,
            (Source::Introspection, _) => Bound::Introspected,
            (Source::Constant(_), _) => Bound::Constant,
            (Source::Child { .. }, _) => Bound::Child,
            (Source::Attribute { name, .. }, Objects::Rows(rows)) => {
                bind_to_rows::<B>(field, name, &**rows, conversions)
            }
            (Source::Attribute { column, .. }, Objects::Table(_)) => Bound::Values { column: *column },
            (Source::Attribute { name, .. }, Objects::Root) => {
                let message = format!("{}: a root has no attribute `{name}`", field.name);
                Bound::Failed(FieldError::new("MISSING_RESOLVER", message))
            }
        }
    }

    fn start(
        &'x self,
        plan: &'x ObjectPlan,
        (number, child): (usize, &'x Child),
        bound: &BoundObject<B>,
        live: &Live,
    ) -> Started<'x, B> {
        let source = &bound.source;
        if let Some(error) = bound.permits.as_ref().and_then(|permits| permits.child(number)) {
            return Started::Bound(BoundChild::Failed(error.clone()));
        }
        let scope = Scope {
            plan,
            source,
            kinds: &bound.kinds,
            live,
            permits: bound.permits.as_deref(),
        };
        let owners = || {
            let below = child.output.object().map_or(1, |object| object.views);
            Owners::new(&scope, &child.users, below, |condition| self.holds(condition))
        };
        let (column, or_itself) = match &child.origin {
            Origin::Resolver(resolver) => {
                let owners = owners();
                // Without parents there is nothing to ask, and nobody to ask for it.
                if owners.indexes.len() == 0 {
                    return Started::Bound(BoundChild::Skipped);
                }
                let parents = solve::parents(plan, source, &owners.indexes);
                let positions = Positions::new(&owners.indexes, source.len());
                let layer = self.layer(child, resolver, solve::Asked { parents, owners }, positions);
                return Started::Running(Box::pin(layer));
            }
            Origin::Attribute { column, or_itself } => (*column, *or_itself),
        };
        Started::Bound(match (source, &child.output) {
            _ if !child.users.iter().any(|user| self.holds(user.condition)) => BoundChild::Skipped,
            (Objects::Table(table), Output::Object(object)) => {
                let (objects, slots) = match table.columns.get(column) {
                    Some(Column::Objects(nested)) => (Objects::Table(nested.table.clone()), &nested.slots),
                    Some(Column::Rows { rows, slots }) => (Objects::Rows(rows.clone()), slots),
                    _ => {
                        let error = misfit(&child.name, "a column of the wrong kind");
                        return Started::Bound(BoundChild::Failed(error));
                    }
                };
                let len = objects.len();
                let live = if object.has_layers {
                    let owners = owners();
                    match (&owners.indexes, &objects, owners.views.is_empty()) {
                        (Indexes::All(_), Objects::Table(_), true) => Live::One(Indexes::All(len)),
                        (indexes, ..) => owners.reach(len, |place| slots.get(indexes.get(place))),
                    }
                } else {
                    // Nobody will ask.
                    Live::One(Indexes::All(len))
                };
                let bound = self.bind(object, objects, live);
                return Started::Running(Box::pin(async move {
                    BoundChild::Nested {
                        column,
                        object: Box::new(bound.await),
                    }
                }));
            }
            (Objects::Rows(rows), Output::Object(object)) if or_itself => {
                let owners = owners();
                let mut slots = vec![Slot::Null; rows.len()];
                for row in owners.indexes.iter() {
                    slots[row] = Slot::Object(row as u32);
                }
                let live = owners.reach(rows.len(), |position| slots.get(owners.indexes.get(position)));
                let bound = self.bind(object, Objects::Rows(rows.clone()), live);
                return Started::Running(Box::pin(async move {
                    BoundChild::InColumn {
                        slots,
                        object: Box::new(bound.await),
                    }
                }));
            }
            (Objects::Rows(rows), Output::Object(object)) => {
                let Some(place) = json_column(&**rows, &plan.attributes[column]) else {
                    return Started::Bound(BoundChild::Failed(no_objects_in_rows(&child.name)));
                };
                let owners = owners();
                let found = objects_in_column(&**rows, owners.indexes.iter(), place, child, object);
                let live = owners.reach(found.table.len, |position| {
                    found.slots.get(owners.indexes.get(position))
                });
                let (slots, bound) = (found.slots, self.bind(object, Objects::Table(found.table), live));
                return Started::Running(Box::pin(async move {
                    BoundChild::InColumn {
                        slots,
                        object: Box::new(bound.await),
                    }
                }));
            }
            _ => BoundChild::Failed(no_objects_in_rows(&child.name)),
        })
    }

    async fn layer(
        &'x self,
        child: &'x Child,
        resolver: &'x ResolverPlan,
        asked: solve::Asked<B>,
        positions: Positions,
    ) -> BoundChild<B> {
        let solved = self.solve(child, resolver, asked).await;
        self.note(&solved);
        let mut data = match solved {
            Err(error) => return BoundChild::Failed(error),
            Ok(Solved::Leaves(data)) => data,
            Ok(Solved::Slots {
                plan,
                table,
                live,
                slots,
                spread,
            }) => LayerData::Objects {
                slots,
                spread,
                object: self.bind(plan, Objects::Table(table), live).await,
            },
            Ok(Solved::Rows {
                plan,
                rows,
                live,
                grouping,
            }) => LayerData::Rows {
                grouping,
                object: self.bind(plan, Objects::Rows(rows), live).await,
            },
        };
        if let (LayerData::Objects { object, .. } | LayerData::Rows { object, .. }, Some(id)) =
            (&mut data, resolver.kind.id())
        {
            let mut errors = Vec::new();
            object.errors_of_statement(&mut errors);
            if !errors.is_empty() {
                self.backend.blame(id, errors).await;
            }
        }
        BoundChild::Layer(Box::new(Layer { positions, data }))
    }
}

enum Started<'x, B: Backend> {
    Bound(BoundChild<B>),
    Running(Boxed<'x, BoundChild<B>>),
}
