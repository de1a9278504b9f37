//! What a query will do: layers, resolvers, statements.

use std::fmt;
use std::sync::Arc;

use crate::backend::FieldName;

/// The layers of an operation, before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanDescription {
    /// `query`, `mutation` or `subscription`.
    pub operation: &'static str,
    /// The root fields that have resolvers.
    pub layers: Vec<PlannedLayer>,
}

/// One layer: a field with a resolver, at one place of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedLayer {
    /// Where: response names joined by dots, `[]` after a list.
    pub path: String,
    /// The field.
    pub field: FieldName,
    /// The statement, if it is written down in the schema.
    pub sql: Option<Arc<str>>,
    /// The columns or attributes that the answer reads from each object.
    pub columns: Vec<Arc<str>>,
    /// The layers below.
    pub layers: Vec<PlannedLayer>,
}

impl fmt::Display for PlanDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.operation)?;
        self.layers.iter().try_for_each(|layer| layer.print(f, 1))
    }
}

impl PlannedLayer {
    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        write!(f, "{indent}{}  <- {}", self.path, self.field)?;
        if !self.columns.is_empty() {
            write!(f, "  ({})", self.columns.join(", "))?;
        }
        writeln!(f)?;
        if let Some(sql) = &self.sql {
            print_sql(f, sql, depth * 2 + 4)?;
        }
        self.layers.iter().try_for_each(|layer| layer.print(f, depth + 1))
    }
}

/// A statement, indented as a whole: its own first-level indentation and blank edges are taken away.
pub(crate) fn print_sql(f: &mut fmt::Formatter<'_>, sql: &str, indent: usize) -> fmt::Result {
    let lines: Vec<&str> = sql.trim_matches('\n').trim_end().lines().collect();
    let margin = |line: &&str| line.len() - line.trim_start().len();
    let inner = lines.iter().skip(usize::from(!sql.starts_with('\n')));
    let common = inner
        .filter(|line| !line.trim().is_empty())
        .map(margin)
        .min()
        .unwrap_or(0);
    for line in lines {
        let line = line.get(common.min(margin(&line))..).unwrap_or(line);
        writeln!(f, "{:indent$}{line}", "")?;
    }
    Ok(())
}
