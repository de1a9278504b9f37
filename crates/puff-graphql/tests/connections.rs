//! Connections: rows of one statement as pages, with what it says of all rows.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use puff_graphql::{
    Call, FieldError, FieldResolver, Page, Resolved, ResolverKind, Schema, SchemaOptions, Spread, SqlResult,
    Statement, Value,
};
use serde_json::{Value as Json, json};
use support::{Memory, World, ask, ask_with, join, joined, log, objects};

const SDL: &str = "
    type Query { posts(last: Boolean = false): Posts!, authors: [Author!]!, made: Posts! }
    type Author { id: Int!, posts: Posts! }
    type Posts { edges: [Edge!]!, nodes: [Post!]!, page_info: Info!, total_count: Int, other: Int, others: [Post] }
    type Edge { cursor: String!, node: Post!, weight: Int }
    type Post { id: Int!, author: Author }
    type Info { has_next_page: Boolean!, has_previous_page: Boolean!, start_cursor: String, end_cursor: String }
";

const COLUMNS: &str = "author:int4 id:int4 puff_cursor:text weight:int4 puff_aside:bool puff_before:bool \
                       puff_after:bool puff_total:int8";

fn page(sql: &str, joined: bool, page: Page) -> Result<Resolved<Memory>, FieldError> {
    Ok(Resolved::Sql(SqlResult {
        statement: Statement {
            sql: sql.into(),
            params: Vec::new(),
        },
        join: joined.then(|| join("id", "author")),
        parent_values: None,
        page: Some(page),
    }))
}

fn two() -> Page {
    Page {
        size: 2,
        backward: false,
        from_cursor: true,
    }
}

fn world() -> World {
    World::new(SDL)
        .field("Edge.node", ResolverKind::Itself)
        .field("Edge.cursor", ResolverKind::Column("puff_cursor".into()))
        .call("Query.posts", |call| {
            let backward = call.arguments.get("last") == Some(&Value::Bool(true));
            page("posts", false, Page { backward, ..two() })
        })
        .call("Query.authors", |_| support::sql("authors"))
        .call("Author.posts", |_| page("of authors", true, two()))
        .call("Post.author", |_| joined("authors", "author", "id"))
        .call("Query.made", |call| {
            let made = json!({"edges": [{"cursor": "c", "node": {"id": 5}}], "nodes": [], "total_count": 1,
                "page_info": {"has_next_page": false, "has_previous_page": true}});
            objects(&call, vec![made], Spread::Shared)
        })
        .rows("authors", "id:int4", &[&["1"], &["2"], &["3"]])
        .rows(
            "posts",
            COLUMNS,
            &[
                &["1", "10", "a", "7", "f", "f", "f", "NULL"],
                &["2", "11", "b", "8", "f", "f", "f", "NULL"],
                &["1", "12", "c", "9", "f", "f", "f", "NULL"],
                &["NULL", "NULL", "NULL", "NULL", "t", "t", "f", "44"],
            ],
        )
        .rows(
            "of authors",
            COLUMNS,
            &[
                &["1", "1", "x", "0", "t", "t", "f", "2"],
                &["1", "10", "a", "7", "f", "f", "f", "2"],
                &["2", "11", "b", "8", "t", "f", "t", "1"],
            ],
        )
}

const ALL: &str = "{ edges { cursor weight node { id } } nodes { id } total_count other others { id }
    page_info { has_next_page has_previous_page start_cursor end_cursor } }";

fn posts(ids: &[(i64, &str, i64)], total: i64, next: bool, previous: bool) -> Json {
    let edge = |(id, cursor, weight): &(i64, &str, i64)| json!({"cursor": cursor, "weight": weight, "node": {"id": id}});
    json!({
        "edges": ids.iter().map(edge).collect::<Vec<_>>(),
        "nodes": ids.iter().map(|(id, ..)| json!({"id": id})).collect::<Vec<_>>(),
        "total_count": total,
        "other": null,
        "others": null,
        "page_info": {
            "has_next_page": next,
            "has_previous_page": previous,
            "start_cursor": ids.first().map(|(_, cursor, _)| cursor),
            "end_cursor": ids.last().map(|(_, cursor, _)| cursor),
        },
    })
}

#[tokio::test]
async fn rows_of_a_root_are_a_page() {
    let engine = world().engine();
    let answer = ask(&engine, &format!("{{ posts {ALL} }}")).await;
    assert_eq!(
        answer,
        json!({"data": {"posts": posts(&[(10, "a", 7), (11, "b", 8)], 44, true, true)}})
    );
    assert_eq!(log(&engine), ["Query.posts root", "SQL posts"]);
    let answer = ask(&engine, &format!("{{ posts(last: true) {ALL} }}")).await;
    assert_eq!(
        answer["data"]["posts"],
        posts(&[(11, "b", 8), (10, "a", 7)], 44, false, true)
    );
}

#[tokio::test]
async fn parents_have_pages_of_their_own_out_of_one_statement() {
    let engine = world().engine();
    let answer = ask(&engine, &format!("{{ authors {{ posts {ALL} }} }}")).await;
    let found: Vec<&Json> = answer["data"]["authors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["posts"])
        .collect();
    assert_eq!(found[0], &posts(&[(10, "a", 7)], 2, false, true));
    assert_eq!(found[1], &posts(&[], 1, true, false));
    assert_eq!(found[2], &posts(&[], 0, false, false));
    assert_eq!(
        log(&engine),
        [
            "Query.authors root",
            "SQL authors",
            "Author.posts 3",
            "SQL of authors"
        ]
    );
}

#[tokio::test]
async fn resolvers_below_serve_the_rows_that_are_shown() {
    let engine = world().engine();
    let query =
        "{ posts { edges { node { author { id } } } nodes { author { id posts { nodes { id } } } } } }";
    let answer = ask(&engine, query).await;
    let node = |id: i64| json!({"node": {"author": {"id": id}}});
    assert_eq!(answer["data"]["posts"]["edges"], json!([node(1), node(2)]));
    assert_eq!(
        answer["data"]["posts"]["nodes"][0]["author"]["posts"]["nodes"],
        json!([{"id": 10}])
    );
    // Of edges and of nodes: each is a layer, and the row too many is in none.
    let log = log(&engine);
    assert_eq!(
        log.iter().filter(|line| *line == "Post.author 2").count(),
        2,
        "{log:?}"
    );
}

#[tokio::test]
async fn objects_of_the_host_are_connections_as_they_are() {
    let engine = world().engine();
    let answer = ask(
        &engine,
        "{ made { edges { cursor node { id } } total_count page_info { has_previous_page } } }",
    )
    .await;
    let made = json!({"edges": [{"cursor": "c", "node": {"id": 5}}], "total_count": 1,
        "page_info": {"has_previous_page": true}});
    assert_eq!(answer, json!({"data": {"made": made}}));
}

#[tokio::test]
async fn what_is_guarded_in_nodes_is_refused_in_them() {
    let no = || FieldError::new("FORBIDDEN", "no");
    let engine = world()
        .guard(&["Post.author"], move |_| puff_graphql::Permit::Refused(no()))
        .engine();
    let answer = ask(&engine, "{ posts { edges { node { id author { id } } } } }").await;
    assert_eq!(
        answer["data"]["posts"]["edges"][1]["node"],
        json!({"id": 11, "author": null})
    );
    assert_eq!(
        answer["errors"][0]["path"],
        json!(["posts", "edges", 0, "node", "author"])
    );
}

#[tokio::test]
async fn values_of_a_cursor_that_do_not_fit_are_the_clients_mistake() {
    let fails = |from_cursor: bool, state: &'static str| {
        world()
            .call("Query.bad", move |_| {
                page("bad", false, Page { from_cursor, ..two() })
            })
            .load("bad", move |_| {
                Err(FieldError::new("SQL_ERROR", "bad").with("sqlstate", Value::str(state)))
            })
    };
    for (from_cursor, state, code) in [
        (true, "22P02", "BAD_USER_INPUT"),
        (false, "22P02", "SQL_ERROR"),
        (true, "42703", "SQL_ERROR"),
    ] {
        let engine = fails(from_cursor, state)
            .with_sdl("extend type Query { bad: Posts }")
            .engine();
        let answer = ask(&engine, "{ bad { total_count } }").await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code);
    }
}

#[tokio::test]
async fn a_call_knows_what_is_selected_this_time() {
    type Log = Arc<Mutex<Vec<bool>>>;
    let seen = Log::default();
    let log = seen.clone();
    let look = move |call: Call<Memory>| {
        let paths = [
            "total_count",
            "edges",
            "edges.cursor",
            "page_info.end_cursor",
            "page_info.has_next_page",
            "x.y",
        ];
        *log.lock().unwrap() = paths.iter().map(|path| call.selection.has(path)).collect();
        page("posts", false, two())
    };
    let engine = world()
        .call("Query.look", look)
        .with_sdl("extend type Query { look: Posts }")
        .engine();
    let query = "query($a: Boolean!, $b: Boolean!) { look { total_count @include(if: $a) total_count @include(if: $b)
        ... @skip(if: $a) { edges { cursor } page_info { end_cursor } } page_info { has_next_page @skip(if: $b) } } }";
    for (a, b, wanted) in [
        (true, false, [true, false, false, false, true, false]),
        (false, true, [true, true, true, true, false, false]),
        (false, false, [false, true, true, true, true, false]),
    ] {
        ask_with(&engine, query, json!({"a": a, "b": b})).await;
        assert_eq!(*seen.lock().unwrap(), wanted, "{a} {b}");
    }
}

#[test]
fn a_row_can_be_one_object_and_nothing_else() {
    for field in ["list", "leaf"] {
        let sdl = "type Query { a: A } type A { list: [A], leaf: Int }";
        let itself = FieldResolver {
            type_name: "A".into(),
            field_name: field.into(),
            kind: ResolverKind::Itself,
        };
        let made = Schema::build(sdl, vec![itself], SchemaOptions::default());
        assert_eq!(
            made.unwrap_err().to_string(),
            format!("A.{field}: a row can only be one object")
        );
    }
}
