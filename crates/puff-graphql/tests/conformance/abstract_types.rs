//! Interfaces and unions, as `abstract` and `union-interface` test them.

use puff_graphql::{Engine, Spread};
use serde_json::{Value as Json, json};

use super::paths;
use super::support::{Memory, World, ask, objects};

const SDL: &str = "
    interface Life { progeny: [Life] }
    interface Mammal implements Life { progeny: [Mammal], mother: Mammal, father: Mammal }
    interface Named { name: String }
    type Dog implements Mammal & Life & Named { name: String, barks: Boolean, progeny: [Dog], mother: Dog, father: Dog }
    type Cat implements Mammal & Life & Named { name: String, meows: Boolean, progeny: [Cat], mother: Cat, father: Cat }
    union Pet = Dog | Cat
    type Person implements Mammal & Life & Named {
        name: String, pets: [Pet], friends: [Named], progeny: [Person], mother: Person, father: Person
    }
    type Query { person: Person, pets: [Pet!]!, named: Named }";

fn engine() -> Engine<Memory> {
    let parent = |name: &str| json!({"__typename": "Cat", "name": name, "meows": false, "progeny": []});
    let garfield = json!({"__typename": "Cat", "name": "Garfield", "meows": false, "progeny": [],
                          "mother": parent("Sonja"), "father": null});
    let odie = json!({"__typename": "Dog", "name": "Odie", "barks": true,
                      "mother": {"__typename": "Dog", "name": "Mom", "barks": true, "progeny": [{"name": "Odie"}]}});
    let liz = json!({"__typename": "Person", "name": "Liz"});
    let john =
        json!({"name": "John", "pets": [garfield, odie], "friends": [liz, odie], "mother": {"name": "Ma"}});
    let pets = json!([odie, garfield, {"__typename": "Person", "name": "Liz"}]);
    World::new(SDL)
        .call("Query.person", move |call| {
            objects(&call, vec![john.clone()], Spread::Shared)
        })
        .call("Query.pets", move |call| {
            objects(&call, vec![pets.clone()], Spread::Shared)
        })
        .call("Query.named", |call| {
            objects(&call, vec![json!({"__typename": "Nobody"})], Spread::Shared)
        })
        .engine()
}

async fn check(query: &str, data: Json) {
    assert_eq!(ask(&engine(), query).await, json!({ "data": data }), "{query}");
}

#[tokio::test]
async fn introspection_of_unions_and_interfaces() {
    check(
        "{ named: __type(name: \"Named\") { kind name possibleTypes { name } interfaces { name } enumValues { name } }
           mammal: __type(name: \"Mammal\") { kind interfaces { name } possibleTypes { name } }
           pet: __type(name: \"Pet\") { kind fields { name } possibleTypes { name } } }",
        json!({
            "named": {"kind": "INTERFACE", "name": "Named", "interfaces": [], "enumValues": null,
                      "possibleTypes": [{"name": "Dog"}, {"name": "Cat"}, {"name": "Person"}]},
            "mammal": {"kind": "INTERFACE", "interfaces": [{"name": "Life"}],
                       "possibleTypes": [{"name": "Dog"}, {"name": "Cat"}, {"name": "Person"}]},
            "pet": {"kind": "UNION", "fields": null, "possibleTypes": [{"name": "Dog"}, {"name": "Cat"}]},
        }),
    )
    .await;
}

#[tokio::test]
async fn unions_and_interfaces_with_inline_fragments() {
    check(
        "{ person { __typename name
             pets { __typename ... on Dog { name barks } ... on Cat { name meows } }
             friends { __typename name ... on Dog { barks } ... on Cat { meows } } } }",
        json!({"person": {
            "__typename": "Person", "name": "John",
            "pets": [{"__typename": "Cat", "name": "Garfield", "meows": false},
                     {"__typename": "Dog", "name": "Odie", "barks": true}],
            "friends": [{"__typename": "Person", "name": "Liz"},
                        {"__typename": "Dog", "name": "Odie", "barks": true}],
        }}),
    )
    .await;
}

#[tokio::test]
async fn fragments_may_have_abstract_conditions() {
    check(
        "{ person { name
             pets { ...P ... on Mammal { mother { ... on Named { name } ...Progeny } } }
             friends { ...F } } }
         fragment P on Pet { __typename ... on Dog { name barks ...Progeny } ... on Cat { name meows ...Progeny } }
         fragment F on Named { __typename name ... on Dog { barks } ... on Cat { meows } }
         fragment Progeny on Life { progeny { __typename } }",
        json!({"person": {
            "name": "John",
            "pets": [
                {"__typename": "Cat", "name": "Garfield", "meows": false, "progeny": [],
                 "mother": {"name": "Sonja", "progeny": []}},
                {"__typename": "Dog", "name": "Odie", "barks": true, "progeny": null,
                 "mother": {"name": "Mom", "progeny": [{"__typename": "Dog"}]}},
            ],
            "friends": [{"__typename": "Person", "name": "Liz"},
                        {"__typename": "Dog", "name": "Odie", "barks": true}],
        }}),
    )
    .await;
}

#[tokio::test]
async fn an_object_of_a_type_that_the_field_does_not_have() {
    let answer = ask(&engine(), "{ pets { __typename } named { name } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(paths(&answer), [json!(["pets", 2])]);
    let answer = ask(&engine(), "{ named { name } }").await;
    assert_eq!(answer["data"], json!({"named": null}));
    assert_eq!(paths(&answer), [json!(["named"])]);
}
