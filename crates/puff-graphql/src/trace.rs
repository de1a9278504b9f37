//! What a query did: its layers with their resolvers, statements and times.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backend::{Backend, FieldName};
use crate::explain::print_sql;
use crate::plan::{Child, PlannedResolver, ResolverPlan};
use crate::value::Value;
use crate::write::leaf::json_value;
use crate::write::string::json_string;

/// Most bytes of a layer's parameters that are recorded.
const MAX_PARAMETERS: usize = 2048;

/// How much is recorded of a request while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Record {
    /// Nothing, which costs nothing.
    #[default]
    Nothing,
    /// The [`Times`] of its parts.
    Times,
    /// The times and every layer with its statement and parameters: for the eyes of developers.
    Layers,
}

/// How long the parts of a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Whether the plan was known already.
    pub cached: bool,
    /// Reading and checking the document; zero if the plan was known.
    pub parse: Duration,
    /// Making the plan, or finding it.
    pub plan: Duration,
    /// Running it and writing the answer.
    pub execute: Duration,
    /// All together.
    pub total: Duration,
}

/// What an execution did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// How long the parts took.
    pub times: Times,
    /// One entry per layer that ran, in the order of the plan: each before those below it.
    pub layers: Vec<LayerTrace>,
}

/// What one layer did.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTrace {
    /// The number of the layer in the plan.
    pub number: usize,
    /// The number of the layer that it lies below.
    pub below: Option<usize>,
    /// Where: response names joined by dots, `[]` after a list.
    pub path: Arc<str>,
    /// The field.
    pub field: FieldName,
    /// The resolver by the backend's name; `None` for a statement that is written down in the schema.
    pub resolver: Option<String>,
    /// Whether a resolver was called; if not, the statement ran without one.
    pub called: bool,
    /// How many parents it served; `None` at a root.
    pub parents: Option<usize>,
    /// The statement, if one ran.
    pub sql: Option<Arc<str>>,
    /// How many parameters the statement had.
    pub params: usize,
    /// The parameters as the elements of a JSON array, cut to two kilobytes.
    pub shown_params: String,
    /// How many rows or objects came.
    pub rows: usize,
    /// From the beginning of the request to that of the layer.
    pub started: Duration,
    /// From the call of the resolver to its result, its turn in the queue included.
    pub resolve: Duration,
    /// From asking for a connection to the statement's last row.
    pub load: Duration,
    /// The message, if the layer failed as a whole.
    pub error: Option<String>,
}

/// Takes down what the layers of one execution do.
pub(crate) struct Recorder {
    start: Instant,
    layers: Mutex<Vec<LayerTrace>>,
}

impl Recorder {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            layers: Mutex::default(),
        }
    }

    /// The entry of a layer that begins.
    pub(crate) fn begin<B: Backend>(
        &self,
        backend: &B,
        child: &Child,
        resolver: &ResolverPlan,
        parents: Option<usize>,
    ) -> LayerTrace {
        let called = match &resolver.kind {
            PlannedResolver::Call(id) => Some(*id),
            PlannedResolver::Sql(_) => None,
        };
        LayerTrace {
            number: resolver.number,
            below: resolver.below,
            path: resolver.path.clone(),
            field: child.name.clone(),
            resolver: called.and_then(|id| backend.resolver_name(id)),
            called: called.is_some(),
            parents,
            sql: None,
            params: 0,
            shown_params: String::new(),
            rows: 0,
            started: self.start.elapsed(),
            resolve: Duration::ZERO,
            load: Duration::ZERO,
            error: None,
        }
    }

    pub(crate) fn end(&self, layer: LayerTrace) {
        self.layers.lock().push(layer);
    }

    /// All entries, in the order of the plan.
    pub(crate) fn finish(self) -> Vec<LayerTrace> {
        let mut layers = self.layers.into_inner();
        layers.sort_by_key(|layer| layer.number);
        layers
    }
}

impl LayerTrace {
    /// Takes down a statement before it is sent.
    pub(crate) fn statement<B: Backend>(&mut self, backend: &B, sql: &Arc<str>, params: &[B::Param]) {
        self.sql = Some(sql.clone());
        self.params = params.len();
        let mut left = MAX_PARAMETERS;
        let mut shown = Vec::new();
        for (number, param) in params.iter().enumerate() {
            if number > 0 {
                shown.push(b',');
            }
            if left == 0 {
                json_string(&mut shown, format!("… {} more", params.len() - number).as_bytes());
                break;
            }
            let before = shown.len();
            write_cut(&mut shown, &backend.show_param(param), left);
            left = left.saturating_sub(shown.len() - before);
        }
        self.shown_params = String::from_utf8_lossy(&shown).into_owned();
    }

    /// The response names on the way to the layer.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.path.split('.').map(|name| name.trim_end_matches("[]"))
    }
}

/// Appends a value of which at most `most` bytes are shown.
fn write_cut(out: &mut Vec<u8>, value: &Value, most: usize) {
    match value {
        Value::Str(text) | Value::Big(text) | Value::Json(text) if text.len() > most => {
            let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
            json_string(out, format!("{}…", &text[..end.unwrap_or(0)]).as_bytes());
        }
        other => {
            let start = out.len();
            if json_value(out, other).is_err() {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
        }
    }
}

impl Trace {
    /// The trace as a JSON object, for `extensions.puff` of the answer. Times are in microseconds, layers are
    /// nested: each has those below it in `children`.
    ///
    /// ```
    /// assert!(puff_graphql::Trace::default().to_json().starts_with("{\"version\":1,\"total_us\":0,"));
    /// ```
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(256 + 512 * self.layers.len());
        let times = &self.times;
        out.extend_from_slice(b"{\"version\":1");
        number(&mut out, "total_us", micros(times.total));
        number(&mut out, "parse_us", micros(times.parse));
        number(&mut out, "plan_us", micros(times.plan));
        number(&mut out, "execute_us", micros(times.execute));
        text(
            &mut out,
            "plan",
            Some(if times.cached { "cached" } else { "built" }),
        );
        out.extend_from_slice(b",\"layers\":");
        self.write_layers(&mut out, &mut 0, None);
        out.push(b'}');
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Writes the layers below one, which begin at `at`: each is followed by those below it.
    fn write_layers(&self, out: &mut Vec<u8>, at: &mut usize, below: Option<usize>) {
        out.push(b'[');
        let mut is_first = true;
        while let Some(layer) = self.layers.get(*at).filter(|layer| layer.below == below) {
            *at += 1;
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            out.extend_from_slice(b"{\"path\":[");
            for (place, name) in layer.names().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                json_string(out, name.as_bytes());
            }
            out.push(b']');
            text(out, "type", Some(&layer.field.type_name));
            text(out, "field", Some(&layer.field.field_name));
            text(out, "resolver", layer.resolver.as_deref());
            text(out, "kind", Some(if layer.called { "python" } else { "sql" }));
            text(out, "sql", layer.sql.as_deref());
            out.extend_from_slice(b",\"parameters\":");
            match &layer.sql {
                Some(_) => {
                    out.push(b'[');
                    out.extend_from_slice(layer.shown_params.as_bytes());
                    out.push(b']');
                }
                None => out.extend_from_slice(b"null"),
            }
            number(out, "parents", layer.parents.unwrap_or(1) as u64);
            number(out, "rows", layer.rows as u64);
            number(out, "started_us", micros(layer.started));
            number(out, "python_us", micros(layer.resolve));
            number(out, "sql_us", micros(layer.load));
            text(out, "error", layer.error.as_deref());
            out.extend_from_slice(b",\"children\":");
            self.write_layers(out, at, Some(layer.number));
            out.push(b'}');
        }
        out.push(b']');
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.push(b',');
    json_string(out, name.as_bytes());
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn text(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    out.push(b',');
    json_string(out, name.as_bytes());
    out.push(b':');
    match value {
        Some(value) => json_string(out, value.as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for layer in &self.layers {
            write!(f, "{}  <- {}", layer.path, layer.field)?;
            if let Some(parents) = layer.parents {
                write!(f, "  parents={parents}")?;
            }
            writeln!(
                f,
                "  rows={} resolve={:?} load={:?}",
                layer.rows, layer.resolve, layer.load
            )?;
            if let Some(sql) = &layer.sql {
                print_sql(f, sql, 4)?;
                write!(f, "    -- {} parameters", layer.params)?;
                match layer.params {
                    0 => writeln!(f)?,
                    _ => writeln!(f, ": {}", layer.shown_params)?,
                }
            }
            if let Some(error) = &layer.error {
                writeln!(f, "    failed: {error}")?;
            }
        }
        Ok(())
    }
}
