//! How often resolvers are called and statements run: once for each layer and each field of its own in it,
//! whatever the shape of the data and of the document.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use puff_graphql::{
    Call, Engine, Join, ParentSource, Resolved, Spread, SqlParam, SqlResult, Statement, Value,
};
use serde_json::{Value as Json, json};
use support::{Memory, World, ask_with, join, log, objects};

const SDL: &str = "
    type Query { pets: [Pet!]!, pet: Pet, either: [Either!]!, grid: [[Pet]]! }
    interface Pet { id: Int!, friends(first: Int = 9): [Pet!]!, owner: Person }
    type Cat implements Pet { id: Int!, friends(first: Int = 9): [Pet!]!, owner: Person, lives: Int }
    type Dog implements Pet { id: Int!, friends(first: Int = 9): [Pet!]!, owner: Person, tricks: Int }
    type Person { id: Int!, pets: [Pet!]!, shelves: [[Toy!]]! }
    type Toy { id: Int!, maker: Person }
    union Either = Cat | Dog | Person
";

/// What resolvers answer with.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A statement whose rows are joined to the parents.
    Joined,
    /// A statement that the engine makes without asking.
    Constant,
    Objects,
}

/// What a document asks, and the resolvers that are called for it.
type Case = (&'static str, &'static [&'static str]);

/// Fields that answer with objects whatever the way: rows cannot fill lists of lists.
const HOST: [&str; 2] = ["Query.grid", "Person.shelves"];

const CASES: &[Case] = &[
    // Lists, and one object.
    ("{ pets { id } }", &["Query.pets"]),
    ("{ pets { friends { friends { id } } } }", &["Query.pets", "Pet.friends", "Pet.friends"]),
    ("{ pet { friends { owner { id } } } }", &["Query.pet", "Pet.friends", "Person"]),
    ("{ pets { owner { pets { owner { id } } } } }", &["Query.pets", "Person", "Person.pets", "Person"]),
    // Lists of lists, at the root and below objects.
    ("{ grid { friends { id } owner { id } } }", &["Query.grid", "Pet.friends", "Person"]),
    (
        "{ pets { owner { shelves { id maker { id shelves { maker { id } } } } } } }",
        &["Query.pets", "Person", "Person.shelves", "Person", "Person.shelves", "Person"],
    ),
    // Aliases: what has a name of its own is a field of its own, what has not is merged.
    ("{ pets { friends { id } friends { id owner { id } } } }", &["Query.pets", "Pet.friends", "Person"]),
    ("{ pets { a: friends { id } a: friends { owner { id } } } }", &["Query.pets", "Pet.friends", "Person"]),
    (
        "{ pets { a: friends(first: 2) { id } b: friends(first: 3) { id } } }",
        &["Query.pets", "Pet.friends", "Pet.friends"],
    ),
    ("{ pets { a: friends { id } b: friends { id } } }", &["Query.pets", "Pet.friends", "Pet.friends"]),
    (
        "query($n: Int = 2) { pets { friends(first: $n) { id } friends(first: $n) { owner { id } } } }",
        &["Query.pets", "Pet.friends", "Person"],
    ),
    ("{ a: pets { owner { id } } b: pets { owner { id } } }", &["Query.pets", "Query.pets", "Person", "Person"]),
    // Interfaces: one call for objects of all types, also where they select different things below it.
    ("{ pets { ... on Cat { owner { id } } ... on Dog { owner { id } } } }", &["Query.pets", "Person"]),
    (
        "{ pets { ... on Cat { owner { pets { id } } } ... on Dog { owner { id pets { friends { id } } } } } }",
        &["Query.pets", "Person", "Person.pets", "Pet.friends"],
    ),
    (
        "{ pets { friends { id } ... on Cat { friends { owner { id } } } ... on Pet { friends { id } } } }",
        &["Query.pets", "Pet.friends", "Person"],
    ),
    ("{ pets { ... on Cat { friends { id } } lives: id } }", &["Query.pets", "Pet.friends"]),
    (
        "{ pets { ... on Cat { friends(first: 1) { id } } ... on Dog { friends(first: 2) { id } } } }",
        &["Query.pets", "Pet.friends", "Pet.friends"],
    ),
    (
        "{ grid { ... on Cat { owner { shelves { maker { id } } } } ... on Dog { owner { id } } } }",
        &["Query.grid", "Person", "Person.shelves", "Person"],
    ),
    // Unions.
    (
        "{ either { ... on Cat { owner { id } } ... on Dog { owner { id } } ... on Person { pets { id } } } }",
        &["Query.either", "Person", "Person.pets"],
    ),
    (
        "{ either { ... on Pet { friends { owner { id } } } ... on Person { pets { owner { id } } } } }",
        &["Query.either", "Pet.friends", "Person", "Person.pets", "Person"],
    ),
    // Fragments: named, nested, inline, several times, with and without a condition on the type.
    (
        "{ pets { ...A ...B ... { owner { id } } } } fragment A on Pet { owner { id } ...B }
         fragment B on Pet { owner { pets { id } } }",
        &["Query.pets", "Person", "Person.pets"],
    ),
    (
        "{ either { ...A } } fragment A on Either { ... on Pet { ...B } ... on Cat { ...B } ... on Dog { owner { id } } }
         fragment B on Pet { owner { pets { id } } }",
        &["Query.either", "Person", "Person.pets"],
    ),
    // Conditions: what is left out is not called, what is there twice is called once.
    ("{ pets { owner @skip(if: true) { id } friends @include(if: false) { id } } }", &["Query.pets"]),
    (
        "{ pets { owner @skip(if: true) { id } owner { id } ... @include(if: true) { owner { id } } } }",
        &["Query.pets", "Person"],
    ),
    (
        "query($yes: Boolean!, $no: Boolean!) {
            pets { owner @include(if: $no) { pets { id } } friends @skip(if: $yes) { id } }
        }",
        &["Query.pets"],
    ),
    (
        "query($yes: Boolean!, $no: Boolean!) {
            pets {
                owner @include(if: $yes) { id pets @include(if: $no) { id } }
                ... on Cat @skip(if: $no) { owner { pets { friends { id } } } }
                ... on Dog @include(if: $no) { friends { id } }
            }
        }",
        &["Query.pets", "Person", "Person.pets", "Pet.friends"],
    ),
    ("query($no: Boolean!, $yes: Boolean!) { pets @include(if: $no) { id } pet @skip(if: $yes) { id } }", &[]),
];

fn engine(way: Way) -> Engine<Memory> {
    let pets = json!([
        {"__typename": "Cat", "id": 1, "of": 1, "owner_id": 1},
        {"__typename": "Dog", "id": 2, "of": 1, "owner_id": 2},
        {"__typename": "Cat", "id": 3, "of": 2, "owner_id": 1},
    ]);
    let person = json!({"__typename": "Person", "id": 1, "owner_id": 1});
    let mut world = World::new(SDL)
        .rows(
            "pets",
            "__typename id:int4 of:int4 owner_id:int4",
            &[
                &["Cat", "1", "1", "1"],
                &["Dog", "2", "1", "2"],
                &["Cat", "3", "2", "1"],
            ],
        )
        .rows(
            "either",
            "__typename id:int4 owner_id:int4",
            &[&["Cat", "1", "1"], &["Person", "1", "1"], &["Dog", "2", "2"]],
        )
        .rows("persons", "id:int4", &[&["1"], &["2"]]);
    let shelves = json!([[{"id": 1, "owner_id": 1}, {"id": 2, "owner_id": 2}], null, []]);
    let grid = json!([[pets[0], null, pets[1]], null, [], [pets[2]]]);
    for (fields, table, keys, value) in [
        (&["Query.pets"][..], "pets", None, &pets),
        (&["Query.pet"], "pets", None, &pets[0]),
        (
            &["Query.either"],
            "either",
            None,
            &json!([pets[0], person, pets[1]]),
        ),
        (&["Query.grid"], "", None, &grid),
        (&["Person.shelves"], "", None, &shelves),
        (&["Cat.friends", "Dog.friends"], "pets", Some(("id", "of")), &pets),
        (
            &["Cat.owner", "Dog.owner", "Toy.maker"],
            "persons",
            Some(("owner_id", "id")),
            &person,
        ),
        (&["Person.pets"], "pets", Some(("id", "owner_id")), &pets),
    ] {
        let way = if table.is_empty() { Way::Objects } else { way };
        world = match way {
            Way::Constant => fields.iter().fold(world, |world, field| {
                let keys =
                    keys.map(|(parent, child)| (SqlParam::ParentValues(parent.into()), join(parent, child)));
                let (params, join) = keys.unzip();
                world.constant(field, table, params.into_iter().collect(), join)
            }),
            Way::Joined => world.inherited(fields, move |call| match keys {
                Some((parent, child)) => Ok(Resolved::Sql(SqlResult {
                    parent_values: values_of_objects(&call, parent),
                    ..statement(table, Some(join(parent, child)))
                })),
                None => Ok(Resolved::Sql(statement(table, None))),
            }),
            Way::Objects => {
                let value = value.clone();
                world.inherited(fields, move |call| {
                    let parents = call.parents.as_ref().map_or(1, |parents| parents.len());
                    objects(&call, vec![value.clone(); parents], Spread::PerParent)
                })
            }
        };
    }
    world.engine()
}

fn statement(table: &str, join: Option<Join>) -> SqlResult<Memory> {
    let statement = Statement {
        sql: table.into(),
        params: Vec::new(),
    };
    SqlResult {
        statement,
        join,
        parent_values: None,
        page: None,
    }
}

/// A key of the parents, if these are objects.
fn values_of_objects(call: &Call<Memory>, key: &str) -> Option<Vec<Vec<Value>>> {
    let parents = call.parents.as_ref()?;
    let ParentSource::Table { table, .. } = parents.source() else {
        return None;
    };
    let objects = table.objects.as_ref()?;
    Some(vec![
        parents
            .indexes()
            .map(|index| objects[index][key].clone().into())
            .collect(),
    ])
}

/// The log's names without the numbers of parents. Fields that lead to a person are known by that; types of all
/// kinds have such.
fn called(log: &[String]) -> Vec<String> {
    let calls = log.iter().filter(|one| !one.starts_with("SQL "));
    let names = calls.map(|one| match one.split(' ').next().unwrap() {
        name if name.ends_with(".owner") || name.ends_with(".maker") => "Person".to_owned(),
        name => name.replace("Cat.", "Pet.").replace("Dog.", "Pet."),
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn table(name: &str) -> Option<&'static str> {
    match name {
        _ if HOST.contains(&name) => None,
        "Person" => Some("SQL persons"),
        "Query.either" => Some("SQL either"),
        _ => Some("SQL pets"),
    }
}

async fn check(way: Way) {
    for (query, expected) in CASES {
        let engine = engine(way);
        // The second time the plan is there already.
        for variables in [
            json!({"yes": true, "no": false}),
            json!({"yes": true, "no": false}),
        ] {
            let answer = ask_with(&engine, query, variables).await;
            assert_eq!(answer.get("errors"), None::<&Json>, "{query}: {answer}");
            let log = log(&engine);
            let mut wanted: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
            let mut statements: Vec<_> = expected.iter().filter_map(|name| table(name)).collect();
            if let Way::Constant = way {
                wanted.retain(|name| HOST.contains(&name.as_str()));
            }
            if let Way::Objects = way {
                statements.clear();
            }
            wanted.sort();
            statements.sort_unstable();
            let mut ran: Vec<_> = log.iter().filter(|one| one.starts_with("SQL ")).collect();
            ran.sort();
            assert_eq!(called(&log), wanted, "{way:?} {query}");
            assert_eq!(ran, statements, "{way:?} {query}");
        }
    }
}

#[tokio::test]
async fn with_statements_joined_to_their_parents() {
    check(Way::Joined).await;
}

#[tokio::test]
async fn with_statements_that_nobody_is_asked_for() {
    check(Way::Constant).await;
}

#[tokio::test]
async fn with_objects() {
    check(Way::Objects).await;
}
