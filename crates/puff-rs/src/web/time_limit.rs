//! A limit to the time until an answer begins.

use std::time::Duration;

use http::{Response, StatusCode};

use super::body::text_response;

/// The answer, or a 504 where it does not begin in time. What is dropped then ends what it does, Python that it calls
/// as well.
pub(crate) async fn within<B: From<String>>(
    limit: Duration,
    answer: impl Future<Output = Response<B>>,
) -> Response<B> {
    match tokio::time::timeout(limit, answer).await {
        Ok(response) => response,
        Err(_) => text_response(StatusCode::GATEWAY_TIMEOUT, "the request took too long"),
    }
}
