//! Documents in files: what is found in them, and where.
#![allow(clippy::unwrap_used, missing_docs)]

use puff_graphql::{FieldResolver, ResolverId, ResolverKind, Schema, SchemaOptions, SourceDocument};

const SDL: &str = "
    type Query { item(id: Int!): Item items(first: Int): [Item!]! }
    type Mutation { add(title: String!): Item }
    type Item { id: Int! title: String! parts: [Item!]! }
";

/// All problems, and how many operations there are.
fn validate(files: &[(&str, &str)]) -> (usize, Vec<String>) {
    let root = |number, type_name: &str, field_name: &str| FieldResolver {
        type_name: type_name.into(),
        field_name: field_name.into(),
        kind: ResolverKind::Call(ResolverId(number)),
    };
    let resolvers = vec![
        root(0, "Query", "item"),
        root(1, "Query", "items"),
        root(2, "Mutation", "add"),
    ];
    let options = SchemaOptions {
        max_depth: 4,
        max_aliases: 2,
        ..SchemaOptions::default()
    };
    let schema = Schema::build(SDL, resolvers, options).unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| SourceDocument { name, text })
        .collect();
    let found = schema.validate(&files);
    (
        found.operations,
        found.problems.iter().map(ToString::to_string).collect(),
    )
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    validate(files).1
}

#[test]
fn all_problems_of_all_operations_are_told() {
    let text = "query A {\n  items { tile }\n  nothing\n}\nmutation B {\n  add { id }\n}\nquery C { items { id } }\n";
    let (operations, problems) = validate(&[("a.graphql", text)]);
    assert_eq!(operations, 3);
    assert_eq!(
        problems,
        [
            "a.graphql:2:11: type `Item` does not have a field `tile` [GRAPHQL_VALIDATION_FAILED]",
            "a.graphql:3:3: type `Query` does not have a field `nothing` [GRAPHQL_VALIDATION_FAILED]",
            "a.graphql:6:3: the required argument `Mutation.add(title:)` is not provided [GRAPHQL_VALIDATION_FAILED]",
        ]
    );
}

#[test]
fn what_does_not_parse_spoils_nothing_else() {
    let found = problems(&[
        ("a.graphql", "query {\n  items { \n"),
        ("b.graphql", "{ nothing }"),
    ]);
    assert!(found[0].starts_with("a.graphql:2:"), "{found:?}");
    assert!(found[0].ends_with("[GRAPHQL_PARSE_FAILED]"), "{found:?}");
    assert!(found.last().unwrap().starts_with("b.graphql:1:3: "), "{found:?}");
}

#[test]
fn files_share_fragments() {
    let files = [
        ("a.graphql", "query A { items { ...Line } }"),
        ("b.graphql", "query B { item(id: 1) { ...Line } }"),
        ("line.graphql", "fragment Line on Item { ...Name id }"),
        ("name.graphql", "fragment Name on Item { title }"),
    ];
    assert_eq!(validate(&files), (2, Vec::new()));
    // What is wrong in a fragment is wrong once, and there.
    let mut wrong = files;
    wrong[3].1 = "fragment Name on Item {\n  tile\n}";
    assert_eq!(
        problems(&wrong),
        ["name.graphql:2:3: type `Item` does not have a field `tile` [GRAPHQL_VALIDATION_FAILED]"]
    );
    // Without the file there is no such fragment.
    assert_eq!(problems(&files[..3]).len(), 1);
    assert!(
        problems(&files[..3])[0].starts_with("line.graphql:1:25: "),
        "{:?}",
        problems(&files[..3])
    );
}

#[test]
fn a_fragment_of_ones_own_comes_first() {
    let files = [
        (
            "a.graphql",
            "query A { items { ...Line } } fragment Line on Item { id }",
        ),
        (
            "b.graphql",
            "query B { items { ...Line } } fragment Line on Item { title }",
        ),
    ];
    assert_eq!(validate(&files), (2, Vec::new()));
    let third = [files[0], files[1], ("c.graphql", "{ items { ...Line } }")];
    assert_eq!(
        problems(&third)[0],
        "c.graphql:1:11: the fragment `Line` is in a.graphql and in b.graphql: which one is meant is not clear \
         [GRAPHQL_VALIDATION_FAILED]"
    );
}

#[test]
fn a_fragment_that_nobody_uses_is_told_and_looked_at() {
    let found = problems(&[
        ("a.graphql", "{ items { id } }"),
        (
            "b.graphql",
            "fragment Line on Item { tile ...Own } fragment Own on Item { id }",
        ),
    ]);
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("b.graphql:1:1: fragment `Line` must be used")),
        "{found:?}"
    );
    assert!(found.iter().any(|one| one.contains("field `tile`")), "{found:?}");
    assert!(!found.iter().any(|one| one.starts_with("a.graphql")), "{found:?}");
}

#[test]
fn limits_hold_for_each_operation() {
    let deep =
        "query A { items { id } }\nquery B {\n  items { parts { parts { parts { parts { id } } } } }\n}\n";
    let found = problems(&[("a.graphql", deep)]);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a.graphql:3:"), "{found:?}");
    assert!(found[0].ends_with("[LIMIT_EXCEEDED]"), "{found:?}");
    // Not for all together, and with fragments of other files.
    let aliases =
        "query A { a: items { ...F } } query B { b: items { ...F } } query C {\n  c: items { ...F ...G } }";
    let shared = [
        ("a.graphql", aliases),
        (
            "f.graphql",
            "fragment F on Item { e: id } fragment G on Item { f: id }",
        ),
    ];
    assert_eq!(
        problems(&shared),
        ["a.graphql:1:61: the document has more than 2 aliases [LIMIT_EXCEEDED]"]
    );
    assert_eq!(
        problems(&[(
            "a.graphql",
            "query($n: Int) { items(first: $n) { parts { id } } }"
        )]),
        [""; 0]
    );
}

#[test]
fn rings_and_strangers_end() {
    let ring = "{ items { ...A } } fragment A on Item { ...B } fragment B on Item { ...A }";
    assert!(!problems(&[("a.graphql", ring)]).is_empty());
    let stranger = problems(&[("a.graphql", "{ items { id } } type Item { id: Int }")]);
    assert!(stranger[0].starts_with("a.graphql:1:18: "), "{stranger:?}");
    let two = problems(&[("a.graphql", "{ items { id } } { items { id } }")]);
    assert!(!two.is_empty());
    assert_eq!(validate(&[("empty.graphql", "")]).0, 0);
}
