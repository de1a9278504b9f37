//! Mutations run one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use puff_graphql::{Call, Engine, FieldError, Spread, Value};
use serde_json::json;

use super::paths;
use super::support::{Memory, World, ask, log, objects, value};

fn engine() -> Engine<Memory> {
    let number = Arc::new(AtomicI64::new(6));
    let read = number.clone();
    World::new(
        "type Query { number: Holder } type Holder { number: Int, later: Int, strict: Int! }
         type Mutation { change(to: Int!): Holder, fail(to: Int!): Holder, must(to: Int!): Holder!,
         deep(to: Int!): Holder! }",
    )
    .call("Query.number", |call| {
        objects(&call, vec![json!({})], Spread::Shared)
    })
    .call("Mutation.change", move |call| {
        let Some(Value::Int(to)) = call.arguments.get("to") else {
            panic!("no number")
        };
        number.store(*to, Ordering::SeqCst);
        objects(&call, vec![json!({"number": to})], Spread::Shared)
    })
    .call("Mutation.fail", |_| Err(FieldError::new("E", "cannot change")))
    .call("Mutation.must", |_: Call<Memory>| {
        Err(FieldError::new("E", "cannot change"))
    })
    .call("Mutation.deep", |call| {
        objects(&call, vec![json!({})], Spread::Shared)
    })
    .call("Holder.later", move |_| {
        value(Value::Int(read.load(Ordering::SeqCst)))
    })
    .engine()
}

#[tokio::test]
async fn each_ends_with_everything_below_it_before_the_next_begins() {
    let engine = engine();
    let query = "mutation { a: change(to: 1) { later } b: change(to: 2) { later number } c: change(to: 3) { later } }";
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {"a": {"later": 1}, "b": {"later": 2, "number": 2}, "c": {"later": 3}}})
    );
    let one = ["Mutation.change root", "Holder.later 1"];
    assert_eq!(log(&engine), [one, one, one].concat());
}

#[tokio::test]
async fn one_that_fails_does_not_stop_the_next() {
    let engine = engine();
    let query =
        "mutation { a: change(to: 1) { number } b: fail(to: 2) { number } c: change(to: 3) { later } }";
    let answer = ask(&engine, query).await;
    assert_eq!(
        answer["data"],
        json!({"a": {"number": 1}, "b": null, "c": {"later": 3}})
    );
    assert_eq!(paths(&answer), [json!(["b"])]);
}

#[tokio::test]
async fn their_order_is_that_of_the_document_after_fragments_and_variables() {
    let engine = engine();
    let query = "mutation($no: Boolean = false) {
        x: change(to: 9) @include(if: $no) { number } ...F z: change(to: 3) { later } x: change(to: 9) { later }
    } fragment F on Mutation { y: change(to: 2) { later } }";
    assert_eq!(
        ask(&engine, query).await.to_string(),
        json!({"data": {"x": {"later": 9}, "y": {"later": 2}, "z": {"later": 3}}}).to_string()
    );
    assert_eq!(
        log(&engine).iter().filter(|call| call.contains("change")).count(),
        3
    );
}

#[tokio::test]
async fn a_null_that_is_not_allowed_takes_all_data_and_the_rest_is_not_begun() {
    let engine = engine();
    let query = "mutation { a: change(to: 1) { number } must(to: 2) { number } b: change(to: 3) { number } }";
    let answer = ask(&engine, query).await;
    assert_eq!(answer["data"], json!(null));
    assert_eq!(paths(&answer), [json!(["must"])]);
    assert_eq!(log(&engine), ["Mutation.change root", "Mutation.must root"]);
}

#[tokio::test]
async fn nor_is_it_begun_if_the_null_comes_from_below() {
    let engine = engine();
    let query = "mutation { deep(to: 1) { later strict } b: change(to: 3) { number } }";
    let answer = ask(&engine, query).await;
    assert_eq!(answer["data"], json!(null));
    assert_eq!(paths(&answer), [json!(["deep", "strict"])]);
    assert_eq!(log(&engine), ["Mutation.deep root", "Holder.later 1"]);
}

#[tokio::test]
async fn a_null_that_stays_below_does_not_keep_the_rest_from_running() {
    let answer = ask(
        &engine(),
        "mutation { a: change(to: 1) { strict } b: change(to: 3) { number } }",
    )
    .await;
    assert_eq!(answer["data"], json!({"a": null, "b": {"number": 3}}));
    assert_eq!(paths(&answer), [json!(["a", "strict"])]);
}

#[tokio::test]
async fn a_field_that_is_no_mutation_is_not_valid_and_nothing_runs() {
    let engine = engine();
    let answer = ask(&engine, "mutation { a: change(to: 1) { number } thisIsIllegal }").await;
    assert!(answer.get("data").is_none(), "{answer}");
    assert!(log(&engine).is_empty());
}
