//! Lists with nulls and errors, for each way of declaring them.

use puff_graphql::{FieldError, Value};
use serde_json::{Value as Json, json};

use super::paths;
use super::support::{World, ask, message, sql, value};

fn failed() -> Value {
    Value::Error(Box::new(FieldError::new("E", "bad")))
}

/// What `list: [Int]` and its three relatives make of a value: data, and the paths of errors.
async fn check(given: Value, expected: [(Json, &[Json]); 4]) {
    for (declared, (data, errors)) in ["[Int]", "[Int]!", "[Int!]", "[Int!]!"].into_iter().zip(expected) {
        let given = given.clone();
        let engine = World::new(&format!("type Query {{ list: {declared} }}"))
            .call("Query.list", move |_| value(given.clone()))
            .engine();
        let answer = ask(&engine, "{ list }").await;
        assert_eq!(answer["data"], data, "{declared}");
        assert_eq!(paths(&answer), errors, "{declared}");
    }
}

fn data(list: Json) -> Json {
    json!({ "list": list })
}

/// An element failed, or the whole value did: what each declaration makes of it, with one error at `place`.
/// `list` is the data where the null may stay.
fn failing<'p>(list: &Json, place: &'p [Json]) -> [(Json, &'p [Json]); 4] {
    let (list, null) = (data(list.clone()), data(Json::Null));
    match list["list"] {
        // The list itself is what is null.
        Json::Null => [
            (null.clone(), place),
            (Json::Null, place),
            (null, place),
            (Json::Null, place),
        ],
        _ => [
            (list.clone(), place),
            (list, place),
            (null, place),
            (Json::Null, place),
        ],
    }
}

#[tokio::test]
async fn values() {
    let list = || data(json!([1, 2]));
    let given = Value::List(vec![Value::Int(1), Value::Int(2)]);
    check(
        given,
        [(list(), &[]), (list(), &[]), (list(), &[]), (list(), &[])],
    )
    .await;
}

#[tokio::test]
async fn a_null_among_them() {
    let list = || data(json!([1, null, 2]));
    let place: &[Json] = &[json!(["list", 1])];
    let given = Value::List(vec![Value::Int(1), Value::Null, Value::Int(2)]);
    let expected = [
        (list(), &[][..]),
        (list(), &[]),
        (data(Json::Null), place),
        (Json::Null, place),
    ];
    check(given, expected).await;
}

#[tokio::test]
async fn null_instead() {
    let null = || data(Json::Null);
    let place: &[Json] = &[json!(["list"])];
    check(
        Value::Null,
        [
            (null(), &[]),
            (Json::Null, place),
            (null(), &[]),
            (Json::Null, place),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_error_among_them() {
    let given = Value::List(vec![Value::Int(1), failed(), Value::Int(2)]);
    check(given, failing(&json!([1, null, 2]), &[json!(["list", 1])])).await;
}

#[tokio::test]
async fn an_error_instead() {
    check(failed(), failing(&Json::Null, &[json!(["list"])])).await;
}

#[tokio::test]
async fn a_value_that_its_type_cannot_hold_is_an_error_of_its_own() {
    let given = Value::List(vec![Value::Int(1), Value::Int(1 << 40)]);
    check(given, failing(&json!([1, null]), &[json!(["list", 1])])).await;
}

#[tokio::test]
async fn what_is_no_list_is_an_error() {
    check(Value::Int(1), failing(&Json::Null, &[json!(["list"])])).await;
    // Text is no list of letters.
    check(Value::str("12"), failing(&Json::Null, &[json!(["list"])])).await;
}

#[tokio::test]
async fn the_first_null_ends_a_list_also_in_an_array_of_rows() {
    let engine = World::new("type Query { a: [Int!], b: [[Int!]!], c: [Int!] }")
        .call("Query.a", |_| value(Value::List(vec![Value::Null, Value::Null])))
        .call("Query.b", |_| sql("b"))
        .call("Query.c", |_| sql("c"))
        .rows("b", "b:int4[]", &[&["{{1,NULL},{NULL,2}}"], &["{3}"]])
        .rows("c", "c:int4", &[&["1"], &["NULL"], &["NULL"]])
        .engine();
    let answer = ask(&engine, "{ a b c }").await;
    assert_eq!(
        answer["data"],
        json!({"a": null, "b": null, "c": null}),
        "{answer}"
    );
    assert_eq!(paths(&answer)[0], json!(["a", 0]));
    assert_eq!(paths(&answer).last().unwrap(), &json!(["c", 1]));
    let engine = World::new("type Query { r: [Row] } type Row { l: [Int!], m: [[Int!]] }")
        .call("Query.r", |_| sql("r"))
        .rows(
            "r",
            "l:int4[] m:int4[]",
            &[&["{1,NULL,2,NULL}", "{{1,NULL,NULL},{3,4,5}}"]],
        )
        .engine();
    let answer = ask(&engine, "{ r { l m } }").await;
    assert_eq!(
        answer["data"],
        json!({"r": [{"l": null, "m": [null, [3, 4, 5]]}]})
    );
    assert_eq!(
        paths(&answer),
        [json!(["r", 0, "l", 1]), json!(["r", 0, "m", 0, 1])]
    );
    assert_eq!(message(&answer), "Row.l must not be null");
}
