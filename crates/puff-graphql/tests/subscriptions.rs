//! Subscriptions: the rule of one root field, one execution per event, what fails and what goes on.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use puff_graphql::{
    Call, Engine, Event, EventSource, Events, FieldError, OperationKind, Request, Response, Schema,
    SchemaError, SchemaOptions, Spread, Value,
};
use serde_json::{Value as Json, json};
use support::{Memory, World, joined, objects, rows, sql, value};

type Step = fn(&Call<Memory>) -> Event<Memory>;

/// What the sources give, by the request's context.
static SCRIPTS: Mutex<Option<HashMap<String, VecDeque<Step>>>> = Mutex::new(None);

pub struct Script {
    call: Call<Memory>,
    steps: VecDeque<Step>,
}

impl Events<Memory> for Script {
    async fn next(&mut self) -> Event<Memory> {
        tokio::task::yield_now().await;
        self.steps.pop_front().map_or(Event::End, |step| step(&self.call))
    }
}

impl EventSource for Memory {
    type Events = Script;

    fn subscribe(&self, call: Call<Self>) -> Script {
        let steps = SCRIPTS
            .lock()
            .unwrap()
            .get_or_insert_default()
            .remove(&call.context);
        self.log.lock().unwrap().push(format!("subscribe {}", call.field));
        Script {
            call,
            steps: steps.unwrap_or_default(),
        }
    }
}

fn of(result: Result<puff_graphql::Resolved<Memory>, FieldError>) -> Event<Memory> {
    match result {
        Ok(resolved) => Event::Value(resolved),
        Err(error) => Event::Bad(error),
    }
}

const SDL: &str = "
    type Query { hello: String }
    type Mutation { say: String }
    type Message { text: String!, author: Author, replies(of: Int): [Reply!]! }
    type Author { name: String! }
    type Reply { text: String }
    type Subscription { messages(channel: String!): Message, ticks(from: Int! = 1): Int!, rows: [Message!]! }
";

fn engine() -> Engine<Memory> {
    World::new(SDL)
        .call("Query.hello", |_| value(Value::str("hi")))
        .call("Mutation.say", |_| value(Value::str("said")))
        .call("Message.replies", |_| joined("replies", "text", "of"))
        .rows(
            "replies",
            "text:text of:text",
            &[&["re: a", "a"], &["re: b", "b"]],
        )
        .rows("messages", "text:text", &[&["a"], &["b"], &["c"]])
        .call("Subscription.messages", |_| unreachable!())
        .call("Subscription.ticks", |_| unreachable!())
        .call("Subscription.rows", |_| unreachable!())
        .engine()
}

async fn all(engine: &Engine<Memory>, query: &str, name: &str, steps: &[Step]) -> Vec<Json> {
    let script = steps.iter().copied().collect();
    SCRIPTS
        .lock()
        .unwrap()
        .get_or_insert_default()
        .insert(name.into(), script);
    let mut found = Vec::new();
    match engine.subscribe(Request::new(query), name.into()).await {
        Err(response) => found.push(json(&response)),
        Ok(mut subscription) => loop {
            let event = subscription.event().await;
            let last = matches!(event, Event::Failed(_));
            match subscription.answer(event).await {
                Some(response) => found.push(json(&response)),
                None => break,
            }
            if last {
                break;
            }
        },
    }
    found
}

fn json(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

#[tokio::test]
async fn each_event_is_executed_like_an_answer() {
    let engine = engine();
    let query =
        "subscription Chat { m: messages(channel: \"c\") { __typename words: text author { name } } }";
    let steps: [Step; 3] = [
        |call| {
            assert_eq!(call.arguments.get("channel").and_then(Value::as_str), Some("c"));
            assert!(call.parents.is_none() && !call.is_mutation);
            of(objects(
                call,
                vec![json!({"text": "one", "author": {"name": "A"}})],
                Spread::Shared,
            ))
        },
        |call| of(objects(call, vec![json!(null)], Spread::Shared)),
        |call| {
            of(objects(
                call,
                vec![json!({"text": "two", "author": null})],
                Spread::Shared,
            ))
        },
    ];
    assert_eq!(
        all(&engine, query, "each", &steps).await,
        [
            json!({"data": {"m": {"__typename": "Message", "words": "one", "author": {"name": "A"}}}}),
            json!({"data": {"m": null}}),
            json!({"data": {"m": {"__typename": "Message", "words": "two", "author": null}}}),
        ]
    );
    assert_eq!(
        *engine.backend().log.lock().unwrap(),
        ["subscribe Subscription.messages"]
    );
}

#[tokio::test]
async fn layers_below_an_event_are_asked_once() {
    let engine = engine();
    let query = "subscription { rows { text replies { text } other: replies(of: 2) { text } } }";
    let steps: [Step; 1] = [|_| of(sql("messages"))];
    let answers = all(&engine, query, "layers", &steps).await;
    assert_eq!(
        answers[0]["data"]["rows"][1],
        json!({"text": "b", "replies": [{"text": "re: b"}], "other": [{"text": "re: b"}]})
    );
    let mut log = engine.backend().log.lock().unwrap().clone();
    log.sort_unstable();
    assert_eq!(
        log,
        [
            "Message.replies 3",
            "Message.replies 3",
            "SQL messages",
            "SQL replies",
            "SQL replies",
            "subscribe Subscription.rows"
        ]
    );
}

#[tokio::test]
async fn an_event_that_is_wrong_is_an_error_of_its_own() {
    let engine = engine();
    let steps: [Step; 4] = [
        |_| of(value(Value::Int(1))),
        |_| of(value(Value::str("one"))),
        |_| Event::Bad(FieldError::new("RESOLVER_ERROR", "boom")),
        |_| of(value(Value::Int(4))),
    ];
    let answers = all(&engine, "subscription { ticks }", "wrong", &steps).await;
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[0], json!({"data": {"ticks": 1}}));
    for bad in &answers[1..3] {
        assert_eq!(bad["data"], json!(null));
        assert_eq!(bad["errors"][0]["path"], json!(["ticks"]));
        assert_eq!(bad["errors"][0]["locations"], json!([{"line": 1, "column": 16}]));
    }
    assert_eq!(answers[2]["errors"][0]["message"], "boom");
    assert_eq!(answers[3], json!({"data": {"ticks": 4}}));
}

#[tokio::test]
async fn a_source_that_fails_ends_with_its_error() {
    let engine = engine();
    let steps: [Step; 3] = [
        |_| of(value(Value::Int(1))),
        |_| Event::Failed(FieldError::new("RESOLVER_ERROR", "the source broke")),
        |_| unreachable!(),
    ];
    let answers = all(&engine, "subscription { t: ticks }", "fails", &steps).await;
    assert_eq!(
        answers[1],
        json!({"errors": [{
            "message": "the source broke",
            "locations": [{"line": 1, "column": 16}],
            "path": ["t"],
            "extensions": {"code": "RESOLVER_ERROR"},
        }]})
    );
    assert_eq!(answers.len(), 2);
}

#[tokio::test]
async fn a_source_may_fail_before_its_first_event_or_have_none() {
    let engine = engine();
    let steps: [Step; 1] = [|_| Event::Failed(FieldError::new("FORBIDDEN", "not you"))];
    let answers = all(&engine, "subscription { ticks }", "first", &steps).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].get("data"), None);
    assert_eq!(answers[0]["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert!(
        all(&engine, "subscription { ticks }", "none", &[])
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_subscription_has_one_root_field() {
    let engine = engine();
    for query in [
        "subscription { ticks messages(channel: \"a\") { text } }",
        "subscription { a: ticks b: ticks }",
        "subscription { ...F } fragment F on Subscription { ticks other: ticks }",
        "subscription { __typename }",
        "subscription { ticks __typename }",
        "subscription { __schema { description } }",
        "subscription($no: Boolean!) { ticks @skip(if: $no) }",
        "subscription($no: Boolean!) { ... @include(if: $no) { ticks } }",
    ] {
        let answers = all(&engine, query, "root", &[]).await;
        assert_eq!(
            answers[0]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED",
            "{query}: {answers:?}"
        );
        assert!(answers[0].get("data").is_none());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_before_it_begins() {
    let engine = engine();
    for (query, code) in [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { messages { text } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { hello }", "OPERATION_NOT_ALLOWED"),
        ("mutation { say }", "OPERATION_NOT_ALLOWED"),
        (
            "subscription A { ticks } subscription B { ticks }",
            "OPERATION_UNKNOWN",
        ),
        (
            "subscription($c: String!) { messages(channel: $c) { text } }",
            "BAD_USER_INPUT",
        ),
    ] {
        let answers = all(&engine, query, "begin", &[]).await;
        assert_eq!(answers[0]["errors"][0]["extensions"]["code"], code, "{query}");
    }
    // A variable with a default, given as null, only shows at its argument.
    let mut request = Request::new("subscription($from: Int = 2) { ticks(from: $from) }");
    request.variables.insert("from".into(), Value::Null);
    let Err(response) = engine.subscribe(request, "null".into()).await else {
        panic!("began")
    };
    assert_eq!(json(&response)["errors"][0]["path"], json!(["ticks"]));
    assert!(engine.backend().log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn kinds_are_told_apart() {
    let engine = engine();
    let kind = |query: &str| engine.kind(&Request::new(query)).unwrap();
    assert_eq!(kind("{ hello }"), OperationKind::Query);
    assert_eq!(kind("mutation { say }"), OperationKind::Mutation);
    assert_eq!(kind("subscription { ticks }"), OperationKind::Subscription);
    assert_eq!(
        engine.plan("subscription { ticks }", None).unwrap().operation,
        "subscription"
    );
    let response = engine
        .execute(Request::new("subscription { ticks }"), String::new())
        .await;
    assert_eq!(
        json(&response)["errors"][0]["extensions"]["code"],
        "OPERATION_NOT_ALLOWED"
    );
}

#[test]
fn a_subscription_needs_a_resolver() {
    let sdl = "type Query { a: Int } type Subscription { ticks: Int }";
    let resolver = |type_name: &str, field: &str, kind| puff_graphql::FieldResolver {
        type_name: type_name.into(),
        field_name: field.into(),
        kind,
    };
    let call = || {
        resolver(
            "Query",
            "a",
            puff_graphql::ResolverKind::Call(puff_graphql::ResolverId(0)),
        )
    };
    let missing = Schema::build(sdl, vec![call()], SchemaOptions::default()).unwrap_err();
    assert!(matches!(missing, SchemaError::MissingResolver { type_name, .. } if type_name == "Subscription"));
    let statement = puff_graphql::ResolverKind::Sql(puff_graphql::SqlResolver {
        id: None,
        sql: "SELECT 1".into(),
        params: Vec::new(),
        join: None,
    });
    let resolvers = vec![call(), resolver("Subscription", "ticks", statement)];
    let wrong = Schema::build(sdl, resolvers, SchemaOptions::default()).unwrap_err();
    assert!(wrong.to_string().contains("a statement has no events"), "{wrong}");
    let _ = rows("a:int4", &[]);
}
