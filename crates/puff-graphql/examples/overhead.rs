//! What the engine itself costs for a layer, a field, a row and a cell, without Python, sockets or PostgreSQL:
//! `cargo run --release -p puff-graphql --example overhead`.
//!
//! Requests whose plan is known are executed with more and more of one thing; the slope is its price, in
//! nanoseconds of the fastest rounds and in allocations. `overhead profile` runs one request again and again, for
//! a profiler. `benches/graphql/run.sh` does both.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

#[path = "../tests/support/counting.rs"]
mod counting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use counting::Counting;
use puff_graphql::{
    Backend, Call, CellType, Engine, FieldError, FieldResolver, Join, Request, Resolved, ResolverId,
    ResolverKind, Rows, ScalarType, Schema, SchemaOptions, SqlResult, Statement, Value,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 400;

/// How long the profiled request is repeated.
const PROFILED: Duration = Duration::from_secs(8);

/// The kinds of columns, each with the text of its cells; `c0`, `c1` and so on are texts.
const KINDS: [(&str, ScalarType, &str); 5] = [
    ("int", ScalarType::Int4, "1234567"),
    ("float", ScalarType::Float8, "1234.5678"),
    ("text", ScalarType::Text, "some words of plain text"),
    (
        "escaped",
        ScalarType::Text,
        "a \"quoted\" word,\nand a second line",
    ),
    ("moment", ScalarType::TimestampTz, "2026-11-29 12:34:56.789+00"),
];

/// `count` rows that are alike but for their numbers; nothing is copied to make them.
struct Alike {
    columns: Arc<[(String, CellType)]>,
    numbers: Arc<[String]>,
    count: usize,
}

impl Rows for Alike {
    fn len(&self) -> usize {
        self.count
    }
    fn columns(&self) -> usize {
        self.columns.len()
    }
    fn column_name(&self, column: usize) -> &str {
        &self.columns[column].0
    }
    fn column_type(&self, column: usize) -> CellType {
        self.columns[column].1
    }
    fn cell(&self, row: usize, column: usize) -> Option<&[u8]> {
        Some(match column {
            0 => self.numbers[row].as_bytes(),
            1 => ["A", "B", "C"][row % 3].as_bytes(),
            _ => KINDS[(column - 2) % KINDS.len()].2.as_bytes(),
        })
    }
}

struct Bench {
    columns: Arc<[(String, CellType)]>,
    numbers: Arc<[String]>,
    count: usize,
}

impl Backend for Bench {
    type Context = ();
    type Rows = Alike;
    type Param = Value;
    type Objects = ();

    async fn resolve(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
        let keys = || vec!["id".to_owned()];
        let join = call.parents.is_some().then(|| Join {
            parent_keys: keys(),
            child_keys: keys(),
        });
        Ok(Resolved::Sql(SqlResult {
            statement: Statement {
                sql: "".into(),
                params: Vec::new(),
            },
            join,
            parent_values: None,
            page: None,
        }))
    }

    async fn load(&self, (): &(), _: Statement<Self>) -> Result<Alike, FieldError> {
        Ok(Alike {
            columns: self.columns.clone(),
            numbers: self.numbers.clone(),
            count: self.count,
        })
    }

    fn param(&self, value: &Value) -> Result<Value, FieldError> {
        Ok(value.clone())
    }
}

/// An engine whose statements have so many rows.
fn engine(rows: usize) -> Engine<Bench> {
    let columns = (0..64).map(|number| {
        let (name, kind, _) = KINDS[number % KINDS.len()];
        (format!("{name}{}", number / KINDS.len()), CellType::Scalar(kind))
    });
    let first = [
        ("id".to_owned(), CellType::Scalar(ScalarType::Int4)),
        ("__typename".to_owned(), CellType::Scalar(ScalarType::Text)),
    ];
    let columns: Arc<[_]> = first.into_iter().chain(columns).collect();
    let graphql = |name: &str| match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "int" | "id" => "Int!",
        "float" => "Float!",
        "moment" => "String",
        _ => "String!",
    };
    let leaves = columns.iter().filter(|(name, _)| name != "__typename");
    let leaves: String = leaves
        .map(|(name, _)| format!("{name}: {} ", graphql(name)))
        .collect();
    let body = format!("{{ {leaves} below: [Item!]! next: [Any!]! }}");
    let types = ["A", "B", "C"].map(|name| format!("type {name} implements Any {body}"));
    let sdl = format!(
        "type Query {{ items: [Item!]! anys: [Any!]! }} interface Any {body} {} type Item {body}",
        types.join(" ")
    );
    let fields = ["Query.items", "Query.anys", "Item", "A", "B", "C"]
        .into_iter()
        .flat_map(|place| {
            let names = match place.split_once('.') {
                Some((owner, field)) => vec![(owner, field)],
                None => vec![(place, "below"), (place, "next")],
            };
            names.into_iter().map(|(type_name, field_name)| FieldResolver {
                type_name: type_name.into(),
                field_name: field_name.into(),
                kind: ResolverKind::Call(ResolverId(u32::from(field_name == "next"))),
            })
        });
    let options = SchemaOptions {
        max_complexity: usize::MAX,
        list_size: 1,
        ..SchemaOptions::default()
    };
    let schema = Schema::build(&sdl, fields.collect(), options).unwrap();
    let bench = Bench {
        columns,
        numbers: (0..rows).map(|number| number.to_string()).collect(),
        count: rows,
    };
    Engine::new(schema, Arc::new(bench))
}

/// One execution with a known plan: nanoseconds, the median of the rounds' fastest half, and allocations.
fn measured(engine: &Engine<Bench>, query: &str) -> (f64, f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ask = || {
        let request = Request::new(query);
        let answer = runtime.block_on(engine.execute(request, ()));
        assert!(
            !answer.body.windows(9).any(|part| part == b"\"errors\":"),
            "{answer:?}"
        );
    };
    ask();
    ask();
    let before = counting::allocations();
    ask();
    let allocations = counting::allocations() - before;
    let mut took: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let request = Request::new(query);
            let start = Instant::now();
            let answer = runtime.block_on(engine.execute(request, ()));
            let took = start.elapsed();
            drop(answer);
            took.as_nanos() as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    (took[ROUNDS / 4], allocations as f64)
}

/// The slope of the line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), one| (x + one.0, y + one.1));
    let (x, y) = (x / count, y / count);
    let both: f64 = points.iter().map(|one| (one.0 - x) * (one.1 - y)).sum();
    let alone: f64 = points.iter().map(|one| (one.0 - x).powi(2)).sum();
    both / alone
}

/// Prints what one more of something costs: `run` measures with so many of it.
fn row(what: &str, counts: &[usize], run: impl Fn(usize) -> (f64, f64)) {
    let found: Vec<_> = counts.iter().map(|count| (*count as f64, run(*count))).collect();
    let of = |pick: fn((f64, f64)) -> f64| {
        let points: Vec<_> = found
            .iter()
            .map(|(count, figures)| (*count, pick(*figures)))
            .collect();
        slope(&points)
    };
    println!(
        "| {what} | {:.1} | {:.3} |",
        of(|(ns, _)| ns),
        of(|(_, allocations)| allocations)
    );
}

fn columns(kind: &str, count: usize) -> String {
    (0..count).map(|number| format!("{kind}{number} ")).collect()
}

fn chain(root: &str, below: &str, layers: usize, leaves: &str) -> String {
    let open = format!("{{ {leaves} {below} ").repeat(layers - 1);
    format!("{{ {root} {open}{{ {leaves} }}{} }}", " }".repeat(layers - 1))
}

/// Texts of several columns, beyond the thirteen of one kind.
fn fields(count: usize) -> String {
    (0..count)
        .map(|number| format!("{}{} ", KINDS[number % KINDS.len()].0, number / KINDS.len()))
        .collect()
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("profile") {
        return profile();
    }
    let (one, many) = (engine(1), engine(1000));
    println!("| one more | ns | allocations |\n|---|---:|---:|");
    let layers = [1, 2, 4, 8, 12];
    row("layer of one row, joined", &layers, |count| {
        measured(&one, &chain("items", "below", count, "id"))
    });
    row("layer of one row of an interface, joined", &layers, |count| {
        measured(&one, &chain("anys", "next", count, "id"))
    });
    row("field, without its cells", &[4, 16, 32, 60], |count| {
        let engine = engine(0);
        measured(&engine, &format!("{{ items {{ {} }} }}", fields(count)))
    });
    for (kind, ..) in KINDS {
        row(&format!("cell: {kind}"), &[1000, 4000, 8000, 12000], |count| {
            measured(
                &many,
                &format!("{{ items {{ {} }} }}", columns(kind, count / 1000)),
            )
        });
    }
    row(
        "cell: text, of an interface's objects",
        &[1000, 4000, 8000, 12000],
        |count| {
            measured(
                &many,
                &format!("{{ anys {{ {} }} }}", columns("text", count / 1000)),
            )
        },
    );
    let rows = [100, 1000, 4000, 8000];
    row("row with one cell", &rows, |count| {
        measured(&engine(count), "{ items { int0 } }")
    });
    row("row with one cell, of an interface", &rows, |count| {
        measured(&engine(count), "{ anys { int0 } }")
    });
    row("row with one cell, joined to its parent", &rows, |count| {
        let engine = engine(count);
        let (with, without) = (
            measured(&engine, "{ items { int0 below { int0 } } }"),
            measured(&engine, "{ items { int0 } }"),
        );
        (with.0 - without.0, with.1 - without.1)
    });
}

/// The nested request again and again: three layers, 1,000 rows each, texts and numbers.
fn profile() {
    let engine = engine(1000);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let query = chain("anys", "below", 3, "id int0 float0 text0 text1 escaped0 moment0");
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < PROFILED {
        drop(runtime.block_on(engine.execute(Request::new(query.clone()), ())));
        count += 1;
    }
    println!(
        "{:.0} us a request",
        start.elapsed().as_micros() as f64 / f64::from(count)
    );
}
