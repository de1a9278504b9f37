//! Documents that want to cost more than they should, and an engine for their schema. The example `hostile` measures
//! what is tested here.
// Each of the two uses a part of it.
#![allow(dead_code, unreachable_pub)]

use puff_graphql::RequestErrorCode::{self, BadVariables, LimitExceeded, ParseFailed, ValidationFailed};
use puff_graphql::{Engine, Spread, Value};
use serde_json::{Value as Json, json};

use super::support::{Memory, World, objects, value};

pub const SDL: &str = "
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

pub fn engine() -> Engine<Memory> {
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

/// A request that is refused.
pub struct Hostile {
    pub name: &'static str,
    pub query: String,
    pub variables: Json,
    pub code: RequestErrorCode,
    /// Line and column that the first problem names.
    pub place: Option<(usize, usize)>,
}

fn hostile(
    name: &'static str,
    query: String,
    code: RequestErrorCode,
    place: Option<(usize, usize)>,
) -> Hostile {
    Hostile {
        name,
        query,
        variables: json!({}),
        code,
        place,
    }
}

fn numbers(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect()
}

fn deep(open: &str, depth: usize) -> String {
    format!("{{ {} id {} }}", open.repeat(depth), "}".repeat(depth))
}

/// What is too large or too deep by its text.
fn texts() -> Vec<Hostile> {
    let nested = |open: &str, inner: &str, close: &str, times| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    vec![
        hostile("open braces", "{".repeat(16_000), LimitExceeded, Some((1, 201))),
        hostile(
            "deep selections",
            deep("a {", 10_000),
            LimitExceeded,
            Some((1, 602)),
        ),
        hostile(
            "selections of a depth that parses",
            deep("a {", 150),
            LimitExceeded,
            Some((1, 99)),
        ),
        hostile(
            "deep lists",
            format!("{{ s(l: {}) }}", nested("[", "1", "]", 10_000)),
            LimitExceeded,
            Some((1, 206)),
        ),
        hostile(
            "deep objects",
            format!("{{ s(x: {}) }}", nested("{b: ", "", "}", 5_000)),
            LimitExceeded,
            Some((1, 800)),
        ),
        hostile(
            "deep types",
            format!("query($v: {}) {{ i }}", nested("[", "Int", "]", 10_000)),
            LimitExceeded,
            Some((1, 210)),
        ),
        hostile(
            "aliases",
            format!("{{ {} }}", numbers(10_000, |n| format!("a{n}: i "))),
            LimitExceeded,
            None,
        ),
        hostile(
            "aliases below a field",
            format!("{{ a {{ {} }} }}", numbers(10_000, |n| format!("a{n}: id "))),
            LimitExceeded,
            None,
        ),
        hostile(
            "directives",
            format!("{{ i {} }}", "@include(if: true) ".repeat(1_500)),
            LimitExceeded,
            Some((1, 3805)),
        ),
        hostile(
            "the same field",
            format!("{{ {} }}", "i ".repeat(50_000)),
            LimitExceeded,
            None,
        ),
        hostile(
            "a long name",
            format!("{{ {} }}", "x".repeat(300_000)),
            LimitExceeded,
            None,
        ),
        hostile(
            "a long comment",
            format!("{{ i }} #{}", "x".repeat(300_000)),
            LimitExceeded,
            None,
        ),
        hostile(
            "a name of 250 kB",
            format!("{{ {} }}", "x".repeat(250_000)),
            ValidationFailed,
            Some((1, 3)),
        ),
        hostile("no tokens", "?".repeat(200_000), ParseFailed, Some((1, 1))),
        hostile(
            "an open string",
            format!("{{ s(x: {{a: \"{}", "x".repeat(100_000)),
            ParseFailed,
            Some((1, 12)),
        ),
        hostile(
            "open strings",
            "\"\n".repeat(100_000),
            LimitExceeded,
            Some((16_001, 1)),
        ),
        hostile(
            "closed parentheses",
            ")".repeat(15_900),
            ParseFailed,
            Some((1, 1)),
        ),
        hostile(
            "names",
            format!("{{ i }} {}", "x ".repeat(7_900)),
            ParseFailed,
            Some((1, 7)),
        ),
        hostile(
            "half fields",
            format!("{{ {} }}", "i(x ".repeat(190)),
            ParseFailed,
            None,
        ),
        hostile(
            "colons",
            format!("{{ s(x: {}", ": ".repeat(7_900)),
            ParseFailed,
            Some((1, 8)),
        ),
    ]
}

/// What the validator would take long for, or refuses.
fn documents() -> Vec<Hostile> {
    // Each fragment spreads the next twice: 2^40 fields, were they all written down.
    let bomb = format!(
        "{{ a {{ ...F0 }} }} {} fragment F40 on A {{ id }}",
        numbers(40, |n| format!(
            "fragment F{n} on A {{ x{n}: a {{ ...F{m} }} y{n}: a {{ ...F{m} }} }} ",
            m = n + 1
        ))
    );
    // Seven floors of twenty fragments, each of which spreads all of the next floor.
    let floor = |floor: usize| {
        let below = numbers(20, |n| format!("...F{}_{n} ", floor + 1));
        numbers(20, |n| format!("fragment F{floor}_{n} on A {{ {below}}} "))
    };
    let floors = numbers(7, floor) + &numbers(20, |n| format!("fragment F7_{n} on A {{ id }} "));
    let spread = numbers(20, |n| format!("...F0_{n} "));
    let values = numbers(1_500, |n| format!("k{n}: 1 "));
    vec![
        hostile(
            "a fragment of itself",
            "{ a { ...F } } fragment F on A { a { ...F } }".into(),
            ValidationFailed,
            Some((1, 16)),
        ),
        hostile(
            "a circle of fragments",
            format!(
                "{{ a {{ ...F0 }} }} {}",
                numbers(500, |n| format!(
                    "fragment F{n} on A {{ ...F{} }} ",
                    (n + 1) % 500
                ))
            ),
            ValidationFailed,
            None,
        ),
        hostile(
            "a chain of fragments",
            format!(
                "{{ a {{ ...F0 }} }} {} fragment F1000 on A {{ id }}",
                numbers(1_000, |n| format!("fragment F{n} on A {{ ...F{} }} ", n + 1))
            ),
            LimitExceeded,
            Some((1, 1)),
        ),
        hostile("a bomb of fragments", bomb, LimitExceeded, Some((1, 1792))),
        hostile(
            "operations with floors of fragments",
            numbers(50, |n| format!("query Q{n} {{ a {{ {spread} }} }} ")) + &floors,
            LimitExceeded,
            Some((1, 1)),
        ),
        hostile(
            "operations",
            numbers(1_900, |n| format!("query Q{n} {{ i }} ")),
            LimitExceeded,
            None,
        ),
        hostile(
            "unknown fields",
            format!("{{ {} }}", numbers(7_900, |n| format!("f{n} "))),
            ValidationFailed,
            Some((1, 3)),
        ),
        hostile(
            "unknown fragments",
            format!("{{ {} }}", numbers(5_000, |n| format!("...F{n} "))),
            ValidationFailed,
            Some((1, 3)),
        ),
        hostile(
            "unknown arguments",
            format!("{{ s({}) }}", numbers(3_000, |n| format!("a{n}: 1 "))),
            ValidationFailed,
            Some((1, 5)),
        ),
        hostile(
            "unused variables",
            format!("query({}) {{ i }}", numbers(2_600, |n| format!("$v{n}: Int "))),
            ValidationFailed,
            None,
        ),
        hostile(
            "variables and their uses",
            format!(
                "query({}) {{ s(l: [{}]) }}",
                numbers(1_500, |n| format!("$v{n}:Int ")),
                numbers(1_500, |n| format!("$v{n} "))
            ),
            LimitExceeded,
            Some((1, 1)),
        ),
        hostile(
            "fields beside a large argument",
            format!("{{ s(x: {{ {values} }}) {} }}", "s ".repeat(3_000)),
            LimitExceeded,
            Some((1, 1)),
        ),
        hostile(
            "two large arguments",
            format!("{{ s(x: {{ {values} }}) s(x: {{ {values} }}) }}"),
            ValidationFailed,
            None,
        ),
        hostile(
            "introspection in circles",
            format!(
                "{{ __schema {{ types {} }} }}",
                "{ fields { type ".repeat(30) + "{ name }" + &"} }".repeat(30)
            ),
            LimitExceeded,
            None,
        ),
        hostile(
            "introspection by aliases",
            format!(
                "{{ {} }}",
                numbers(100, |n| format!("s{n}: __schema {{ types {{ name }} }} "))
            ),
            LimitExceeded,
            Some((1, 653)),
        ),
        hostile(
            "a far too wide answer",
            format!("{{ n {} {{ id }} {} }}", "{ nodes ".repeat(20), "}".repeat(20)),
            LimitExceeded,
            None,
        ),
    ]
}

/// What is wrong with the variables.
fn variables() -> Vec<Hostile> {
    let with = |name, query: &str, variables| Hostile {
        variables,
        ..hostile(name, query.into(), BadVariables, Some((1, 7)))
    };
    let wrong_at_the_end = |n: i32| if n == 199_999 { json!("x") } else { json!(n) };
    vec![
        with(
            "a large wrong variable",
            "query($l: [Int]) { s(l: $l) }",
            json!({ "l": (0..200_000).map(wrong_at_the_end).collect::<Vec<_>>() }),
        ),
        with(
            "a deep variable",
            "query($x: In) { s(x: $x) }",
            json!({ "x": (0..100).fold(json!({"a": "x"}), |inner, _| json!({ "b": inner })) }),
        ),
        with(
            "a variable with unknown fields",
            "query($x: In) { s(x: $x) }",
            json!({ "x": (0..50_000).map(|n| (format!("f{n}"), json!(1))).collect::<serde_json::Map<_, _>>() }),
        ),
    ]
}

/// All of them.
pub fn all() -> Vec<Hostile> {
    texts()
        .into_iter()
        .chain(documents())
        .chain(variables())
        .collect()
}
