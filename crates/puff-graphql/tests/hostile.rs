//! Documents that want to cost more than they should: refused, each with its code and the place. How long that takes is
//! measured by the example `hostile`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "support/hostile.rs"]
mod hostile;
mod support;

use hostile::engine;
use proptest::prelude::*;
use puff_graphql::{Outcome, Request, RequestErrorCode};
use serde_json::{Value as Json, json};
use support::{json, respond};

fn code(outcome: Outcome) -> Option<RequestErrorCode> {
    match outcome {
        Outcome::Refused(code) => Some(code),
        Outcome::Executed { .. } => None,
    }
}

#[tokio::test]
async fn hostile_requests_are_refused_with_their_place() {
    let engine = engine();
    let mut wrong = Vec::new();
    for one in hostile::all() {
        let answer = respond(&engine, &one.query, one.variables).await;
        let name = one.name;
        if code(answer.outcome) != Some(one.code) {
            wrong.push(format!(
                "{name}: {}",
                String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)])
            ));
            continue;
        }
        assert!(answer.body.len() < 100_000, "{name}: {} bytes", answer.body.len());
        let answer = json(&answer);
        assert_eq!(
            answer["errors"][0]["extensions"]["code"],
            one.code.as_str(),
            "{name}"
        );
        let place = &answer["errors"][0]["locations"][0];
        match one.place {
            Some((line, column)) if *place != json!({"line": line, "column": column}) => {
                wrong.push(format!("{name}: {place}: {}", answer["errors"][0]["message"]));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

const BODY: &str = r#"[{"query": "{ \u00e9 \ud83d\ude00 }", "variables": {"a": [1.5e3, -0, null, {"b": "\\\""}]}, "extensions":
    {"persistedQuery": {"version": 1, "sha256Hash": "x"}}}, {"query": ""}]"#;

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
    fn bodies_are_read_or_refused(cut in 0..BODY.len(), byte in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut garbled = BODY.as_bytes().to_vec();
        garbled[cut] = byte;
        for body in [&BODY.as_bytes()[..cut], &garbled, &bytes] {
            let _ = (Request::from_json(body), Request::batch_from_json(body, 3));
        }
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

    use super::answered;
    use super::hostile::SDL;

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
    let answer = runtime.block_on(respond(&engine(), text, json!({"v": 1, "b": true})));
    assert!(serde_json::from_slice::<Json>(&answer.body).is_ok(), "{text}");
}
