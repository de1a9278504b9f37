//! Documents of GraphQL, read, checked and planned; what they would cost is bounded.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use puff_graphql::{
    Backend, Call, CellType, Engine, FieldError, FieldResolver, Resolved, ResolverId, ResolverKind, Rows, ScalarType,
    Schema, SchemaOptions, Statement, Value,
};

/// Runs nothing: documents are only planned.
struct Nobody;

struct NoRows;

impl Rows for NoRows {
    fn len(&self) -> usize {
        0
    }
    fn columns(&self) -> usize {
        0
    }
    fn column_name(&self, _: usize) -> &str {
        ""
    }
    fn column_type(&self, _: usize) -> CellType {
        CellType::Scalar(ScalarType::Text)
    }
    fn cell(&self, _: usize, _: usize) -> Option<&[u8]> {
        None
    }
}

impl Backend for Nobody {
    type Context = ();
    type Rows = NoRows;
    type Param = Value;
    type Objects = ();

    async fn resolve(&self, _: Call<Self>) -> Result<Resolved<Self>, FieldError> {
        Err(FieldError::new("NOBODY", "nothing runs"))
    }

    async fn load(&self, _: &(), _: Statement<Self>) -> Result<NoRows, FieldError> {
        Err(FieldError::new("NOBODY", "nothing runs"))
    }

    fn param(&self, value: &Value) -> Result<Value, FieldError> {
        Ok(value.clone())
    }
}

const SDL: &str = "
    type Query { node: Node, u: U, one(of: One): Int }
    interface Node { id: ID, node: Node, nodes(first: Int = 3, by: In): [Node] }
    type A implements Node { id: ID, node: Node, nodes(first: Int = 3, by: In): [Node], a: A }
    type B implements Node { id: ID, node: Node, nodes(first: Int = 3, by: In): [Node], b: B, e: E }
    union U = A | B
    input In { a: Int = 1, b: In, c: [[Int!]!], e: E }
    input One @oneOf { a: Int, b: String }
    enum E { X Y }
";

static ENGINE: LazyLock<Engine<Nobody>> = LazyLock::new(|| {
    let roots = ["node", "u", "one"].map(|field| FieldResolver {
        type_name: "Query".into(),
        field_name: field.into(),
        kind: ResolverKind::Call(ResolverId(0)),
    });
    // Without a cache each document is planned.
    let options = SchemaOptions {
        cache_entries: 0,
        ..SchemaOptions::default()
    };
    let schema = Schema::build(SDL, roots.into(), options).expect("the schema is valid");
    Engine::new(schema, Arc::new(Nobody))
});

fuzz_target!(|text: &str| {
    let _ = ENGINE.plan(text, None);
});
