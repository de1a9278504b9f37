//! Enums and scalars whose values are written by rules of their own.
#![allow(missing_docs)]

mod support;

use puff_graphql::{CellRule, Schema, SchemaOptions, SchemaRule, Value};
use serde_json::json;
use support::{World, ask, joined, log, respond, sql, value};

const ROW: &str = "
    scalar Any scalar Text scalar Json scalar Bytes scalar Duration
    enum Color { CRIMSON GREEN }
    type Query { row: [Row], color: Color, colors: [Color] }
    type Row { color: Color, any: Any, text: Text, json: Json, list: [Text!] }
";

fn world(columns: &str, cells: &[&[&str]]) -> World {
    World::new(ROW)
        .call("Query.row", |_| sql("row"))
        .call("Query.color", |_| value(Value::str("3")))
        .call("Query.colors", |_| {
            let texts = ["RED", "CRIMSON", "g", "r"].map(Value::str);
            value(Value::List(
                texts.into_iter().chain([Value::Int(3), Value::Int(4)]).collect(),
            ))
        })
        .rows("row", columns, cells)
        .cells("Text", CellRule::Text)
        .cells("Json", CellRule::Json)
        .texts("Color", &[("RED", "CRIMSON"), ("r", "CRIMSON"), ("3", "GREEN")])
        .texts("Color", &[("r", "GREEN"), ("g", "GREEN")])
}

#[tokio::test]
async fn enums_know_other_texts() {
    let engine = world(
        "color",
        &[&["RED"], &["CRIMSON"], &["r"], &["3"], &["NULL"], &["red"]],
    )
    .engine();
    let answer = ask(&engine, "{ row { color } color colors }").await;
    let colors: Vec<_> = answer["data"]["row"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["color"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(colors, ["CRIMSON", "CRIMSON", "CRIMSON", "GREEN", "-", "-"]);
    assert_eq!(answer["data"]["color"], "GREEN");
    assert_eq!(
        answer["data"]["colors"],
        json!(["CRIMSON", "CRIMSON", "GREEN", "CRIMSON", "GREEN", null])
    );
    let messages: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        ["Color cannot represent red", "Color cannot represent 4"]
    );
}

#[tokio::test]
async fn cells_follow_the_rule_of_their_scalar() {
    for (kind, cell, any, text, json) in [
        (
            "int8",
            "9007199254740993",
            "9007199254740993",
            r#""9007199254740993""#,
            "9007199254740993",
        ),
        ("numeric", "1.50", "1.50", r#""1.50""#, "1.50"),
        ("bool", "t", "true", r#""true""#, "true"),
        (
            "json",
            r#"{"a": "b"}"#,
            r#"{"a": "b"}"#,
            r#""{\"a\": \"b\"}""#,
            r#"{"a": "b"}"#,
        ),
        ("text", "[1, 2]", r#""[1, 2]""#, r#""[1, 2]""#, "[1, 2]"),
        ("text", "a\"b", r#""a\"b""#, r#""a\"b""#, "null"),
        ("bytea", "\\x6869", r#""aGk=""#, r#""\\x6869""#, "null"),
        (
            "interval",
            "1 day 02:00:00",
            r#""P1DT2H""#,
            r#""1 day 02:00:00""#,
            "null",
        ),
        ("date", "2024-02-29", r#""2024-02-29""#, r#""2024-02-29""#, "null"),
        (
            "timestamptz",
            "2024-02-29 12:30:00+00",
            r#""2024-02-29T12:30:00+00:00""#,
            r#""2024-02-29 12:30:00+00""#,
            "null",
        ),
    ] {
        let columns = format!("any:{kind} text:{kind} json:{kind} list:{kind}[]");
        let engine = world(&columns, &[&[cell, cell, cell, "NULL"]]).engine();
        let body = respond(&engine, "{ row { any text json } }", json!({}))
            .await
            .body;
        let body = String::from_utf8(body.to_vec()).unwrap();
        let expected = format!(r#"{{"data":{{"row":[{{"any":{any},"text":{text},"json":{json}}}]}}"#);
        assert!(body.starts_with(&expected), "{kind}: {body}");
        assert_eq!(body.contains("Json cannot represent"), json == "null", "{body}");
    }
}

#[tokio::test]
async fn arrays_follow_the_rule_as_well() {
    let engine = world("list:int8[]", &[&["{1,-2}"]]).engine();
    assert_eq!(
        ask(&engine, "{ row { list } }").await,
        json!({"data": {"row": [{"list": ["1", "-2"]}]}})
    );
}

fn money() -> World {
    World::new(
        "scalar Price
         type Query { items: [Item], prices: [Price!], total: Price }
         type Item { id: Int, price: Price, cost: Price!, label: String, sum: Price }",
    )
    .cells("Price", CellRule::Backend)
    .call("Query.items", |_| sql("items"))
    .call("Query.prices", |_| sql("prices"))
    .call("Query.total", |_| sql("total"))
    .call("Item.sum", |_| joined("sums", "id", "item_id"))
    .attribute("Item.label", "id")
    .rows(
        "items",
        "id:int4 price cost",
        &[&["1", "5", "a"], &["2", "NULL", "b"], &["3", "bad", "bad"]],
    )
    .rows("prices", "price", &[&["1"], &["2"]])
    .rows("total", "price", &[&["bad"]])
    .rows("sums", "item_id:int4 sum", &[&["1", "x"], &["3", "y"]])
}

#[tokio::test]
async fn a_column_is_converted_once() {
    let engine = money().engine();
    let answer = ask(&engine, "{ items { id price again: price label sum } prices }").await;
    assert_eq!(
        answer["data"],
        json!({
            "items": [
                {"id": 1, "price": "<5>", "again": "<5>", "label": "1", "sum": "<x>"},
                {"id": 2, "price": null, "again": null, "label": "2", "sum": null},
                {"id": 3, "price": null, "again": null, "label": "3", "sum": "<y>"},
            ],
            "prices": ["<1>", "<2>"],
        })
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["path"].to_string())
        .collect();
    assert_eq!(paths, [r#"["items",2,"price"]"#, r#"["items",2,"again"]"#]);
    let mut calls = log(&engine);
    calls.retain(|call| call.starts_with("convert"));
    calls.sort();
    assert_eq!(
        calls,
        [
            "convert Price Item.price",
            "convert Price Item.sum",
            "convert Price Query.prices"
        ]
    );
}

#[tokio::test]
async fn a_conversion_that_fails_is_the_error_of_its_field() {
    let engine = money().engine();
    let answer = ask(&engine, "{ items { cost } total }").await;
    assert_eq!(
        answer["data"],
        json!({"items": [{"cost": "<a>"}, {"cost": "<b>"}, null], "total": null})
    );
    let paths: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["path"].to_string(), error["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        paths,
        [
            (r#"["items",2,"cost"]"#.to_owned(), "a bad one"),
            (r#"["total"]"#.to_owned(), "a bad one"),
        ]
    );
}

#[test]
fn rules_fit_the_schema() {
    let scalar = |name: &str| SchemaRule::Scalar {
        type_name: name.into(),
        cells: CellRule::Text,
        checked: false,
    };
    let texts = |name: &str, value: &str| SchemaRule::Enum {
        type_name: name.into(),
        texts: vec![("x".into(), value.into())],
    };
    for rule in [
        scalar("Nope"),
        scalar("Int"),
        scalar("Color"),
        texts("Text", "RED"),
        texts("Color", "x"),
        texts("Nope", "x"),
    ] {
        let sdl = "type Query { a: Int } enum Color { CRIMSON } scalar Text";
        let message = Schema::with_rules(sdl, Vec::new(), vec![rule], SchemaOptions::default())
            .unwrap_err()
            .to_string();
        assert!(message.contains("does not fit the schema"), "{message}");
    }
}
