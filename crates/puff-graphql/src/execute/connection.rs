//! Connections: the rows of a page as edges, and what the statement says of all rows.

use std::sync::Arc;

use super::join::{Grouping, RowSet};
use crate::backend::Backend;
use crate::cell::find_column;
use crate::page::Page;
use crate::plan::{ObjectPlan, Output};
use crate::rows::Rows;
use crate::table::{Column, Nested, Slot, Table};
use crate::value::Value;

/// One connection for each of `places`, in the order of the parents.
pub(super) fn connections<B: Backend>(
    plan: &ObjectPlan,
    rows: &Arc<B::Rows>,
    grouping: &Grouping,
    places: usize,
    page: Page,
) -> Nested<B> {
    let facts = Facts::new(&**rows);
    let pages: Vec<Found> = (0..places)
        .map(|place| facts.read(&**rows, grouping.rows(place), page))
        .collect();
    let column = |(name, child): (&Arc<str>, &Option<usize>)| {
        let below = child.and_then(|number| match &plan.children[number].output {
            Output::Object(object) => Some(object),
            Output::Leaf(_) => None,
        });
        match (&**name, below) {
            ("edges" | "nodes", Some(_)) => Column::Rows {
                rows: rows.clone(),
                slots: pages.iter().map(Found::slot).collect(),
            },
            ("page_info", Some(object)) => Column::Objects(Nested {
                slots: (0..places as u32).map(Slot::Object).collect(),
                table: Arc::new(page_infos(object, &pages)),
            }),
            (_, Some(object)) => Column::Objects(Nested {
                slots: vec![Slot::Null; places],
                table: Arc::new(table(object, 0, |_| Column::Values(Vec::new()))),
            }),
            (name, None) => Column::Values(pages.iter().map(|page| page.value(name)).collect()),
        }
    };
    let columns = plan.attributes.iter().zip(&plan.nested).map(column).collect();
    Nested {
        slots: (0..places as u32).map(Slot::Object).collect(),
        table: Arc::new(Table {
            len: places,
            columns,
            objects: None,
            types: Vec::new(),
            json: None,
        }),
    }
}

fn page_infos<B: Backend>(plan: &ObjectPlan, pages: &[Found]) -> Table<B> {
    table(plan, pages.len(), |name| {
        Column::Values(pages.iter().map(|page| page.value(name)).collect())
    })
}

/// A table of plain values.
fn table<B: Backend>(plan: &ObjectPlan, len: usize, column: impl Fn(&str) -> Column<B>) -> Table<B> {
    Table {
        len,
        columns: plan.attributes.iter().map(|name| column(name)).collect(),
        objects: None,
        types: Vec::new(),
        json: None,
    }
}

/// The columns that say something of all rows.
struct Facts {
    aside: Option<usize>,
    before: Option<usize>,
    after: Option<usize>,
    total: Option<usize>,
    cursor: Option<usize>,
}

/// The page of one parent.
struct Found {
    rows: Vec<u32>,
    has_next: bool,
    has_previous: bool,
    total: Value,
    cursors: Option<(Value, Value)>,
}

impl Facts {
    fn new(rows: &impl Rows) -> Self {
        let column = |name| find_column(rows, name);
        Self {
            aside: column(Page::ASIDE),
            before: column(Page::BEFORE),
            after: column(Page::AFTER),
            total: column(Page::TOTAL),
            cursor: column(Page::CURSOR),
        }
    }

    fn read(&self, rows: &impl Rows, group: RowSet<'_>, page: Page) -> Found {
        let cell = |row, column: Option<usize>| rows.cell(row, column?);
        let is = |row, column| cell(row, column) == Some(b"t");
        let (mut shown, mut before, mut after) = (Vec::with_capacity(group.len()), false, false);
        let mut total = self.total.map_or(Value::Null, |_| Value::Int(0));
        for row in (0..group.len()).filter_map(|place| group.get(place)) {
            if !is(row, self.aside) {
                shown.push(row as u32);
            }
            before |= is(row, self.before);
            after |= is(row, self.after);
            let text = cell(row, self.total).and_then(|text| str::from_utf8(text).ok());
            if let Some(count) = text.and_then(|text| text.parse().ok()) {
                total = Value::Int(count);
            }
        }
        let more = shown.len() > page.size;
        shown.truncate(page.size);
        if page.backward {
            shown.reverse();
        }
        let cursor = |row: Option<&u32>| {
            let text = cell(*row? as usize, self.cursor)?;
            Some(Value::str(String::from_utf8_lossy(text)))
        };
        Found {
            has_next: after || (more && !page.backward),
            has_previous: before || (more && page.backward),
            total,
            cursors: cursor(shown.first()).zip(cursor(shown.last())),
            rows: shown,
        }
    }
}

impl Found {
    fn slot(&self) -> Slot {
        Slot::List(self.rows.iter().copied().map(Slot::Object).collect())
    }

    /// An attribute of the connection or of its page info.
    fn value(&self, name: &str) -> Value {
        let cursors = self.cursors.as_ref();
        match name {
            "total_count" => self.total.clone(),
            "has_next_page" => Value::Bool(self.has_next),
            "has_previous_page" => Value::Bool(self.has_previous),
            "start_cursor" => cursors.map_or(Value::Null, |(start, _)| start.clone()),
            "end_cursor" => cursors.map_or(Value::Null, |(_, end)| end.clone()),
            _ => Value::Null,
        }
    }
}
