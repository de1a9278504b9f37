//! Requests that are refused, variables and arguments, introspection.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use puff_graphql::{
    FieldResolver, Outcome, Request, RequestErrorCode, ResolverId, ResolverKind, Schema, SchemaError,
    SchemaOptions, SqlParam, SqlResolver, Value,
};
use serde_json::{Value as Json, json};
use support::{World, ask, ask_with, log, message, respond, value};

const SDL: &str = r#"
    "Says things."
    type Query { echo(arg: In, n: Int = 5, list: [Int!], e: E, id: ID, f: Float, any: Any, one: One, must: Int! = 1): Any }
    input In { a: Int!, b: String = "dflt", deep: [In!], c: Boolean }
    input One @oneOf { x: Int, y: String }
    enum E { RED GREEN }
    scalar Any
"#;

fn echo() -> puff_graphql::Engine<support::Memory> {
    World::new(SDL)
        .call("Query.echo", |call| {
            let fields = call
                .arguments
                .iter()
                .map(|(name, value)| (name.into(), value.clone()));
            value(Value::Object(fields.collect()))
        })
        .engine()
}

#[tokio::test]
async fn arguments_are_coerced_with_defaults() {
    let engine = echo();
    for (query, wanted) in [
        ("{ echo }", json!({"n": 5, "must": 1})),
        ("{ echo(n: null) }", json!({"n": null, "must": 1})),
        ("{ echo(list: 3, n: 1) }", json!({"n": 1, "list": [3], "must": 1})),
        ("{ echo(list: [1, 2], e: RED, id: 7, f: 2) }", {
            json!({"n": 5, "list": [1, 2], "e": "RED", "id": "7", "f": 2, "must": 1})
        }),
        ("{ echo(any: {a: [1, \"x\", B], b: null}) }", {
            json!({"n": 5, "any": {"a": [1, "x", "B"], "b": null}, "must": 1})
        }),
        ("{ echo(arg: {a: 1, deep: {a: 2, b: null}}) }", {
            json!({"arg": {"a": 1, "b": "dflt", "deep": [{"a": 2, "b": null}]}, "n": 5, "must": 1})
        }),
        (
            "{ echo(one: {y: \"z\"}) }",
            json!({"n": 5, "one": {"y": "z"}, "must": 1}),
        ),
    ] {
        let answer = ask(&engine, query).await;
        assert_eq!(answer, json!({"data": {"echo": wanted}}), "{query}");
    }
}

#[tokio::test]
async fn variables_are_coerced() {
    let engine = echo();
    let cases: &[(&str, Json, Json)] = &[
        ("($n: Int) { echo(n: $n) }", json!({}), json!({"n": 5, "must": 1})),
        (
            "($n: Int) { echo(n: $n) }",
            json!({"n": null}),
            json!({"n": null, "must": 1}),
        ),
        (
            "($n: Int = 9) { echo(n: $n) }",
            json!({}),
            json!({"n": 9, "must": 1}),
        ),
        (
            "($n: Int = 9) { echo(n: $n) }",
            json!({"n": 3.0}),
            json!({"n": 3, "must": 1}),
        ),
        (
            "($m: Int) { echo(must: $m) }",
            json!({}),
            json!({"n": 5, "must": 1}),
        ),
        (
            "($l: [Int!]) { echo(list: $l) }",
            json!({"l": 4}),
            json!({"n": 5, "list": [4], "must": 1}),
        ),
        (
            "($i: ID, $f: Float) { echo(id: $i, f: $f) }",
            json!({"i": 12, "f": 1}),
            { json!({"n": 5, "id": "12", "f": 1, "must": 1}) },
        ),
        (
            "($a: In) { echo(arg: $a) }",
            json!({"a": {"a": 1, "deep": {"a": 2}}}),
            { json!({"arg": {"a": 1, "b": "dflt", "deep": [{"a": 2, "b": "dflt"}]}, "n": 5, "must": 1}) },
        ),
        (
            "($x: Int!, $y: Boolean) { echo(arg: {a: $x, c: $y}, any: {k: [{i: $x, j: $y}]}) }",
            json!({"x": 1}),
            { json!({"arg": {"a": 1, "b": "dflt"}, "n": 5, "any": {"k": [{"i": 1}]}, "must": 1}) },
        ),
        (
            "($e: E = GREEN) { echo(e: $e) }",
            json!({}),
            json!({"n": 5, "e": "GREEN", "must": 1}),
        ),
        (
            "($any: Any) { echo(any: $any) }",
            json!({"any": {"deep": [1.5]}}),
            { json!({"n": 5, "any": {"deep": [1.5]}, "must": 1}) },
        ),
    ];
    for (query, variables, wanted) in cases {
        let answer = ask_with(&engine, &format!("query {query}"), variables.clone()).await;
        assert_eq!(answer, json!({"data": {"echo": wanted}}), "{query}");
    }
}

#[tokio::test]
async fn wrong_variables_are_named() {
    let engine = echo();
    for (query, variables, wanted) in [
        (
            "($n: Int!) { echo(n: $n) }",
            json!({}),
            "variable `$n` of type `Int!` needs a value",
        ),
        (
            "($n: Int!) { echo(n: $n) }",
            json!({"n": null}),
            "variable `$n` of type `Int!` must not be null",
        ),
        (
            "($n: Int) { echo(n: $n) }",
            json!({"n": "1"}),
            "variable `$n`: \"1\" is not a whole number of 32 bits (Int)",
        ),
        ("($n: Int) { echo(n: $n) }", json!({"n": 3_000_000_000_u32}), {
            "variable `$n`: 3000000000 is not a whole number of 32 bits (Int)"
        }),
        ("($l: [Int!]) { echo(list: $l) }", json!({"l": [1, null]}), {
            "variable `$l[1]` of type `Int!` must not be null"
        }),
        ("($e: E) { echo(e: $e) }", json!({"e": "BLUE"}), {
            "variable `$e`: \"BLUE\" is not a value of the enum `E` (RED, GREEN)"
        }),
        (
            "($a: In) { echo(arg: $a) }",
            json!({"a": {"a": 1, "zz": 2}}),
            "variable `$a`: `In` has no field `zz`",
        ),
        (
            "($a: In) { echo(arg: $a) }",
            json!({"a": {"a": 1, "deep": [{"b": "x"}]}}),
            { "variable `$a.deep[0]`: field `a` of type `Int!` needs a value" },
        ),
        (
            "($a: In) { echo(arg: $a) }",
            json!({"a": 5}),
            "variable `$a`: 5 is not an object of type `In`",
        ),
        ("($o: One) { echo(one: $o) }", json!({"o": {"x": 1, "y": "2"}}), {
            "variable `$o`: exactly one field of the `@oneOf` input object `One` must have a value"
        }),
    ] {
        let response = respond(&engine, &format!("query {query}"), variables).await;
        assert_eq!(response.outcome, Outcome::Refused(RequestErrorCode::BadVariables));
        let answer = support::json(&response);
        assert_eq!(message(&answer), wanted);
        assert!(answer.get("data").is_none());
    }
    let answer = ask_with(
        &engine,
        "query($m: Int = 2) { echo(must: $m) }",
        json!({"m": null}),
    )
    .await;
    assert_eq!(answer["data"], json!({"echo": null}));
    assert_eq!(message(&answer), "`must` must not be null");
}

#[tokio::test]
async fn bad_documents_are_refused() {
    let engine = echo();
    for (query, code, wanted) in [
        ("{", RequestErrorCode::ParseFailed, "syntax error"),
        ("", RequestErrorCode::ParseFailed, "syntax error"),
        (
            "{ nope }",
            RequestErrorCode::ValidationFailed,
            "does not have a field `nope`",
        ),
        ("{ echo(n: \"x\") }", RequestErrorCode::ValidationFailed, "Int"),
        (
            "{ ...a } fragment a on Query { ...a }",
            RequestErrorCode::ValidationFailed,
            "cannot reference itself",
        ),
        (
            "query a { echo } query b { echo }",
            RequestErrorCode::OperationUnknown,
            "operationName",
        ),
        ("mutation { x }", RequestErrorCode::ValidationFailed, "mutation"),
        (
            "{ echo: __typename echo }",
            RequestErrorCode::ValidationFailed,
            "echo",
        ),
    ] {
        let response = respond(&engine, query, json!({})).await;
        assert_eq!(
            response.outcome,
            Outcome::Refused(code),
            "{query}: {:?}",
            response.body
        );
        let answer = support::json(&response);
        assert!(message(&answer).contains(wanted), "{query}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code.as_str());
        assert!(answer.get("data").is_none());
    }
    let request = Request {
        operation_name: Some("c".into()),
        ..Request::new("query a { echo } query b { echo }")
    };
    let response = engine.execute(request, String::new()).await;
    assert_eq!(
        response.outcome,
        Outcome::Refused(RequestErrorCode::OperationUnknown)
    );
    let request = Request {
        operation_name: Some("b".into()),
        ..Request::new("query a { echo } query b { x: echo(n: 1) }")
    };
    let answer = support::json(&engine.execute(request, String::new()).await);
    assert_eq!(answer["data"]["x"]["n"], 1);
}

#[tokio::test]
async fn subscriptions_go_elsewhere() {
    let engine = World::new("type Query { a: Int } type Subscription { s: Int }")
        .call("Query.a", |_| value(Value::Int(1)))
        .call("Subscription.s", |_| value(Value::Int(1)))
        .engine();
    let answer = ask(&engine, "subscription { s }").await;
    assert!(message(&answer).contains("use a WebSocket"));
}

#[tokio::test]
async fn hostile_documents_are_refused_quickly() {
    let engine = World::new("type Query { a: A } type A { a: A, b: Int }")
        .call("Query.a", |_| value(Value::Null))
        .engine();
    let aliases: String = (0..10_000).map(|n| format!("x{n}:a{{b}} ")).collect();
    let wide: String = (0..250).map(|n| format!("x{n}:a{{b}} ")).collect();
    let deep = format!("{}{{b}}{}", "{a".repeat(40), "}".repeat(40));
    let very_deep = format!("{}{}", "{a".repeat(50_000), "}".repeat(50_000));
    // Each fragment spreads the next one twenty times under other names: twenty to the power of ten fields.
    let mut bomb = "{ a { ...f0 } }".to_owned();
    for level in 0..10 {
        let inner = (0..20).map(|n| format!("y{n}:a{{...f{}}} ", level + 1));
        bomb.push_str(&format!(
            "fragment f{level} on A {{ {} }} ",
            inner.collect::<String>()
        ));
    }
    bomb.push_str("fragment f10 on A { b }");
    let chain: String = (0..1500)
        .map(|n| format!("fragment c{n} on A {{ ...c{} }} ", n + 1))
        .collect();
    let chain = format!("{{ a {{ ...c0 }} }} {chain} fragment c1500 on A {{ b }}");
    let list = format!("{{ a {{ b(x: {}1{}) }} }}", "[".repeat(5000), "]".repeat(5000));
    let introspection = format!(
        "{{ {} }}",
        (0..100)
            .map(|n| format!("s{n}:__schema{{types{{name}}}} "))
            .collect::<String>()
    );
    let nested =
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name }}}}}}}}}}";
    for (name, query) in [
        ("aliases", format!("{{ {aliases} }}")),
        ("wide", format!("{{ {wide} }}")),
        ("deep", deep),
        ("very deep", very_deep),
        ("bomb", bomb),
        ("chain", chain.clone()),
        ("list", list),
        ("huge", " ".repeat(300_000)),
        ("introspection", introspection),
        ("nested introspection", nested.to_owned()),
    ] {
        let start = Instant::now();
        let response = respond(&engine, &query, json!({})).await;
        let took = start.elapsed();
        assert!(matches!(response.outcome, Outcome::Refused(_)), "{name}");
        // Debug builds are some twenty times slower than what the bound is meant for, and busy machines slower.
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
        let answer = support::json(&response);
        println!("{name}: {took:?} {}", message(&answer));
    }
    assert!(support::log(&engine).is_empty());

    // The same without the limit of tokens: nothing overflows, whatever refuses it.
    let options = SchemaOptions {
        max_tokens: 1_000_000,
        ..SchemaOptions::default()
    };
    let engine = World::new("type Query { a: A } type A { a: A, b: Int }")
        .options(options)
        .call("Query.a", |_| value(Value::Null))
        .engine();
    for query in [chain, format!("{{ {aliases} }}")] {
        let response = respond(&engine, &query, json!({})).await;
        assert!(matches!(response.outcome, Outcome::Refused(_)));
    }
}

#[tokio::test]
async fn an_answer_is_estimated_before_anything_runs() {
    let sdl =
        "type Query { list(first: Int, last: Int = 3): [Item!]!, page(first: Int): Page, free: [Item!]! }
        type Item { a: Int, list(limit: Int): [Item!]! }
        type Page { edges: [Item!]!, total: Int }";
    let call = |_| value(Value::Null);
    let engine = World::new(sdl)
        .options(SchemaOptions {
            max_complexity: 100,
            list_size: 20,
            ..SchemaOptions::default()
        })
        .call("Query.list", call)
        .call("Query.page", call)
        .call("Query.free", call)
        .call("Item.list", call)
        .engine();
    // What is asked, with which variables, and the estimate if it is too high.
    for (query, variables, wanted) in [
        ("{ list(first: 99) { a } }", json!({}), None),
        ("{ list(first: 100) { a } }", json!({}), Some(101)),
        // By the default of `last`.
        ("{ list { a a2: a a3: a } }", json!({}), None),
        ("{ list(last: 60) { a b: a } }", json!({}), Some(121)),
        ("{ free { a b: a c: a d: a } }", json!({}), None),
        ("{ free { a b: a c: a d: a e: a } }", json!({}), Some(101)),
        ("{ page(first: 97) { total edges { a } } }", json!({}), None),
        ("{ page(first: 98) { total edges { a } } }", json!({}), Some(101)),
        (
            "{ list(first: 10) { list(limit: 10) { a } } }",
            json!({}),
            Some(111),
        ),
        ("query($n: Int) { list(first: $n) { a } }", json!({"n": 99}), None),
        (
            "query($n: Int) { list(first: $n) { a } }",
            json!({"n": 100}),
            Some(101),
        ),
        ("query($n: Int) { list(first: $n) { a } }", json!({}), None),
        (
            "query($n: Int = 100) { list(first: $n) { a } }",
            json!({}),
            Some(101),
        ),
        ("query($n: Int) { list(first: $n) { a } }", json!({"n": -5}), None),
        (
            "query($if: Boolean!) { list(first: 200) @include(if: $if) { a } }",
            json!({"if": false}),
            None,
        ),
        (
            "query($if: Boolean!) { list(first: 200) @include(if: $if) { a } }",
            json!({"if": true}),
            Some(201),
        ),
    ] {
        let response = respond(&engine, query, variables.clone()).await;
        let answer = support::json(&response);
        let Some(estimate) = wanted else {
            assert!(
                matches!(response.outcome, Outcome::Executed { .. }),
                "{query}: {answer}"
            );
            continue;
        };
        assert_eq!(
            response.outcome,
            Outcome::Refused(RequestErrorCode::LimitExceeded),
            "{query}: {answer}"
        );
        assert!(
            message(&answer).starts_with(&format!("the answer may have {estimate} fields")),
            "{answer}"
        );
        assert!(answer["errors"][0]["locations"][0]["line"] == 1, "{answer}");
    }
}

#[tokio::test]
async fn aliases_and_directives_are_counted_where_they_are_written() {
    let engine = World::new("type Query { a: Int }")
        .options(SchemaOptions {
            max_aliases: 2,
            max_directives: 2,
            ..SchemaOptions::default()
        })
        .call("Query.a", |_| value(Value::Int(1)))
        .engine();
    for (query, wanted) in [
        ("{ x: a ...f } fragment f on Query { y: a }", None),
        (
            "{ x: a ...f } fragment f on Query { y: a z: a }",
            Some(("aliases", 42)),
        ),
        ("query @skip(if: true) { a }", None),
        (
            "{ a @skip(if: true) ... @include(if: true) { a @skip(if: true) } }",
            Some(("directives", 48)),
        ),
    ] {
        let answer = ask(&engine, query).await;
        match wanted {
            Some((what, column)) => {
                assert!(
                    message(&answer).contains(&format!("more than 2 {what}")),
                    "{answer}"
                );
                assert_eq!(
                    answer["errors"][0]["locations"],
                    json!([{"line": 1, "column": column}])
                );
            }
            None => assert!(!answer.to_string().contains("more than"), "{answer}"),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_documents_never_panic(cut in 0..900_usize, insert in "[{}()\\[\\]:!$@.\"a-c0-9 é]{0,6}", at in 0..900_usize) {
        let source = "query Q($a: In = {a: 1}, $l: [Int!]! = [1], $on: Boolean = true) { x: echo(arg: $a, list: $l) @include(if: $on)
            ... on Query @skip(if: $on) { y: echo(n: 3, e: RED, f: 1.5, any: {k: [\"s\"]}) } ...F __typename }
            fragment F on Query { echo(one: {x: 1}, id: \"i\") __type(name: \"E\") { name fields { name } } }";
        let mut text = source.to_owned();
        let place = |at: usize, text: &str| (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        let at = place(at, &text);
        text.insert_str(at, &insert);
        if cut % 3 == 0 {
            text.truncate(place(cut, &text));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let response = respond(&echo(), &text, json!({})).await;
            support::json(&response);
        });
    }
}

#[test]
fn request_bodies() {
    let read = |body: &str| Request::from_json(body.as_bytes());
    let request =
        read(r#"{"query":"{a}","operationName":"x","variables":{"v":[1]},"extensions":{}}"#).unwrap();
    assert_eq!(
        (&*request.query, request.operation_name.as_deref()),
        ("{a}", Some("x"))
    );
    assert_eq!(request.variables["v"], Value::List(vec![Value::Int(1)]));
    assert!(read(r#"{"query":"{a}","variables":null,"operationName":null,"other":1}"#).is_ok());
    for (body, wanted) in [
        ("{", "the request body is not valid JSON"),
        ("", "the request body is not valid JSON"),
        ("[]", "batches of requests are not enabled"),
        ("1", "the request body must be a JSON object with a `query`"),
        ("{}", "the request has no `query`"),
        (r#"{"query":1}"#, "`query` must be a string"),
        (
            r#"{"query":"{a}","variables":[1]}"#,
            "`variables` must be an object",
        ),
        (
            r#"{"query":"{a}","variables":"{}"}"#,
            "`variables` must be an object",
        ),
        (
            r#"{"query":"{a}","operationName":1}"#,
            "`operationName` must be a string",
        ),
        (
            r#"{"query":"{a}","extensions":[]}"#,
            "`extensions` must be an object",
        ),
    ] {
        let error = read(body).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{body}: {error}");
        let response = puff_graphql::Response::refused(&error);
        let answer: Json = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }
}

#[test]
fn batches_are_bounded() {
    let read = |body: &str| Request::batch_from_json(body.as_bytes(), 2);
    let (requests, is_list) = read(r#"[{"query":"{a}"},{"documentId":"b"}]"#).unwrap();
    assert_eq!(
        (requests.len(), is_list, requests[1].document_id.as_deref()),
        (2, true, Some("b"))
    );
    assert!(!read(r#"{"query":"{a}"}"#).unwrap().1);
    for (body, wanted) in [
        ("[]", "the batch has no request"),
        ("[1]", "the request body must be a JSON object"),
        (
            r#"[{"query":"{a}"},{"query":"{a}"},{"query":"{a}"}]"#,
            "the batch has 3 requests; 2 are allowed",
        ),
    ] {
        assert!(read(body).unwrap_err().to_string().starts_with(wanted), "{body}");
    }
}

const INTROSPECTION: &str = include_str!("introspection.graphql");

#[tokio::test]
async fn introspection_answers_beside_data() {
    let engine = echo();
    let answer = ask(&engine, INTROSPECTION).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let types = answer["data"]["__schema"]["types"].as_array().unwrap();
    let query = types.iter().find(|found| found["name"] == "Query").unwrap();
    assert_eq!(query["description"], "Says things.");
    assert_eq!(query["fields"][0]["args"][1]["defaultValue"], "5");
    let answer = respond(
        &engine,
        "query($name: String!, $no: Boolean!) {
            before: echo
            __typename
            t: __type(name: $name) { kind name }
            none: __type(name: \"Nope\") { name }
            gone: __schema @include(if: $no) { queryType { name } }
            after: echo(n: 1)
         }",
        json!({"name": "E", "no": false}),
    )
    .await;
    let body = std::str::from_utf8(&answer.body).unwrap();
    insta::assert_snapshot!(body, @r#"{"data":{"before":{"n":5,"must":1},"__typename":"Query","t":{"kind":"ENUM","name":"E"},"none":null,"after":{"n":1,"must":1}}}"#);
    assert_eq!(
        ask(&engine, "{ __typename }").await,
        json!({"data": {"__typename": "Query"}})
    );

    let closed = World::new("type Query { a: Int }")
        .options(SchemaOptions {
            introspection: false,
            ..SchemaOptions::default()
        })
        .call("Query.a", |_| value(Value::Int(1)))
        .engine();
    assert_eq!(
        message(&ask(&closed, "{ __schema { queryType { name } } }").await),
        "introspection is switched off"
    );
    assert_eq!(
        ask(&closed, "{ __typename a }").await,
        json!({"data": {"__typename": "Query", "a": 1}})
    );
}

#[test]
fn bad_schemas_are_explained() {
    let build = |sdl: &str, fields: Vec<(&str, ResolverKind)>| {
        let fields = fields.into_iter().map(|(field, kind)| {
            let (type_name, field_name) = field.split_once('.').unwrap();
            FieldResolver {
                type_name: type_name.into(),
                field_name: field_name.into(),
                kind,
            }
        });
        Schema::build(sdl, fields.collect(), SchemaOptions::default()).unwrap_err()
    };
    let call = || ResolverKind::Call(ResolverId(0));
    let sdl = "type Query { a(x: Int): A } type A { id: Int, b: Int }";
    assert!(
        matches!(build("type Query { a: Nope }", vec![]), SchemaError::Invalid(text) if text.contains("Nope"))
    );
    assert!(matches!(build("type Query {", vec![]), SchemaError::Invalid(_)));
    assert!(matches!(
        build("type A { id: Int }", vec![]),
        SchemaError::Invalid(_)
    ));
    assert!(matches!(
        build(sdl, vec![("Nope.a", call())]),
        SchemaError::UnknownType { .. }
    ));
    assert!(matches!(
        build(sdl, vec![("A.nope", call())]),
        SchemaError::UnknownField { .. }
    ));
    assert!(matches!(
        build(sdl, vec![("A.b", call()), ("A.b", call())]),
        SchemaError::DuplicateResolver { .. }
    ));
    assert_eq!(
        build(sdl, vec![]).to_string(),
        "Query.a is a root field and needs a resolver"
    );
    let bad = |param: SqlParam, join| {
        let sql = SqlResolver {
            id: None,
            sql: "select 1".into(),
            params: vec![param],
            join,
        };
        build(sdl, vec![("Query.a", ResolverKind::Sql(sql))]).to_string()
    };
    assert_eq!(
        bad(SqlParam::Argument("y".into()), None),
        "Query.a: the field has no argument `y`"
    );
    assert_eq!(
        bad(SqlParam::ParentValues("id".into()), None),
        "Query.a: a root field has no parents to take values of"
    );
    let join = Some(support::join("id", "id"));
    assert_eq!(
        bad(SqlParam::Argument("x".into()), join),
        "Query.a: a root field has no parents to join"
    );
}

#[test]
fn sdl_keeps_its_order() {
    let engine = echo();
    let sdl = engine.schema().sdl();
    let at = |text: &str| sdl.find(text).unwrap();
    assert!(
        at("type Query") < at("input In") && at("input In") < at("enum E"),
        "{sdl}"
    );
    let again = Schema::build(
        sdl,
        vec![FieldResolver {
            type_name: "Query".into(),
            field_name: "echo".into(),
            kind: ResolverKind::Call(ResolverId(0)),
        }],
        SchemaOptions::default(),
    );
    assert_eq!(again.unwrap().sdl(), sdl);
}

/// What a client gives for a scalar that the backend checks is refused before anything runs, with its place.
#[tokio::test]
async fn scalars_are_checked_before_anything_runs() {
    let engine = World::new(
        "type Query { q(at: At, by: By, many: [At!]): String }
         type Mutation { m(at: At = \"bad\", by: By): String }
         input By { at: At, other: [At], text: String }
         scalar At",
    )
    .checked("At")
    .call("Query.q", |_| value(Value::str("q")))
    .call("Mutation.m", |_| value(Value::str("m")))
    .engine();
    let refused = async |query: &str, variables: Json, places: Json| {
        let answer = ask_with(&engine, query, variables).await;
        let errors = answer["errors"].as_array().unwrap();
        assert!(answer.get("data").is_none(), "{answer}");
        let ran = log(&engine).iter().any(|line| !line.starts_with("check"));
        assert!(!ran, "{query}");
        let found: Vec<_> = errors
            .iter()
            .map(|error| {
                json!([
                    error["message"],
                    error["locations"][0]["line"],
                    error["locations"][0]["column"]
                ])
            })
            .collect();
        assert_eq!(Json::from(found), places, "{query}");
        assert!(
            errors
                .iter()
                .all(|error| error["extensions"]["code"] == "BAD_USER_INPUT")
        );
    };
    let variables = "mutation($at: At!, $by: By) { a: m(at: \"x\") b: m(at: $at) c: m(by: $by) }";
    refused(
        variables,
        json!({"at": "bad", "by": {"at": "x", "other": [null, "bad"], "text": "bad"}}),
        json!([
            ["variable `$at`: it is no At", 1, 10],
            ["variable `$by.other[1]`: it is no At", 1, 20]
        ]),
    )
    .await;
    for _ in 0..2 {
        let literals =
            "{ a: q(at: \"x\")\n b: q(by: {other: [\"bad\"], text: \"bad\"})\n c: q(many: \"bad\") }";
        refused(
            literals,
            Json::Null,
            json!([["it is no At", 2, 20], ["it is no At", 3, 13]]),
        )
        .await;
    }
    refused(
        "query($at: At = \"bad\") { q(at: $at) }",
        Json::Null,
        json!([["it is no At", 1, 17]]),
    )
    .await;
    // A document is checked once, its variables each time; the schema's own defaults are its author's business.
    for _ in 0..2 {
        let query = "mutation($at: At) { m a: m(at: \"fine\") b: m(at: $at) }";
        let answer = ask_with(&engine, query, json!({"at": "fine"})).await;
        assert_eq!(answer, json!({"data": {"m": "m", "a": "m", "b": "m"}}));
    }
    let checks: Vec<_> = log(&engine)
        .into_iter()
        .filter(|line| line.starts_with("check"))
        .collect();
    assert_eq!(checks, ["check 2", "check 1"]);
}

/// Numbers reach resolvers with all their digits; wrong variables are refused where they are declared.
#[tokio::test]
async fn numbers_of_variables_keep_their_digits() {
    let engine = World::new("type Query { q(any: Any, id: ID, float: Float, int: Int): Any } scalar Any")
        .call("Query.q", |call| {
            let given = call.arguments.iter().next().map(|(_, given)| given.clone());
            value(given.unwrap_or(Value::Null))
        })
        .engine();
    let answer = async |declared: &str, argument: &str, json: &str| {
        let body = format!(
            r#"{{"query": "query($v: {declared}) {{ q({argument}: $v) }}", "variables": {{"v": {json}}}}}"#
        );
        let request = Request::from_json(body.as_bytes()).unwrap();
        let answer = engine.execute(request, String::new()).await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let big = "123456789012345678901234567890";
    for (declared, argument, json, written) in [
        ("Any", "any", big, big),
        ("Any", "any", "9007199254740993", "9007199254740993"),
        (
            "Any",
            "any",
            "[0.12345678901234567890123, 1.5]",
            "[0.12345678901234567890123,1.5]",
        ),
        ("Any", "any", r#"{"a": -1e999}"#, r#"{"a":-1e999}"#),
        ("ID", "id", big, &format!("\"{big}\"")),
        ("Float", "float", big, "1.2345678901234568e+29"),
        ("Float", "float", "0.30000000000000004", "0.30000000000000004"),
        ("Int", "int", "7.0", "7"),
    ] {
        assert_eq!(
            answer(declared, argument, json).await,
            format!(r#"{{"data":{{"q":{written}}}}}"#)
        );
    }
    for (declared, argument, json) in [
        ("Int", "int", big),
        ("Int", "int", "7.5"),
        ("Float", "float", "1e999"),
        ("ID", "id", "1.5"),
        ("ID", "id", "1e+30"),
    ] {
        let refused = answer(declared, argument, json).await;
        assert!(
            refused.contains(r#""locations":[{"line":1,"column":7}]"#),
            "{refused}"
        );
        assert!(
            refused.contains(&format!("variable `$v`: {json} is not")),
            "{refused}"
        );
    }
}
