//! One operation: a subscription with its many answers, or a query or mutation with one.

use bytes::Bytes;
use http::HeaderMap;
use puff_graphql::{OperationKind, Outcome, Record, Request, Response};
use puff_python::graphql::{GraphQl, Next, RequestContext, Subscription};
use puff_python::wsgi::ConnectionInfo;

use super::super::{Documents, TraceFor};

/// An operation that is under way. Dropping it ends it; mutations run on.
pub(super) enum Operation {
    Many(Box<Subscription>),
    /// A subscription that has not begun, or an operation with one answer.
    Asked {
        graphql: GraphQl,
        request: Box<Request>,
        context: RequestContext,
        subscribes: bool,
    },
    /// Nothing began: the answer that says why.
    Refused(Box<Response>),
    Over,
}

/// What is taken down of the operations of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tracing {
    allowed: bool,
    /// Of all its operations, whether each asks for it or not.
    always: bool,
}

impl Tracing {
    /// By the headers of the handshake, or of the request for an event stream.
    pub(super) fn of(trace: TraceFor, headers: &HeaderMap, info: Option<&ConnectionInfo>) -> Tracing {
        Tracing {
            allowed: trace.allows(headers, info),
            always: headers.get("puff-trace").is_some_and(|value| value == "1"),
        }
    }

    pub(super) fn record(self, request: &Request) -> Record {
        match self.allowed && (self.always || request.wants_trace) {
            true => Record::Layers,
            false => Record::Nothing,
        }
    }
}

/// What comes next of an operation.
pub(super) enum Answer {
    /// An answer.
    Some(Bytes),
    /// The last answer, with errors and without data.
    Failed(Bytes),
    /// There was no more.
    End,
}

impl Operation {
    /// Begins what `request` asks for, by its text or by the id of one of the `documents`.
    pub(super) fn begin(
        graphql: &GraphQl,
        documents: &Documents,
        mut request: Request,
        context: RequestContext,
    ) -> Operation {
        if let Err(error) = documents.settle(&mut request) {
            return Operation::Refused(Response::refused(&error).into());
        }
        match graphql.kind(&request) {
            Err(error) => Operation::Refused(Response::refused(&error).into()),
            Ok(kind) => Operation::Asked {
                graphql: graphql.clone(),
                request: request.into(),
                context,
                subscribes: kind == OperationKind::Subscription,
            },
        }
    }

    /// The next answer. To drop the future may lose it: do so only to end the operation.
    pub(super) async fn next(&mut self) -> Answer {
        loop {
            match std::mem::replace(self, Operation::Over) {
                Operation::Many(mut subscription) => {
                    let next = subscription.next().await;
                    *self = Operation::Many(subscription);
                    return match next {
                        Next::Answer(response) => Answer::Some(response.body_with_trace()),
                        Next::Failed(response) => Answer::Failed(response.body),
                        Next::End => Answer::End,
                    };
                }
                Operation::Asked {
                    graphql,
                    request,
                    context,
                    subscribes: true,
                } => match graphql.subscribe(*request, context).await {
                    Ok(subscription) => *self = Operation::Many(Box::new(subscription)),
                    Err(refused) => return Answer::Failed(refused.body),
                },
                Operation::Asked {
                    graphql,
                    request,
                    context,
                    ..
                } => {
                    let response = graphql.execute(*request, context).await;
                    return match response.outcome {
                        Outcome::Executed { .. } => Answer::Some(response.body_with_trace()),
                        Outcome::Refused(_) => Answer::Failed(response.body),
                    };
                }
                Operation::Refused(response) => return Answer::Failed(response.body),
                Operation::Over => return Answer::End,
            }
        }
    }
}
