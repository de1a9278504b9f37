//! [`HandlerError`]: any error as an answer with status 500.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tracing::error;

use super::body::text_response;
use crate::errors::BoxError;

/// The error of a handler that has no answer of its own for it: `?` makes one of any error.
///
/// The client gets a 500 that tells nothing, the log gets the error.
///
/// ```
/// use puff_rs::prelude::*;
/// use puff_rs::web::HandlerError;
///
/// async fn motto() -> Result<String, HandlerError> {
///     Ok(tokio::fs::read_to_string("motto.txt").await?)
/// }
/// let router: Router = Router::new().get("/motto", motto);
/// # let _ = router;
/// ```
#[derive(Debug)]
pub struct HandlerError(BoxError);

// Not an `Error` itself, which would make two of this for one type.
impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        HandlerError(error.into())
    }
}

impl IntoResponse for HandlerError {
    fn into_response(self) -> Response {
        error!("a handler failed: {}", self.0);
        text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }
}
