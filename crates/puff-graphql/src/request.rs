//! A request as it arrives and the answer as it leaves.

use bytes::Bytes;
use serde_json::{Map, Value as Json};

use crate::error::{RequestError, RequestErrorCode};
use crate::trace::{Record, Times, Trace};

/// One GraphQL request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which of the document's operations to run; needed when it has several.
    pub operation_name: Option<String>,
    /// The variables as they came, not yet coerced.
    pub variables: Map<String, Json>,
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
        let bad = |message: String| RequestError::new(RequestErrorCode::BadRequest, message);
        let json: Json = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the request body is not valid JSON: {error}")))?;
        let mut fields = match json {
            Json::Object(fields) => fields,
            Json::Array(_) => return Err(bad("batches of requests are not enabled".into())),
            _ => return Err(bad("the request body must be a JSON object with a `query`".into())),
        };
        let query = match fields.remove("query") {
            Some(Json::String(query)) => query,
            None | Some(Json::Null) => return Err(bad("the request has no `query`".into())),
            Some(_) => return Err(bad("`query` must be a string".into())),
        };
        let operation_name = match fields.remove("operationName") {
            None | Some(Json::Null) => None,
            Some(Json::String(name)) => Some(name),
            Some(_) => return Err(bad("`operationName` must be a string".into())),
        };
        let variables = match fields.remove("variables") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(variables)) => variables,
            Some(_) => return Err(bad("`variables` must be an object".into())),
        };
        let extensions = match fields.remove("extensions") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(extensions)) => extensions,
            Some(_) => return Err(bad("`extensions` must be an object".into())),
        };
        let wants_trace = extensions.get("puff").and_then(|puff| puff.get("trace"));
        Ok(Self {
            query,
            operation_name,
            variables,
            wants_trace: wants_trace == Some(&Json::Bool(true)),
            ..Self::default()
        })
    }
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
