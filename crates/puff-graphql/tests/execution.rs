//! What runs, how often, and what comes out.
#![allow(missing_docs)]

mod support;

use puff_graphql::{Outcome, Record, Request, Spread, SqlParam, Value};
use serde_json::json;
use support::{
    World, ask, ask_with, join, joined, json as parsed, log, objects, respond, sql, value, values,
};

const BLOG: &str = "
    type Query { authors: [Author!]!, author(id: ID!): Author, hello: String }
    type Author { id: ID!, name: String!, posts(first: Int = 10): [Post!]!, latest: Post }
    type Post { id: Int!, title: String, author: Author, comments: [Comment!]! }
    type Comment { id: Int!, body: String! }
";

fn blog() -> World {
    World::new(BLOG)
        .call("Query.authors", |_| sql("authors"))
        .call("Query.author", |_| sql("authors"))
        .call("Query.hello", |_| value(Value::str("world")))
        .call("Author.posts", |_| joined("posts", "id", "author_id"))
        .call("Author.latest", |_| joined("posts", "id", "author_id"))
        .call("Post.author", |_| joined("authors", "author_id", "id"))
        .call("Post.comments", |_| joined("comments", "id", "post_id"))
        .rows(
            "authors",
            "id:int8 name",
            &[&["1", "Ann"], &["2", "Bob"], &["3", "Cy"]],
        )
        .rows(
            "posts",
            "id:int4 title author_id:int4",
            &[
                &["10", "a\"b", "1"],
                &["11", "NULL", "2"],
                &["12", "third", "1"],
                &["13", "lost", "NULL"],
                &["14", "nobody's", "99"],
            ],
        )
        .rows(
            "comments",
            "id:int4 post_id:int8 body",
            &[&["7", "12", "x"], &["8", "10", "y"], &["9", "12", "z"]],
        )
}

#[tokio::test]
async fn three_levels_are_three_calls_and_three_statements() {
    let engine = blog().engine();
    let answer = ask(
        &engine,
        "{ authors { name posts { id title comments { body } } } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({"data": {"authors": [
            {"name": "Ann", "posts": [
                {"id": 10, "title": "a\"b", "comments": [{"body": "y"}]},
                {"id": 12, "title": "third", "comments": [{"body": "x"}, {"body": "z"}]},
            ]},
            {"name": "Bob", "posts": [{"id": 11, "title": null, "comments": []}]},
            {"name": "Cy", "posts": []},
        ]}})
    );
    assert_eq!(
        log(&engine),
        [
            "Query.authors root",
            "SQL authors",
            "Author.posts 3",
            "SQL posts",
            // Posts that belong to no author are no parents.
            "Post.comments 3",
            "SQL comments"
        ]
    );
}

#[tokio::test]
async fn a_single_object_by_join_is_the_first_row_or_null_and_shared_parents_are_asked_once() {
    let engine = blog().engine();
    let answer = ask(
        &engine,
        "{ authors { latest { id author { name posts { id } } } } }",
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({"authors": [
            {"latest": {"id": 10, "author": {"name": "Ann", "posts": [{"id": 10}, {"id": 12}]}}},
            {"latest": {"id": 11, "author": {"name": "Bob", "posts": [{"id": 11}]}}},
            {"latest": null},
        ]})
    );
    let calls = log(&engine);
    assert!(calls.contains(&"Post.author 2".to_owned()), "{calls:?}");
    assert!(calls.contains(&"Author.posts 2".to_owned()), "{calls:?}");
}

#[tokio::test]
async fn aliases_with_other_arguments_are_other_layers() {
    let engine = World::new("type Query { n(by: Int!): Int } ")
        .call("Query.n", |call| value(call.arguments.get("by").unwrap().clone()))
        .engine();
    let answer = ask(&engine, "{ a: n(by: 1) b: n(by: 2) a: n(by: 1) }").await;
    assert_eq!(answer, json!({"data": {"a": 1, "b": 2}}));
    assert_eq!(log(&engine).len(), 2);
}

#[tokio::test]
async fn fragments_merge_in_order() {
    let engine = blog().engine();
    let answer = respond(
        &engine,
        "query { authors { ...a ... on Author { posts { title } } name } }
         fragment a on Author { name posts { id ...p } }
         fragment p on Post { __typename }",
        json!({}),
    )
    .await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.starts_with(
            r#"{"data":{"authors":[{"name":"Ann","posts":[{"id":10,"__typename":"Post","title":"a\"b"},"#
        ),
        "{text}"
    );
    assert_eq!(log(&engine).len(), 4);
    assert_eq!(answer.outcome, Outcome::Executed { errors: 0 });
}

#[tokio::test]
async fn skip_and_include_are_decided_per_request() {
    let engine = blog().engine();
    let query = "query($yes: Boolean!, $no: Boolean = false) {
        hello @skip(if: $yes)
        authors @include(if: $yes) { id ... on Author @include(if: $no) { name } posts @skip(if: true) { id } }
        again: authors @include(if: $no) { id }
        merged: author(id: 1) @include(if: $no) { name }
        merged: author(id: 1) { id }
    }";
    let answer = ask_with(&engine, query, json!({"yes": true})).await;
    let ids = json!([{"id": "1"}, {"id": "2"}, {"id": "3"}]);
    assert_eq!(answer, json!({"data": {"authors": ids, "merged": {"id": "1"}}}));
    assert_eq!(log(&engine).len(), 4);
    let answer = ask_with(&engine, query, json!({"yes": false, "no": true})).await;
    assert_eq!(
        answer,
        json!({"data": {"hello": "world", "again": ids, "merged": {"name": "Ann", "id": "1"}}})
    );
}

#[tokio::test]
async fn fields_stand_where_they_first_count() {
    let engine = blog().engine();
    let query = "query($no: Boolean!) { hello @include(if: $no) __typename hello }";
    let body = |no: bool| respond(&engine, query, json!({ "no": no }));
    assert_eq!(
        &body(false).await.body[..],
        br#"{"data":{"__typename":"Query","hello":"world"}}"#
    );
    assert_eq!(
        &body(true).await.body[..],
        br#"{"data":{"hello":"world","__typename":"Query"}}"#
    );
}

#[tokio::test]
async fn no_parents_means_no_call() {
    let engine = blog().rows("authors", "id:int8 name", &[]).engine();
    let answer = ask(
        &engine,
        "{ authors { name posts { comments { id } } } author(id: 1) { posts { id } } }",
    )
    .await;
    assert_eq!(answer, json!({"data": {"authors": [], "author": null}}));
    assert_eq!(log(&engine).len(), 4);
}

#[tokio::test]
async fn host_objects_with_nested_objects_and_resolvers_below() {
    let engine = World::new(
        "type Query { shops: [Shop!]!, grid: [[Cell]]! }
         type Shop { name: String!, tags: [String!], address: Address, rooms: [Room!]!, count: Int! }
         type Address { city: String!, country: String }
         type Room { id: Int!, guests: [Guest!]! }
         type Guest { name: String! }
         type Cell { x: Int }",
    )
    .call("Query.shops", |call| {
        let shops = json!([
            {"name": "A", "tags": ["x", "y"], "address": {"city": "Bonn", "land": "DE"},
             "rooms": [{"id": 1}, {"id": 2}], "id": 1},
            {"name": "B", "tags": null, "address": null, "rooms": [{"id": 3}], "id": 2},
        ]);
        objects(&call, vec![shops], Spread::Shared)
    })
    .call("Query.grid", |call| {
        objects(
            &call,
            vec![json!([[{"x": 1}, null], null, [], [{"x": 2}]])],
            Spread::Shared,
        )
    })
    .attribute("Address.country", "land")
    .call("Shop.count", |call| {
        values(
            (0..call.parents.unwrap().len())
                .map(|n| Value::Int(n as i64))
                .collect(),
        )
    })
    .constant(
        "Room.guests",
        "guests",
        vec![
            SqlParam::ParentValues("id".into()),
            SqlParam::Constant(Value::Int(5)),
        ],
        Some(join("id", "room")),
    )
    .load("guests", |params| {
        assert_eq!(
            params[0],
            Value::List(vec![Value::Int(1), Value::Int(2), Value::Int(3)])
        );
        assert_eq!(params[1], Value::Int(5));
        Ok(support::rows("room:int4 name", &[&["3", "Zoe"], &["1", "Max"]]))
    })
    .engine();
    let answer = ask(
        &engine,
        "{ shops { name tags count address { city country } rooms { guests { name } } } grid { x } }",
    )
    .await;
    assert_eq!(
        answer,
        json!({"data": {
            "shops": [
                {"name": "A", "tags": ["x", "y"], "count": 0, "address": {"city": "Bonn", "country": "DE"},
                 "rooms": [{"guests": [{"name": "Max"}]}, {"guests": []}]},
                {"name": "B", "tags": null, "count": 1, "address": null,
                 "rooms": [{"guests": [{"name": "Zoe"}]}]},
            ],
            "grid": [[{"x": 1}, null], null, [], [{"x": 2}]],
        }})
    );
}

#[tokio::test]
async fn mutations_run_one_after_the_other_and_queries_together() {
    let sdl =
        "type Query { a: Int, b: Int } type Mutation { a: Thing, b: Thing } type Thing { id: Int, sub: Int }";
    let world = || {
        World::new(sdl)
            .call("Query.a", |_| value(Value::Int(1)))
            .call("Query.b", |_| value(Value::Int(2)))
            .call("Mutation.a", |_| sql("a"))
            .call("Mutation.b", |_| sql("b"))
            .call("Thing.sub", |_| value(Value::Int(3)))
            .rows("a", "id:int4", &[&["1"]])
            .rows("b", "id:int4", &[&["2"]])
    };
    let engine = world().engine();
    let answer = ask(&engine, "mutation { b { id sub } a { id sub } c: b { id } }").await;
    assert_eq!(
        answer["data"],
        json!({"b": {"id": 2, "sub": 3}, "a": {"id": 1, "sub": 3}, "c": {"id": 2}})
    );
    assert_eq!(
        log(&engine),
        [
            "Mutation.b root",
            "SQL b",
            "Thing.sub 1",
            "Mutation.a root",
            "SQL a",
            "Thing.sub 1",
            "Mutation.b root",
            "SQL b"
        ]
    );
    let refused = engine
        .execute(
            Request {
                read_only: true,
                ..Request::new("mutation { a { id } }")
            },
            String::new(),
        )
        .await;
    assert!(matches!(refused.outcome, Outcome::Refused(_)));
}

#[tokio::test]
async fn independent_branches_wait_together() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let running = Arc::new(AtomicUsize::new(0));
    let seen = running.clone();
    // Each resolver is entered before the other's statement has come back.
    let enter = move |name: &'static str| {
        let seen = seen.clone();
        move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            sql(name)
        }
    };
    let check = move |_: &[Value]| {
        assert_eq!(running.load(Ordering::SeqCst), 2);
        Ok(support::rows("v:int4", &[&["1"]]))
    };
    let engine = World::new("type Query { a: Int, b: Int }")
        .call("Query.a", enter("a"))
        .call("Query.b", enter("b"))
        .load("a", check.clone())
        .load("b", check)
        .engine();
    assert_eq!(ask(&engine, "{ a b }").await, json!({"data": {"a": 1, "b": 1}}));
}

#[tokio::test]
async fn join_keys_compare_by_value() {
    let sdl = "type Query { p: [P!]! } type P { k: String, c: [C!]! } type C { v: Int! }";
    for (parent, child, is_match) in [
        ("int2 7", "int8 7", true),
        ("numeric 7.00", "int4 7", true),
        ("float8 7", "numeric 7.0", true),
        ("float8 1e+20", "numeric 100000000000000000000", true),
        ("text a", "text a", true),
        ("text a", "text A", false),
        ("bpchar ab ", "text ab", true),
        ("uuid 0e3a", "text 0e3a", true),
        ("bool t", "bool t", true),
        ("int4 NULL", "int4 NULL", false),
    ] {
        let (parent_type, parent_value) = parent.split_once(' ').unwrap();
        let (child_type, child_value) = child.split_once(' ').unwrap();
        let engine = World::new(sdl)
            .call("Query.p", |_| sql("p"))
            .call("P.c", |_| joined("c", "k", "k"))
            .rows("p", &format!("k:{parent_type}"), &[&[parent_value]])
            .rows("c", &format!("k:{child_type} v:int4"), &[&[child_value, "1"]])
            .engine();
        let wanted = if is_match { json!([{"v": 1}]) } else { json!([]) };
        assert_eq!(
            ask(&engine, "{ p { c { v } } }").await["data"]["p"][0]["c"],
            wanted,
            "{parent} and {child}"
        );
    }
}

#[tokio::test]
async fn composite_keys_and_leaf_fields_from_sql() {
    let engine = World::new("type Query { p: [P!]! } type P { n: Int, all: [String], total: Int }")
        .call("Query.p", |_| sql("p"))
        .call("P.n", |_| joined("c", "a b", "x y"))
        .call("P.all", |_| joined("c", "a", "x"))
        .call("P.total", |_| sql("total"))
        .rows("p", "a:int4 b", &[&["1", "x"], &["1", "y"], &["2", "NULL"]])
        .rows(
            "c",
            "x:int4 y n:int8",
            &[&["1", "y", "5"], &["1", "x", "6"], &["2", "z", "7"]],
        )
        .rows("total", "count:int8", &[&["42"]])
        .engine();
    let answer = ask(&engine, "{ p { n all total } }").await;
    assert_eq!(
        answer,
        json!({"data": {"p": [
            {"n": 6, "all": ["y", "x"], "total": 42},
            {"n": 5, "all": ["y", "x"], "total": 42},
            {"n": null, "all": ["z"], "total": 42},
        ]}})
    );
}

#[tokio::test]
async fn cells_become_json_by_the_fields_type() {
    let engine = World::new(
        "scalar Any scalar BigInt
         enum Color { RED BLUE }
         type Query { row: Row }
         type Row { i: Int, big: BigInt, f: Float, num: Float, s: String, b: Boolean, id: ID, e: Color,
                    j: Any, jnum: Int, ints: [Int], deep: [[String]], any: Any, t: Any, nums: String, js: String,
                    list: [Color] }",
    )
    .call("Query.row", |_| sql("row"))
    .rows(
        "row",
        "i:int8 big:numeric f:int4 num:numeric s:bool b:bool id:int8 e j:json jnum:json ints:int4[] deep:text[] any:int4[] t:timestamptz nums:float8 js:json list:json",
        &[&[
            "2147483647",
            "123456789012345678901234567890",
            "3",
            "1.50",
            "t",
            "f",
            "9007199254740993",
            "RED",
            r#"{"a": [1, 2.50]}"#,
            "7",
            "{1,NULL,3}",
            r#"{{a,"b,c"},{"d\"e",NULL}}"#,
            "{{1,2},{3,NULL}}",
            "2024-01-02 03:04:05+00",
            "1.5",
            r#"{"k":"v"}"#,
            r#"["BLUE", null]"#,
        ]],
    )
    .engine();
    let body = respond(
        &engine,
        "{ row { i big f num s b id e j jnum ints deep any t nums js list } }",
        json!({}),
    )
    .await
    .body;
    assert_eq!(
        std::str::from_utf8(&body).unwrap(),
        concat!(
            r#"{"data":{"row":{"i":2147483647,"big":123456789012345678901234567890,"f":3,"num":1.50,"s":"true","#,
            r#""b":false,"id":"9007199254740993","e":"RED","j":{"a": [1, 2.50]},"jnum":7,"ints":[1,null,3],"#,
            r#""deep":[["a","b,c"],["d\"e",null]],"any":[[1,2],[3,null]],"t":"2024-01-02T03:04:05+00:00","#,
            r#""nums":"1.5","js":"{\"k\":\"v\"}","list":["BLUE",null]}}}"#
        )
    );
}

#[tokio::test]
async fn plan_and_trace_show_the_layers() {
    let engine = blog().engine();
    let query = "{ authors { posts { id comments { body } } } }";
    let plan = engine.plan(query, None).unwrap();
    assert_eq!(
        plan.to_string(),
        "query\n  authors[]  <- Query.authors\n    authors[].posts[]  <- Author.posts  (id)\n      \
         authors[].posts[].comments[]  <- Post.comments  (body)\n"
    );
    let request = Request {
        record: Record::Layers,
        ..Request::new(query)
    };
    let response = engine.execute(request, String::new()).await;
    let answer: serde_json::Value = serde_json::from_slice(&response.body_with_trace()).unwrap();
    let puff = &answer["extensions"]["puff"];
    assert_eq!((&puff["version"], &puff["plan"]), (&json!(1), &json!("cached")));
    let posts = &puff["layers"][0]["children"][0];
    let shown = [
        "path",
        "type",
        "field",
        "kind",
        "sql",
        "parameters",
        "parents",
        "rows",
    ];
    let shown: Vec<_> = shown.iter().map(|name| posts[name].clone()).collect();
    let wanted = json!([
        ["authors", "posts"],
        "Author",
        "posts",
        "python",
        "posts",
        [],
        3,
        5
    ]);
    assert_eq!(json!(shown), wanted);
    let comments = &posts["children"][0];
    assert_eq!(
        (&comments["field"], &comments["children"]),
        (&json!("comments"), &json!([]))
    );
    let trace = response.trace.unwrap();
    let layers: Vec<_> = trace
        .layers
        .iter()
        .map(|layer| (&*layer.path, layer.sql.as_deref(), layer.parents, layer.rows))
        .collect();
    assert_eq!(
        layers,
        [
            ("authors[]", Some("authors"), None, 3),
            ("authors[].posts[]", Some("posts"), Some(3), 5),
            ("authors[].posts[].comments[]", Some("comments"), Some(3), 3),
        ]
    );
}

#[tokio::test]
async fn parents_give_their_values() {
    let engine = World::new("type Query { p: [P!]! } type P { up: String }")
        .call("Query.p", |_| sql("p"))
        .call("P.up", |call| {
            let parents = call.parents.unwrap();
            let lists = parents.values(&["name", "id"])?;
            assert_eq!(lists[1], [Value::Int(1), Value::Null]);
            values(
                lists[0]
                    .iter()
                    .map(|name| Value::str(name.as_str().unwrap().to_uppercase()))
                    .collect(),
            )
        })
        .rows("p", "id:int4 name", &[&["1", "a"], &["NULL", "b"]])
        .engine();
    let answer = ask(&engine, "{ p { up } }").await;
    assert_eq!(answer, json!({"data": {"p": [{"up": "A"}, {"up": "B"}]}}));
}

#[tokio::test]
async fn interfaces_and_unions_take_their_type_from_the_data() {
    let sdl = "
        type Query { rows: [Node!]!, hosts: [Any] }
        interface Node { id: ID! }
        type Cat implements Node { id: ID!, lives: Int, toys: [Toy!]! }
        type Dog implements Node { id: ID!, name: String, toys: [Toy!]! }
        type Toy { name: String! }
        union Any = Cat | Dog";
    let engine = World::new(sdl)
        .call("Query.rows", |_| sql("rows"))
        .call("Query.hosts", |call| {
            let pets = json!([{"__typename": "Dog", "name": "Rex"}, null, {"__typename": "Cat", "lives": 9}]);
            objects(&call, vec![pets], Spread::Shared)
        })
        .call("Cat.toys", |_| joined("toys", "id", "owner"))
        .call("Dog.toys", |_| joined("toys", "id", "owner"))
        .rows(
            "rows",
            "__typename id:int4 lives:int4 name",
            &[
                &["Cat", "1", "7", "NULL"],
                &["Dog", "2", "NULL", "Rex"],
                &["Cat", "3", "9", "NULL"],
            ],
        )
        .rows("toys", "owner:int4 name", &[&["2", "bone"], &["3", "mouse"]])
        .engine();
    let query = "{
        rows { __typename id ... on Cat { lives toys { name } } ... on Dog { name toys { name } } }
        hosts { __typename ... on Dog { name } ... on Cat { lives } }
    }";
    assert_eq!(
        ask(&engine, query).await,
        json!({"data": {
            "rows": [
                {"__typename": "Cat", "id": "1", "lives": 7, "toys": []},
                {"__typename": "Dog", "id": "2", "name": "Rex", "toys": [{"name": "bone"}]},
                {"__typename": "Cat", "id": "3", "lives": 9, "toys": [{"name": "mouse"}]},
            ],
            "hosts": [{"__typename": "Dog", "name": "Rex"}, null, {"__typename": "Cat", "lives": 9}],
        }})
    );
    let calls = log(&engine);
    assert!(
        calls.contains(&"Cat.toys 2".to_owned()) && calls.contains(&"Dog.toys 1".to_owned()),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_second_request_uses_the_plan_of_the_first() {
    let engine = blog().engine();
    let first = respond(&engine, "{ authors { id } }", json!({})).await;
    let second = respond(&engine.clone(), "{ authors { id } }", json!({})).await;
    assert_eq!(first.body, second.body);
    assert_eq!(parsed(&second)["data"]["authors"][0]["id"], "1");
}
