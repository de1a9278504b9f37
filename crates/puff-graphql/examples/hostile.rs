//! How long it takes to refuse hostile requests, as a table: `cargo run --release -p puff-graphql --example hostile`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/support/hostile.rs"]
mod hostile;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use puff_graphql::{Engine, Request, Response};
use support::Memory;

const ROUNDS: usize = 7;

/// The fastest of some rounds, each with a fresh plan cache, from the body of a request to the answer.
fn measured(body: &[u8], engine: &dyn Fn() -> Engine<Memory>) -> (Duration, Response) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let round = |_| {
        let engine = engine();
        let start = Instant::now();
        let answer = match Request::from_json(body) {
            Ok(request) => runtime.block_on(engine.execute(request, String::new())),
            Err(error) => Response::refused(&error),
        };
        (start.elapsed(), answer)
    };
    (0..ROUNDS).map(round).min_by_key(|(took, _)| *took).unwrap()
}

fn main() {
    println!("| request | body | ms | answer |\n|---|---:|---:|---|");
    let row = |name: &str, body: Vec<u8>| {
        let (took, answer) = measured(&body, &hostile::engine);
        let (kilobytes, ms) = (body.len() / 1000, took.as_secs_f64() * 1000.0);
        println!("| {name} | {kilobytes} kB | {ms:.1} | {:?} |", answer.outcome);
    };
    for one in hostile::all() {
        let request = serde_json::json!({"query": one.query, "variables": one.variables});
        row(one.name, serde_json::to_vec(&request).unwrap());
    }
    // Nothing is wrong with these: they are read and run.
    let list = "1,".repeat(500_000);
    row(
        "1 MB of numbers as a variable",
        format!(r#"{{"query": "query($l: [Int]) {{ s(l: $l) }}", "variables": {{"l": [{list}1]}}}}"#)
            .into_bytes(),
    );
    let objects = r#"{"a":1,"d":[[1,2]]},"#.repeat(50_000);
    row(
        "1 MB of objects as a variable",
        format!(r#"{{"query": "query($m: [In]) {{ s(m: $m) }}", "variables": {{"m": [{objects}{{}}]}}}}"#)
            .into_bytes(),
    );
}
