//! Permissions: asked once a layer, before anything is; what is refused is an error in its place.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use puff_graphql::{
    FieldError, PermissionCall, Permit, Request, Schema, SchemaOptions, SchemaRule, Spread, Value,
};
use serde_json::{Value as Json, json};
use support::{Memory, World, ask, ask_with, join, joined, log, objects, sql, value, values};

const SDL: &str = "
    type Query { items: [Item!]!, item(id: Int): Item, works: [Work]!, found: [Found!], secret(n: Int!): String,
        owner: Owner, tree: Node }
    type Mutation { first: String, second: Item, third: Work }
    type Item { id: Int!, price: Int, cost(unit: Int): Int!, seller: Owner, buyer: Owner, tags: [String!] }
    type Owner { name: String, items: [Item!] }
    interface Work { id: Int!, title: String, pages: Int }
    type Book implements Work { id: Int!, title: String, pages: Int, isbn: String }
    type Film implements Work { id: Int!, title: String, pages: Int, length: Int }
    union Found = Book | Item
    type Node { id: Int!, left: Node, right: Node, note: String }
";

fn forbidden() -> FieldError {
    FieldError::new("FORBIDDEN", "no")
}

fn refuse(_: &PermissionCall<Memory>) -> Permit {
    Permit::Refused(forbidden())
}

fn grant(_: &PermissionCall<Memory>) -> Permit {
    Permit::Granted
}

/// Grants for parents whose `id` is odd.
fn odd(call: &PermissionCall<Memory>) -> Permit {
    let ids = call
        .parents
        .as_ref()
        .unwrap()
        .values(&["id"])
        .unwrap()
        .pop()
        .unwrap();
    let one = |id: Value| matches!(id, Value::Int(number) if number % 2 == 0).then(forbidden);
    Permit::Each(ids.into_iter().map(one).collect())
}

fn world() -> World {
    World::new(SDL)
        .call("Query.items", |_| sql("items"))
        .call("Query.item", |call| objects(&call, vec![tree()], Spread::Shared))
        .call("Query.works", |_| sql("works"))
        .call("Query.found", |call| {
            let found =
                json!([{"__typename": "Book", "id": 1, "isbn": "i"}, {"__typename": "Item", "id": 2}]);
            objects(&call, vec![found], Spread::Shared)
        })
        .call("Query.secret", |_| value(Value::str("s")))
        .call("Query.owner", |call| {
            objects(&call, vec![json!({"name": "o"})], Spread::Shared)
        })
        .call("Query.tree", |call| objects(&call, vec![tree()], Spread::Shared))
        .call("Mutation.first", |_| value(Value::str("done")))
        .call("Mutation.second", |call| {
            objects(&call, vec![json!({"id": 1})], Spread::Shared)
        })
        .call("Mutation.third", |call| {
            objects(
                &call,
                vec![json!({"__typename": "Film", "id": 1})],
                Spread::Shared,
            )
        })
        .call("Item.cost", |call| {
            let ids = call.parents.unwrap().values(&["id"]).unwrap().pop().unwrap();
            values(ids)
        })
        .call("Item.seller", |_| joined("owners", "id", "item"))
        .call("Owner.items", |_| joined("items", "id", "id"))
        .inherited(&["Work.pages", "Book.pages", "Film.pages"], |_| {
            value(Value::Int(7))
        })
        .constant("Item.buyer", "owners", vec![], Some(join("id", "item")))
        .rows(
            "items",
            "id:int4 price:int4 tags:text[]",
            &[&["1", "10", "{a}"], &["2", "20", "{}"], &["3", "30", "NULL"]],
        )
        .rows(
            "owners",
            "item:int4 id:int4 name:text",
            &[&["1", "1", "o1"], &["2", "2", "o2"], &["3", "3", "o3"]],
        )
        .rows(
            "works",
            "__typename:text id:int4 title:text isbn:text length:int4",
            &[
                &["Book", "1", "b", "i", "NULL"],
                &["Film", "2", "f", "NULL", "9"],
                &["Book", "4", "c", "j", "NULL"],
            ],
        )
}

fn tree() -> Json {
    json!({"id": 1, "note": "a", "left": {"id": 2, "note": "b", "left": null, "right": null}, "right": null})
}

fn paths(answer: &Json) -> Json {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["path"].clone()).collect()
}

#[tokio::test]
async fn a_column_is_guarded_once_for_all_rows() {
    let engine = world().guard(&["Item.price"], refuse).engine();
    let answer = ask(&engine, "{\n items { id\n  p: price } secret(n: 1) }").await;
    let data =
        json!({"items": [{"id": 1, "p": null}, {"id": 2, "p": null}, {"id": 3, "p": null}], "secret": "s"});
    assert_eq!(answer["data"], data);
    let error = json!({"message": "no", "locations": [{"line": 3, "column": 3}], "path": ["items", 1, "p"],
        "extensions": {"code": "FORBIDDEN"}});
    assert_eq!(answer["errors"][1], error);
    assert_eq!(
        log(&engine),
        ["Query.items root", "Query.secret root", "SQL items", "permit 0 3"]
    );
    // Not selected, not asked.
    ask(&engine, "{ items { id price @include(if: false) } }").await;
    assert_eq!(log(&engine), ["Query.items root", "SQL items"]);
}

#[tokio::test]
async fn a_refused_field_that_must_not_be_null_takes_its_parent_along() {
    let engine = world().guard(&["Item.cost"], odd).engine();
    let answer = ask(&engine, "{ items { cost } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(paths(&answer), json!([["items", 1, "cost"]]));
    let engine = world().guard(&["Item.id"], refuse).engine();
    let answer = ask(&engine, "{ owner { name items { id } } }").await;
    assert_eq!(answer["data"], json!({"owner": {"name": "o", "items": null}}));
}

#[tokio::test]
async fn each_parent_has_its_own_answer_and_resolvers_see_the_others() {
    let engine = world()
        .guard(&["Item.cost", "Item.seller", "Item.buyer"], odd)
        .guard(&["Owner.name"], grant)
        .engine();
    let answer = ask(&engine, "{ items { seller { name } buyer { name } } }").await;
    let row = |name: &str| json!({"seller": {"name": name}, "buyer": {"name": name}});
    let nobody = json!({"seller": null, "buyer": null});
    assert_eq!(answer["data"]["items"], json!([row("o1"), nobody, row("o3")]));
    assert_eq!(
        paths(&answer),
        json!([["items", 1, "seller"], ["items", 1, "buyer"]])
    );
    let log = log(&engine);
    assert!(log.contains(&"Item.seller 2".to_owned()), "{log:?}");
    // The same permission for both fields, which have the same arguments: asked once.
    assert!(log.contains(&"permit 0 3".to_owned()), "{log:?}");
    let names = log.iter().filter(|line| line.starts_with("permit 1")).count();
    assert_eq!(names, 2, "{log:?}");
}

#[tokio::test]
async fn nothing_is_asked_for_below_what_is_refused() {
    let engine = world().guard(&["Query.items", "Query.owner"], refuse).engine();
    let answer = ask(&engine, "{ owner { items { seller { name } } } secret(n: 1) }").await;
    assert_eq!(answer["data"], json!({"owner": null, "secret": "s"}));
    assert_eq!(log(&engine), ["permit 0", "Query.secret root"]);
    let answer = ask(&engine, "{ items { id } secret(n: 1) }").await;
    assert_eq!(answer["data"], Json::Null);
}

#[tokio::test]
async fn fields_with_other_arguments_are_asked_about_apart() {
    let by_argument = |call: &PermissionCall<Memory>| match call.arguments.get("n") {
        Some(Value::Int(1)) => Permit::Granted,
        _ => Permit::Refused(forbidden()),
    };
    let engine = world().guard(&["Query.secret"], by_argument).engine();
    let query = "query($n: Int!) { a: secret(n: 1) b: secret(n: 1) c: secret(n: 2) d: secret(n: $n) }";
    let answer = ask_with(&engine, query, json!({"n": 1})).await;
    assert_eq!(answer["data"], json!({"a": "s", "b": "s", "c": null, "d": "s"}));
    assert_eq!(log(&engine)[0], "permit 0, 0, 0");
}

#[tokio::test]
async fn a_type_guards_its_objects_wherever_they_come_from() {
    let engine = world().guard(&["Owner"], refuse).engine();
    let answer = ask(
        &engine,
        "{ owner { name } items { id seller { name } buyer { __typename } } }",
    )
    .await;
    assert_eq!(answer["data"]["owner"], Json::Null);
    assert_eq!(
        answer["data"]["items"][2],
        json!({"id": 3, "seller": null, "buyer": null})
    );
    let log = log(&engine);
    assert_eq!(log, ["permit 0", "Query.items root", "SQL items", "permit 0"]);
    // Objects in attributes, too: once for both sides.
    let engine = world().guard(&["Node"], |_| Permit::Granted).engine();
    let answer = ask(&engine, "{ tree { id left { id left { id } right { id } } } }").await;
    assert_eq!(
        answer["data"]["tree"]["left"],
        json!({"id": 2, "left": null, "right": null})
    );
    let count = support::log(&engine)
        .iter()
        .filter(|line| line.starts_with("permit"))
        .count();
    assert_eq!(count, 3);
}

#[tokio::test]
async fn a_field_of_objects_in_attributes_is_guarded_for_each() {
    let engine = world().guard(&["Node.note"], odd).engine();
    let answer = ask(&engine, "{ tree { id note left { id note } } }").await;
    assert_eq!(
        answer["data"]["tree"],
        json!({"id": 1, "note": "a", "left": {"id": 2, "note": null}})
    );
    assert_eq!(paths(&answer), json!([["tree", "left", "note"]]));
    let engine = world().guard(&["Node.left"], refuse).engine();
    let answer = ask(&engine, "{ tree { id left { note left { note } } } }").await;
    assert_eq!(answer["data"]["tree"], json!({"id": 1, "left": null}));
}

#[tokio::test]
async fn of_several_types_the_concrete_one_counts() {
    let engine = world()
        .guard(&["Book"], refuse)
        .guard(&["Film.length"], grant)
        .guard(&["Item"], grant)
        .engine();
    let answer = ask(
        &engine,
        "{ works { id title pages ... on Book { isbn } ... on Film { length } } found { __typename } }",
    )
    .await;
    let film = json!({"id": 2, "title": "f", "pages": 7, "length": 9});
    assert_eq!(
        answer["data"],
        json!({"works": [null, film, null], "found": null})
    );
    assert_eq!(paths(&answer), json!([["works", 0], ["works", 2], ["found", 0]]));
    let log = log(&engine);
    // For a field of several types, the types that occur; and resolvers only for objects that are shown.
    for line in ["permit 0", "permit 0, 2", "permit 1 1", "Work.pages 1"] {
        assert!(log.contains(&line.to_owned()), "{line}: {log:?}");
    }
}

#[tokio::test]
async fn fields_that_types_inherit_are_asked_about_together() {
    let fields = ["Book.title", "Film.title", "Book.pages", "Film.pages"];
    let engine = world().guard(&fields, odd).engine();
    let answer = ask(&engine, "{ works { title pages } }").await;
    let none = json!({"title": null, "pages": null});
    assert_eq!(
        answer["data"]["works"],
        json!([{"title": "b", "pages": 7}, none, none])
    );
    let log = log(&engine);
    assert!(log.contains(&"permit 0 3".to_owned()), "{log:?}");
    assert!(log.contains(&"Work.pages 1".to_owned()), "{log:?}");
    // Only one of the types guards it.
    let engine = world().guard(&["Book.pages"], refuse).engine();
    let answer = ask(&engine, "{ works { pages } }").await;
    assert_eq!(
        answer["data"]["works"],
        json!([{"pages": null}, {"pages": 7}, {"pages": null}])
    );
    assert!(support::log(&engine).contains(&"Work.pages 1".to_owned()));
}

#[tokio::test]
async fn views_of_a_field_that_several_types_select_differently_are_guarded() {
    let engine = world().guard(&["Book.title"], odd).engine();
    let answer = ask(
        &engine,
        "{ works { ... on Book { t: title isbn } ... on Film { t: title } } }",
    )
    .await;
    assert_eq!(
        answer["data"]["works"],
        json!([{"t": "b", "isbn": "i"}, {"t": "f"}, {"t": null, "isbn": "j"}])
    );
}

#[tokio::test]
async fn a_refused_mutation_has_done_nothing() {
    let engine = world().guard(&["Mutation.first", "Item"], refuse).engine();
    let answer = ask(&engine, "mutation { first second { id } third { id } }").await;
    assert_eq!(
        answer["data"],
        json!({"first": null, "second": null, "third": {"id": 1}})
    );
    assert_eq!(paths(&answer), json!([["first"], ["second"]]));
    assert_eq!(log(&engine), ["permit 0", "permit 0", "Mutation.third root"]);
}

#[tokio::test]
async fn what_has_no_answer_is_refused() {
    let engine = world()
        .guard(&["Item.price"], |_| Permit::Each(vec![None]))
        .guard(&["Owner"], |_| Permit::Each(Vec::new()))
        .engine();
    let answer = ask(&engine, "{ items { price } owner { name } }").await;
    assert_eq!(answer["data"]["items"][0], json!({"price": null}));
    assert_eq!(answer["data"]["owner"], Json::Null);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_RESULT");
    // Arguments that do not come about are the field's error, as without a permission.
    let engine = world().guard(&["Query.secret"], grant).engine();
    let answer = ask_with(
        &engine,
        "query($n: Int = 1) { secret(n: $n) }",
        json!({"n": null}),
    )
    .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert!(log(&engine).is_empty());
}

#[test]
fn permissions_are_of_object_types_and_their_fields() {
    let rule = |type_name: &str, field_name: Option<&str>| SchemaRule::Permission {
        type_name: type_name.into(),
        field_name: field_name.map(str::to_owned),
        id: puff_graphql::PermissionId(0),
    };
    for (rule, message) in [
        (rule("Nope", None), "`Nope`"),
        (rule("I", None), "`I`"),
        (rule("A", Some("b")), "no field `b`"),
    ] {
        let sdl = "interface I { a: Int } type A implements I { a: Int } type Query { a: A }";
        let made = Schema::with_rules(sdl, Vec::new(), vec![rule], SchemaOptions::default());
        let message_of = made.unwrap_err().to_string();
        assert!(message_of.contains(message), "{message_of}");
    }
    let _ = Request::new("{ a }");
}
