//! Rows become an answer without an allocation per cell.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/counting.rs"]
mod counting;
mod support;

use counting::Counting;
use puff_graphql::Engine;
use support::{Memory, MemoryRows, World, joined, respond, rows, sql};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn table(columns: &str, count: usize, row: impl Fn(usize) -> Vec<String>) -> MemoryRows {
    let cells: Vec<Vec<String>> = (0..count).map(row).collect();
    let cells: Vec<Vec<&str>> = cells
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let cells: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    rows(columns, &cells)
}

#[tokio::test]
async fn a_nested_answer_costs_allocations_per_layer_only() {
    let authors = table("id:int4 name", 20, |n| vec![n.to_string(), format!("author {n}")]);
    let posts = table("id:int8 author_id:int4 title", 200, |n| {
        vec![n.to_string(), (n / 10).to_string(), format!("\"{n}\"")]
    });
    let comments = table("id:int8 post_id:int8 body", 1000, |n| {
        vec![n.to_string(), (n / 5).to_string(), "text ".repeat(10)]
    });
    let engine = World::new(
        "type Query { authors: [Author!]! } type Author { id: ID! name: String! posts: [Post!]! }
         type Post { id: Int! title: String! comments: [Comment!]! } type Comment { id: Int! body: String! }",
    )
    .call("Query.authors", |_| sql("authors"))
    .call("Author.posts", |_| joined("posts", "id", "author_id"))
    .call("Post.comments", |_| joined("comments", "id", "post_id"))
    .load("authors", twice(authors))
    .load("posts", twice(posts))
    .load("comments", twice(comments))
    .engine();
    let query = "{ authors { id name posts { id title comments { id body } } } }";
    let (count, bytes) = allocations(&engine, query).await;
    assert!(bytes > 70_000, "{bytes}");
    // 1,220 rows with 2,440 cells.
    assert!(count < 150, "{count} allocations");
}

#[tokio::test]
async fn nor_do_rows_of_interfaces_and_unions() {
    let type_of = |n: usize| ["Cat", "Dog", "Fish"][n % 3].to_owned();
    let pets = table("__typename id:int4 name lives:int4 tricks:int4", 300, |n| {
        vec![
            type_of(n),
            n.to_string(),
            format!("pet {n}"),
            "9".into(),
            "3".into(),
        ]
    });
    let friends = table("__typename id:int4 of:int4 name born:timestamptz", 1500, |n| {
        let moment = "2026-11-29 12:34:56+00".to_owned();
        vec![
            type_of(n),
            n.to_string(),
            (n / 5).to_string(),
            "text ".repeat(10),
            moment,
        ]
    });
    let things = table("__typename id:int4 of:int4 name", 900, |n| {
        vec![
            type_of(n / 2),
            n.to_string(),
            (n / 3).to_string(),
            format!("\"{n}\""),
        ]
    });
    let engine = World::new(
        "type Query { pets: [Pet!]! } union Thing = Cat | Dog | Fish
         interface Pet { id: Int! name: String! friends: [Pet!]! things: [Thing!]! born: String }
         type Cat implements Pet {
             id: Int! name: String! friends: [Pet!]! things: [Thing!]! born: String lives: Int }
         type Dog implements Pet {
             id: Int! name: String! friends: [Pet!]! things: [Thing!]! born: String tricks: Int }
         type Fish implements Pet { id: Int! name: String! friends: [Pet!]! things: [Thing!]! born: String }",
    )
    .call("Query.pets", |_| sql("pets"))
    .inherited(&["Cat.friends", "Dog.friends", "Fish.friends"], |_| {
        joined("friends", "id", "of")
    })
    .inherited(&["Cat.things", "Dog.things", "Fish.things"], |_| {
        joined("things", "id", "of")
    })
    .load("pets", twice(pets))
    .load("friends", twice(friends))
    .load("things", twice(things))
    .engine();
    // Shared fields, fields of one type, other selections below one call, and a union's `__typename`.
    let query = "{ pets {
        __typename id name
        ... on Cat { lives friends { __typename id name born } }
        ... on Dog { tricks friends { id ... on Dog { name } ... on Fish { born } } }
        things { __typename ... on Cat { name } ... on Pet { id } }
    } }";
    let (count, bytes) = allocations(&engine, query).await;
    assert!(bytes > 100_000, "{bytes}");
    // 2,700 rows with some 7,000 cells.
    assert!(count < 250, "{count} allocations");
}

/// A loader whose table is handed over, not copied, each of two times: copies would be counted.
fn twice(
    table: MemoryRows,
) -> impl Fn(&[puff_graphql::Value]) -> Result<MemoryRows, puff_graphql::FieldError> + Send + Sync {
    let tables = std::sync::Mutex::new(vec![table.clone(), table]);
    move |_| Ok(tables.lock().unwrap().pop().unwrap())
}

/// The allocations of a request whose plan is known, and the bytes of its answer.
async fn allocations(engine: &Engine<Memory>, query: &str) -> (usize, usize) {
    let first = respond(engine, query, serde_json::Value::Null).await;
    let before = counting::allocations();
    let second = respond(engine, query, serde_json::Value::Null).await;
    let count = counting::allocations() - before;
    assert_eq!(first.body, second.body);
    let text = String::from_utf8_lossy(&second.body);
    assert!(!text.contains("\"errors\""), "{}", &text[..300]);
    println!("{count} allocations for {} bytes", second.body.len());
    (count, second.body.len())
}
