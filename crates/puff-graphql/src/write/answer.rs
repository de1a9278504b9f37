//! The answer in one pass, depth first: values, nulls where something failed, errors beside them.

use super::errors::{FieldErrors, Path, Step};
use super::string::json_string;
use crate::backend::{Backend, Spread};
use crate::error::{FieldError, Location};
use crate::execute::Execution;
use crate::execute::bound::{Bound, BoundChild, BoundObject, Layer, LayerData, Objects};
use crate::execute::join::RowSet;
use crate::plan::{FieldPlan, ObjectPlan, Source};
use crate::rows::Rows;
use crate::table::{Column, Shape, Slot};
use crate::value::Value;

/// Something that must not be null is null, and its error is reported: the nearest place around it that may
/// be null becomes null.
pub(super) struct Null;

pub(super) type Written = Result<(), Null>;

/// Most bytes that are reserved because the last answer had so many: the next may be small.
const MAX_RESERVED: usize = 1 << 20;

/// Writes the whole answer; returns it with the number of errors.
pub(crate) fn write_answer<B: Backend>(
    execution: &Execution<'_, B>,
    root: &BoundObject<B>,
    introspected: &[(String, Vec<u8>)],
) -> (Vec<u8>, usize) {
    let expected = execution.plan.expected_bytes().min(MAX_RESERVED);
    let mut out = Vec::with_capacity(expected + expected / 8 + 64);
    out.extend_from_slice(b"{\"data\":");
    let start = out.len();
    let mut writer = Writer::new(execution, introspected, out);
    let root = Set {
        plan: &execution.plan.root,
        bound: root,
        view: 0,
    };
    let written = writer.object(root, 0, None);
    let Writer {
        mut out,
        mut errors,
        is_full,
        ..
    } = writer;
    if written.is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    if is_full {
        let message = format!(
            "the answer is larger than {} bytes",
            execution.options.max_response_bytes
        );
        errors.add(&FieldError::new("LIMIT_EXCEEDED", message), &[], None);
    }
    let count = errors.count();
    errors.finish(&mut out);
    out.push(b'}');
    execution.plan.answered(out.len());
    (out, count)
}

/// Whether a root field is null and may not be: then all data is null. `field` is its number in the plan.
///
/// That is known for certain only by writing it.
pub(crate) fn takes_all_data<B: Backend>(
    execution: &Execution<'_, B>,
    root: &BoundObject<B>,
    field: usize,
) -> bool {
    let plan = &execution.plan.root;
    let planned = plan.variants.first().and_then(|one| one.fields.get(field));
    let bound = root.variants.first().and_then(|one| one.fields.get(field));
    let (Some(field), Some(bound)) = (planned, bound) else {
        return false;
    };
    if field.shape.nullable() || execution.skips(field) {
        return false;
    }
    let path = Path {
        parent: None,
        step: Step::Key(&field.key),
    };
    let root = Set {
        plan,
        bound: root,
        view: 0,
    };
    Writer::new(execution, &[], Vec::new())
        .field(field, bound, root, 0, &path)
        .is_err()
}

/// The objects of one layer, as one view shows them.
struct Set<'w, B: Backend> {
    plan: &'w ObjectPlan,
    bound: &'w BoundObject<B>,
    view: usize,
}

impl<B: Backend> Clone for Set<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for Set<'_, B> {}

/// Writes one answer.
pub(super) struct Writer<'w, B: Backend> {
    execution: &'w Execution<'w, B>,
    introspected: &'w [(String, Vec<u8>)],
    pub(super) out: Vec<u8>,
    errors: FieldErrors,
    /// The answer has outgrown its limit: everything ends.
    is_full: bool,
}

impl<'w, B: Backend> Writer<'w, B> {
    fn new(execution: &'w Execution<'w, B>, introspected: &'w [(String, Vec<u8>)], out: Vec<u8>) -> Self {
        Self {
            execution,
            introspected,
            out,
            errors: FieldErrors::new(execution.options.max_errors),
            is_full: false,
        }
    }

    /// Runs `write`; if it ends in null and null is allowed here, takes back what it wrote.
    pub(super) fn guarded(&mut self, nullable: bool, write: impl FnOnce(&mut Self) -> Written) -> Written {
        let start = self.out.len();
        match write(self) {
            Err(Null) if nullable && !self.is_full => {
                self.out.truncate(start);
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            other => other,
        }
    }

    pub(super) fn null(&mut self, nullable: bool, field: &FieldPlan, path: &Path<'_>) -> Written {
        if nullable {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        let message = format!("{} must not be null", field.name);
        self.fail(&FieldError::new("NULL_VALUE", message), false, field, path)
    }

    #[cold]
    pub(super) fn fail(
        &mut self,
        error: &FieldError,
        nullable: bool,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Written {
        let locations = self.locations(field);
        self.errors.add(error, &locations, Some(path));
        if nullable {
            self.out.extend_from_slice(b"null");
            Ok(())
        } else {
            Err(Null)
        }
    }

    /// Where the document has a field, for these variables.
    fn locations(&self, field: &FieldPlan) -> Vec<Location> {
        let counts = field.locations.iter();
        let counts = counts.filter(|(condition, _)| self.execution.holds(*condition));
        counts.map(|(_, place)| *place).collect()
    }

    /// Says why there is no object where one is to be; at the root there is no place to name.
    #[cold]
    fn no_object(&mut self, error: &FieldError, place: Option<(&FieldPlan, &Path<'_>)>) -> Written {
        let locations = place.map(|(field, _)| self.locations(field));
        let path = place.map(|(_, path)| path);
        self.errors.add(error, &locations.unwrap_or_default(), path);
        Err(Null)
    }

    fn object(&mut self, set: Set<'_, B>, index: usize, place: Option<(&FieldPlan, &Path<'_>)>) -> Written {
        if self.out.len() > self.execution.options.max_response_bytes {
            self.is_full = true;
            return Err(Null);
        }
        let Set { plan, bound, view } = set;
        let Some(kind) = bound.kinds.of(&bound.source, index) else {
            return self.no_object(&bound.kinds.unknown(plan, &bound.source, index), place);
        };
        if let Some(error) = bound.permits.as_ref().and_then(|permits| permits.kind(kind)) {
            return self.no_object(error, place);
        }
        let variant = plan.variant(view, kind);
        let (Some(variant), Some(bounds)) = (plan.variants.get(variant), bound.variants.get(variant)) else {
            return Err(Null);
        };
        self.out.push(b'{');
        let mut is_first = true;
        let count = bounds.order.as_ref().map_or(variant.fields.len(), Vec::len);
        for place_in_order in 0..count {
            let number = bounds
                .order
                .as_ref()
                .map_or(place_in_order, |order| order[place_in_order]);
            let field = &variant.fields[number];
            if self.execution.skips(field) {
                continue;
            }
            if !is_first {
                self.out.push(b',');
            }
            is_first = false;
            self.out.extend_from_slice(&field.key_json);
            let path = Path {
                parent: place.map(|(_, path)| path),
                step: Step::Key(&field.key),
            };
            self.field(field, &bounds.fields[number], set, index, &path)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn field(
        &mut self,
        field: &FieldPlan,
        bound: &Bound,
        owners: Set<'_, B>,
        index: usize,
        path: &Path<'_>,
    ) -> Written {
        if let (Some(permission), Some(permits)) = (field.permission, &owners.bound.permits)
            && let Some(error) = permits.field(permission, index)
        {
            return self.fail(error, field.shape.nullable(), field, path);
        }
        match (bound, &owners.bound.source) {
            (Bound::Cell { column, writer }, Objects::Rows(rows)) => {
                self.cell(rows.cell(index, *column), writer, &field.shape, field, path)
            }
            (Bound::Typename, _) => {
                json_string(&mut self.out, field.name.type_name.as_bytes());
                Ok(())
            }
            (Bound::Introspected, _) => {
                let found = self.introspected.iter().find(|(key, _)| **key == *field.key);
                self.out
                    .extend_from_slice(found.map_or(b"null", |(_, json)| json));
                Ok(())
            }
            (Bound::Constant, _) => {
                if let Source::Constant(json) = &field.source {
                    self.out.extend_from_slice(json);
                }
                Ok(())
            }
            (Bound::Values { column }, Objects::Table(table)) => {
                let value = table
                    .values(*column)
                    .and_then(|values| values.get(index))
                    .unwrap_or(&Value::Null);
                self.value(value, &field.shape, field, path)
            }
            (Bound::Converted { number }, _) => {
                let shape = &field.shape;
                match owners.bound.conversions.get(*number).map(|column| &column.values) {
                    Some(Ok(values)) => {
                        self.value(values.get(index).unwrap_or(&Value::Null), shape, field, path)
                    }
                    Some(Err(error)) => self.fail(error, shape.nullable(), field, path),
                    None => self.null(shape.nullable(), field, path),
                }
            }
            (Bound::Child, _) => self.child(field, owners, index, path),
            (Bound::Failed(error), _) => self.fail(error, field.shape.nullable(), field, path),
            _ => self.null(field.shape.nullable(), field, path),
        }
    }

    fn child(&mut self, field: &FieldPlan, owners: Set<'_, B>, index: usize, path: &Path<'_>) -> Written {
        let nullable = field.shape.nullable();
        let Source::Child { number, view } = field.source else {
            return self.null(nullable, field, path);
        };
        let plan = owners.plan.children[number].output.object();
        match (&owners.bound.children[number], &owners.bound.source) {
            (BoundChild::Layer(layer), _) => {
                self.layer(field, layer, (plan, view), layer.positions.get(index), path)
            }
            (BoundChild::Nested { column, object }, Objects::Table(table)) => {
                let slots = table.columns.get(*column).and_then(Column::slots);
                let slot = slots.and_then(|slots| slots.get(index)).unwrap_or(&Slot::Null);
                let set = plan.map(|plan| Set {
                    plan,
                    bound: &**object,
                    view,
                });
                set.map_or(Err(Null), |set| self.slot(slot, set, &field.shape, field, path))
            }
            (BoundChild::InColumn { slots, object }, _) => {
                let slot = slots.get(index).unwrap_or(&Slot::Null);
                let set = plan.map(|plan| Set {
                    plan,
                    bound: &**object,
                    view,
                });
                set.map_or(Err(Null), |set| self.slot(slot, set, &field.shape, field, path))
            }
            (BoundChild::Failed(error), _) => self.fail(error, nullable, field, path),
            _ => self.null(nullable, field, path),
        }
    }

    fn layer(
        &mut self,
        field: &FieldPlan,
        layer: &Layer<B>,
        (plan, view): (Option<&ObjectPlan>, usize),
        position: usize,
        path: &Path<'_>,
    ) -> Written {
        let place = |spread: &Spread| if *spread == Spread::Shared { 0 } else { position };
        match (&layer.data, plan) {
            (LayerData::Values { values, spread }, _) => self.value(
                values.get(place(spread)).unwrap_or(&Value::Null),
                &field.shape,
                field,
                path,
            ),
            (
                LayerData::Objects {
                    slots,
                    spread,
                    object: bound,
                },
                Some(plan),
            ) => {
                let slot = slots.get(place(spread)).unwrap_or(&Slot::Null);
                self.slot(slot, Set { plan, bound, view }, &field.shape, field, path)
            }
            (
                LayerData::Rows {
                    grouping,
                    object: bound,
                },
                Some(plan),
            ) => {
                let set = Set { plan, bound, view };
                self.rows(grouping.rows(position), field, path, |writer, row, path| {
                    writer.object(set, row, Some((field, path)))
                })
            }
            (
                LayerData::Column {
                    rows,
                    grouping,
                    column,
                    writer: cells,
                },
                _,
            ) => {
                let shape = field.shape.item();
                self.rows(grouping.rows(position), field, path, |writer, row, path| {
                    writer.cell(rows.cell(row, *column), cells, shape, field, path)
                })
            }
            (LayerData::Converted { grouping, values }, _) => {
                let shape = field.shape.item();
                self.rows(grouping.rows(position), field, path, |writer, row, path| {
                    writer.value(values.get(row).unwrap_or(&Value::Null), shape, field, path)
                })
            }
            (_, None) => Err(Null),
        }
    }

    /// The rows of one parent: a list, or the first of them.
    fn rows(
        &mut self,
        rows: RowSet<'_>,
        field: &FieldPlan,
        path: &Path<'_>,
        write: impl Fn(&mut Self, usize, &Path<'_>) -> Written,
    ) -> Written {
        match &field.shape {
            Shape::List { nullable, item } => self.guarded(*nullable, |writer| {
                writer.list(rows.len(), path, |writer, place, path| match rows.get(place) {
                    Some(row) => writer.guarded(item.nullable(), |writer| write(writer, row, path)),
                    None => writer.null(item.nullable(), field, path),
                })
            }),
            Shape::One { nullable } => match rows.get(0) {
                Some(row) => self.guarded(*nullable, |writer| write(writer, row, path)),
                None => self.null(*nullable, field, path),
            },
        }
    }

    pub(super) fn list(
        &mut self,
        len: usize,
        path: &Path<'_>,
        item: impl Fn(&mut Self, usize, &Path<'_>) -> Written,
    ) -> Written {
        self.out.push(b'[');
        for place in 0..len {
            if place > 0 {
                self.out.push(b',');
            }
            item(
                self,
                place,
                &Path {
                    parent: Some(path),
                    step: Step::Index(place),
                },
            )?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn slot(
        &mut self,
        slot: &Slot,
        objects: Set<'_, B>,
        shape: &Shape,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Written {
        let nullable = shape.nullable();
        match (slot, shape) {
            (Slot::Null, _) => self.null(nullable, field, path),
            (Slot::Error(error), _) => self.fail(error, nullable, field, path),
            (Slot::Object(index), Shape::One { .. }) => self.guarded(nullable, |writer| {
                writer.object(objects, *index as usize, Some((field, path)))
            }),
            (Slot::Range { start, end }, Shape::List { item, .. }) if item.list_depth() == 0 => {
                self.guarded(nullable, |writer| {
                    writer.list((end - start) as usize, path, |writer, place, path| {
                        let index = *start as usize + place;
                        writer.guarded(item.nullable(), |writer| {
                            writer.object(objects, index, Some((field, path)))
                        })
                    })
                })
            }
            (Slot::List(items), Shape::List { item, .. }) => self.guarded(nullable, |writer| {
                writer.list(items.len(), path, |writer, place, path| {
                    writer.slot(&items[place], objects, item, field, path)
                })
            }),
            (Slot::Object(_), Shape::List { .. }) => {
                self.mismatch(field, "a list", "a single object", shape, path)
            }
            (Slot::Range { .. } | Slot::List(_), _) => {
                self.mismatch(field, "a single object", "a list", shape, path)
            }
        }
    }

    #[cold]
    pub(super) fn mismatch(
        &mut self,
        field: &FieldPlan,
        wanted: &str,
        got: &str,
        shape: &Shape,
        path: &Path<'_>,
    ) -> Written {
        let message = format!("{}: expected {wanted}, got {got}", field.name);
        self.fail(
            &FieldError::new("BAD_RESULT", message),
            shape.nullable(),
            field,
            path,
        )
    }
}
