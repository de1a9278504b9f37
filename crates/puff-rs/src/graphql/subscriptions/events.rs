//! Answers as an event stream of HTTP: graphql-sse's protocol, one connection for each operation.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::request::Parts;
use puff_graphql::{Request, RequestError};
use puff_python::graphql::RequestContext;
use puff_python::wsgi::ConnectionInfo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::Endpoint;
use super::config::SubscriptionConfig;
use super::operation::{Answer, Operation, Tracing};
use crate::web::{RequestId, event_stream, text_response, too_many_event_streams};

/// The places of event streams; clones are the same places.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Streams {
    /// As many places as the configuration has.
    pub(crate) fn new(config: &SubscriptionConfig) -> Streams {
        Streams(Arc::new(Semaphore::new(config.streams)))
    }
}

/// A comment, which clients ignore and proxies do not.
const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The end.
const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata:\n\n");

/// The answer to `request` as events, which ends with the operation, or without the last word at `stop`.
///
/// Whatever is wrong with the request is an event as well: browsers' `EventSource` tells nothing of other answers.
pub(in crate::graphql) fn stream(
    endpoint: &Endpoint,
    parts: &Parts,
    client: Option<ConnectionInfo>,
    request: Result<Request, RequestError>,
) -> Response {
    let config = &endpoint.subscriptions;
    if !config.origins.allow(&parts.headers) {
        let text = "event streams to pages of this origin are refused";
        return text_response(StatusCode::FORBIDDEN, text);
    }
    let Ok(place) = endpoint.streams.0.clone().try_acquire_owned() else {
        return too_many_event_streams();
    };
    let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
    let tracing = Tracing::of(endpoint.config.trace, &parts.headers, client.as_ref());
    let peer = client.and_then(|client| client.peer);
    let context = RequestContext::with_id(parts.headers.clone(), id).with_peer(peer);
    let request = request.map(|request| Request {
        record: tracing.record(&request),
        ..request
    });
    let operation = match request {
        Ok(request) => Operation::begin(&endpoint.graphql, &endpoint.config.documents, request, context),
        Err(error) => Operation::Refused(puff_graphql::Response::refused(&error).into()),
    };
    let events = Events {
        state: State::Beginning(operation),
        keep_alive: config.keep_alive,
        stop: endpoint.stop.clone(),
        _place: place,
    };
    event_stream(stream::unfold(events, |mut events| async move {
        let piece = events.next().await?;
        Some((piece, events))
    }))
}

struct Events {
    state: State,
    keep_alive: Duration,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

enum State {
    /// Nothing was sent yet.
    Beginning(Operation),
    Running(Running),
    /// All that is left is to say so.
    Completing,
    Over,
}

/// The operation while its next answer is waited for: what interrupts the wait must not lose it.
type Running = Pin<Box<dyn Future<Output = (Operation, Answer)> + Send>>;

fn waiting(mut operation: Operation) -> Running {
    Box::pin(async move {
        let answer = operation.next().await;
        (operation, answer)
    })
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        let mut running = match std::mem::replace(&mut self.state, State::Over) {
            State::Beginning(operation) => {
                self.state = State::Running(waiting(operation));
                // So that the client sees at once that it is heard.
                return Some(KEEP_ALIVE);
            }
            State::Running(running) => running,
            State::Completing => return Some(COMPLETE),
            State::Over => return None,
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            (operation, answer) = &mut running => match answer {
                Answer::Some(answer) => {
                    self.state = State::Running(waiting(operation));
                    Some(event(&answer))
                }
                Answer::Failed(answer) => {
                    self.state = State::Completing;
                    Some(event(&answer))
                }
                Answer::End => Some(COMPLETE),
            },
            () = sleep_until(Instant::now() + self.keep_alive) => {
                self.state = State::Running(running);
                Some(KEEP_ALIVE)
            }
        }
    }
}

/// An answer as an event. JSON has no line breaks but between its tokens, and we write none there.
fn event(answer: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(answer.len() + 24);
    out.extend_from_slice(b"event: next\ndata: ");
    for (number, line) in answer.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\ndata: ");
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_event() {
        assert_eq!(&event(b"{}")[..], b"event: next\ndata: {}\n\n");
        // JSON of a database may have line breaks.
        assert_eq!(&event(b"{\n}")[..], b"event: next\ndata: {\ndata: }\n\n");
    }
}
