//! Fields whose value is written down in the schema.
#![allow(missing_docs)]

mod support;

use puff_graphql::{FieldResolver, ResolverKind, Schema, SchemaOptions, Spread, Value};
use serde_json::json;
use support::{World, ask, log, objects, respond, value};

const SDL: &str = "
    scalar Any
    enum Color { RED GREEN }
    interface Thing { kind: String! }
    type Query { version: String!, limits: [Int!]!, none: Int, color: Color, any: Any, grid: [[Float]], things: [Thing!]!, n: Int }
    type Mutation { version: String! }
    type Book implements Thing { kind: String!, pages: Int }
    type Film implements Thing { kind: String! }
";

fn world() -> World {
    let float = |number: f64| Value::Float(number);
    let grid = Value::List(vec![Value::List(vec![float(1.5), Value::Null]), Value::Null]);
    World::new(SDL)
        .always("Query.version", Value::str("1.2 \"beta\""))
        .always("Query.limits", Value::List(vec![Value::Int(1), Value::Int(2)]))
        .always("Query.none", Value::Null)
        .always("Query.color", Value::str("g"))
        .texts("Color", &[("g", "GREEN")])
        .always("Query.any", Value::Object(vec![("a".into(), Value::Int(1))]))
        .always("Query.grid", grid)
        .always("Mutation.version", Value::str("m"))
        .always("Book.kind", Value::str("book"))
        .always("Film.kind", Value::str("film"))
        .call("Query.n", |_| value(Value::Int(7)))
        .call("Query.things", |call| {
            objects(
                &call,
                vec![json!([{"__typename": "Book", "pages": 3}, {"__typename": "Film"}])],
                Spread::Shared,
            )
        })
}

#[tokio::test]
async fn constants_are_answered_without_the_backend() {
    let engine = world().engine();
    let response = respond(
        &engine,
        "{ version limits none color any grid again: version }",
        json!({}),
    )
    .await;
    assert_eq!(
        std::str::from_utf8(&response.body).unwrap_or_default(),
        r#"{"data":{"version":"1.2 \"beta\"","limits":[1,2],"none":null,"color":"GREEN","any":{"a":1},"grid":[[1.5,null],null],"again":"1.2 \"beta\""}}"#
    );
    assert_eq!(
        ask(&engine, "mutation { version }").await,
        json!({"data": {"version": "m"}})
    );
    assert!(log(&engine).is_empty());
    assert!(
        engine
            .plan("{ version }", None)
            .is_ok_and(|plan| plan.layers.is_empty())
    );
}

#[tokio::test]
async fn constants_of_objects_are_those_of_their_types() {
    let engine = world().engine();
    let answer = ask(
        &engine,
        "query($no: Boolean = false) { n things { kind ... on Book { pages } k: kind @include(if: $no) } }",
    )
    .await;
    let things = json!([{"kind": "book", "pages": 3}, {"kind": "film"}]);
    assert_eq!(answer, json!({"data": {"n": 7, "things": things}}));
}

#[test]
fn constants_fit_their_fields() {
    let sdl = "
        enum Color { RED }
        type Query { s: String!, i: Int, list: [Int!], color: Color, object: Other }
        type Other { a: Int }
        type Subscription { s: String }
    ";
    let problem = |type_name: &str, field_name: &str, value: Value| {
        let mut fields: Vec<FieldResolver> = ["s", "i", "list", "color", "object"]
            .map(|name| FieldResolver {
                type_name: "Query".into(),
                field_name: name.into(),
                kind: ResolverKind::Call(puff_graphql::ResolverId(0)),
            })
            .into();
        fields.push(FieldResolver {
            type_name: "Subscription".into(),
            field_name: "s".into(),
            kind: ResolverKind::Call(puff_graphql::ResolverId(0)),
        });
        fields.retain(|field| (&*field.type_name, &*field.field_name) != (type_name, field_name));
        fields.push(FieldResolver {
            type_name: type_name.into(),
            field_name: field_name.into(),
            kind: ResolverKind::Constant(value),
        });
        let built = Schema::build(sdl, fields, SchemaOptions::default());
        built.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let list = |items: &[Value]| Value::List(items.to_vec());
    assert_eq!(problem("Query", "s", Value::str("x")), "");
    assert_eq!(
        problem("Query", "s", Value::Null),
        "Query.s: null for a type that is never null"
    );
    assert_eq!(
        problem("Query", "i", Value::str("x")),
        "Query.i: Int cannot represent \"x\""
    );
    assert_eq!(
        problem("Query", "i", Value::Int(1 << 40)),
        "Query.i: Int cannot represent 1099511627776"
    );
    assert_eq!(
        problem("Query", "i", list(&[Value::Int(1)])),
        "Query.i: Int cannot represent [1]"
    );
    assert_eq!(
        problem("Query", "list", Value::Int(1)),
        "Query.list: a single value for a list"
    );
    assert_eq!(
        problem("Query", "list", list(&[Value::Null])),
        "Query.list: null for a type that is never null"
    );
    assert_eq!(
        problem("Query", "color", Value::str("BLUE")),
        "Query.color: Color cannot represent \"BLUE\""
    );
    let objects = "Query.object: a constant is a scalar, an enum or a list of these";
    assert_eq!(problem("Query", "object", Value::Object(Vec::new())), objects);
    assert!(
        problem("Subscription", "s", Value::str("x")).starts_with("Subscription.s: a constant has no events")
    );
}
