//! `@oneOf` input objects.

use puff_graphql::Engine;
use serde_json::{Value as Json, json};

use super::echo;
use super::support::{Memory, World, ask_with, message};

fn engine() -> Engine<Memory> {
    World::new(
        "type Query { test(input: One!): String, optional(input: One = {a: \"d\"}): String, list(input: [One!]): String }
         input One @oneOf { a: String, b: Int }",
    )
    .call("Query.test", echo)
    .call("Query.optional", echo)
    .call("Query.list", echo)
    .engine()
}

async fn accepted(query: &str, variables: Json, told: &str) {
    let answer = ask_with(&engine(), query, variables).await;
    let data = answer["data"]
        .as_object()
        .unwrap_or_else(|| panic!("{query}: {answer}"));
    assert_eq!(data.values().next().unwrap(), told, "{query}");
}

async fn refused(query: &str, variables: Json) -> String {
    let answer = ask_with(&engine(), query, variables).await;
    assert!(answer.get("data").is_none(), "{query}: {answer}");
    message(&answer).to_owned()
}

#[tokio::test]
async fn one_field_with_a_value_is_good() {
    accepted("{ test(input: {a: \"x\"}) }", json!({}), r#"{"input":{"a":"x"}}"#).await;
    accepted("{ test(input: {b: 3}) }", json!({}), r#"{"input":{"b":3}}"#).await;
    accepted("{ optional }", json!({}), r#"{"input":{"a":"d"}}"#).await;
    let query = "query($in: One!) { test(input: $in) }";
    accepted(query, json!({"in": {"a": "x"}}), r#"{"input":{"a":"x"}}"#).await;
    let query = "query($in: One! = {b: 1}) { test(input: $in) }";
    accepted(query, json!({}), r#"{"input":{"b":1}}"#).await;
    accepted(
        "{ list(input: [{a: \"x\"}, {b: 1}]) }",
        json!({}),
        r#"{"input":[{"a":"x"},{"b":1}]}"#,
    )
    .await;
    let query = "query($b: Int!) { test(input: {b: $b}) }";
    accepted(query, json!({"b": 4}), r#"{"input":{"b":4}}"#).await;
}

#[tokio::test]
async fn literals_with_more_less_or_null_are_not_valid() {
    for query in [
        "{ test(input: {}) }",
        "{ test(input: {a: \"x\", b: 1}) }",
        "{ test(input: {a: \"x\", b: null}) }",
        "{ test(input: {a: null}) }",
        "query($in: One! = {a: \"x\", b: 1}) { test(input: $in) }",
        "query($b: Int) { test(input: {b: $b}) }",
        "{ list(input: [{a: \"x\"}, {}]) }",
    ] {
        refused(query, json!({})).await;
    }
}

#[tokio::test]
async fn variables_with_more_less_or_null_are_refused() {
    let query = "query($in: One!) { test(input: $in) }";
    for given in [
        json!({"a": "x", "b": 1}),
        json!({"a": "x", "b": null}),
        json!({"a": null}),
        json!({"a": null, "b": null}),
        json!({}),
    ] {
        let message = refused(query, json!({"in": given})).await;
        assert!(
            message.contains("`$in`") && message.contains("exactly one"),
            "{message}"
        );
    }
    assert!(refused(query, json!({"in": {"c": 1}})).await.contains("`c`"));
    assert!(
        refused(query, json!({"in": {"b": "x"}}))
            .await
            .contains("`$in.b`")
    );
    let query = "query($in: [One!]) { list(input: $in) }";
    assert!(
        refused(query, json!({"in": [{"a": "x"}, {}]}))
            .await
            .contains("`$in[1]`")
    );
}

/// As everywhere where null is not allowed: a variable that may be null needs a default, and must not be null.
#[tokio::test]
async fn a_variable_for_the_field_must_have_a_value() {
    let query = "query($b: Int = 1) { test(input: {b: $b}) }";
    accepted(query, json!({}), r#"{"input":{"b":1}}"#).await;
    accepted(query, json!({"b": 4}), r#"{"input":{"b":4}}"#).await;
    let answer = ask_with(&engine(), query, json!({"b": null})).await;
    assert_eq!(answer["data"], json!({"test": null}));
    assert_eq!(super::paths(&answer), [json!(["test"])]);
    for query in [
        "query($b: Int) { list(input: [{b: $b}]) }",
        "query($b: Int) { list(input: {b: $b}) }",
        "query($b: Int = null) { test(input: {b: $b}) }",
    ] {
        refused(query, json!({"b": 1})).await;
    }
}

#[tokio::test]
async fn one_alone_is_a_list_of_one() {
    let told = r#"{"input":[{"b":1}]}"#;
    accepted("{ list(input: {b: 1}) }", json!({}), told).await;
    let query = "query($in: [One!]) { list(input: $in) }";
    accepted(query, json!({"in": {"b": 1}}), told).await;
    accepted("query($b: Int!) { list(input: {b: $b}) }", json!({"b": 1}), told).await;
}
