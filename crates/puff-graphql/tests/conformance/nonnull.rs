//! Errors and nulls where null is not allowed.

use puff_graphql::{Engine, FieldError, Spread, Value};
use serde_json::{Value as Json, json};

use super::support::{Memory, World, ask, ask_with, message, objects, value};
use super::{echo, paths};

const SDL: &str = "
    type Query { nest: Data, must: Data!, withArg(cannotBeNull: String!): String, withDefault(a: String! = \"d\"): String }
    type Data { v: String, must: String!, nest: Data, nestMust: Data!, other: String }
";

/// Data whose leaves all fail, or are all null; `nest` and `nestMust` go on for ever.
fn engine(fails: bool) -> Engine<Memory> {
    let leaf = move |_| match fails {
        true => Err(FieldError::new("E", "it failed")),
        false => value(Value::Null),
    };
    let nest = |call: puff_graphql::Call<Memory>| objects(&call, vec![json!({})], Spread::Shared);
    World::new(SDL)
        .call("Query.nest", nest)
        .call("Query.must", nest)
        .call("Query.withArg", echo)
        .call("Query.withDefault", echo)
        .call("Data.v", leaf)
        .call("Data.must", leaf)
        .call("Data.nest", nest)
        .call("Data.nestMust", nest)
        .call("Data.other", |_| value(Value::str("fine")))
        .engine()
}

async fn both(query: &str, data: Json, failing: &[Json], null: &[Json]) {
    for (fails, expected) in [(true, failing), (false, null)] {
        let answer = ask(&engine(fails), query).await;
        assert_eq!(answer["data"], data, "{query}");
        assert_eq!(paths(&answer), expected, "{query}");
    }
}

#[tokio::test]
async fn a_nullable_field_becomes_null_and_the_rest_stays() {
    both(
        "{ nest { v other } }",
        json!({"nest": {"v": null, "other": "fine"}}),
        &[json!(["nest", "v"])],
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_field_that_must_not_be_null_nulls_its_object() {
    let place = [json!(["nest", "must"])];
    both("{ nest { other must } }", json!({"nest": null}), &place, &place).await;
}

#[tokio::test]
async fn objects_that_must_be_there_hand_the_null_on() {
    let place = [json!(["nest", "nestMust", "nestMust", "must"])];
    both(
        "{ nest { nestMust { nestMust { must } } } again: nest { other } }",
        json!({"nest": null, "again": {"other": "fine"}}),
        &place,
        &place,
    )
    .await;
}

#[tokio::test]
async fn the_first_nullable_object_above_takes_it() {
    let place = [json!(["nest", "nest", "nestMust", "must"])];
    both(
        "{ nest { other nest { nestMust { must } } } }",
        json!({"nest": {"other": "fine", "nest": null}}),
        &place,
        &place,
    )
    .await;
}

#[tokio::test]
async fn a_tree_of_nullable_fields_fails_each_on_its_own() {
    both(
        "{ nest { v nest { v nest { v } } } }",
        json!({"nest": {"v": null, "nest": {"v": null, "nest": {"v": null}}}}),
        &[
            json!(["nest", "v"]),
            json!(["nest", "nest", "v"]),
            json!(["nest", "nest", "nest", "v"]),
        ],
        &[],
    )
    .await;
}

#[tokio::test]
async fn without_a_nullable_place_the_data_is_null() {
    let place = [json!(["must", "nestMust", "must"])];
    both(
        "{ must { nestMust { must } } nest { other } }",
        Json::Null,
        &place,
        &place,
    )
    .await;
}

#[tokio::test]
async fn errors_from_before_the_null_stay_and_later_fields_of_the_object_are_not_looked_at() {
    let answer = ask(&engine(true), "{ nest { v must again: v } }").await;
    assert_eq!(answer["data"], json!({"nest": null}));
    assert_eq!(paths(&answer), [json!(["nest", "v"]), json!(["nest", "must"])]);
}

#[tokio::test]
async fn an_argument_that_must_not_be_null_is_given() {
    for (query, variables) in [
        ("{ withArg(cannotBeNull: \"x\") }", json!({})),
        (
            "query($v: String!) { withArg(cannotBeNull: $v) }",
            json!({"v": "x"}),
        ),
        (
            "query($v: String = \"x\") { withArg(cannotBeNull: $v) }",
            json!({}),
        ),
    ] {
        let answer = ask_with(&engine(false), query, variables).await;
        assert_eq!(
            answer,
            json!({"data": {"withArg": r#"{"cannotBeNull":"x"}"#}}),
            "{query}"
        );
    }
}

#[tokio::test]
async fn an_argument_that_must_not_be_null_is_missing_or_null() {
    // Without a variable between, the document is not valid.
    for query in [
        "{ withArg }",
        "{ withArg(cannotBeNull: null) }",
        "query($cannotBeNull: String) { withArg(cannotBeNull: $cannotBeNull) }",
        "query($cannotBeNull: String = null) { withArg(cannotBeNull: $cannotBeNull) }",
    ] {
        let answer = ask(&engine(false), query).await;
        assert!(answer.get("data").is_none(), "{query}");
        assert!(message(&answer).contains("cannotBeNull"), "{query}: {answer}");
    }
    // A null that a default would have replaced comes at run time: an error of the field.
    let query = "query($v: String = \"x\") { withArg(cannotBeNull: $v) nest { other } }";
    let answer = ask_with(&engine(false), query, json!({"v": null})).await;
    assert_eq!(
        answer["data"],
        json!({"withArg": null, "nest": {"other": "fine"}})
    );
    assert_eq!(paths(&answer), [json!(["withArg"])]);
    assert!(message(&answer).contains("`cannotBeNull`"), "{answer}");
    // Without a value the argument's own default counts.
    let query = "query($v: String) { withDefault(a: $v) }";
    let answer = ask(&engine(false), query).await;
    assert_eq!(answer, json!({"data": {"withDefault": r#"{"a":"d"}"#}}));
    let answer = ask_with(&engine(false), query, json!({"v": null})).await;
    assert_eq!(answer["data"], json!({"withDefault": null}));
    assert_eq!(paths(&answer), [json!(["withDefault"])]);
}

#[tokio::test]
async fn the_path_of_an_error_goes_down_to_its_field_by_the_names_of_the_answer() {
    let place = [json!(["n", "a", "b", "c"])];
    both(
        "{ n: nest { a: nestMust { b: nestMust { c: must } } } }",
        json!({"n": null}),
        &place,
        &place,
    )
    .await;
}

#[tokio::test]
async fn each_object_beside_another_has_its_error() {
    let places = [json!(["nest", "x", "must"]), json!(["nest", "y", "must"])];
    both(
        "{ nest { x: nest { must } other y: nest { nest { other } must } } }",
        json!({"nest": {"x": null, "other": "fine", "y": null}}),
        &places,
        &places,
    )
    .await;
}
