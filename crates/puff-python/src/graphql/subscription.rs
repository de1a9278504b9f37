//! Subscriptions as transports see them: answers one after the other, within the time that each may take.

use std::time::Duration;

use puff_graphql::{Event, FieldError, Request, Response};

use super::backend::PythonBackend;
use super::{Connection, Context, Counted, GraphQl, RequestContext};
use crate::call::CallError;
use crate::runtime::Runtime;

/// A subscription that is under way. Dropping it closes the generator.
pub struct Subscription {
    inner: puff_graphql::Subscription<PythonBackend>,
    timeout: Duration,
    _counted: Counted,
}

/// What comes next of a subscription.
#[derive(Debug)]
pub enum Next {
    /// One more answer.
    Answer(Response),
    /// The generator has failed: `errors` without data, and nothing follows.
    Failed(Response),
    /// The generator has come to its end.
    End,
}

impl Subscription {
    /// Waits for the next answer. To drop the future may lose an answer: do so only to end the subscription.
    pub async fn next(&mut self) -> Next {
        let event = self.inner.event().await;
        let is_last = matches!(event, Event::Failed(_));
        let answer = match tokio::time::timeout(self.timeout, self.inner.answer(event)).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = format!("the event took longer than {} s", self.timeout.as_secs_f64());
                let late = Event::Bad(FieldError::new("LIMIT_EXCEEDED", message));
                self.inner.answer(late).await
            }
        };
        match answer {
            Some(response) if is_last => Next::Failed(response),
            Some(response) => Next::Answer(response),
            None => Next::End,
        }
    }
}

impl GraphQl {
    /// Begins a subscription, if the schema's permissions allow it: its generator runs on the hub until the
    /// subscription is dropped.
    ///
    /// # Errors
    /// The answer to a request that is no valid subscription.
    pub async fn subscribe(
        &self,
        request: Request,
        context: RequestContext,
    ) -> Result<Subscription, Box<Response>> {
        let subscribing = self.engine.subscribe(request, context);
        match tokio::time::timeout(self.timeout, subscribing).await {
            Ok(subscribed) => Ok(Subscription {
                inner: subscribed?,
                timeout: self.timeout,
                _counted: self.counts.subscriptions.begin(),
            }),
            Err(_) => Err(Box::new(self.timed_out())),
        }
    }

    /// Asks the schema's `connect`, if it has one, whether a client may connect. Dropping the future ends it.
    pub async fn connect(&self, runtime: &Runtime, context: RequestContext) -> Connection {
        let Some(hook) = &self.connect else {
            return Connection::Accepted(None);
        };
        let asking = runtime.call_python::<(bool, Option<String>), _>(hook, (Context::new(context, None),));
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(Ok((true, payload))) => Connection::Accepted(payload),
            Ok(Ok((false, reason))) => Connection::Refused(reason.unwrap_or_else(|| "Forbidden".into())),
            Ok(Err(CallError::Raised { .. } | CallError::Ended)) => Connection::Failed,
            Err(_) => {
                tracing::error!("Schema.connect took longer than {} s", self.timeout.as_secs_f64());
                Connection::Failed
            }
        }
    }
}
