//! Variables and arguments: coerced, defaulted, refused.

use puff_graphql::Engine;
use serde_json::{Value as Json, json};

use super::support::{Memory, World, ask_with, message};
use super::{echo, paths};

const SDL: &str = "
    scalar Any
    enum Color { RED GREEN }
    input Test { a: String, b: [String], c: String!, d: Any, e: Color }
    input Nested { na: Test!, nb: String!, again: Nested }
    input Defaults { n: Int! = 7, s: String = \"s\", l: [Int!]! = [1], in: Defaults }
    type Query {
        object(input: Test): String, nested(input: Nested): String, defaults(input: Defaults): String
        nullable(input: String): String, nonNull(input: String!): String, def(input: String = \"Hello\"): String
        both(input: String! = \"Hello\"): String
        list(input: [String]): String, nnList(input: [String]!): String, listNN(input: [String!]): String
        nnListNN(input: [String!]!): String, deep(input: [[Int]]): String
        int(input: Int): String, float(input: Float): String, bool(input: Boolean): String, id(input: ID): String
        color(input: Color): String, any(input: Any): String
    }";

fn engine() -> Engine<Memory> {
    let fields = "object nested defaults nullable nonNull def both list nnList listNN nnListNN deep int float bool id color any";
    fields
        .split(' ')
        .fold(World::new(SDL), |world, field| {
            world.call(&format!("Query.{field}"), echo)
        })
        .engine()
}

/// The only field tells these arguments.
async fn tells(query: &str, variables: Json, arguments: Json) {
    let answer = ask_with(&engine(), query, variables.clone()).await;
    let told = answer["data"]
        .as_object()
        .and_then(|data| data.values().next()?.as_str());
    let told = told.unwrap_or_else(|| panic!("{query} {variables}: {answer}"));
    assert_eq!(told, arguments.to_string(), "{query} {variables}");
}

/// The request is refused with a message that has this in it.
async fn refused(query: &str, variables: Json, part: &str) {
    let answer = ask_with(&engine(), query, variables.clone()).await;
    assert!(answer.get("data").is_none(), "{query} {variables}: {answer}");
    assert!(message(&answer).contains(part), "{query} {variables}: {answer}");
}

#[tokio::test]
async fn input_objects_as_literals() {
    let query = |object: &str| format!("{{ object(input: {object}) }}");
    tells(
        &query("{a: \"foo\", b: [\"bar\"], c: \"baz\"}"),
        json!({}),
        json!({"input": {"a": "foo", "b": ["bar"], "c": "baz"}}),
    )
    .await;
    // One value stands for a list of it.
    tells(
        &query("{a: \"foo\", b: \"bar\", c: \"baz\"}"),
        json!({}),
        json!({"input": {"a": "foo", "b": ["bar"], "c": "baz"}}),
    )
    .await;
    tells(
        &query("{a: null, b: null, c: \"C\", d: null}"),
        json!({}),
        json!({"input": {"a": null, "b": null, "c": "C", "d": null}}),
    )
    .await;
    tells(
        &query("{b: [\"A\", null, \"C\"], c: \"C\"}"),
        json!({}),
        json!({"input": {"b": ["A", null, "C"], "c": "C"}}),
    )
    .await;
    refused(&query("[\"foo\", \"bar\", \"baz\"]"), json!({}), "Test").await;
    refused(&query("{a: \"foo\"}"), json!({}), "`Test.c`").await;
    refused(&query("{c: \"c\", f: 1}"), json!({}), "`f`").await;
    tells(
        &query("{c: \"c\", d: {x: [1, GREEN]}}"),
        json!({}),
        json!({"input": {"c": "c", "d": {"x": [1, "GREEN"]}}}),
    )
    .await;
}

#[tokio::test]
async fn input_objects_with_variables_inside() {
    let query = "query($a: String, $b: String) { object(input: {a: $a, b: [$a, $b], c: \"c\"}) }";
    tells(
        query,
        json!({"a": "x"}),
        json!({"input": {"a": "x", "b": ["x", null], "c": "c"}}),
    )
    .await;
    tells(query, json!({}), json!({"input": {"b": [null, null], "c": "c"}})).await;
    tells(
        query,
        json!({"a": null, "b": "y"}),
        json!({"input": {"a": null, "b": [null, "y"], "c": "c"}}),
    )
    .await;
}

#[tokio::test]
async fn input_objects_as_variables() {
    let query = "query($input: Test) { object(input: $input) }";
    let whole = json!({"input": {"a": "foo", "b": ["bar"], "c": "baz"}});
    tells(query, whole.clone(), whole.clone()).await;
    tells(
        query,
        json!({"input": {"a": "foo", "b": "bar", "c": "baz"}}),
        whole,
    )
    .await;
    tells(query, json!({}), json!({})).await;
    tells(query, json!({"input": null}), json!({"input": null})).await;
    tells(
        query,
        json!({"input": {"c": "c", "e": "RED"}}),
        json!({"input": {"c": "c", "e": "RED"}}),
    )
    .await;
    refused(
        query,
        json!({"input": {"a": "foo", "b": "bar", "c": null}}),
        "`$input.c`",
    )
    .await;
    refused(query, json!({"input": "foo bar"}), "`$input`").await;
    refused(query, json!({"input": {"a": "foo", "b": "bar"}}), "`c`").await;
    refused(query, json!({"input": {"c": "c", "extra": 1}}), "`extra`").await;
    refused(
        query,
        json!({"input": {"c": "c", "b": ["x", 1]}}),
        "`$input.b[1]`",
    )
    .await;
    refused(query, json!({"input": {"c": "c", "e": "BLUE"}}), "`$input.e`").await;
    let query = "query($input: Nested) { nested(input: $input) }";
    refused(query, json!({"input": {"na": {"a": "foo"}}}), "`c`").await;
    let deep = json!({"input": {"na": {"c": "c"}, "nb": "b", "again": {"na": {"c": "c"}, "nb": 1}}});
    refused(query, deep, "`$input.again.nb`").await;
}

#[tokio::test]
async fn every_variable_that_is_wrong_is_reported() {
    let query =
        "query($a: Int!, $b: Int, $c: String!) { int(input: $a) other: int(input: $b) nonNull(input: $c) }";
    let answer = ask_with(&engine(), query, json!({"a": "x", "b": 1.5})).await;
    let messages: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["message"])
        .collect();
    assert_eq!(messages.len(), 3, "{answer}");
    assert!(paths(&answer).iter().all(Json::is_null));
}

#[tokio::test]
async fn defaults_of_variables() {
    let query = "query($input: String = \"default\") { nullable(input: $input) }";
    tells(query, json!({}), json!({"input": "default"})).await;
    tells(query, json!({"input": "given"}), json!({"input": "given"})).await;
    tells(query, json!({"input": null}), json!({"input": null})).await;
    let query = "query($input: String = null) { nullable(input: $input) }";
    tells(query, json!({}), json!({"input": null})).await;
    let query = "query($input: Test = {a: \"foo\", b: \"bar\", c: \"baz\"}) { object(input: $input) }";
    tells(
        query,
        json!({}),
        json!({"input": {"a": "foo", "b": ["bar"], "c": "baz"}}),
    )
    .await;
    let query = "query($input: Defaults = {l: 3}) { defaults(input: $input) }";
    tells(query, json!({}), json!({"input": {"n": 7, "s": "s", "l": [3]}})).await;
}

#[tokio::test]
async fn defaults_of_input_fields() {
    let whole = json!({"input": {"n": 7, "s": "s", "l": [1]}});
    tells("{ defaults(input: {}) }", json!({}), whole.clone()).await;
    let query = "query($in: Defaults) { defaults(input: $in) }";
    tells(query, json!({"in": {}}), whole).await;
    tells(
        query,
        json!({"in": {"n": 1, "s": null, "in": {}}}),
        json!({"input": {"n": 1, "s": null, "l": [1], "in": {"n": 7, "s": "s", "l": [1]}}}),
    )
    .await;
    refused(query, json!({"in": {"n": null}}), "`$in.n`").await;
    refused(query, json!({"in": {"l": [null]}}), "`$in.l[0]`").await;
    // A variable without a value leaves the default; one with null fails where it is used.
    let query = "query($n: Int, $s: String) { defaults(input: {n: $n, s: $s}) }";
    tells(query, json!({}), json!({"input": {"n": 7, "s": "s", "l": [1]}})).await;
    tells(
        query,
        json!({"s": null}),
        json!({"input": {"n": 7, "s": null, "l": [1]}}),
    )
    .await;
    let answer = ask_with(&engine(), query, json!({"n": null})).await;
    assert_eq!(answer["data"], json!({"defaults": null}));
    assert_eq!(paths(&answer), [json!(["defaults"])]);
}

#[tokio::test]
async fn nullable_scalars() {
    tells("{ nullable }", json!({}), json!({})).await;
    tells("{ nullable(input: null) }", json!({}), json!({"input": null})).await;
    tells("{ nullable(input: \"a\") }", json!({}), json!({"input": "a"})).await;
    let query = "query($value: String) { nullable(input: $value) }";
    tells(query, json!({}), json!({})).await;
    tells(query, json!({"value": null}), json!({"input": null})).await;
    tells(query, json!({"value": "a"}), json!({"input": "a"})).await;
    refused("{ nullable(input: $value) }", json!({"value": "a"}), "value").await;
}

#[tokio::test]
async fn scalars_that_must_not_be_null() {
    tells("{ nonNull(input: \"a\") }", json!({}), json!({"input": "a"})).await;
    let query = "query($value: String! = \"default\") { nonNull(input: $value) }";
    tells(query, json!({}), json!({"input": "default"})).await;
    let query = "query($value: String!) { nonNull(input: $value) }";
    tells(query, json!({"value": "a"}), json!({"input": "a"})).await;
    refused(query, json!({}), "`$value`").await;
    refused(query, json!({"value": null}), "`$value`").await;
    refused(query, json!({"value": [1, 2, 3]}), "`$value`").await;
    refused("{ nonNull }", json!({}), "nonNull(input:)").await;
}

#[tokio::test]
async fn defaults_of_arguments() {
    tells("{ def }", json!({}), json!({"input": "Hello"})).await;
    tells("{ both }", json!({}), json!({"input": "Hello"})).await;
    tells("{ def(input: null) }", json!({}), json!({"input": null})).await;
    let query = "query($v: String) { def(input: $v) }";
    tells(query, json!({}), json!({"input": "Hello"})).await;
    tells(query, json!({"v": null}), json!({"input": null})).await;
    let query = "query($v: String) { both(input: $v) }";
    tells(query, json!({}), json!({"input": "Hello"})).await;
    let answer = ask_with(&engine(), query, json!({"v": null})).await;
    assert_eq!(answer["data"], json!({"both": null}));
    refused("{ def(input: WRONG) }", json!({}), "String").await;
}

#[tokio::test]
async fn lists_and_nulls() {
    for (field, declared, null, with_null) in [
        ("list", "[String]", true, true),
        ("nnList", "[String]!", false, true),
        ("listNN", "[String!]", true, false),
        ("nnListNN", "[String!]!", false, false),
    ] {
        let query = format!("query($input: {declared}) {{ {field}(input: $input) }}");
        for (value, fits) in [
            (Json::Null, null),
            (json!(["A"]), true),
            (json!(["A", null, "B"]), with_null),
            (json!([]), true),
        ] {
            let given = json!({ "input": value });
            match fits {
                true => tells(&query, given.clone(), given).await,
                false => refused(&query, given, "must not be null").await,
            }
        }
        tells(&query, json!({"input": "A"}), json!({"input": ["A"]})).await;
    }
}

#[tokio::test]
async fn single_values_become_lists_at_every_depth() {
    for (literal, list) in [
        ("1", json!([[1]])),
        ("[1, 2]", json!([[1], [2]])),
        ("[[1], 2, null]", json!([[1], [2], null])),
        ("[[1, null]]", json!([[1, null]])),
        ("null", Json::Null),
    ] {
        tells(
            &format!("{{ deep(input: {literal}) }}"),
            json!({}),
            json!({ "input": list }),
        )
        .await;
        let given: Json = serde_json::from_str(literal).unwrap();
        let query = "query($v: [[Int]]) { deep(input: $v) }";
        tells(query, json!({ "v": given }), json!({ "input": list })).await;
    }
    let query = "query($v: Int) { deep(input: [[$v], [1]]) }";
    tells(query, json!({}), json!({"input": [[null], [1]]})).await;
    let query = "query($v: [Int]) { deep(input: [$v, [1]]) }";
    tells(query, json!({"v": 5}), json!({"input": [[5], [1]]})).await;
}

#[tokio::test]
async fn types_that_are_no_input_or_not_there_are_not_valid() {
    refused(
        "query($input: Query) { object(input: $input) }",
        json!({}),
        "input type",
    )
    .await;
    refused(
        "query($input: Unknown!) { object(input: $input) }",
        json!({}),
        "Unknown",
    )
    .await;
}

#[tokio::test]
async fn scalars_take_what_they_can_hold() {
    for (field, kind, good, bad) in [
        (
            "int",
            "Int",
            vec![json!(1), json!(-2147483648_i64), json!(3.0)],
            vec![
                json!(2147483648_i64),
                json!(1.5),
                json!("1"),
                json!(true),
                json!([1, 2]),
            ],
        ),
        (
            "float",
            "Float",
            vec![json!(1.5)],
            vec![json!("1.5"), json!(true)],
        ),
        (
            "bool",
            "Boolean",
            vec![json!(true), json!(false)],
            vec![json!("true"), json!(1)],
        ),
        (
            "nullable",
            "String",
            vec![json!("x"), json!("")],
            vec![json!(1), json!(true), json!({"a": 1}), json!(["x"])],
        ),
        (
            "color",
            "Color",
            vec![json!("RED")],
            vec![json!("red"), json!("BLUE"), json!(1), json!({"RED": true})],
        ),
    ] {
        let query = format!("query($v: {kind}) {{ {field}(input: $v) }}");
        for value in good {
            let answer = ask_with(&engine(), &query, json!({ "v": value })).await;
            assert!(answer.get("errors").is_none(), "{query} {value}: {answer}");
        }
        for value in bad {
            refused(&query, json!({ "v": value }), "`$v`").await;
        }
    }
    tells(
        "query($v: ID) { id(input: $v) }",
        json!({"v": 12}),
        json!({"input": "12"}),
    )
    .await;
    tells("{ id(input: 12) }", json!({}), json!({"input": "12"})).await;
    refused("query($v: ID) { id(input: $v) }", json!({"v": 1.5}), "`$v`").await;
    refused("{ int(input: 2147483648) }", json!({}), "32-bit").await;
    refused("{ float(input: \"1\") }", json!({}), "").await;
    tells("{ float(input: 1) }", json!({}), json!({"input": 1.0})).await;
    refused("{ color(input: \"RED\") }", json!({}), "").await;
    refused("{ color(input: BLUE) }", json!({}), "").await;
}

#[tokio::test]
async fn custom_scalars_take_anything() {
    let query = "query($v: Any) { any(input: $v) }";
    for value in [
        json!(1),
        json!("x"),
        json!([1, {"a": null}]),
        json!({"k": [true]}),
        Json::Null,
    ] {
        tells(query, json!({ "v": value }), json!({ "input": value })).await;
    }
    let query = "query($v: Int, $w: Int) { any(input: {a: $v, b: [$v, $w], c: RED, e: 1.5}) }";
    tells(
        query,
        json!({"v": 1}),
        json!({"input": {"a": 1, "b": [1, null], "c": "RED", "e": 1.5}}),
    )
    .await;
}

#[tokio::test]
async fn many_problems_of_variables_are_bounded() {
    let query = "query($v: [Int]) { any(input: \"x\") ... @include(if: false) { deep(input: [$v]) } }";
    let many: Vec<Json> = (0..10_000).map(|_| json!("no")).collect();
    let answer = ask_with(&engine(), query, json!({ "v": many })).await;
    assert!(answer["errors"].as_array().unwrap().len() <= 50);
    assert!(answer.to_string().len() < 10_000);
}
