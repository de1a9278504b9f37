//! Random data and queries, three ways: rows with joins, host objects, and a plain recursive evaluator.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use puff_graphql::{Call, Engine, ParentSource, Spread};
use serde_json::{Map, Value as Json, json};
use support::{Memory, MemoryRows, World, ask, joined, objects, rows, sql};

const SDL: &str = "
    type Query { authors: [Author]!, top: Author }
    type Author { id: Int!, name: String, must: Int!, tags: [String!], posts: [Post]!, best: Post! }
    type Post { id: Int!, title: String!, writer: Author, comments: [Comment!] }
    type Comment { id: Int!, body: String!, post: Post! }
";

/// A field: its type, its name, the type of the objects it holds, whether it is a list, whether it and its
/// elements may be null.
type Field = (&'static str, &'static str, Option<&'static str>, bool, bool, bool);

const FIELDS: &[Field] = &[
    ("Query", "authors", Some("Author"), true, false, true),
    ("Query", "top", Some("Author"), false, true, true),
    ("Author", "id", None, false, false, false),
    ("Author", "name", None, false, true, true),
    ("Author", "must", None, false, false, false),
    ("Author", "tags", None, true, true, false),
    ("Author", "posts", Some("Post"), true, false, true),
    ("Author", "best", Some("Post"), false, false, false),
    ("Post", "id", None, false, false, false),
    ("Post", "title", None, false, false, false),
    ("Post", "writer", Some("Author"), false, true, true),
    ("Post", "comments", Some("Comment"), true, true, false),
    ("Comment", "id", None, false, false, false),
    ("Comment", "body", None, false, false, false),
    ("Comment", "post", Some("Post"), false, false, false),
];

#[derive(Debug, Clone)]
struct Data {
    authors: Vec<Json>,
    posts: Vec<Json>,
    comments: Vec<Json>,
}

impl Data {
    /// The value of a field that has a resolver.
    fn child(&self, field: &str, parent: &Json) -> Json {
        let those = |list: &[Json], key: &str, value: &Json| -> Vec<Json> {
            let is = |item: &&Json| !value.is_null() && item[key] == *value;
            list.iter().filter(is).cloned().collect()
        };
        let first = |list: Vec<Json>| list.into_iter().next().unwrap_or(Json::Null);
        match field {
            "Query.authors" => self.authors.clone().into(),
            "Query.top" => first(self.authors.clone()),
            "Author.posts" => those(&self.posts, "author_id", &parent["id"]).into(),
            "Author.best" => first(those(&self.posts, "author_id", &parent["id"])),
            "Post.writer" => first(those(&self.authors, "id", &parent["author_id"])),
            "Post.comments" => those(&self.comments, "post_id", &parent["id"]).into(),
            "Comment.post" => first(those(&self.posts, "id", &parent["post_id"])),
            other => panic!("{other}"),
        }
    }
}

/// A selection: response name, field, what is below, and how it is written down.
#[derive(Debug, Clone)]
struct Pick {
    key: String,
    field: &'static str,
    below: Vec<Pick>,
    in_fragment: bool,
    skipped: bool,
}

fn picks(type_name: &'static str, depth: u32) -> BoxedStrategy<Vec<Pick>> {
    let fields: Vec<_> = FIELDS
        .iter()
        .filter(|field| field.0 == type_name && (depth > 0 || field.2.is_none()))
        .map(|(_, field, object, ..)| {
            let below = match object {
                Some(object) => picks(object, depth - 1),
                None => Just(Vec::new()).boxed(),
            };
            (Just(*field), below, 0..3_usize, any::<bool>(), 0..8_u8)
        })
        .collect();
    let one = proptest::sample::select(fields)
        .prop_flat_map(|field| field)
        .prop_map(|(field, below, alias, in_fragment, skip)| {
            // The same response name always stands for the same field: then selections may merge.
            let key = if alias == 0 {
                field.to_owned()
            } else {
                format!("{field}_{alias}")
            };
            Pick {
                key,
                field,
                below,
                in_fragment,
                skipped: skip == 0,
            }
        });
    prop::collection::vec(one, 1..5).boxed()
}

fn print(type_name: &str, picks: &[Pick], out: &mut String) {
    out.push('{');
    // Never empty, whatever is skipped.
    out.push_str("__typename ");
    for pick in picks {
        let object = object_of(type_name, pick.field);
        if pick.in_fragment {
            out.push_str(&format!("... on {type_name} {{ "));
        }
        out.push_str(&format!("{}: {} ", pick.key, pick.field));
        if pick.skipped {
            out.push_str("@skip(if: $yes) ");
        }
        if let Some(object) = object {
            print(object, &pick.below, out);
        }
        if pick.in_fragment {
            out.push_str("} ");
        }
    }
    out.push('}');
}

fn object_of(type_name: &str, field: &str) -> Option<&'static str> {
    FIELDS
        .iter()
        .find(|known| known.0 == type_name && known.1 == field)
        .and_then(|known| known.2)
}

struct Failed;

/// The specification's own way: one object after the other, one field after the other.
fn evaluate(
    data: &Data,
    type_name: &str,
    picks: &[Pick],
    object: &Json,
    path: &mut Vec<Json>,
    errors: &mut Vec<Json>,
) -> Result<Json, Failed> {
    let mut merged: Vec<Pick> = Vec::new();
    for pick in picks.iter().filter(|pick| !pick.skipped) {
        match merged.iter_mut().find(|known| known.key == pick.key) {
            Some(known) => known.below.extend(pick.below.iter().cloned()),
            None => merged.push(pick.clone()),
        }
    }
    let mut answer = Map::new();
    answer.insert("__typename".into(), type_name.into());
    for pick in &merged {
        let known = FIELDS
            .iter()
            .find(|known| known.0 == type_name && known.1 == pick.field)
            .unwrap();
        let (_, field, below, is_list, nullable, item_nullable): Field = *known;
        let value = match below {
            Some(_) => data.child(&format!("{type_name}.{field}"), object),
            None => object[field].clone(),
        };
        path.push(pick.key.clone().into());
        let mut complete = |value: Json, nullable: bool, path: &mut Vec<Json>| {
            let result = match (below, value) {
                (_, Json::Null) if nullable => return Ok(Json::Null),
                (_, Json::Null) => {
                    errors.push(path.clone().into());
                    Err(Failed)
                }
                (Some(below), value) => evaluate(data, below, &pick.below, &value, path, errors),
                (None, value) => Ok(value),
            };
            result.or_else(|failed| if nullable { Ok(Json::Null) } else { Err(failed) })
        };
        let result = match value {
            Json::Array(items) if is_list => {
                let mut list = Ok(Vec::new());
                for (index, item) in items.into_iter().enumerate() {
                    path.push(index.into());
                    let item = complete(item, item_nullable, path);
                    path.pop();
                    match (&mut list, item) {
                        (Ok(list), Ok(item)) => list.push(item),
                        _ => {
                            list = Err(Failed);
                            break;
                        }
                    }
                }
                list.map(Json::Array)
                    .or_else(|failed| if nullable { Ok(Json::Null) } else { Err(failed) })
            }
            value => complete(value, nullable, path),
        };
        path.pop();
        answer.insert(pick.key.clone(), result?);
    }
    Ok(answer.into())
}

fn data() -> impl Strategy<Value = Data> {
    let maybe = |weight: u32| prop_oneof![weight => (0..100_i64).prop_map(Json::from), 1 => Just(Json::Null)];
    let author = (
        prop::option::of("[a-c\"\\\\é\n]{0,9}"),
        maybe(9),
        prop::option::of(prop::collection::vec("[a\", {}]{0,3}", 0..3)),
    );
    let post = (
        prop::option::of(0..7_i64),
        prop_oneof![9 => "[x-z]{0,3}".prop_map(Json::from), 1 => Just(Json::Null)],
    );
    let comment = (0..9_i64, "[p-q]{1,3}");
    (
        prop::collection::vec(author, 0..6),
        prop::collection::vec(post, 0..8),
        prop::collection::vec(comment, 0..10),
    )
        .prop_map(|(authors, posts, comments)| Data {
            authors: authors
                .into_iter()
                .enumerate()
                .map(|(id, (name, must, tags))| json!({"id": id, "name": name, "must": must, "tags": tags}))
                .collect(),
            posts: posts
                .into_iter()
                .enumerate()
                .map(|(id, (author, title))| json!({"id": id, "author_id": author, "title": title}))
                .collect(),
            comments: comments
                .into_iter()
                .enumerate()
                .map(|(id, (post, body))| json!({"id": id, "post_id": post, "body": body}))
                .collect(),
        })
}

fn table(columns: &str, objects: &[Json]) -> MemoryRows {
    let cell = |object: &Json, column: &str| match &object[column.split(':').next().unwrap()] {
        Json::Null => "NULL".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let quoted = |item: &Json| {
                format!(
                    "\"{}\"",
                    item.as_str().unwrap().replace('\\', "\\\\").replace('"', "\\\"")
                )
            };
            format!("{{{}}}", items.iter().map(quoted).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    };
    let cells: Vec<Vec<String>> = objects
        .iter()
        .map(|object| columns.split(' ').map(|column| cell(object, column)).collect())
        .collect();
    let cells: Vec<Vec<&str>> = cells
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let cells: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    rows(columns, &cells)
}

fn with_rows(data: &Data) -> Engine<Memory> {
    let authors = table("id:int8 name must:int4 tags:text[]", &data.authors);
    let posts = table("author_id:int4 id:int8 title", &data.posts);
    let comments = table("id:int4 body post_id:int2", &data.comments);
    World::new(SDL)
        .call("Query.authors", |_| sql("authors"))
        .call("Query.top", |_| sql("authors"))
        .call("Author.posts", |_| joined("posts", "id", "author_id"))
        .call("Author.best", |_| joined("posts", "id", "author_id"))
        .call("Post.writer", |_| joined("authors", "author_id", "id"))
        .call("Post.comments", |_| joined("comments", "id", "post_id"))
        .call("Comment.post", |_| joined("posts", "post_id", "id"))
        .load("authors", move |_| Ok(authors.clone()))
        .load("posts", move |_| Ok(posts.clone()))
        .load("comments", move |_| Ok(comments.clone()))
        .engine()
}

fn with_objects(data: &Data) -> Engine<Memory> {
    let data = Arc::new(data.clone());
    let resolver = |data: &Arc<Data>| {
        let data = data.clone();
        move |call: Call<Memory>| {
            let field = call.field.to_string();
            let per_parent = match &call.parents {
                None => vec![data.child(&field, &Json::Null)],
                Some(parents) => {
                    let ParentSource::Table { table, .. } = parents.source() else {
                        panic!("not objects")
                    };
                    let objects = table.objects.as_ref().unwrap();
                    parents
                        .indexes()
                        .map(|index| data.child(&field, &objects[index]))
                        .collect()
                }
            };
            objects(&call, per_parent, Spread::PerParent)
        }
    };
    FIELDS
        .iter()
        .filter(|field| field.2.is_some())
        .fold(World::new(SDL), |world, field| {
            world.call(&format!("{}.{}", field.0, field.1), resolver(&data))
        })
        .engine()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PUFF_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200)
    ))]

    #[test]
    fn all_three_ways_agree(data in data(), picks in picks("Query", 4)) {
        let mut query = "query($yes: Boolean = true) ".to_owned();
        print("Query", &picks, &mut query);
        // A variable that is nowhere used would not be valid.
        query = query.replacen("__typename", "__typename @include(if: $yes)", 1);
        let mut errors = Vec::new();
        let expected = evaluate(&data, "Query", &picks, &Json::Null, &mut Vec::new(), &mut errors);
        let expected = expected.unwrap_or(Json::Null);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for engine in [with_rows(&data), with_objects(&data)] {
            let answer = runtime.block_on(ask(&engine, &query));
            prop_assert_eq!(&answer["data"], &expected, "{}", query);
            let listed = answer["errors"].as_array().cloned().unwrap_or_default();
            let paths: Vec<Json> = listed.iter().map(|error| error["path"].clone()).collect();
            let shown = errors.len().min(100);
            prop_assert_eq!(&paths[..shown], &errors[..shown], "{}", query);
        }
    }
}
