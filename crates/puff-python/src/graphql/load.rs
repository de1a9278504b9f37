//! A schema class in Python becomes a schema of the engine.

use std::time::Duration;

use puff_graphql::{
    FieldResolver, Join, PermissionId, ResolverId, ResolverKind, Schema, SchemaError, SchemaOptions,
    SchemaRule, SqlParam, SqlResolver,
};
use pyo3::prelude::*;
use thiserror::Error;

use super::backend::Resolver;
use super::types::Types;
use crate::call::PythonFunction;
use crate::convert::object_to_value;

/// How a schema is built and served.
#[derive(Debug, Clone)]
pub struct GraphQlOptions {
    /// Whether `snake_case` names of Python appear as `camelCase`.
    pub camel_case: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// Whether clients read the messages of only those exceptions that are meant for them.
    pub mask_errors: bool,
    /// Whether a root field of a mutation is one transaction, which an error undoes.
    pub atomic_mutations: bool,
    /// Limits and cache sizes.
    pub schema: SchemaOptions,
}

impl Default for GraphQlOptions {
    fn default() -> Self {
        GraphQlOptions {
            camel_case: false,
            timeout: Duration::from_secs(60),
            mask_errors: false,
            atomic_mutations: false,
            schema: SchemaOptions::default(),
        }
    }
}

/// Where a program's schema is, and how it is served.
#[derive(Debug, Clone)]
pub struct GraphQlSource {
    /// The class: `pkg.mod:Schema`.
    pub path: String,
    /// How it is served.
    pub options: GraphQlOptions,
}

/// Why a schema cannot be served.
#[derive(Debug, Error)]
pub enum GraphQlLoadError {
    /// What the schema's author has to mend; the text names class, field and file.
    #[error("{0}")]
    Schema(String),
    /// The engine refuses the generated schema.
    #[error("the GraphQL schema cannot be used: {0}")]
    Engine(#[from] SchemaError),
    /// The author's module failed while it was imported; print it for its traceback.
    #[error("the GraphQL schema cannot be imported: {0}")]
    Python(#[from] PyErr),
}

/// Imports the class that `path` names.
pub(super) fn import<'py>(py: Python<'py>, path: &str) -> Result<Bound<'py, PyAny>, GraphQlLoadError> {
    let module = py.import("puff.graphql")?;
    module
        .call_method1("load_schema", (path,))
        .map_err(|error| authors_error(&module, error))
}

/// What the Python half raised: the author's mistake, or an exception of the author's code.
fn authors_error(module: &Bound<'_, PyModule>, error: PyErr) -> GraphQlLoadError {
    let value = error.value(module.py());
    match module
        .getattr("SchemaError")
        .and_then(|known| value.is_instance(&known))
    {
        Ok(true) => GraphQlLoadError::Schema(value.to_string()),
        _ => GraphQlLoadError::Python(error),
    }
}

/// A schema class as the engine and the transports need it.
pub(super) struct Loaded {
    pub(super) schema: Schema,
    pub(super) authored: Authored,
    /// Whether any of its fields is made by a statement, as far as its annotations tell.
    pub(super) has_statements: bool,
    /// Takes the context of a WebSocket, says whether it may connect.
    pub(super) connect: Option<PythonFunction>,
}

/// What a schema's author wrote in Python.
pub(super) struct Authored {
    pub(super) resolvers: Vec<Resolver>,
    pub(super) permissions: Vec<Py<PyAny>>,
    pub(super) types: Types,
}

/// Asks the Python half for the class's SDL and resolvers, and builds the engine's schema.
pub(super) fn build(class: &Bound<'_, PyAny>, options: GraphQlOptions) -> Result<Loaded, GraphQlLoadError> {
    let py = class.py();
    let module = py.import("puff.graphql")?;
    let keywords = pyo3::types::PyDict::new(py);
    keywords.set_item("camel_case", options.camel_case)?;
    let definition = module
        .call_method("build_schema", (class,), Some(&keywords))
        .map_err(|error| authors_error(&module, error))?;
    let sdl: String = definition.getattr("sdl")?.extract()?;
    let mut resolvers = Vec::new();
    let mut fields = Vec::new();
    let mut has_statements = false;
    for entry in definition.getattr("resolvers")?.try_iter()? {
        let entry = entry?;
        // Types that inherit a resolver from an interface have the same one, under the same number.
        let id = ResolverId(entry.getattr("id")?.extract()?);
        if id.0 as usize == resolvers.len() {
            resolvers.push(Resolver {
                call: entry.getattr("call")?.unbind(),
                takes_parents: entry.getattr("takes_parents")?.extract()?,
                name: qualified_name(&entry.getattr("function")?),
                place: entry.getattr("place")?.unbind(),
                borrows: entry.getattr("borrows")?.extract()?,
                pages: entry.getattr("pages")?.extract()?,
            });
        }
        let kind = resolver_kind(&entry, id)?;
        has_statements |= matches!(kind, ResolverKind::Sql(_)) || returns_statement(&entry)?;
        fields.push(FieldResolver {
            type_name: entry.getattr("type_name")?.extract()?,
            field_name: entry.getattr("field_name")?.extract()?,
            kind,
        });
    }
    for entry in definition.getattr("attributes")?.try_iter()? {
        let (type_name, field_name, attribute): (String, String, String) = entry?.extract()?;
        fields.push(FieldResolver {
            type_name,
            field_name,
            kind: ResolverKind::Attribute(attribute),
        });
    }
    for entry in definition.getattr("of_rows")?.try_iter()? {
        let (type_name, field_name, column): (String, String, Option<String>) = entry?.extract()?;
        fields.push(FieldResolver {
            type_name,
            field_name,
            kind: column.map_or(ResolverKind::Itself, ResolverKind::Column),
        });
    }
    let types = Types::new(&definition)?;
    let mut rules: Vec<SchemaRule> = types.rules().collect();
    for entry in definition.getattr("enums")?.try_iter()? {
        let (type_name, text, value) = entry?.extract()?;
        rules.push(SchemaRule::Enum {
            type_name,
            texts: vec![(text, value)],
        });
    }
    let mut permissions = Vec::new();
    for permission in definition.getattr("permissions")?.try_iter()? {
        permissions.push(permission?.unbind());
    }
    for entry in definition.getattr("guarded")?.try_iter()? {
        let (type_name, field_name, number) = entry?.extract()?;
        rules.push(SchemaRule::Permission {
            type_name,
            field_name,
            id: PermissionId(number),
        });
    }
    for entry in definition.getattr("costs")?.try_iter()? {
        let (type_name, field_name, cost, list_size) = entry?.extract()?;
        rules.push(SchemaRule::Cost {
            type_name,
            field_name,
            cost,
            list_size,
        });
    }
    let schema = Schema::with_rules(&sdl, fields, rules, options.schema)?;
    let hook = definition.getattr("connect")?;
    Ok(Loaded {
        schema,
        authored: Authored {
            resolvers,
            permissions,
            types,
        },
        has_statements,
        connect: match hook.is_none() {
            true => None,
            false => {
                let ask = py.import("puff.graphql._subscribe")?.getattr("connect")?;
                let partial = py.import("functools")?.getattr("partial")?;
                Some(PythonFunction::from(partial.call1((ask, hook))?.unbind()))
            }
        },
    })
}

/// Whether a resolver promises a statement, or works on the request's connection.
fn returns_statement(entry: &Bound<'_, PyAny>) -> PyResult<bool> {
    let returns: String = entry.getattr("returns")?.extract()?;
    Ok(matches!(&*returns, "rows" | "joined")
        || entry.getattr("borrows")?.extract()?
        || entry.getattr("pages")?.extract()?)
}

/// `module.Class.function`, as far as the function tells; SQL has none.
fn qualified_name(function: &Bound<'_, PyAny>) -> String {
    let part = |name| function.getattr(name).ok()?.extract::<String>().ok();
    let parts = [part("__module__"), part("__qualname__")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(".")
}

/// A Python function, or a statement or a value that is written down in the schema.
fn resolver_kind(entry: &Bound<'_, PyAny>, id: ResolverId) -> PyResult<ResolverKind> {
    match entry.getattr("kind")?.extract::<&str>()? {
        "sql" => {}
        "constant" => return Ok(ResolverKind::Constant(object_to_value(&entry.getattr("value")?)?)),
        _ => return Ok(ResolverKind::Call(id)),
    }
    let parent_keys: Vec<String> = entry.getattr("parent_keys")?.extract()?;
    let child_keys: Vec<String> = entry.getattr("child_keys")?.extract()?;
    let sql: String = entry.getattr("sql")?.extract()?;
    Ok(ResolverKind::Sql(SqlResolver {
        id: Some(id),
        sql: sql.into(),
        params: parent_keys.iter().cloned().map(SqlParam::ParentValues).collect(),
        join: (!parent_keys.is_empty()).then_some(Join {
            parent_keys,
            child_keys,
        }),
    }))
}
