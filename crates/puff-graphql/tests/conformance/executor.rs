//! Operations, merging, paths, order.

use puff_graphql::{FieldError, Outcome, Request, RequestErrorCode, Spread, Value};
use serde_json::{Value as Json, json};

use super::support::{World, ask, json as parsed, objects, respond, value};
use super::{echo, paths};

const DATA: &str = "
    type Query { a: String, b: String, deep: Deep, list: [Deep], pic(size: Int): String, args(a: Int, b: Int): String }
    type Mutation { m: String } type Subscription { s: String }
    type Deep { a: String, b: String, c: [String], deeper: [Deep], must: String! }
";

fn world() -> World {
    let text = |text: &'static str| move |_| value(Value::str(text));
    World::new(DATA)
        .call("Query.a", text("Apple"))
        .call("Query.b", text("Banana"))
        .call("Query.deep", |call| {
            let inner = json!({"a": "Already", "b": "Boring", "c": ["x", null], "must": null});
            let object =
                json!({"a": "A", "b": "B", "c": ["Contrived", null, "Confusing"], "deeper": [inner, null]});
            objects(&call, vec![object], Spread::Shared)
        })
        .call("Query.list", |call| {
            objects(
                &call,
                vec![json!([{"a": "1"}, null, "broken", {"a": "2"}])],
                Spread::Shared,
            )
        })
        .call("Query.pic", echo)
        .call("Query.args", echo)
        .call("Mutation.m", text("mutated"))
        .call("Subscription.s", text("an event"))
}

async fn run(query: &str, operation: Option<&str>) -> (Json, Outcome) {
    let request = Request {
        operation_name: operation.map(str::to_owned),
        ..Request::new(query)
    };
    let response = world().engine().execute(request, String::new()).await;
    (parsed(&response), response.outcome)
}

#[tokio::test]
async fn a_document_with_everything() {
    let query = "query Example($size: Int) { a, b, x: pic(size: $size), deep { a b c deeper { a b } }, ...F }
        fragment F on Query { b x: pic(size: $size) deep { b deeper { c } } }";
    let answer = respond(&world().engine(), query, json!({"size": 100})).await;
    assert_eq!(
        std::str::from_utf8(&answer.body).unwrap(),
        concat!(
            r#"{"data":{"a":"Apple","b":"Banana","x":"{\"size\":100}","deep":{"a":"A","b":"B","#,
            r#""c":["Contrived",null,"Confusing"],"deeper":[{"a":"Already","b":"Boring","c":["x",null]},null]}}}"#
        )
    );
}

#[tokio::test]
async fn arguments_that_were_not_given_are_not_there() {
    let answer = ask(
        &world().engine(),
        "{ args(b: null) other: args other2: args(a: 1) }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({"args": r#"{"b":null}"#, "other": "{}", "other2": r#"{"a":1}"#})
    );
}

#[tokio::test]
async fn which_operation_runs() {
    let two = "query A { a } query B { b } mutation M { m }";
    assert_eq!(run("{ a }", None).await.0["data"], json!({"a": "Apple"}));
    assert_eq!(run("query A { a }", None).await.0["data"], json!({"a": "Apple"}));
    assert_eq!(run(two, Some("B")).await.0["data"], json!({"b": "Banana"}));
    assert_eq!(run(two, Some("M")).await.0["data"], json!({"m": "mutated"}));
    let unknown = Outcome::Refused(RequestErrorCode::OperationUnknown);
    for (query, name) in [
        (two, None),
        (two, Some("C")),
        (two, Some("")),
        ("{ a }", Some("A")),
    ] {
        assert_eq!(run(query, name).await.1, unknown, "{name:?}");
    }
    for query in ["fragment F on Query { a }", "", "type A { b: Int }"] {
        let (answer, _) = run(query, None).await;
        assert!(answer.get("data").is_none(), "{query}: {answer}");
    }
}

#[tokio::test]
async fn an_operation_the_schema_does_not_have() {
    let engine = World::new("type Query { a: String }")
        .call("Query.a", |_| value(Value::str("a")))
        .engine();
    for query in ["mutation { m }", "subscription { s }"] {
        let answer = ask(&engine, query).await;
        assert!(answer.get("data").is_none(), "{query}: {answer}");
    }
}

#[tokio::test]
async fn paths_have_response_names_and_indexes() {
    let answer = ask(
        &world().engine(),
        "{ d: deep { e: deeper { m: must } } l: list { x: a } }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({"d": {"e": [null, null]}, "l": [{"x": "1"}, null, null, {"x": "2"}]})
    );
    assert_eq!(paths(&answer), [json!(["d", "e", 0, "m"]), json!(["l", 2])]);
}

#[tokio::test]
async fn an_error_names_every_place_of_its_field_that_counts() {
    let engine = World::new("type Query { o: O } type O { a: Int }")
        .call("Query.o", |call| objects(&call, vec![json!({})], Spread::Shared))
        .call("O.a", |_| Err(FieldError::new("E", "no")))
        .engine();
    let query = "query($no: Boolean = false) {\n o { a\n a }\n ...F o @include(if: $no) { a } }\nfragment F on Query { o { a } }";
    let answer = ask(&engine, query).await;
    assert_eq!(
        answer["errors"][0]["locations"],
        json!([{"line": 2, "column": 6}, {"line": 3, "column": 2}, {"line": 5, "column": 27}])
    );
}

#[tokio::test]
async fn fields_stand_in_the_order_of_the_document_whatever_ends_first() {
    let engine = World::new("type Query { slow: Int, fast: Int, sql: Int }")
        .call("Query.slow", |_| super::support::sql("slow"))
        .call("Query.fast", |_| value(Value::Int(1)))
        .call("Query.sql", |_| super::support::sql("slow"))
        .rows("slow", "v:int4", &[&["2"]])
        .engine();
    let body = respond(&engine, "{ slow fast sql }", json!({})).await.body;
    assert_eq!(&body[..], br#"{"data":{"slow":2,"fast":1,"sql":2}}"#);
}

#[tokio::test]
async fn fields_that_are_no_part_of_the_schema_are_not_valid() {
    for query in [
        "{ thisIsIllegal }",
        "{ a { b } }",
        "{ deep }",
        "{ a a: b }",
        "{ ...F } fragment F on Query { ...F }",
    ] {
        let (answer, outcome) = run(query, None).await;
        assert!(answer.get("data").is_none(), "{query}");
        assert_eq!(
            outcome,
            Outcome::Refused(RequestErrorCode::ValidationFailed),
            "{query}"
        );
    }
}

#[tokio::test]
async fn fragments_beside_each_other_merge_at_every_depth() {
    let (answer, _) = run(
        "{ a ...One ...Two }
         fragment One on Query { b deep { b inner: deeper { b } } }
         fragment Two on Query { deep { c inner: deeper { c } } pic }",
        None,
    )
    .await;
    let inner = json!([{"b": "Boring", "c": ["x", null]}, null]);
    let deep = json!({"b": "B", "inner": inner, "c": ["Contrived", null, "Confusing"]});
    assert_eq!(
        answer,
        json!({"data": {"a": "Apple", "b": "Banana", "deep": deep, "pic": "{}"}})
    );
}

#[tokio::test]
async fn definitions_of_types_are_no_part_of_a_request() {
    let (answer, outcome) = run("{ a } type Query { bar: String }", None).await;
    assert!(answer.get("data").is_none(), "{answer}");
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
}
