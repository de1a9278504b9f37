//! A request as it arrives and the answer as it leaves.

use std::collections::HashMap;

use crate::error::{FieldError, RequestError, RequestErrorCode};
use crate::json::JsonError;
use crate::trace::{Record, Times, Trace};
use crate::value::Value;
use crate::write::errors::FieldErrors;
use bytes::Bytes;

/// One GraphQL request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which of the document's operations to run; needed when it has several.
    pub operation_name: Option<String>,
    /// The id of a document that the server knows; `query` may be empty then. The engine does not look at it:
    /// whoever knows the documents puts the text into `query`.
    pub document_id: Option<String>,
    /// The SHA-256 of the document in hexadecimal digits, by which the server may know it, as Apollo's clients send it
    /// in `extensions.persistedQuery`. The engine does not look at it either.
    pub sha256: Option<String>,
    /// The variables as they came, not yet coerced.
    pub variables: HashMap<Box<str>, Value>,
    /// Refuse anything but queries, as an HTTP GET must.
    pub read_only: bool,
    /// What to take down while it runs, for [`Response::times`] and [`Response::trace`].
    pub record: Record,
    /// Whether the client asks for a trace, in `extensions.puff.trace`. Whoever may allow it sets `record`.
    pub wants_trace: bool,
}

impl Request {
    /// A request for a document without variables.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            ..Self::default()
        }
    }

    /// Reads the JSON body of an HTTP POST.
    ///
    /// ```
    /// use puff_graphql::Request;
    /// let request = Request::from_json(br#"{"query": "{ hello }", "variables": {"a": 1}}"#)?;
    /// assert_eq!(request.query, "{ hello }");
    /// # Ok::<(), puff_graphql::RequestError>(())
    /// ```
    ///
    /// # Errors
    /// [`RequestErrorCode::BadRequest`] with what is wrong, in the client's terms.
    pub fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        match json(body)? {
            Value::List(_) => Err(bad("batches of requests are not enabled")),
            request => Self::from_value(request),
        }
    }

    /// Reads the JSON body of an HTTP POST that may be a list of requests, with at most `most` of them.
    ///
    /// The flag tells whether it is a list, which is answered by a list.
    ///
    /// # Errors
    /// As [`Request::from_json`].
    pub fn batch_from_json(body: &[u8], most: usize) -> Result<(Vec<Self>, bool), RequestError> {
        let requests = match json(body)? {
            Value::List(requests) => requests,
            request => return Ok((vec![Self::from_value(request)?], false)),
        };
        match requests.len() {
            0 => Err(bad("the batch has no request")),
            count if count > most => Err(bad(format!("the batch has {count} requests; {most} are allowed"))),
            _ => {
                let requests = requests.into_iter().map(Self::from_value);
                Ok((requests.collect::<Result<_, _>>()?, true))
            }
        }
    }

    /// Reads a request that is a JSON object, its names each once.
    ///
    /// # Errors
    /// As [`Request::from_json`].
    pub fn from_value(request: Value) -> Result<Self, RequestError> {
        let Value::Object(mut fields) = request else {
            return Err(bad("the request body must be a JSON object with a `query`"));
        };
        let mut take = |name: &str| {
            let found = fields.iter().position(|(known, _)| **known == *name)?;
            Some(fields.swap_remove(found).1)
        };
        let mut text = |name: &str| match take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Str(text)) => Ok(Some(String::from(text))),
            Some(_) => Err(bad(format!("`{name}` must be a string"))),
        };
        let query = text("query")?;
        let operation_name = text("operationName")?;
        let document_id = text("documentId")?;
        let mut object = |name: &str| match take(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(bad(format!("`{name}` must be an object"))),
        };
        let variables = object("variables")?;
        let extensions = Value::Object(object("extensions")?);
        let wants_trace = extensions.get("puff").and_then(|puff| puff.get("trace"));
        let persisted = extensions.get("persistedQuery");
        let sha256 = persisted.and_then(|found| found.get("sha256Hash")?.as_str());
        let version = persisted.and_then(|found| found.get("version"));
        if sha256.is_some() && version.is_some_and(|version| *version != Value::Int(1)) {
            return Err(bad("this version of `persistedQuery` is not supported: 1 is"));
        }
        if query.is_none() && document_id.is_none() && sha256.is_none() {
            return Err(bad("the request has no `query`"));
        }
        Ok(Self {
            query: query.unwrap_or_default(),
            operation_name,
            document_id,
            sha256: sha256.map(str::to_owned),
            variables: variables.into_iter().collect(),
            wants_trace: wants_trace == Some(&Value::Bool(true)),
            ..Self::default()
        })
    }
}

fn bad(message: impl Into<String>) -> RequestError {
    RequestError::new(RequestErrorCode::BadRequest, message)
}

fn json(body: &[u8]) -> Result<Value, RequestError> {
    Value::from_json(body).map_err(|error| match error {
        JsonError::Syntax(problem) => bad(format!("the request body is not valid JSON: {problem}")),
        JsonError::Depth => bad(format!("the request body: {error}")),
    })
}

/// An answer, complete and encoded.
#[derive(Debug, Clone)]
pub struct Response {
    /// The JSON text: `{"data":...,"errors":[...]}`.
    pub body: Bytes,
    /// Whether the operation ran.
    pub outcome: Outcome,
    /// How long its parts took, if that was recorded and it ran.
    pub times: Option<Times>,
    /// What each layer did, if that was recorded and it ran.
    pub trace: Option<Trace>,
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The operation ran; this many errors happened in its fields.
    Executed {
        /// The number of field errors.
        errors: usize,
    },
    /// Nothing ran; the body has no `data`.
    Refused(RequestErrorCode),
}

impl Response {
    /// The answer to an operation of which nothing can be answered.
    pub(crate) fn failed(error: &FieldError) -> Self {
        let mut errors = FieldErrors::new(1);
        errors.add(error, &[], None);
        let mut body = b"{\"data\":null".to_vec();
        errors.finish(&mut body);
        body.push(b'}');
        Self {
            body: Bytes::from(body),
            outcome: Outcome::Executed { errors: 1 },
            times: None,
            trace: None,
        }
    }

    /// The answer to a request that never ran.
    pub fn refused(error: &RequestError) -> Self {
        let body = Bytes::from(crate::write::errors::request_error(error));
        Self {
            body,
            outcome: Outcome::Refused(error.code),
            times: None,
            trace: None,
        }
    }

    /// The body with the trace, if there is one, as `extensions.puff`. It shows statements and parameters.
    #[must_use]
    pub fn body_with_trace(&self) -> Bytes {
        let (Some(trace), Some((b'}', body))) = (&self.trace, self.body.split_last()) else {
            return self.body.clone();
        };
        let trace = trace.to_json();
        Bytes::from([body, b",\"extensions\":{\"puff\":", trace.as_bytes(), b"}}"].concat())
    }
}
