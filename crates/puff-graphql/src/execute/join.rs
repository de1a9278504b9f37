//! Which rows belong to which parent: grouping by typed keys.

use std::borrow::Cow;
use std::fmt::Write;

use hashbrown::HashMap;

use crate::backend::{Backend, Indexes, Join, ParentSource, Parents};
use crate::cell::{column_names, find_column};
use crate::error::FieldError;
use crate::rows::{CellType, Rows, ScalarType};
use crate::table::AttributeValues;
use crate::value::Value;

const NONE: u32 = u32::MAX;

/// The rows of each parent, by the parent's position.
#[derive(Debug)]
pub(crate) enum Grouping {
    /// Each parent has all rows.
    Shared(usize),
    /// Rows sorted by group, and each parent's group.
    Grouped {
        group_of_parent: Vec<u32>,
        offsets: Vec<u32>,
        order: Vec<u32>,
    },
}

/// The rows of one parent.
#[derive(Clone, Copy)]
pub(crate) enum RowSet<'g> {
    First(usize),
    These(&'g [u32]),
}

impl RowSet<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::First(len) => len,
            Self::These(rows) => rows.len(),
        }
    }

    pub(crate) fn get(self, place: usize) -> Option<usize> {
        match self {
            Self::First(len) => (place < len).then_some(place),
            Self::These(rows) => rows.get(place).map(|row| *row as usize),
        }
    }
}

impl Grouping {
    /// The rows of the parent at `position`.
    pub(crate) fn rows(&self, position: usize) -> RowSet<'_> {
        match self {
            Self::Shared(len) => RowSet::First(*len),
            Self::Grouped {
                group_of_parent,
                offsets,
                order,
            } => {
                let group = group_of_parent.get(position).copied().unwrap_or(NONE) as usize;
                match (offsets.get(group), offsets.get(group.wrapping_add(1))) {
                    (Some(start), Some(end)) => RowSet::These(&order[*start as usize..*end as usize]),
                    _ => RowSet::These(&[]),
                }
            }
        }
    }

    /// The rows that belong to any parent; only the first of each parent where the field is not a list.
    pub(crate) fn live(&self, rows: usize, is_list: bool) -> Indexes {
        let mut live = match self {
            Self::Shared(len) if is_list => return Indexes::All(*len),
            Self::Shared(len) if *len <= 1 => return Indexes::All(*len),
            Self::Shared(_) => vec![0],
            Self::Grouped { order, .. } if is_list => order.clone(),
            Self::Grouped { offsets, order, .. } => offsets
                .windows(2)
                .filter(|range| range[0] < range[1])
                .map(|range| order[range[0] as usize])
                .collect(),
        };
        if live.len() == rows {
            return Indexes::All(rows);
        }
        live.sort_unstable();
        Indexes::Some(live.into())
    }

    /// The rows that belong to the parents at `positions`, likewise.
    pub(crate) fn live_of(&self, positions: &[u32], rows: usize, is_list: bool) -> Indexes {
        if let Self::Shared(_) = self {
            return match positions {
                [] => Indexes::All(0),
                _ => self.live(rows, is_list),
            };
        }
        let mut is_live = vec![false; rows];
        for position in positions {
            let found = self.rows(*position as usize);
            let most = if is_list { found.len() } else { 1 };
            for row in (0..most).map_while(|place| found.get(place)) {
                is_live[row] = true;
            }
        }
        Indexes::of(&is_live)
    }
}

/// Groups rows by the parents they join to.
///
/// # Errors
/// When a key column is missing on either side, or the types of two key columns cannot be equal.
pub(crate) fn group<B: Backend>(
    rows: &B::Rows,
    parents: &Parents<B>,
    join: &Join,
    parent_values: Option<&[Vec<Value>]>,
) -> Result<Grouping, FieldError> {
    if join.parent_keys.is_empty() || join.parent_keys.len() != join.child_keys.len() {
        let (parent, child) = (join.parent_keys.len(), join.child_keys.len());
        let message =
            format!("a join needs as many parent keys as child keys, at least one; got {parent} and {child}");
        return Err(FieldError::new("BAD_JOIN", message));
    }
    let mut sides = Vec::with_capacity(join.child_keys.len());
    for (number, (parent_key, child_key)) in join.parent_keys.iter().zip(&join.child_keys).enumerate() {
        let column = find_column(rows, child_key).ok_or_else(|| {
            missing(format!(
                "the SQL result has no join column `{child_key}` (columns: {})",
                column_names(rows)
            ))
        })?;
        let child = Keys {
            cells: Cells::Rows { rows, column },
            form: Form::Raw,
        };
        let parent = parent_keys(
            parents,
            parent_key,
            parent_values.and_then(|lists| lists.get(number)),
        )?;
        sides.push(matched(
            parent,
            parent_key,
            child,
            child_key,
            rows.column_type(column),
        )?);
    }

    let mut groups: HashMap<Cow<'_, [u8]>, u32> = HashMap::with_capacity(parents.len());
    let mut group_of_parent = vec![NONE; parents.len()];
    for (position, index) in parents.indexes().enumerate() {
        // Rows are found by their number in the source, listed values by the parent's position.
        if let Some(key) = key(sides.iter().map(|side| side.0.read(index, position))) {
            let next = groups.len() as u32;
            group_of_parent[position] = *groups.entry(key).or_insert(next);
        }
    }
    let mut offsets = vec![0_u32; groups.len() + 1];
    let mut group_of_row = vec![NONE; rows.len()];
    // Rows often come sorted by their key: then the row before says which group it is.
    let mut last: Option<(Cow<'_, [u8]>, Option<u32>)> = None;
    for (row, place) in group_of_row.iter_mut().enumerate() {
        let Some(key) = key(sides.iter().map(|side| side.1.read(row, row))) else {
            continue;
        };
        let group = match &last {
            Some((same, group)) if *same == key => *group,
            _ => {
                let group = groups.get(&key).copied();
                last = Some((key, group));
                group
            }
        };
        if let Some(group) = group {
            *place = group;
            offsets[group as usize + 1] += 1;
        }
    }
    for group in 1..offsets.len() {
        offsets[group] += offsets[group - 1];
    }
    let mut next = offsets.clone();
    let mut order = vec![0; offsets[groups.len()] as usize];
    for (row, &group) in group_of_row.iter().enumerate() {
        if group != NONE {
            order[next[group as usize] as usize] = row as u32;
            next[group as usize] += 1;
        }
    }
    Ok(Grouping::Grouped {
        group_of_parent,
        offsets,
        order,
    })
}

fn missing(message: String) -> FieldError {
    FieldError::new("MISSING_COLUMN", message)
}

/// The cells of one key column of one side.
struct Keys<'k, R> {
    cells: Cells<'k, R>,
    form: Form,
}

enum Cells<'k, R> {
    Rows { rows: &'k R, column: usize },
    Values(&'k [Value]),
    Attribute(AttributeValues<'k>),
}

/// How the text of a cell becomes a key, so that equal values have equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Raw,
    Number,
    Trimmed,
}

impl<R: Rows> Keys<'_, R> {
    /// The key of one parent or row; `None` for null, which equals nothing.
    fn read(&self, index: usize, position: usize) -> Option<Cow<'_, [u8]>> {
        let text = match &self.cells {
            Cells::Rows { rows, column } => Cow::Borrowed(rows.cell(index, *column)?),
            Cells::Values(values) => value_text(values.get(position)?)?,
            Cells::Attribute(values) => value_text(values.get(index))?,
        };
        Some(match self.form {
            Form::Raw => text,
            Form::Number => Cow::Owned(canonical_number(&text)),
            Form::Trimmed => match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_end()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii_end().to_vec()),
            },
        })
    }
}

/// One key of several parts; `None` if a part is null.
fn key<'k>(mut parts: impl ExactSizeIterator<Item = Option<Cow<'k, [u8]>>>) -> Option<Cow<'k, [u8]>> {
    if parts.len() == 1 {
        return parts.next().flatten();
    }
    let mut whole = Vec::with_capacity(parts.len() * 16);
    for part in parts {
        let part = part?;
        whole.extend_from_slice(&(part.len() as u64).to_le_bytes());
        whole.extend_from_slice(&part);
    }
    Some(Cow::Owned(whole))
}

fn parent_keys<'k, B: Backend>(
    parents: &'k Parents<B>,
    name: &str,
    listed: Option<&'k Vec<Value>>,
) -> Result<(Keys<'k, B::Rows>, Option<CellType>), FieldError> {
    let (cells, kind) = match parents.source() {
        ParentSource::Rows(rows) => {
            let column = find_column(&**rows, name).ok_or_else(|| {
                missing(format!(
                    "the parents have no join column `{name}` (columns: {})",
                    column_names(&**rows)
                ))
            })?;
            (
                Cells::Rows {
                    rows: &**rows,
                    column,
                },
                Some(rows.column_type(column)),
            )
        }
        ParentSource::Table { table, attributes } => match listed {
            Some(values) if values.len() == parents.len() => (Cells::Values(values), None),
            Some(values) => {
                let (got, wanted) = (values.len(), parents.len());
                let message = format!("the join has {got} values of `{name}` for {wanted} parents");
                return Err(FieldError::new("BAD_JOIN", message));
            }
            None => match table.attribute(attributes, name) {
                Some(values) => (Cells::Attribute(values), None),
                None => {
                    let message = format!(
                        "the parents have no join attribute `{name}` (read: {})",
                        attributes.join(", ")
                    );
                    return Err(missing(message));
                }
            },
        },
    };
    Ok((
        Keys {
            cells,
            form: Form::Raw,
        },
        kind,
    ))
}

/// The two sides of one key in the same form.
fn matched<'k, R: Rows>(
    (mut parent, parent_type): (Keys<'k, R>, Option<CellType>),
    parent_key: &str,
    mut child: Keys<'k, R>,
    child_key: &str,
    child_type: CellType,
) -> Result<(Keys<'k, R>, Keys<'k, R>), FieldError> {
    let parent_kind = class(parent_type.unwrap_or(child_type));
    let child_kind = class(child_type);
    let comparable = parent_kind == child_kind || !(parent_kind.is_strict() || child_kind.is_strict());
    if let (false, Some(parent_type)) = (comparable, parent_type) {
        let message = format!(
            "the join columns cannot be equal: `{parent_key}` of the parents is {parent_type}, \
             `{child_key}` of the SQL result is {child_type}"
        );
        return Err(FieldError::new("BAD_JOIN", message));
    }
    let whole = |kind: Option<CellType>| kind.is_some_and(is_whole);
    let is = |wanted: ScalarType| [parent_type, Some(child_type)].contains(&Some(CellType::Scalar(wanted)));
    let form = if child_kind == Class::Number && !(whole(parent_type) && whole(Some(child_type))) {
        Form::Number
    } else if is(ScalarType::Bpchar) {
        Form::Trimmed
    } else {
        Form::Raw
    };
    parent.form = form;
    child.form = form;
    Ok((parent, child))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Number,
    Bool,
    /// PostgreSQL prints equal values as equal text.
    Text,
}

impl Class {
    fn is_strict(self) -> bool {
        self != Self::Text
    }
}

fn class(kind: CellType) -> Class {
    use ScalarType as S;
    match kind {
        CellType::Scalar(S::Int2 | S::Int4 | S::Int8 | S::Oid | S::Float4 | S::Float8 | S::Numeric) => {
            Class::Number
        }
        CellType::Scalar(S::Bool) => Class::Bool,
        _ => Class::Text,
    }
}

/// Whole numbers have one text each.
fn is_whole(kind: CellType) -> bool {
    use ScalarType as S;
    matches!(kind, CellType::Scalar(S::Int2 | S::Int4 | S::Int8 | S::Oid))
}

/// A plain value in PostgreSQL's text form; `None` for null and for what is no key.
fn value_text(value: &Value) -> Option<Cow<'_, [u8]>> {
    Some(match value {
        Value::Bool(value) => Cow::Borrowed(if *value { b"t" } else { b"f" }),
        Value::Int(value) => Cow::Owned(itoa::Buffer::new().format(*value).as_bytes().to_vec()),
        Value::Float(value) => Cow::Owned(value.to_string().into_bytes()),
        Value::Str(text) | Value::Big(text) | Value::Json(text) => Cow::Borrowed(text.as_bytes()),
        Value::Null | Value::List(_) | Value::Object(_) | Value::Host(_) | Value::Error(_) => return None,
    })
}

/// One text for each number: sign, digits without zeros at the ends, and exponent.
fn canonical_number(text: &[u8]) -> Vec<u8> {
    let (negative, unsigned) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let split = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = unsigned.split_at(split.unwrap_or(unsigned.len()));
    let exponent = exponent
        .get(1..)
        .and_then(|digits| str::from_utf8(digits).ok())
        .unwrap_or("0");
    let Ok(mut exponent) = exponent.parse::<i64>() else {
        return text.to_vec();
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return text.to_vec();
    }
    exponent = exponent.saturating_sub(fraction.len() as i64);
    let mut digits: Vec<u8> = whole
        .iter()
        .chain(fraction)
        .copied()
        .skip_while(|digit| *digit == b'0')
        .collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent = exponent.saturating_add(1);
    }
    if digits.is_empty() {
        return b"0".to_vec();
    }
    let mut canonical = String::with_capacity(digits.len() + 8);
    if negative {
        canonical.push('-');
    }
    canonical.push_str(&String::from_utf8_lossy(&digits));
    // Writing to a string cannot fail.
    let _ = write!(canonical, "e{exponent}");
    canonical.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::canonical_number;

    #[test]
    fn equal_numbers_have_one_text() {
        let same = |a: &str, b: &str| {
            assert_eq!(
                canonical_number(a.as_bytes()),
                canonical_number(b.as_bytes()),
                "{a} and {b}"
            );
        };
        for (a, b) in [
            ("1", "1.00"),
            ("100", "1e+2"),
            ("0", "-0.000"),
            ("-1.50", "-1.5"),
            ("0.010", "1e-2"),
        ] {
            same(a, b);
        }
        assert_ne!(canonical_number(b"1"), canonical_number(b"-1"));
        assert_ne!(canonical_number(b"1"), canonical_number(b"10"));
        for odd in [
            "NaN",
            "Infinity",
            "",
            "-",
            "1.2.3",
            "e5",
            "1e99999999999999999999",
        ] {
            let _ = canonical_number(odd.as_bytes());
        }
        assert_ne!(canonical_number(b"NaN"), canonical_number(b"Infinity"));
    }
}
