//! `@skip` and `@include`.

use puff_graphql::{Engine, Value};
use serde_json::{Value as Json, json};

use super::support::{Memory, World, ask, ask_with, log, message, value};

fn engine() -> Engine<Memory> {
    World::new("type Query { a: String, b: String }")
        .call("Query.a", |_| value(Value::str("a")))
        .call("Query.b", |_| value(Value::str("b")))
        .engine()
}

async fn check(query: &str, data: Json) {
    let engine = engine();
    assert_eq!(ask(&engine, query).await, json!({ "data": data }), "{query}");
    assert_eq!(log(&engine).len(), data.as_object().unwrap().len(), "{query}");
}

#[tokio::test]
async fn on_fields() {
    let (both, a) = (json!({"a": "a", "b": "b"}), json!({"a": "a"}));
    check("{ a b }", both.clone()).await;
    check("{ a b @include(if: true) }", both.clone()).await;
    check("{ a b @include(if: false) }", a.clone()).await;
    check("{ a b @skip(if: false) }", both).await;
    check("{ a b @skip(if: true) }", a).await;
}

#[tokio::test]
async fn on_fragment_spreads() {
    let (both, a) = (json!({"a": "a", "b": "b"}), json!({"a": "a"}));
    let query = |on: &str| format!("{{ a ...F {on} }} fragment F on Query {{ b }}");
    check(&query("@include(if: false)"), a.clone()).await;
    check(&query("@include(if: true)"), both.clone()).await;
    check(&query("@skip(if: false)"), both).await;
    check(&query("@skip(if: true)"), a).await;
}

#[tokio::test]
async fn on_inline_fragments_with_and_without_a_type() {
    let (both, a) = (json!({"a": "a", "b": "b"}), json!({"a": "a"}));
    for condition in ["", "on Query"] {
        let query = |on: &str| format!("{{ a ... {condition} {on} {{ b }} }}");
        check(&query("@include(if: false)"), a.clone()).await;
        check(&query("@include(if: true)"), both.clone()).await;
        check(&query("@skip(if: false)"), both.clone()).await;
        check(&query("@skip(if: true)"), a.clone()).await;
    }
}

#[tokio::test]
async fn both_together() {
    let (both, a) = (json!({"a": "a", "b": "b"}), json!({"a": "a"}));
    check("{ a b @include(if: true) @skip(if: false) }", both).await;
    check("{ a b @include(if: true) @skip(if: true) }", a.clone()).await;
    check("{ a b @include(if: false) @skip(if: true) }", a.clone()).await;
    check("{ a b @include(if: false) @skip(if: false) }", a).await;
}

#[tokio::test]
async fn by_variables_with_and_without_defaults() {
    let query = "query($yes: Boolean!, $no: Boolean = false) {
        a @include(if: $yes) @skip(if: $no) b @include(if: $no)
    }";
    for (variables, data) in [
        (json!({"yes": true}), json!({"a": "a"})),
        (json!({"yes": false}), json!({})),
        (json!({"yes": true, "no": true}), json!({"b": "b"})),
    ] {
        assert_eq!(ask_with(&engine(), query, variables).await["data"], data);
    }
}

#[tokio::test]
async fn a_null_for_a_condition_is_refused() {
    let query = "query($on: Boolean = true) { a @include(if: $on) b }";
    let answer = ask_with(&engine(), query, json!({"on": null})).await;
    assert_eq!(answer.get("data"), None);
    assert!(message(&answer).contains("`$on`"), "{answer}");
}

#[tokio::test]
async fn nothing_is_left() {
    check("{ a @skip(if: true) }", json!({})).await;
}
