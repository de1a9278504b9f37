//! Documents that want to cost more than they should: refused, quickly and in little memory.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use proptest::prelude::*;
use puff_graphql::{Engine, Outcome, RequestErrorCode, Spread, Value};
use serde_json::{Value as Json, json};
use support::{Memory, World, objects, respond, value};

const SDL: &str = "
    type Query { a: A, n: Node, u: U, s(x: In, l: [Int], m: [In]): String, i: Int }
    interface Node { id: ID, node: Node, nodes: [Node] }
    type A implements Node { id: ID, node: Node, nodes: [Node], a: A, s(x: In): String }
    type B implements Node { id: ID, node: Node, nodes: [Node], b: B }
    type C implements Node { id: ID, node: Node, nodes: [Node], c: C, i: Int! }
    union U = A | B | C
    input In { a: Int, b: In, c: [In!], d: [[Int]] }
    enum E { X Y }
    type Mutation { m(e: E): Int }
";

fn engine() -> Engine<Memory> {
    let node = |call: puff_graphql::Call<Memory>| {
        let object = json!({"__typename": "A", "id": "1", "s": "x", "node": {"__typename": "C", "i": null}});
        objects(&call, vec![object], Spread::Shared)
    };
    World::new(SDL)
        .call("Query.a", node)
        .call("Query.n", node)
        .call("Query.u", node)
        .call("Query.s", |_| value(Value::str("s")))
        .call("Query.i", |_| value(Value::Int(1)))
        .call("A.a", |call| objects(&call, vec![Json::Null], Spread::Shared))
        .call("Mutation.m", |_| value(Value::Int(1)))
        .engine()
}

fn code(outcome: Outcome) -> Option<RequestErrorCode> {
    match outcome {
        Outcome::Refused(code) => Some(code),
        Outcome::Executed { .. } => None,
    }
}

/// Documents with the reason why each is refused.
fn documents() -> Vec<(&'static str, String, Json)> {
    let deep = |open: &str, depth: usize| format!("{{ {} id {} }}", open.repeat(depth), "}".repeat(depth));
    let numbers = |count: usize, each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<String>();
    // Each fragment spreads the next twice: 2^40 fields, were they all written down.
    let bomb = format!(
        "{{ a {{ ...F0 }} }} {} fragment F40 on A {{ id }}",
        numbers(40, &|n| format!(
            "fragment F{n} on A {{ x{n}: a {{ ...F{m} }} y{n}: a {{ ...F{m} }} }} ",
            m = n + 1
        ))
    );
    vec![
        ("deep selections", deep("a {", 10_000), json!({})),
        ("selections below the parser's limit", deep("a {", 150), json!({})),
        (
            "deep lists",
            format!("{{ s(l: {}1{}) }}", "[".repeat(10_000), "]".repeat(10_000)),
            json!({}),
        ),
        (
            "deep objects",
            format!("{{ s(x: {}{}) }}", "{b: ".repeat(5_000), "}".repeat(5_000)),
            json!({}),
        ),
        (
            "deep types",
            format!(
                "query($v: {}Int{}) {{ i }}",
                "[".repeat(10_000),
                "]".repeat(10_000)
            ),
            json!({}),
        ),
        (
            "aliases",
            format!("{{ {} }}", numbers(10_000, &|n| format!("a{n}: i "))),
            json!({}),
        ),
        (
            "aliases below",
            format!("{{ a {{ {} }} }}", numbers(10_000, &|n| format!("a{n}: id "))),
            json!({}),
        ),
        (
            "the same field",
            format!("{{ {} }}", "i ".repeat(50_000)),
            json!({}),
        ),
        (
            "a fragment of itself",
            "{ a { ...F } } fragment F on A { a { ...F } }".into(),
            json!({}),
        ),
        (
            "a circle of fragments",
            format!(
                "{{ a {{ ...F0 }} }} {}",
                numbers(500, &|n| format!(
                    "fragment F{n} on A {{ ...F{} }} ",
                    (n + 1) % 500
                ))
            ),
            json!({}),
        ),
        (
            "a chain of fragments",
            format!(
                "{{ a {{ ...F0 }} }} {} fragment F1500 on A {{ id }}",
                numbers(1500, &|n| format!("fragment F{n} on A {{ ...F{} }} ", n + 1))
            ),
            json!({}),
        ),
        ("a bomb of fragments", bomb, json!({})),
        (
            "directives",
            format!("{{ i {} }}", "@include(if: true) ".repeat(20_000)),
            json!({}),
        ),
        (
            "declared variables",
            format!("query({}) {{ i }}", numbers(10_000, &|n| format!("$v{n}: Int "))),
            json!({}),
        ),
        (
            "operations",
            numbers(5_000, &|n| format!("query Q{n} {{ i }} ")),
            json!({}),
        ),
        ("a long name", format!("{{ {} }}", "x".repeat(300_000)), json!({})),
        (
            "a long comment",
            format!("{{ i }} #{}", "x".repeat(300_000)),
            json!({}),
        ),
        (
            "an open string",
            format!("{{ s(x: {{a: \"{}", "x".repeat(100_000)),
            json!({}),
        ),
        (
            "introspection in circles",
            format!(
                "{{ __schema {{ types {} }} }}",
                "{ fields { type ".repeat(30) + "{ name }" + &"} }".repeat(30)
            ),
            json!({}),
        ),
        (
            "introspection by aliases",
            format!(
                "{{ {} }}",
                numbers(100, &|n| format!("s{n}: __schema {{ types {{ name }} }} "))
            ),
            json!({}),
        ),
        (
            "a large wrong variable",
            "query($l: [Int]) { s(l: $l) }".into(),
            json!({ "l": (0..200_000).map(|n| if n == 199_999 { json!("x") } else { json!(n) }).collect::<Vec<_>>() }),
        ),
        (
            "a deep variable",
            "query($x: In) { s(x: $x) }".into(),
            json!({ "x": (0..100).fold(json!({"a": "x"}), |inner, _| json!({ "b": inner })) }),
        ),
    ]
}

#[tokio::test]
async fn hostile_documents_are_refused_in_time() {
    let engine = engine();
    let mut slowest = (Duration::ZERO, "");
    for (name, query, variables) in documents() {
        let start = Instant::now();
        let answer = respond(&engine, &query, variables).await;
        let took = start.elapsed();
        println!("{took:>10.1?}  {:>7} bytes  {name}", query.len());
        assert!(
            code(answer.outcome).is_some(),
            "{name}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(answer.body.len() < 100_000, "{name}: {} bytes", answer.body.len());
        // Generous: debug builds on busy machines. The figures that are printed come from release builds.
        assert!(took < Duration::from_secs(5), "{name}: {took:?}");
        slowest = slowest.max((took, name));
    }
    println!("slowest: {slowest:?}");
}

/// Each of three types goes on in its own way at each of twelve levels: 3^12 places, planned as 12 times 3.
#[tokio::test]
async fn types_that_differ_at_every_level_are_planned_level_by_level() {
    let fragment = |n: usize| {
        let next = n + 1;
        format!(
            "fragment F{n} on Node {{ ... on A {{ x: node {{ ...F{next} }} }} ... on B {{ x: node {{ id ...F{next} }} }}
             ... on C {{ x: node {{ ...F{next} id }} }} }} "
        )
    };
    let fragments: String = (0..12).map(fragment).collect();
    let query = format!("{{ n {{ ...F0 }} }} {fragments} fragment F12 on Node {{ id }}");
    let answer = respond(&engine(), &query, json!({})).await;
    assert_eq!(&answer.body[..], br#"{"data":{"n":{"x":{"x":null}}}}"#);
}

/// Pieces of documents, which in a random order are rarely one, but look like it.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "!",
        "=",
        "@",
        "...",
        "$",
        "|",
        "&",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        ",",
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "true",
        "null",
        "a",
        "n",
        "id",
        "s",
        "A",
        "Node",
        "U",
        "x",
        "x:",
        "1",
        "-1.5e3",
        "$v",
        "$v: Int",
        "(x: {a: 1})",
        "@skip(if: $v)",
        "__typename",
        "__schema",
        "{ id }",
        "... on A",
        "...F",
        "fragment F on A { id }",
        "query Q($v: Int = 1)",
        "type T { a: Int }",
        "\u{feff}",
        "é",
        "\n",
        "😀",
        "extend",
        "schema",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.join(" "))
}

const GOOD: &str = "query Q($v: Int = 1, $b: Boolean!) { a { id ...F a @skip(if: $b) { x: s(x: {a: $v, c: [{}]}) } }
    n { ... on C { i } nodes { node { id } } } __schema { queryType { name } } } fragment F on Node { __typename node { id } }";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(400)))]

    #[test]
    fn anything_gets_an_answer(text in prop_oneof![pieces(), any::<String>(), "[ -~]{0,200}"]) {
        answered(&text);
    }

    #[test]
    fn random_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        answered(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn truncated_and_garbled_documents_get_an_answer(cut in 0..GOOD.len(), from in 0..GOOD.len(), with in "[{}()$!:\"@. a-z]{0,3}") {
        let (cut, from) = (cut.min(from), cut.max(from));
        answered(&GOOD[..cut]);
        answered(&GOOD[cut..]);
        answered(&format!("{}{with}{}", &GOOD[..cut], &GOOD[from..]));
    }
}

/// Operations that apollo-smith makes up for the schema, and whole documents that it makes up from nothing.
mod smith {
    use apollo_parser::Parser;
    use apollo_smith::{Document, DocumentBuilder};
    use arbitrary::Unstructured;
    use proptest::prelude::*;

    use super::{SDL, answered};

    fn operation(bytes: &[u8]) -> Option<String> {
        let tree = Parser::new(SDL).parse();
        let document = Document::try_from(tree.document()).unwrap();
        let mut from = Unstructured::new(bytes);
        let mut builder = DocumentBuilder::with_document(&mut from, document).ok()?;
        Some(builder.operation_definition().ok()??.into())
    }

    fn anything(bytes: &[u8]) -> Option<String> {
        let mut from = Unstructured::new(bytes);
        Some(DocumentBuilder::new(&mut from).build().ok()?.into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(super::cases(150)))]

        #[test]
        fn its_documents_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            for text in [operation(&bytes), anything(&bytes)].into_iter().flatten() {
                answered(&text);
            }
        }
    }
}

fn cases(default: u32) -> u32 {
    let given = std::env::var("PUFF_FUZZ_CASES").ok();
    given.and_then(|cases| cases.parse().ok()).unwrap_or(default)
}

fn answered(text: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let start = Instant::now();
    let answer = runtime.block_on(respond(&engine(), text, json!({"v": 1, "b": true})));
    assert!(start.elapsed() < Duration::from_secs(5), "{text}");
    assert!(serde_json::from_slice::<Json>(&answer.body).is_ok(), "{text}");
}
