//! One layer: its resolver is asked, its statement runs, its rows are sorted to the parents.

use std::sync::Arc;
use std::time::Instant;

use super::Execution;
use super::bound::{LayerData, Objects, check_table, fits_rows, misfit, value_column};
use super::connection::connections;
use super::join::{Grouping, group};
use super::reach::{Live, Owners};
use crate::backend::{
    Backend, Call, Cells, Indexes, ParentSource, Parents, Resolved, Spread, SqlResult, Statement,
};
use crate::error::FieldError;
use crate::plan::{Child, ObjectPlan, Output, PlannedResolver, ResolverPlan};
use crate::rows::Rows;
use crate::schema::{SqlParam, SqlResolver};
use crate::table::{Nested, Selection, Shape, Slot, Table};
use crate::trace::LayerTrace;
use crate::value::{Arguments, Value};
use crate::write::cell::CellWriter;

/// Whom a layer is solved for.
pub(super) struct Asked<B: Backend> {
    /// `None` at a root.
    pub(super) parents: Option<Parents<B>>,
    pub(super) owners: Owners,
}

/// What came of a resolver, before the fields of its objects are bound.
pub(super) enum Solved<'x, B: Backend> {
    Leaves(LayerData<B>),
    Slots {
        plan: &'x ObjectPlan,
        table: Arc<Table<B>>,
        live: Live,
        slots: Vec<Slot>,
        spread: Spread,
    },
    Rows {
        plan: &'x ObjectPlan,
        rows: Arc<B::Rows>,
        live: Live,
        grouping: Grouping,
    },
}

/// Those objects of a source as parents.
pub(super) fn parents<B: Backend>(
    plan: &ObjectPlan,
    source: &Objects<B>,
    indexes: &Indexes,
) -> Option<Parents<B>> {
    let source = match source {
        Objects::Root => return None,
        Objects::Rows(rows) => ParentSource::Rows(rows.clone()),
        Objects::Table(table) => ParentSource::Table {
            table: table.clone(),
            attributes: plan.attributes.clone(),
        },
    };
    Some(Parents::new(source, indexes.clone()))
}

impl<'x, B: Backend> Execution<'x, B> {
    /// Asks the resolver, runs its statement, groups the rows.
    pub(super) async fn solve(
        &'x self,
        child: &'x Child,
        resolver: &'x ResolverPlan,
        asked: Asked<B>,
    ) -> Result<Solved<'x, B>, FieldError> {
        let Some(recorder) = &self.recorder else {
            return self.ask(child, resolver, asked, &mut None).await;
        };
        let parents = asked.parents.as_ref().map(Parents::len);
        let mut trace = Some(recorder.begin(self.backend, child, resolver, parents));
        let result = self.ask(child, resolver, asked, &mut trace).await;
        if let Some(mut trace) = trace {
            trace.error = result.as_ref().err().map(|error| error.message.clone());
            recorder.end(trace);
        }
        result
    }

    async fn ask(
        &'x self,
        child: &'x Child,
        resolver: &'x ResolverPlan,
        asked: Asked<B>,
        trace: &mut Option<LayerTrace>,
    ) -> Result<Solved<'x, B>, FieldError> {
        let arguments = resolver.arguments.evaluate(&self.variables)?;
        let resolved = match &resolver.kind {
            PlannedResolver::Sql(sql) => match self.constant(sql, &arguments, asked.parents.as_ref()) {
                Ok(statement) => Resolved::Sql(statement),
                Err(error) => return Err(self.blamed(resolver, error).await),
            },
            PlannedResolver::Call(id) => match self.take_event() {
                Some(event) => event?,
                None => {
                    let call = Call {
                        id: *id,
                        context: self.context.clone(),
                        arguments,
                        parents: asked.parents.clone(),
                        wanted: resolver.wanted.clone(),
                        selection: Selection {
                            wanted: resolver.wanted.clone(),
                            flags: self.flags.clone(),
                        },
                        field: child.name.clone(),
                        is_mutation: self.plan.is_mutation,
                    };
                    let start = trace.is_some().then(Instant::now);
                    let resolved = self.backend.resolve(call).await;
                    if let (Some(trace), Some(start)) = (trace.as_mut(), start) {
                        trace.resolve = start.elapsed();
                    }
                    resolved?
                }
            },
        };
        let places = asked.owners.indexes.len();
        let check = |got: usize, spread: Spread| match spread {
            Spread::Shared if got == 1 => Ok(()),
            Spread::PerParent if got == places => Ok(()),
            Spread::Shared => Err(misfit(
                &child.name,
                &format!("{got} values where one is shared by all parents"),
            )),
            Spread::PerParent => Err(misfit(&child.name, &format!("{got} values for {places} parents"))),
        };
        let mut count = |rows: usize| {
            if let Some(trace) = trace {
                trace.rows = rows;
            }
            self.limit(child, rows)
        };
        match resolved {
            Resolved::Values { values, spread } => {
                check(values.len(), spread)?;
                count(values.len())?;
                match child.output {
                    Output::Leaf(_) => Ok(Solved::Leaves(LayerData::Values { values, spread })),
                    Output::Object(_) => Err(misfit(&child.name, "plain values for a field of objects")),
                }
            }
            Resolved::Objects { objects, spread } => {
                check(objects.slots.len(), spread)?;
                check_table(child, &objects)?;
                count(objects.table.len)?;
                slots(child, objects, spread, &asked.owners)
            }
            Resolved::Sql(result) => match self.statement(child, result, asked, trace).await {
                Err(error) => Err(self.blamed(resolver, error).await),
                solved => solved,
            },
        }
    }

    /// The error of a statement, which its author is told of if he has to mend it.
    async fn blamed(&self, resolver: &ResolverPlan, mut error: FieldError) -> FieldError {
        if let Some(id) = resolver.kind.id().filter(|_| error.is_of_statement()) {
            self.backend.blame(id, vec![&mut error]).await;
        }
        error
    }

    async fn statement(
        &'x self,
        child: &'x Child,
        result: SqlResult<B>,
        asked: Asked<B>,
        trace: &mut Option<LayerTrace>,
    ) -> Result<Solved<'x, B>, FieldError> {
        fits_rows(child)?;
        let SqlResult {
            statement,
            join,
            parent_values,
            page,
        } = result;
        if let Some(trace) = trace {
            trace.statement(self.backend, &statement.sql, &statement.params);
        }
        let start = trace.is_some().then(Instant::now);
        let loaded = self.backend.load(&self.context, statement).await;
        if let (Some(trace), Some(start)) = (trace.as_mut(), start) {
            trace.load = start.elapsed();
        }
        let rows = match (loaded, page) {
            (Err(error), Some(page)) if page.from_cursor && is_bad_value(&error) => {
                let message = "the cursor holds a value that does not fit the order of the connection";
                return Err(FieldError::new("BAD_USER_INPUT", message));
            }
            (loaded, _) => Arc::new(loaded?),
        };
        if let Some(trace) = trace {
            trace.rows = rows.len();
        }
        self.limit(child, rows.len())?;
        let grouping = match (&join, &asked.parents) {
            (Some(join), Some(parents)) => {
                group(&*rows, parents, join, parent_values.as_deref()).map_err(|mut error| {
                    error.message = format!("{}: {}", child.name, error.message);
                    error
                })?
            }
            _ => Grouping::Shared(rows.len()),
        };
        let is_list = matches!(child.shape, Shape::List { .. });
        if let (Some(page), Output::Object(plan)) = (page, &child.output) {
            let (places, spread) = match grouping {
                Grouping::Shared(_) => (1, Spread::Shared),
                Grouping::Grouped { .. } => (asked.owners.indexes.len(), Spread::PerParent),
            };
            let found = connections(plan, &rows, &grouping, places, page);
            return slots(child, found, spread, &asked.owners);
        }
        match &child.output {
            Output::Object(plan) => {
                let live = if asked.owners.views.is_empty() {
                    Live::One(grouping.live(rows.len(), is_list))
                } else {
                    let views = asked.owners.views.iter();
                    let live = views.map(|positions| grouping.live_of(positions, rows.len(), is_list));
                    Live::Views(live.collect())
                };
                Ok(Solved::Rows {
                    plan,
                    rows,
                    live,
                    grouping,
                })
            }
            Output::Leaf(leaf) => {
                let keys = join.map(|join| join.child_keys).unwrap_or_default();
                let column = value_column::<B>(child, &rows, &keys)
                    .ok_or_else(|| misfit(&child.name, "a statement without a column for the value"))?;
                let shape = match &child.shape {
                    Shape::List { item, .. } => item,
                    one => one,
                };
                if let Some(scalar) = leaf.converted() {
                    let cells = Cells {
                        scalar: scalar.clone(),
                        rows,
                        column,
                        list_depth: shape.list_depth(),
                        field: child.name.clone(),
                    };
                    let values = self.convert(cells).await?;
                    return Ok(Solved::Leaves(LayerData::Converted { grouping, values }));
                }
                let writer =
                    CellWriter::new(leaf, shape, rows.column_type(column), rows.column_name(column))?;
                Ok(Solved::Leaves(LayerData::Column {
                    rows,
                    grouping,
                    column,
                    writer,
                }))
            }
        }
    }

    fn limit(&self, child: &Child, rows: usize) -> Result<(), FieldError> {
        let most = self.options.max_rows;
        if rows > most {
            let message = format!("{}: the result has {rows} rows; {most} are allowed", child.name);
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
            page: None,
        })
    }
}

/// Objects in slots, of which those count that owners can reach.
fn slots<'x, B: Backend>(
    child: &'x Child,
    objects: Nested<B>,
    spread: Spread,
    owners: &Owners,
) -> Result<Solved<'x, B>, FieldError> {
    let Output::Object(plan) = &child.output else {
        return Err(misfit(&child.name, "objects for a leaf"));
    };
    let live = if owners.views.is_empty() {
        Live::One(Indexes::All(objects.table.len))
    } else {
        let place = |position| if spread == Spread::Shared { 0 } else { position };
        owners.reach(objects.table.len, |position| objects.slots.get(place(position)))
    };
    Ok(Solved::Slots {
        plan,
        table: objects.table,
        live,
        slots: objects.slots,
        spread,
    })
}

/// Whether a statement failed because a parameter is no value of its type.
fn is_bad_value(error: &FieldError) -> bool {
    error.extensions.iter().any(|(name, value)| {
        let is_class_of_data = |state: &str| state.starts_with("22");
        name == "sqlstate" && value.as_str().is_some_and(is_class_of_data)
    })
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
