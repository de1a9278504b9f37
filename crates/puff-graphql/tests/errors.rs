//! What fails, where it is reported, and what stays.
#![allow(missing_docs)]

mod support;

use puff_graphql::{FieldError, Join, Outcome, SchemaOptions, Spread, Value};
use serde_json::json;
use support::{World, ask, joined, message, objects, respond, rows, sql, value, values};

fn boom() -> FieldError {
    FieldError::new("BOOM", "it broke").with("detail", Value::Int(7))
}

#[tokio::test]
async fn an_error_has_message_location_path_and_code_and_other_branches_answer() {
    let engine = World::new("type Query { bad: Int, good: Int }")
        .call("Query.bad", |_| Err(boom()))
        .call("Query.good", |_| value(Value::Int(1)))
        .engine();
    let answer = respond(&engine, "{\n  x: bad\n  good\n}", json!({})).await;
    assert_eq!(
        std::str::from_utf8(&answer.body).unwrap(),
        concat!(
            r#"{"data":{"x":null,"good":1},"errors":[{"message":"it broke","locations":[{"line":2,"column":3}],"#,
            r#""path":["x"],"extensions":{"code":"BOOM","detail":7}}]}"#
        )
    );
    assert_eq!(answer.outcome, Outcome::Executed { errors: 1 });
}

#[tokio::test]
async fn a_failed_layer_is_reported_for_each_parent() {
    let engine = World::new("type Query { p: [P!]! } type P { id: Int, c: [C!], q: Int } type C { v: Int! }")
        .call("Query.p", |_| sql("p"))
        .call("P.c", |_| joined("no_such_table", "id", "id"))
        .rows("p", "id:int4 q:int4", &[&["1", "5"], &["2", "6"]])
        .engine();
    let answer = ask(&engine, "{ p { q c { v } } }").await;
    assert_eq!(
        answer["data"],
        json!({"p": [{"q": 5, "c": null}, {"q": 6, "c": null}]})
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["path"].clone())
        .collect();
    assert_eq!(paths, [json!(["p", 0, "c"]), json!(["p", 1, "c"])]);
    assert!(message(&answer).contains("does not exist"));
}

#[tokio::test]
async fn nulls_go_up_to_the_next_place_that_allows_them() {
    let sdl = "type Query { a: A, list: [A], strict: [A!]!, other: Int }
               type A { id: Int, b: B! } type B { must: Int! }";
    let engine = World::new(sdl)
        .call("Query.a", |call| {
            objects(&call, vec![json!({"id": 1, "b": {"must": null}})], Spread::Shared)
        })
        .call("Query.list", |call| {
            let list =
                json!([{"id": 1, "b": {"must": 1}}, {"id": 2, "b": {"must": null}}, {"id": 3, "b": null}]);
            objects(&call, vec![list], Spread::Shared)
        })
        .call("Query.strict", |call| {
            let list = json!([{"id": 1, "b": {"must": 1}}, {"id": 2, "b": {"must": null}}]);
            objects(&call, vec![list], Spread::Shared)
        })
        .call("Query.other", |_| value(Value::Int(1)))
        .engine();
    let answer = ask(&engine, "{ a { id b { must } } other list { id b { must } } }").await;
    assert_eq!(
        answer["data"],
        json!({"a": null, "other": 1, "list": [{"id": 1, "b": {"must": 1}}, null, null]})
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["path"].clone())
        .collect();
    assert_eq!(
        paths,
        [
            json!(["a", "b", "must"]),
            json!(["list", 1, "b", "must"]),
            json!(["list", 2, "b"])
        ]
    );
    assert_eq!(message(&answer), "B.must must not be null");

    let answer = ask(&engine, "{ other strict { b { must } } }").await;
    assert_eq!(answer["data"], json!(null));
    assert_eq!(answer["errors"][0]["path"], json!(["strict", 1, "b", "must"]));
}

#[tokio::test]
async fn nulls_in_rows_go_up_as_well() {
    let engine = World::new("type Query { p: [P], q: [P!] } type P { id: Int!, l: [Int!] }")
        .call("Query.p", |_| sql("p"))
        .call("Query.q", |_| sql("p"))
        .rows(
            "p",
            "id:int4 l:int4[]",
            &[&["1", "{1,NULL}"], &["NULL", "{}"], &["3", "{4}"]],
        )
        .engine();
    let answer = ask(&engine, "{ p { id l } }").await;
    assert_eq!(
        answer["data"],
        json!({"p": [{"id": 1, "l": null}, null, {"id": 3, "l": [4]}]})
    );
    assert_eq!(answer["errors"][0]["path"], json!(["p", 0, "l", 1]));
    assert_eq!(answer["errors"][1]["path"], json!(["p", 1, "id"]));
    let answer = ask(&engine, "{ q { id } }").await;
    assert_eq!(answer["data"], json!({"q": null}));
}

#[tokio::test]
async fn single_values_and_single_parents_may_fail() {
    let engine = World::new("type Query { list: [Int], p: [P!]! } type P { v: Int, o: P }")
        .call("Query.list", |_| {
            value(Value::List(vec![
                Value::Int(1),
                Value::Error(Box::new(boom())),
                Value::Null,
            ]))
        })
        .call("Query.p", |_| sql("p"))
        .call("P.v", |_| {
            values(vec![Value::Int(1), Value::Error(Box::new(boom()))])
        })
        .call("P.o", |call| {
            objects(&call, vec![json!("bad"), json!({"v": 5})], Spread::PerParent)
        })
        .rows("p", "id:int4", &[&["1"], &["2"]])
        .engine();
    let answer = ask(&engine, "{ list p { v o { __typename } } }").await;
    assert_eq!(
        answer["data"],
        json!({"list": [1, null, null], "p": [{"v": 1, "o": null}, {"v": null, "o": {"__typename": "P"}}]})
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["path"].clone())
        .collect();
    assert_eq!(
        paths,
        [json!(["list", 1]), json!(["p", 0, "o"]), json!(["p", 1, "v"])]
    );
}

#[tokio::test]
async fn values_that_do_not_fit_their_type() {
    let sdl = "enum E { A } scalar Any
               type Query { i: Int, f: Float, b: Boolean, e: E, l: [Int], o: Int, s: String, any: Any, n: Float }";
    let cases: &[(&str, Value, &str)] = &[
        ("i", Value::Int(1 << 40), "Int cannot represent 1099511627776"),
        ("i", Value::str("x"), "Int cannot represent \"x\""),
        ("i", Value::Float(1.5), "Int cannot represent 1.5"),
        ("f", Value::Float(f64::NAN), "Float cannot represent"),
        ("n", Value::str("1"), "Float cannot represent \"1\""),
        ("b", Value::str("yes"), "Boolean cannot represent \"yes\""),
        ("e", Value::str("B"), "E cannot represent \"B\""),
        ("l", Value::Int(1), "Query.l: expected a list, got a single value"),
        ("o", Value::List(vec![]), "Int cannot represent []"),
        ("s", Value::Object(vec![]), "String cannot represent {}"),
        (
            "any",
            Value::List(vec![Value::Float(f64::INFINITY)]),
            "Float cannot represent inf",
        ),
    ];
    for (field, wrong, wanted) in cases {
        let mut world = World::new(sdl);
        for name in ["i", "f", "b", "e", "l", "o", "s", "any", "n"] {
            let wrong = wrong.clone();
            world = world.call(&format!("Query.{name}"), move |_| value(wrong.clone()));
        }
        let answer = ask(&world.engine(), &format!("{{ {field} }}")).await;
        assert_eq!(answer["data"][field], json!(null), "{answer}");
        assert!(
            message(&answer).starts_with(wanted),
            "{} is not {wanted}",
            message(&answer)
        );
    }
}

#[tokio::test]
async fn cells_that_do_not_fit_their_type() {
    for (declared, kind, cell, wanted) in [
        ("Int", "int8", "2147483648", "Int cannot represent 2147483648"),
        ("Int", "text", "12x", "Int cannot represent 12x"),
        ("Int", "numeric", "1.5", "Int cannot represent 1.5"),
        ("Float", "float8", "NaN", "Float cannot represent NaN"),
        (
            "Float",
            "numeric",
            "-Infinity",
            "Float cannot represent -Infinity",
        ),
        ("Boolean", "text", "t", "Boolean cannot represent t"),
        ("E", "text", "B", "E cannot represent B"),
        (
            "[Int]",
            "int4",
            "1",
            "the field is a list, but the column `v` is int4",
        ),
        (
            "Int",
            "int4[]",
            "{1}",
            "the field is a single value, but the column `v` is int4[]",
        ),
        (
            "[Int]",
            "int4[]",
            "{{1}}",
            "Row.v: the array does not fit the field's type",
        ),
        (
            "[[Int]]",
            "int4[]",
            "{1}",
            "Row.v: the array does not fit the field's type",
        ),
        (
            "[Int]",
            "json",
            "{\"a\":1}",
            "Row.v: expected a list, got a single value",
        ),
        ("[Int]", "json", "{\"a\"", "Row.v: not valid JSON"),
        (
            "Row",
            "text",
            "{}",
            "Row.v: the parents are SQL rows, which hold objects only in columns of type json",
        ),
    ] {
        let engine = World::new(&format!(
            "enum E {{ A }} type Query {{ row: Row }} type Row {{ v: {declared} }}"
        ))
        .call("Query.row", |_| sql("row"))
        .rows("row", &format!("v:{kind}"), &[&[cell]])
        .engine();
        let query = if declared == "Row" {
            "{ row { v { __typename } } }"
        } else {
            "{ row { v } }"
        };
        let answer = ask(&engine, query).await;
        assert_eq!(
            answer["data"],
            json!({"row": {"v": null}}),
            "{declared} {kind} {cell}"
        );
        assert!(
            message(&answer).starts_with(wanted),
            "{} is not {wanted}",
            message(&answer)
        );
    }
}

#[tokio::test]
async fn missing_columns_are_named_with_those_there_are() {
    let engine = World::new(
        "type Query { p: [P!]! } type P { id: Int, nope: Int, c: [C!], d: [C!], e: [C!], f: [C!] } type C { v: Int! }",
    )
    .call("Query.p", |_| sql("p"))
    .call("P.c", |_| joined("c", "missing", "v"))
    .call("P.d", |_| joined("c", "id", "missing"))
    .call("P.e", |_| joined("c", "id", "text"))
    .call("P.f", |_| {
        let join = Join { parent_keys: vec!["id".into()], child_keys: vec![] };
        support::sql_with("c", vec![], Some(join))
    })
    .rows("p", "id:int4 name", &[&["1", "x"]])
    .rows("c", "v:int4 text", &[&["1", "1"]])
    .engine();
    for (query, wanted) in [
        (
            "{ p { nope } }",
            "P.nope: the SQL result has no column `nope` (columns: id, name)",
        ),
        (
            "{ p { c { v } } }",
            "P.c: the parents have no join column `missing` (columns: id, name)",
        ),
        (
            "{ p { d { v } } }",
            "P.d: the SQL result has no join column `missing` (columns: v, text)",
        ),
        (
            "{ p { e { v } } }",
            "P.e: the join columns cannot be equal: `id` of the parents is int4, `text` of the SQL result is text",
        ),
        (
            "{ p { f { v } } }",
            "P.f: a join needs as many parent keys as child keys, at least one; got 1 and 0",
        ),
    ] {
        let answer = ask(&engine, query).await;
        assert_eq!(message(&answer), wanted);
        assert!(answer["data"]["p"][0].is_object());
    }
}

#[tokio::test]
async fn results_of_the_wrong_form() {
    let sdl = "type Query { p: [P!]! } type P { id: Int, leaf: Int, o: P, os: [P], grid: [[P]] }";
    let world = |field: &str, resolver: fn(puff_graphql::Call<support::Memory>) -> _| {
        World::new(sdl)
            .call("Query.p", |_| sql("p"))
            .call(field, resolver)
            .rows("p", "id:int4", &[&["1"], &["2"]])
            .engine()
    };
    for (field, resolver, wanted) in [
        (
            "P.leaf",
            (|_| values(vec![Value::Null])) as fn(_) -> _,
            "P.leaf: the resolver returned 1 values for 2 parents",
        ),
        (
            "P.o",
            |_| value(Value::Null),
            "P.o: the resolver returned plain values for a field of objects",
        ),
        (
            "P.o",
            |call| objects(&call, vec![json!([])], Spread::Shared),
            "P.o: expected a single object, got a list",
        ),
        (
            "P.os",
            |call| objects(&call, vec![json!({})], Spread::Shared),
            "P.os: expected a list, got a single object",
        ),
        (
            "P.grid",
            |_| sql("p"),
            "P.grid: the rows of a statement cannot fill a list of lists",
        ),
    ] {
        let name = field.split_once('.').unwrap().1;
        let selection = if name == "leaf" { "" } else { "{ id }" };
        let answer = ask(
            &world(field, resolver),
            &format!("{{ p {{ {name} {selection} }} }}"),
        )
        .await;
        assert_eq!(message(&answer), wanted);
        assert_eq!(answer["data"]["p"][0][name], json!(null));
    }
}

#[tokio::test]
async fn errors_rows_and_bytes_are_bounded() {
    let many: Vec<Vec<String>> = (0..500).map(|_| vec!["NULL".to_owned()]).collect();
    let cells: Vec<Vec<&str>> = many
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let cells: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    let table = rows("id:int4", &cells);
    let world = |options: SchemaOptions| {
        let table = table.clone();
        World::new("type Query { p: [P] } type P { id: Int!, opt: Int }")
            .options(options)
            .attribute("P.opt", "id")
            .call("Query.p", |_| sql("p"))
            .load("p", move |_| Ok(table.clone()))
            .engine()
    };
    let engine = world(SchemaOptions::default());
    let answer = respond(&engine, "{ p { id } }", json!({})).await;
    assert_eq!(answer.outcome, Outcome::Executed { errors: 500 });
    let answer = support::json(&answer);
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 101);
    assert_eq!(errors[100]["message"], "400 more errors are not listed");

    let engine = world(SchemaOptions {
        max_rows: 499,
        ..SchemaOptions::default()
    });
    let answer = ask(&engine, "{ p { opt } }").await;
    assert_eq!(
        message(&answer),
        "Query.p: the result has 500 rows; 499 are allowed"
    );

    let engine = world(SchemaOptions {
        max_response_bytes: 1000,
        ..SchemaOptions::default()
    });
    let answer = ask(&engine, "{ p { opt } }").await;
    assert_eq!(answer["data"], json!(null));
    assert_eq!(message(&answer), "the answer is larger than 1000 bytes");
}

#[tokio::test]
async fn abstract_rows_need_their_type() {
    let sdl = "type Query { n: [N] } interface N { id: Int } type A implements N { id: Int }";
    let missing = World::new(sdl)
        .call("Query.n", |_| sql("n"))
        .rows("n", "id:int4", &[&["1"]])
        .engine();
    let answer = ask(&missing, "{ n { id } }").await;
    assert_eq!(answer["data"], json!({"n": [null]}));
    assert!(message(&answer).contains("`__typename`"), "{answer}");
    let unknown = World::new(sdl)
        .call("Query.n", |_| sql("n"))
        .rows("n", "id:int4 __typename", &[&["1", "B"]])
        .engine();
    assert_eq!(
        message(&ask(&unknown, "{ n { id } }").await),
        "`B` is not an object type of `N` (A)"
    );
}
