//! A whole schema, used by one query.

use puff_graphql::{Call, FieldError, Resolved, Spread, Value};
use serde_json::{Value as Json, json};

use super::support::{Memory, World, ask, objects};

const SDL: &str = "
    type Query { article(id: ID): Article, feed: [Article] }
    type Article { id: String!, isPublished: Boolean, author: Author, title: String, body: String, keywords: [String] }
    type Author { id: String, name: String, pic(width: Int, height: Int): Image, recentArticle: Article }
    type Image { url: String, width: Int, height: Int }
";

fn article(id: i64) -> Json {
    json!({
        "id": id, "isPublished": true, "title": format!("My Article {id}"), "body": "This is a post",
        "hidden": "This data is not exposed in the schema", "keywords": ["foo", "bar", 1, true, null],
        "author": {"id": 123, "name": "John Smith"},
    })
}

fn number(call: &Call<Memory>, name: &str) -> i64 {
    match call.arguments.get(name) {
        Some(Value::Int(number)) => *number,
        Some(Value::Str(text)) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn one(call: &Call<Memory>, object: Json) -> Result<Resolved<Memory>, FieldError> {
    objects(call, vec![object], Spread::Shared)
}

#[tokio::test]
async fn a_query_with_lists_objects_arguments_and_fragments() {
    let engine = World::new(SDL)
        .call("Query.article", |call| one(&call, article(number(&call, "id"))))
        .call("Query.feed", |call| one(&call, (1..=10).map(article).collect()))
        .call("Author.pic", |call| {
            let (width, height) = (number(&call, "width"), number(&call, "height"));
            one(
                &call,
                json!({"url": "cdn://123", "width": width, "height": height}),
            )
        })
        .call("Author.recentArticle", |call| one(&call, article(1)))
        .engine();
    let query = "{
        feed { id, title }
        article(id: \"1\") {
            ...articleFields,
            author { id, name, pic(width: 640, height: 480) { url, width, height },
                     recentArticle { ...articleFields, keywords } }
        }
    }
    fragment articleFields on Article { id, isPublished, title, body }";
    let feed: Vec<_> = (1..=10)
        .map(|id| json!({"id": id.to_string(), "title": format!("My Article {id}")}))
        .collect();
    let fields = json!({"id": "1", "isPublished": true, "title": "My Article 1", "body": "This is a post"});
    let (mut recent, mut first) = (fields.clone(), fields);
    recent["keywords"] = json!(["foo", "bar", "1", "true", null]);
    first["author"] = json!({
        "id": "123", "name": "John Smith", "pic": {"url": "cdn://123", "width": 640, "height": 480},
        "recentArticle": recent,
    });
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {"feed": feed, "article": first}})
    );
    // What is no part of the schema cannot be asked for, though the objects have it.
    let answer = ask(&engine, "{ feed { hidden } }").await;
    assert!(answer.get("data").is_none(), "{answer}");
}
