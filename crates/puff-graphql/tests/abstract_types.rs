//! Interfaces and unions: which type an object is, what is selected of it, and who is asked how often.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use puff_graphql::{FieldError, ParentSource, Spread, SqlParam, Value};
use serde_json::{Value as Json, json};
use support::{Memory, World, ask, ask_with, join, joined, log, message, objects, respond, sql, values};

const SDL: &str = "
    type Query { pets: [Pet]!, animals: [Animal!]!, things: [Thing!]!, grid: [[Pet!]], pet: Pet }
    interface Animal { name: String! }
    interface Pet implements Animal { name: String!, owner: Person, toys(max: Int = 9): [Toy!]!, best: Toy }
    type Cat implements Pet & Animal {
        name: String!, owner: Person, toys(max: Int = 9): [Toy!]!, best: Toy, lives: Int, own: String
    }
    type Dog implements Pet & Animal {
        name: String!, owner: Person, toys(max: Int = 9): [Toy!]!, best: Toy, tricks: Int, own: String
    }
    type Fish implements Animal { name: String!, owner: Person }
    type Person { id: Int!, name: String!, friends: [Person!]!, pets: [Pet!]! }
    type Toy { name: String!, maker: Maker }
    type Maker { name: String! }
    union Thing = Cat | Toy | Fish
";

/// Pets as rows, with one resolver that all inherit and one that each has of its own.
fn rows() -> World {
    World::new(SDL)
        .call("Query.pets", |_| sql("pets"))
        .call("Query.animals", |_| sql("pets"))
        .call("Query.things", |_| sql("pets"))
        .call("Query.grid", |_| sql("pets"))
        .call("Query.pet", |_| sql("pets"))
        .inherited(&["Cat.owner", "Dog.owner", "Fish.owner"], |_| {
            joined("persons", "owner_id", "id")
        })
        .inherited(&["Cat.toys", "Dog.toys"], |_| joined("toys", "id", "pet_id"))
        .call("Cat.best", |_| joined("toys", "id", "pet_id"))
        .call("Dog.best", |_| joined("toys", "id", "pet_id"))
        .call("Person.friends", |_| joined("friends", "id", "of"))
        .call("Person.pets", |_| joined("pets", "id", "owner_id"))
        .call("Toy.maker", |_| joined("makers", "maker_id", "id"))
        .rows(
            "pets",
            "__typename id:int4 name owner_id:int4 lives:int4 tricks:int4",
            &[
                &["Cat", "1", "Tom", "1", "9", "NULL"],
                &["Dog", "2", "Rex", "2", "NULL", "3"],
                &["Cat", "3", "Kit", "2", "7", "NULL"],
                &["Dog", "4", "Bo", "NULL", "NULL", "0"],
            ],
        )
        .rows("persons", "id:int4 name", &[&["1", "Ann"], &["2", "Bob"]])
        .rows(
            "friends",
            "of:int4 id:int4 name",
            &[&["1", "2", "Bob"], &["2", "1", "Ann"]],
        )
        .rows(
            "toys",
            "pet_id:int4 name maker_id:int4",
            &[
                &["1", "mouse", "8"],
                &["2", "bone", "7"],
                &["2", "ball", "8"],
                &["3", "yarn", "NULL"],
            ],
        )
        .rows("makers", "id:int4 name", &[&["7", "Acme"], &["8", "Zed"]])
}

#[tokio::test]
async fn an_inherited_resolver_is_called_once_for_objects_of_all_types() {
    let engine = rows().engine();
    let answer = ask(
        &engine,
        "{ pets { __typename name owner { name friends { name } } toys { name maker { name } } } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({"data": {"pets": [
            {"__typename": "Cat", "name": "Tom", "owner": {"name": "Ann", "friends": [{"name": "Bob"}]},
             "toys": [{"name": "mouse", "maker": {"name": "Zed"}}]},
            {"__typename": "Dog", "name": "Rex", "owner": {"name": "Bob", "friends": [{"name": "Ann"}]},
             "toys": [{"name": "bone", "maker": {"name": "Acme"}}, {"name": "ball", "maker": {"name": "Zed"}}]},
            {"__typename": "Cat", "name": "Kit", "owner": {"name": "Bob", "friends": [{"name": "Ann"}]},
             "toys": [{"name": "yarn", "maker": null}]},
            {"__typename": "Dog", "name": "Bo", "owner": null, "toys": []},
        ]}})
    );
    let mut calls = log(&engine);
    calls.sort();
    assert_eq!(
        calls,
        [
            "Person.friends 2",
            "Pet.owner 4",
            "Pet.toys 4",
            "Query.pets root",
            "SQL friends",
            "SQL makers",
            "SQL persons",
            "SQL pets",
            "SQL toys",
            "Toy.maker 4",
        ]
    );
}

#[tokio::test]
async fn types_may_select_different_things_below_one_call() {
    let engine = rows().engine();
    let query = "{ pets {
        ... on Cat { owner { name friends { id } } }
        ... on Dog { owner { id friends { name } nick: name } }
    } }";
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {"pets": [
            {"owner": {"name": "Ann", "friends": [{"id": 2}]}},
            {"owner": {"id": 2, "friends": [{"name": "Ann"}], "nick": "Bob"}},
            {"owner": {"name": "Bob", "friends": [{"id": 1}]}},
            {"owner": null},
        ]}})
    );
    let mut calls = log(&engine);
    calls.sort();
    assert_eq!(
        calls,
        [
            "Person.friends 2",
            "Pet.owner 4",
            "Query.pets root",
            "SQL friends",
            "SQL persons",
            "SQL pets"
        ]
    );
}

#[tokio::test]
async fn only_what_a_type_selects_is_asked_for() {
    let engine = rows().engine();
    // Friends are asked for below cats alone: Tom's Ann and Kit's Bob. Pets of owners only below dogs: Rex's Bob.
    let query = "query($cats: Boolean = true) { pets {
        ... on Cat @include(if: $cats) { owner { friends { id } } }
        ... on Dog { owner { pets { name } } }
    } }";
    let answer = ask(&engine, query).await;
    assert_eq!(
        answer["data"]["pets"][1],
        json!({"owner": {"pets": [{"name": "Rex"}, {"name": "Kit"}]}})
    );
    let calls = log(&engine);
    assert!(calls.contains(&"Pet.owner 4".to_owned()), "{calls:?}");
    assert!(calls.contains(&"Person.friends 2".to_owned()), "{calls:?}");
    assert!(calls.contains(&"Person.pets 1".to_owned()), "{calls:?}");
    let answer = ask_with(&engine, query, json!({"cats": false})).await;
    assert_eq!(answer["data"]["pets"][0], json!({}));
    let calls = log(&engine);
    assert_eq!(
        calls,
        [
            "Query.pets root",
            "SQL pets",
            "Pet.owner 2",
            "SQL persons",
            "Person.pets 1",
            "SQL pets"
        ]
    );
}

#[tokio::test]
async fn below_shared_rows_what_only_absent_types_select_is_not_asked_for() {
    let sdl = "type Query { pets: [Pet]! } interface Pet { owner: Person }
        type Cat implements Pet { owner: Person } type Dog implements Pet { owner: Person }
        type Person { name: String!, friends: [Person!]! }";
    let engine = World::new(sdl)
        .call("Query.pets", |_| sql("cats"))
        .inherited(&["Cat.owner", "Dog.owner"], |_| sql("persons"))
        .call("Person.friends", |_| joined("friends", "id", "of"))
        .rows("cats", "__typename name", &[&["Cat", "Tom"], &["Cat", "Kit"]])
        .rows("persons", "id:int4 name", &[&["1", "Ann"]])
        .engine();
    let query = "{ pets { ... on Cat { owner { name } } ... on Dog { owner { friends { name } } } } }";
    let ann = json!({"owner": {"name": "Ann"}});
    assert_eq!(ask(&engine, query).await, json!({"data": {"pets": [ann, ann]}}));
    assert_eq!(
        log(&engine),
        ["Query.pets root", "SQL cats", "Pet.owner 2", "SQL persons"]
    );
}

#[tokio::test]
async fn types_in_different_order_and_arguments_are_kept_apart() {
    let engine = rows().engine();
    let query = "{ pets {
        ... on Cat { toys(max: 9) { name } owner { id } }
        ... on Dog { owner { id } toys(max: 1) { name } }
    } }";
    let text = respond(&engine, query, json!({})).await;
    let text = std::str::from_utf8(&text.body).unwrap();
    assert!(
        text.starts_with(
            r#"{"data":{"pets":[{"toys":[{"name":"mouse"}],"owner":{"id":1}},{"owner":{"id":2},"toys":[{"name":"bone"}"#
        ),
        "{text}"
    );
    let calls = log(&engine);
    assert_eq!(
        calls.iter().filter(|call| call.contains(".toys")).count(),
        2,
        "{calls:?}"
    );
    assert!(calls.contains(&"Cat.toys 2".to_owned()) && calls.contains(&"Dog.toys 2".to_owned()));
    // A default is an argument like any other.
    ask(
        &engine,
        "{ pets { ... on Cat { toys { name } } ... on Dog { toys(max: 9) { name } } } }",
    )
    .await;
    let calls = log(&engine);
    assert!(calls.contains(&"Pet.toys 4".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn a_resolver_of_a_types_own_is_called_for_that_type() {
    let engine = rows().engine();
    let answer = ask(&engine, "{ pets { best { name } } }").await;
    assert_eq!(
        answer["data"]["pets"],
        json!([{"best": {"name": "mouse"}}, {"best": {"name": "bone"}}, {"best": {"name": "yarn"}}, {"best": null}])
    );
    let calls = log(&engine);
    assert!(
        calls.contains(&"Cat.best 2".to_owned()) && calls.contains(&"Dog.best 2".to_owned()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn constant_statements_are_shared_as_well() {
    let constant = |world: World, field: &str| {
        let params = vec![SqlParam::ParentValues("id".into())];
        world.constant(field, "sql", params, Some(join("id", "pet")))
    };
    let engine = constant(constant(rows(), "Cat.own"), "Dog.own")
        .load("sql", |params| {
            let ids = [1, 2, 3, 4].map(Value::Int);
            assert_eq!(params[0], Value::List(ids.to_vec()));
            Ok(support::rows("pet:int4 own", &[&["2", "dog"], &["1", "cat"]]))
        })
        .engine();
    let answer = ask(&engine, "{ pets { ... on Cat { own } ... on Dog { own } } }").await;
    assert_eq!(
        answer["data"]["pets"],
        json!([{"own": "cat"}, {"own": "dog"}, {"own": null}, {"own": null}])
    );
    assert_eq!(log(&engine), ["Query.pets root", "SQL pets", "SQL sql"]);
}

#[tokio::test]
async fn fragments_on_interfaces_and_unions_apply_to_their_types() {
    let engine = rows().engine();
    let query = "{
        animals { ...A ... on Pet { owner { id } ... on Cat { lives } } ... on Thing { ... on Cat { cat: name } } }
        pet { ... on Animal { name ... on Fish { fish: name } } }
    }
    fragment A on Animal { __typename name ...B }
    fragment B on Dog { tricks }";
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {
            "animals": [
                {"__typename": "Cat", "name": "Tom", "owner": {"id": 1}, "lives": 9, "cat": "Tom"},
                {"__typename": "Dog", "name": "Rex", "tricks": 3, "owner": {"id": 2}},
                {"__typename": "Cat", "name": "Kit", "owner": {"id": 2}, "lives": 7, "cat": "Kit"},
                {"__typename": "Dog", "name": "Bo", "tricks": 0, "owner": null},
            ],
            "pet": {"name": "Tom"},
        }})
    );
}

/// Pets as host objects.
fn hosts(pets: Json) -> World {
    let by_id = |call: &puff_graphql::Call<Memory>, make: &dyn Fn(i64) -> Json| {
        let parents = call.parents.as_ref().unwrap();
        let ParentSource::Table { table, .. } = parents.source() else {
            panic!("not objects")
        };
        let known = table.objects.as_ref().unwrap();
        let list = parents
            .indexes()
            .map(|index| make(known[index]["id"].as_i64().unwrap()));
        objects(call, list.collect(), Spread::PerParent)
    };
    ["pets", "animals", "things", "grid", "pet"]
        .into_iter()
        .fold(World::new(SDL), |world, field| {
            let pets = pets.clone();
            world.call(&format!("Query.{field}"), move |call| {
                objects(&call, vec![pets.clone()], Spread::Shared)
            })
        })
        .call("Person.friends", move |call| {
            by_id(&call, &|id| json!([{"id": id + 1, "name": "f"}]))
        })
        .call("Person.pets", |call| {
            objects(&call, vec![json!([])], Spread::Shared)
        })
}

#[tokio::test]
async fn attributes_with_objects_are_one_layer_for_all_types() {
    let engine = hosts(json!([
        {"__typename": "Cat", "name": "Tom", "owner": {"id": 1, "name": "Ann"}, "lives": 9},
        {"__typename": "Dog", "name": "Rex", "owner": {"id": 5, "name": "Bob"}},
        null,
        {"__typename": "Dog", "name": "Bo", "owner": null},
    ]))
    .engine();
    let answer = ask(
        &engine,
        "{ pets { name owner { id friends { id } } ... on Cat { lives owner { name } } } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({"data": {"pets": [
            {"name": "Tom", "owner": {"id": 1, "friends": [{"id": 2}], "name": "Ann"}, "lives": 9},
            {"name": "Rex", "owner": {"id": 5, "friends": [{"id": 6}]}},
            null,
            {"name": "Bo", "owner": null},
        ]}})
    );
    assert_eq!(log(&engine), ["Query.pets root", "Person.friends 2"]);
    // Owners that no selection reaches are nobody's parents.
    let query = "query($dogs: Boolean!) { pets {
        ... on Cat { owner { friends { id } } }
        ... on Dog @include(if: $dogs) { owner { id friends { id } } }
    } }";
    let answer = ask_with(&engine, query, json!({"dogs": false})).await;
    assert_eq!(
        answer["data"]["pets"],
        json!([{"owner": {"friends": [{"id": 2}]}}, {}, null, {}])
    );
    assert_eq!(log(&engine), ["Query.pets root", "Person.friends 1"]);
    ask_with(&engine, query, json!({"dogs": true})).await;
    assert_eq!(log(&engine), ["Query.pets root", "Person.friends 2"]);
}

#[tokio::test]
async fn lists_of_lists_of_abstract_objects_are_one_layer() {
    let cat = |id: i64| json!({"__typename": "Cat", "name": "c", "owner": {"id": id, "name": "n"}});
    let dog = |id: i64| json!({"__typename": "Dog", "name": "d", "owner": {"id": id, "name": "n"}});
    let engine = hosts(json!([[cat(1), dog(2)], null, [], [dog(3)]])).engine();
    let query = "{ grid { __typename owner { friends { id } } } }";
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {"grid": [
            [{"__typename": "Cat", "owner": {"friends": [{"id": 2}]}},
             {"__typename": "Dog", "owner": {"friends": [{"id": 3}]}}],
            null,
            [],
            [{"__typename": "Dog", "owner": {"friends": [{"id": 4}]}}],
        ]}})
    );
    assert_eq!(log(&engine), ["Query.grid root", "Person.friends 3"]);
}

#[tokio::test]
async fn an_object_without_a_type_is_an_error_of_its_own() {
    let engine = hosts(json!([
        {"__typename": "Cat", "name": "Tom"}, {"__typename": "Fish", "name": "F"}, {"name": "?"}
    ]))
    .engine();
    let answer = ask(&engine, "{\n  pets { __typename }\n}").await;
    assert_eq!(
        answer["data"],
        json!({"pets": [{"__typename": "Cat"}, null, null]})
    );
    assert_eq!(answer["errors"][0]["path"], json!(["pets", 1]));
    assert_eq!(
        answer["errors"][0]["locations"],
        json!([{"line": 2, "column": 3}])
    );
    assert_eq!(message(&answer), "Fish is no Pet");
    assert_eq!(answer["errors"][1]["path"], json!(["pets", 2]));
    // Where null is not allowed, it goes on outwards.
    let answer = ask(&engine, "{ animals { name } }").await;
    assert_eq!(answer["data"], Json::Null);
}

#[tokio::test]
async fn rows_say_their_type_in_a_column() {
    let engine = rows()
        .rows(
            "pets",
            "__typename name",
            &[&["Cat", "a"], &["NULL", "b"], &["Fish", "c"], &["Dog", "d"]],
        )
        .engine();
    let answer = ask(&engine, "{ pets { name } }").await;
    assert_eq!(
        answer["data"],
        json!({"pets": [{"name": "a"}, null, null, {"name": "d"}]})
    );
    assert_eq!(
        message(&answer),
        "`null` is not an object type of `Pet` (Cat, Dog)"
    );
    assert_eq!(answer["errors"][1]["path"], json!(["pets", 2]));
    assert_eq!(
        answer["errors"][1]["message"],
        "`Fish` is not an object type of `Pet` (Cat, Dog)"
    );
    let engine = rows().rows("pets", "name", &[&["a"]]).engine();
    let answer = ask(&engine, "{ pets { __typename } }").await;
    assert_eq!(answer["data"], json!({"pets": [null]}));
    assert!(
        message(&answer).contains("needs a column `__typename`"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_interface_that_nobody_implements_has_no_objects() {
    let engine = World::new("type Query { n: N, o: N } interface N { id: Int }")
        .call("Query.n", |call| {
            objects(&call, vec![json!(null)], Spread::Shared)
        })
        .call("Query.o", |call| {
            objects(&call, vec![json!({"__typename": "X"})], Spread::Shared)
        })
        .engine();
    let answer = ask(&engine, "{ n { id } o { id } }").await;
    assert_eq!(answer["data"], json!({"n": null, "o": null}));
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn errors_of_single_parents_in_a_shared_layer() {
    let broke = || FieldError::new("BROKE", "it broke").with("part", Value::Int(3));
    let engine = rows()
        .inherited(&["Cat.own", "Dog.own"], move |call| {
            assert_eq!(call.parents.unwrap().len(), 4);
            let error = Value::Error(Box::new(broke()));
            values(vec![Value::str("a"), error.clone(), error, Value::Null])
        })
        .engine();
    let answer = ask(&engine, "{ pets {\n... on Cat { own }\n... on Dog { own } } }").await;
    assert_eq!(
        answer["data"]["pets"],
        json!([{"own": "a"}, {"own": null}, {"own": null}, {"own": null}])
    );
    let error = |index: usize, line: usize| {
        json!({"message": "it broke", "locations": [{"line": line, "column": 14}],
               "path": ["pets", index, "own"], "extensions": {"code": "BROKE", "part": 3}})
    };
    assert_eq!(answer["errors"], json!([error(1, 3), error(2, 2)]));
}

#[tokio::test]
async fn errors_of_single_parents_stand_in_their_slots() {
    let engine = World::new("type Query { a: [A!]! } type A { b: B, c: B!, d: [B] } type B { v: Int }")
        .call("Query.a", |call| {
            objects(&call, vec![json!([{}, {}])], Spread::Shared)
        })
        .call("A.b", |call| {
            objects(&call, vec![json!("no b"), json!({"v": 1})], Spread::PerParent)
        })
        .call("A.c", |call| {
            objects(&call, vec![json!({"v": 2}), json!("no c")], Spread::PerParent)
        })
        .call("A.d", |call| {
            objects(
                &call,
                vec![json!([{"v": 3}, "no d"]), json!("none")],
                Spread::PerParent,
            )
        })
        .engine();
    let answer = ask(&engine, "{ a { b { v } d { v } } }").await;
    assert_eq!(
        answer["data"],
        json!({"a": [{"b": null, "d": [{"v": 3}, null]}, {"b": {"v": 1}, "d": null}]})
    );
    let found: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (&e["message"], &e["path"]))
        .collect();
    assert_eq!(
        found,
        [
            (&json!("no b"), &json!(["a", 0, "b"])),
            (&json!("no d"), &json!(["a", 0, "d", 1])),
            (&json!("none"), &json!(["a", 1, "d"])),
        ]
    );
    let answer = ask(&engine, "{ a { c { v } } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"][0]["path"], json!(["a", 1, "c"]));
}

#[tokio::test]
async fn a_fields_own_type_may_be_narrower_than_its_interfaces() {
    let engine = World::new(
        "type Query { all: [Base]! } interface Base { text: String, kin: Base, arg(a: Int): String }
         type Wide implements Base { text: String, kin: Base, arg(a: Int): String }
         type Narrow implements Base { text: String!, kin: Narrow!, arg(a: Int, b: Int = 5): String, more: Int }",
    )
    .call("Query.all", |call| {
        let narrow = json!({"__typename": "Narrow", "text": "t", "more": 1, "kin": {"text": "k", "kin": null}});
        let broken = json!({"__typename": "Narrow", "text": null, "kin": {"text": "k"}});
        let wide = json!({"__typename": "Wide", "text": null, "kin": narrow});
        objects(&call, vec![json!([wide, narrow, broken])], Spread::Shared)
    })
    .inherited(&["Wide.arg"], |call| values(vec![Value::Int(call.arguments.len() as i64)]))
    .inherited(&["Narrow.arg"], |call| {
        let b = call.arguments.get("b").cloned().unwrap_or(Value::Null);
        values(vec![b; call.parents.unwrap().len()])
    })
    .engine();
    let answer = ask(
        &engine,
        "{ all { text kin { text ... on Narrow { more } } arg } }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({"all": [
            {"text": null, "kin": {"text": "t", "more": 1}, "arg": "0"},
            {"text": "t", "kin": {"text": "k", "more": null}, "arg": "5"},
            null,
        ]})
    );
    assert_eq!(answer["errors"][0]["path"], json!(["all", 2, "text"]));
}
