//! Where the value of a field comes from.

use puff_graphql::Spread;
use serde_json::{Value as Json, json};

use super::echo;
use super::support::{World, ask, objects, sql};

const SDL: &str = "
    type Query { thing: Thing, row: Thing }
    type Thing { test: String, other: String, missing: String, args(aStr: String, aInt: Int, aList: [Int] = [1]): String }
";

/// The thing as an object and as a row.
async fn check(query: &str, data: Json) {
    let engine = World::new(SDL)
        .call("Query.thing", |call| {
            objects(
                &call,
                vec![json!({"test": "found", "another": "too"})],
                Spread::Shared,
            )
        })
        .call("Query.row", |_| sql("row"))
        .rows("row", "test another missing", &[&["found", "too", "NULL"]])
        .attribute("Thing.other", "another")
        .call("Thing.args", echo)
        .engine();
    for field in ["thing", "row"] {
        let answer = ask(&engine, &format!("{{ {field} {query} }}")).await;
        assert_eq!(answer, json!({"data": {field: data}}));
    }
}

#[tokio::test]
async fn without_a_resolver_it_is_the_attribute_of_the_fields_name_or_of_another() {
    check("{ test other }", json!({"test": "found", "other": "too"})).await;
    check("{ missing }", json!({"missing": null})).await;
}

#[tokio::test]
async fn a_resolver_is_given_the_arguments() {
    check("{ args }", json!({"args": r#"{"aList":[1]}"#})).await;
    check(
        "{ args(aStr: \"String!\") }",
        json!({"args": r#"{"aList":[1],"aStr":"String!"}"#}),
    )
    .await;
    check(
        "{ args(aInt: -123, aStr: \"String!\", aList: 2) }",
        json!({"args": r#"{"aInt":-123,"aList":[2],"aStr":"String!"}"#}),
    )
    .await;
}
