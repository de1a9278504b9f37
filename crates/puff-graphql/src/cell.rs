//! Cells as plain values, where a value tree is really wanted: for parameters and parents' values.

use crate::array::{ArrayEvent, ArrayReader};
use crate::rows::{CellType, Rows, ScalarType};
use crate::value::Value;

/// One cell as a value.
pub(crate) fn cell_value(rows: &impl Rows, row: usize, column: usize, kind: CellType) -> Value {
    let Some(text) = rows.cell(row, column) else {
        return Value::Null;
    };
    match kind {
        CellType::Scalar(kind) => scalar_value(text, kind),
        CellType::Array(kind) => array_value(text, kind).unwrap_or_else(|| text_value(text)),
    }
}

fn scalar_value(text: &[u8], kind: ScalarType) -> Value {
    let parsed = str::from_utf8(text).ok().and_then(|text| match kind {
        ScalarType::Bool => Some(Value::Bool(text == "t")),
        ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8 | ScalarType::Oid => {
            text.parse().ok().map(Value::Int)
        }
        ScalarType::Float4 | ScalarType::Float8 => text.parse().ok().map(Value::Float),
        ScalarType::Numeric if !text.contains(['N', 'I']) => Some(Value::Big(text.into())),
        ScalarType::Json => Some(Value::Json(text.into())),
        _ => None,
    });
    parsed.unwrap_or_else(|| text_value(text))
}

fn text_value(text: &[u8]) -> Value {
    Value::Str(String::from_utf8_lossy(text).into())
}

fn array_value(text: &[u8], kind: ScalarType) -> Option<Value> {
    let mut reader = ArrayReader::new(text).ok()?;
    let mut open: Vec<Vec<Value>> = Vec::new();
    let mut done = None;
    while let Some(event) = reader.next().ok()? {
        let item = match event {
            ArrayEvent::Open => {
                open.push(Vec::new());
                continue;
            }
            ArrayEvent::Close => Value::List(open.pop()?),
            ArrayEvent::Null => Value::Null,
            ArrayEvent::Item(text) => scalar_value(&text, kind),
        };
        match open.last_mut() {
            Some(list) => list.push(item),
            None => done = Some(item),
        }
    }
    done
}

/// The column of this name.
pub(crate) fn find_column(rows: &impl Rows, name: &str) -> Option<usize> {
    (0..rows.columns()).find(|&column| rows.column_name(column) == name)
}

/// The names of all columns, for messages.
pub(crate) fn column_names(rows: &impl Rows) -> String {
    (0..rows.columns())
        .map(|column| rows.column_name(column))
        .collect::<Vec<_>>()
        .join(", ")
}
