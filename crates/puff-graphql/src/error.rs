//! Errors as data: of a field, of a request, of a schema.

use std::borrow::Cow;

use crate::value::Value;

/// What went wrong for one field; the engine adds the path and the location when it writes the answer.
///
/// `code` goes to `extensions.code`, the entries of `extensions` beside it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct FieldError {
    /// A sentence for the client.
    pub message: String,
    /// A stable name of the kind of error, such as `SQL_ERROR`.
    pub code: Cow<'static, str>,
    /// Further machine-readable facts.
    pub extensions: Vec<(Cow<'static, str>, Value)>,
    /// What clients are not told; see [`Backend::blame`](crate::Backend::blame).
    pub note: Option<Box<str>>,
}

impl FieldError {
    /// An error with a code and a message.
    ///
    /// ```
    /// use puff_graphql::FieldError;
    /// let error = FieldError::new("SQL_ERROR", "relation \"nope\" does not exist");
    /// assert_eq!(error.code, "SQL_ERROR");
    /// ```
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: code.into(),
            extensions: Vec::new(),
            note: None,
        }
    }

    /// Whether the author of a statement has to mend it: the statement, or what it was to fill.
    pub(crate) fn is_of_statement(&self) -> bool {
        const CODES: [&str; 6] = [
            "SQL_ERROR",
            "MISSING_COLUMN",
            "MISSING_RESOLVER",
            "BAD_JOIN",
            "BAD_RESULT",
            "BAD_VALUE",
        ];
        CODES.contains(&&*self.code)
    }

    /// Adds one fact to `extensions`.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: Value) -> Self {
        self.extensions.push((name.into(), value));
        self
    }
}

/// A place in a GraphQL document, both numbers counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing that is wrong with a request as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestProblem {
    /// A sentence for the client.
    pub message: String,
    /// Where in the document, if it concerns the document.
    pub locations: Vec<Location>,
}

/// Why a request was not executed at all: the answer has `errors` and no `data`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.problems.first().map_or("invalid request", |problem| problem.message.as_str()))]
pub struct RequestError {
    /// The kind, which goes to `extensions.code` of each problem.
    pub code: RequestErrorCode,
    /// At least one problem.
    pub problems: Vec<RequestProblem>,
}

impl RequestError {
    /// A request error with one problem and no location.
    pub fn new(code: RequestErrorCode, message: impl Into<String>) -> Self {
        Self::at(code, message, None)
    }

    pub(crate) fn at(code: RequestErrorCode, message: impl Into<String>, place: Option<Location>) -> Self {
        let problem = RequestProblem {
            message: message.into(),
            locations: place.into_iter().collect(),
        };
        Self {
            code,
            problems: vec![problem],
        }
    }
}

/// The kinds of request errors; an HTTP layer chooses the status from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestErrorCode {
    /// The request body is not a GraphQL request.
    BadRequest,
    /// The document does not parse.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// No operation of that name, or no name where several operations are.
    OperationUnknown,
    /// The operation's kind is not allowed here: a subscription, or a mutation in a read-only request.
    OperationNotAllowed,
    /// A variable is missing or of the wrong type, or a scalar does not take what it was given.
    BadVariables,
    /// The server could not check the request.
    Unavailable,
    /// The document is larger, deeper or wider than the schema's options allow.
    LimitExceeded,
    /// The request took longer than it may.
    TimedOut,
    /// A request that another site may have made a browser send.
    CrossSite,
    /// The server has no document of the id that the request names.
    DocumentUnknown,
    /// The server knows no documents by id.
    DocumentsOff,
    /// The server runs only documents that it knows.
    DocumentNotTrusted,
}

impl RequestErrorCode {
    /// The code as it appears in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::OperationUnknown => "OPERATION_UNKNOWN",
            Self::OperationNotAllowed => "OPERATION_NOT_ALLOWED",
            Self::BadVariables => "BAD_USER_INPUT",
            Self::Unavailable => "SERVICE_UNAVAILABLE",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::TimedOut => "TIMED_OUT",
            Self::CrossSite => "CROSS_SITE_REQUEST",
            Self::DocumentUnknown => "PERSISTED_QUERY_NOT_FOUND",
            Self::DocumentsOff => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::DocumentNotTrusted => "DOCUMENT_NOT_TRUSTED",
        }
    }
}

/// Why a schema cannot be built. The messages are for the schema's author.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// The SDL does not parse or is not a valid schema; the text lists each problem with its line.
    #[error("the schema is not valid:\n{0}")]
    Invalid(String),
    /// A rule about leaves names no enum, a value that the enum does not have, or no scalar of the schema.
    #[error("the rule about `{type_name}` does not fit the schema")]
    BadRule {
        /// The name of the type that the rule is about.
        type_name: String,
    },
    /// A resolver names a type that the schema does not have, or that has no fields.
    #[error("resolver {type_name}.{field_name}: the schema has no object type or interface `{type_name}`")]
    UnknownType {
        /// The type's name.
        type_name: String,
        /// The field's name.
        field_name: String,
    },
    /// A resolver names a field that its type does not have.
    #[error("resolver {type_name}.{field_name}: the type `{type_name}` has no field `{field_name}`")]
    UnknownField {
        /// The type's name.
        type_name: String,
        /// The field's name.
        field_name: String,
    },
    /// Two resolvers for one field.
    #[error("{type_name}.{field_name} has two resolvers")]
    DuplicateResolver {
        /// The type's name.
        type_name: String,
        /// The field's name.
        field_name: String,
    },
    /// A field of a root type has nothing that gives its value.
    #[error("{type_name}.{field_name} is a root field and needs a resolver")]
    MissingResolver {
        /// The type's name.
        type_name: String,
        /// The field's name.
        field_name: String,
    },
    /// A constant statement that cannot work at its field.
    #[error("{type_name}.{field_name}: {problem}")]
    BadResolver {
        /// The type's name.
        type_name: String,
        /// The field's name.
        field_name: String,
        /// What is wrong.
        problem: String,
    },
}
