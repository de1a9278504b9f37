//! One operation: a subscription with its many answers, or a query or mutation with one.

use bytes::Bytes;
use puff_graphql::{OperationKind, Outcome, Request, Response};
use puff_python::graphql::{GraphQl, Next, RequestContext, Subscription};

use super::super::Documents;

/// An operation that is under way. Dropping it ends it; mutations run on.
pub(super) enum Operation {
    Many(Box<Subscription>),
    One {
        graphql: GraphQl,
        request: Box<Request>,
        context: RequestContext,
    },
    /// Nothing began: the answer that says why.
    Refused(Box<Response>),
    Over,
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
            Ok(OperationKind::Subscription) => match graphql.subscribe(request, context) {
                Ok(subscription) => Operation::Many(Box::new(subscription)),
                Err(refused) => Operation::Refused(refused),
            },
            Ok(OperationKind::Query | OperationKind::Mutation) => Operation::One {
                graphql: graphql.clone(),
                request: request.into(),
                context,
            },
        }
    }

    /// The next answer. To drop the future may lose it: do so only to end the operation.
    pub(super) async fn next(&mut self) -> Answer {
        if let Operation::Many(subscription) = self {
            return match subscription.next().await {
                Next::Answer(response) => Answer::Some(response.body),
                Next::Failed(response) => Answer::Failed(response.body),
                Next::End => Answer::End,
            };
        }
        let response = match std::mem::replace(self, Operation::Over) {
            Operation::One {
                graphql,
                request,
                context,
            } => graphql.execute(*request, context).await,
            Operation::Refused(response) => return Answer::Failed(response.body),
            Operation::Many(_) | Operation::Over => return Answer::End,
        };
        match response.outcome {
            Outcome::Executed { .. } => Answer::Some(response.body),
            Outcome::Refused(_) => Answer::Failed(response.body),
        }
    }
}
