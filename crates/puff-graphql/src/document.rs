//! The parser and validator behind one wall: types from SDL, documents, introspection.
//!
//! Beside this module only [`crate::limits`], [`crate::validate`] and the planner ([`crate::plan`]) see syntax trees;
//! nothing that runs or writes does.

use std::sync::Arc;

use apollo_compiler::ast::{Definition, Document, Type, VariableDefinition};
use apollo_compiler::collections::HashMap;
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::{Parser, SourceMap, SourceSpan};
use apollo_compiler::response::{GraphQLError, JsonMap};
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema as Parsed, introspection};

use crate::error::{Location, RequestError, RequestErrorCode, RequestProblem, SchemaError};
use crate::limits;
use crate::options::SchemaOptions;
use crate::schema::{SqlParam, SqlResolver};

/// Most problems that one invalid document reports.
const MAX_PROBLEMS: usize = 50;

/// Longest message of one of them, in bytes.
const MAX_MESSAGE: usize = 1_000;

/// A valid type system.
pub(crate) struct TypeSystem {
    pub(crate) schema: Valid<Parsed>,
    pub(crate) implementers: HashMap<Name, Implementers>,
    /// The scalars whose values the backend checks.
    pub(crate) checked: hashbrown::HashMap<Box<str>, Arc<str>>,
}

impl TypeSystem {
    pub(crate) fn parse(sdl: &str) -> Result<Self, SchemaError> {
        let schema = Parsed::parse_and_validate(sdl, "schema.graphql")
            .map_err(|invalid| SchemaError::Invalid(invalid.errors.to_string()))?;
        let implementers = schema.implementers_map();
        Ok(Self {
            schema,
            implementers,
            checked: hashbrown::HashMap::new(),
        })
    }

    pub(crate) fn to_sdl(&self) -> String {
        self.schema.to_string()
    }

    pub(crate) fn check_field(&self, type_name: &str, field_name: &str) -> Result<(), SchemaError> {
        let (type_owned, field_owned) = (type_name.to_owned(), field_name.to_owned());
        let fields = match self.schema.types.get(type_name) {
            Some(ExtendedType::Object(object)) => Some(&object.fields),
            Some(ExtendedType::Interface(interface)) => Some(&interface.fields),
            _ => None,
        };
        match fields {
            None => Err(SchemaError::UnknownType {
                type_name: type_owned,
                field_name: field_owned,
            }),
            Some(fields) if !fields.contains_key(field_name) => Err(SchemaError::UnknownField {
                type_name: type_owned,
                field_name: field_owned,
            }),
            Some(_) => Ok(()),
        }
    }

    /// The enums with their values.
    pub(crate) fn enums(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.schema.types.iter().filter_map(|(name, found)| match found {
            ExtendedType::Enum(found) => {
                Some((name.as_str(), found.values.keys().map(|value| value.as_str())))
            }
            _ => None,
        })
    }

    /// Whether a scalar is declared in the schema and not one of GraphQL's own.
    pub(crate) fn is_own_scalar(&self, name: &str) -> bool {
        self.schema
            .types
            .get(name)
            .is_some_and(|found| found.is_scalar() && !found.is_built_in())
    }

    /// Whether a field can be the row that has it, seen as an object.
    pub(crate) fn check_itself(&self, type_name: &str, field_name: &str) -> Result<(), SchemaError> {
        let field = self.schema.type_field(type_name, field_name).ok();
        let is_object = |name: &str| self.type_named(name).is_some_and(|found| !found.is_leaf());
        match field.is_some_and(|field| !field.ty.is_list() && is_object(field.ty.inner_named_type())) {
            true => Ok(()),
            false => Err(SchemaError::BadResolver {
                type_name: type_name.to_owned(),
                field_name: field_name.to_owned(),
                problem: "a row can only be one object".into(),
            }),
        }
    }

    pub(crate) fn check_sql(
        &self,
        type_name: &str,
        field_name: &str,
        sql: &SqlResolver,
    ) -> Result<(), SchemaError> {
        let problem = |problem: String| SchemaError::BadResolver {
            type_name: type_name.to_owned(),
            field_name: field_name.to_owned(),
            problem,
        };
        let is_root = self
            .schema
            .schema_definition
            .iter_root_operations()
            .any(|(_, root)| root.as_str() == type_name);
        if self.is_subscription(type_name) {
            return Err(problem(
                "a statement has no events: a subscription needs a resolver".into(),
            ));
        }
        if let Some(join) = &sql.join {
            if is_root {
                return Err(problem("a root field has no parents to join".into()));
            }
            if join.parent_keys.is_empty() || join.parent_keys.len() != join.child_keys.len() {
                return Err(problem(
                    "a join needs as many parent keys as child keys, at least one".into(),
                ));
            }
        }
        let field = self
            .schema
            .get_object(type_name)
            .and_then(|object| object.fields.get(field_name));
        for param in &sql.params {
            match param {
                SqlParam::Constant(_) => {}
                SqlParam::Argument(name) => {
                    if field.is_some_and(|field| field.argument_by_name(name).is_none()) {
                        return Err(problem(format!("the field has no argument `{name}`")));
                    }
                }
                SqlParam::ParentValues(_) if is_root => {
                    return Err(problem("a root field has no parents to take values of".into()));
                }
                SqlParam::ParentValues(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the type is the root of subscriptions.
    pub(crate) fn is_subscription(&self, type_name: &str) -> bool {
        let root = &self.schema.schema_definition.subscription;
        root.as_ref().is_some_and(|root| root.as_str() == type_name)
    }

    /// The declared type of a field of an object type or interface.
    pub(crate) fn field_type(&self, type_name: &str, field_name: &str) -> Option<&Type> {
        let field = self.schema.type_field(type_name, field_name).ok()?;
        Some(&field.ty)
    }

    /// Type and field names of the query, mutation and subscription types.
    pub(crate) fn root_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let definition = &self.schema.schema_definition;
        let roots = definition
            .query
            .iter()
            .chain(&definition.mutation)
            .chain(&definition.subscription);
        roots
            .filter_map(|root| self.schema.get_object(root))
            .flat_map(|object| {
                object
                    .fields
                    .keys()
                    .map(|field| (object.name.as_str(), field.as_str()))
            })
    }

    /// Parses and validates a document.
    pub(crate) fn document(
        &self,
        text: &str,
        options: &SchemaOptions,
    ) -> Result<Valid<ExecutableDocument>, RequestError> {
        if text.len() > options.max_query_bytes {
            let message = format!(
                "the document has {} bytes; {} are allowed",
                text.len(),
                options.max_query_bytes
            );
            return Err(RequestError::new(RequestErrorCode::LimitExceeded, message));
        }
        limits::text::check(text, options)?;
        let mut parser = Parser::new().recursion_limit(options.max_recursion);
        let syntax = parser.parse_ast(text, "query.graphql").map_err(|invalid| {
            let code = if parser.recursion_reached() >= options.max_recursion {
                RequestErrorCode::LimitExceeded
            } else {
                RequestErrorCode::ParseFailed
            };
            request_error(code, &invalid.errors)
        })?;
        limits::tree::check(&syntax, options)?;
        self.validated(&syntax)
            .map_err(|errors| request_error(RequestErrorCode::ValidationFailed, &errors))
    }

    /// Validates a document.
    pub(crate) fn validated(&self, syntax: &Document) -> Result<Valid<ExecutableDocument>, DiagnosticList> {
        let validated = |syntax: &Document| {
            let document = syntax.to_executable_validate(&self.schema);
            document.map_err(|invalid| invalid.errors)
        };
        let document = validated(syntax)?;
        if let Some(syntax) = without_null_defaults(syntax) {
            validated(&syntax)?;
        }
        Ok(document)
    }

    /// Refuses introspection that would grow without bounds.
    pub(crate) fn check_introspection(
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
    ) -> Result<(), RequestError> {
        introspection::check_max_depth(document, operation).map_err(|error| {
            let place = location(error.location(), &document.sources);
            RequestError::at(
                RequestErrorCode::LimitExceeded,
                error.message().to_string(),
                place,
            )
        })
    }

    /// Answers `__schema` and `__type`: response name and JSON text of each.
    ///
    /// `variables` is the JSON object of the coerced variables.
    pub(crate) fn introspect(
        &self,
        document: &Valid<ExecutableDocument>,
        operation: &Operation,
        variables: &[u8],
    ) -> Result<Vec<(String, Vec<u8>)>, RequestError> {
        let bad = |message: String| RequestError::new(RequestErrorCode::BadVariables, message);
        let variables =
            serde_json::from_slice::<JsonMap>(variables).map_err(|error| bad(error.to_string()))?;
        let coerced = Valid::assume_valid(variables);
        let answer =
            introspection::partial_execute(&self.schema, &self.implementers, document, operation, &coerced)
                .map_err(|error| bad(error.message().to_string()))?;
        let fields = answer.data.unwrap_or_default();
        Ok(fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), serde_json::to_vec(&value).ok()?)))
            .collect())
    }

    /// The object types that a value of type `name` can have.
    pub(crate) fn possible_types(&self, name: &str) -> Vec<Name> {
        match self.schema.types.get(name) {
            Some(ExtendedType::Object(object)) => vec![object.name.clone()],
            Some(ExtendedType::Interface(_)) => self
                .implementers
                .get(name)
                .map(|found| found.objects.iter().cloned().collect())
                .unwrap_or_default(),
            Some(ExtendedType::Union(union)) => {
                union.members.iter().map(|member| (**member).clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether an interface or object type has this field.
    pub(crate) fn has_field(&self, type_name: &str, field: &str) -> bool {
        self.schema.type_field(type_name, field).is_ok()
    }

    pub(crate) fn type_named(&self, name: &str) -> Option<&ExtendedType> {
        self.schema.types.get(name)
    }
}

/// The document without the defaults of variables that are null, if there are such.
///
/// A variable with such a default may not stand where null is not allowed, but for apollo-compiler a default is a
/// default.
fn without_null_defaults(document: &Document) -> Option<Document> {
    let is_null = |variable: &Node<VariableDefinition>| {
        variable
            .default_value
            .as_ref()
            .is_some_and(|value| value.is_null())
    };
    let mut without = None;
    for (number, definition) in document.definitions.iter().enumerate() {
        let Definition::OperationDefinition(operation) = definition else {
            continue;
        };
        if !operation.variables.iter().any(is_null) {
            continue;
        }
        let without = without.get_or_insert_with(|| document.clone());
        if let Some(Definition::OperationDefinition(operation)) = without.definitions.get_mut(number) {
            let variables = operation.make_mut().variables.iter_mut();
            for variable in variables.filter(|variable| is_null(variable)) {
                variable.make_mut().default_value = None;
            }
        }
    }
    without
}

fn request_error(code: RequestErrorCode, list: &DiagnosticList) -> RequestError {
    let problem = |error: GraphQLError| RequestProblem {
        message: shortened(error.message),
        locations: error
            .locations
            .iter()
            .map(|at| Location {
                line: at.line,
                column: at.column,
            })
            .collect(),
    };
    let problems = list
        .iter()
        .take(MAX_PROBLEMS)
        .map(|found| problem(found.to_json()))
        .collect();
    RequestError { code, problems }
}

/// A message of a bearable length: some repeat what the document says.
fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|&end| message.is_char_boundary(end));
        message.truncate(end.unwrap_or(0));
        message.push('…');
    }
    message
}

/// Where a piece of a document is.
pub(crate) fn location(span: Option<SourceSpan>, sources: &SourceMap) -> Option<Location> {
    let at = span?.line_column(sources)?;
    Some(Location {
        line: at.line,
        column: at.column,
    })
}
