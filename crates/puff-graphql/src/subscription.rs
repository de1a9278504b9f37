//! Subscriptions: a source of events, and one execution per event.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::backend::{Backend, Call, Resolved};
use crate::engine::Engine;
use crate::error::{FieldError, RequestError, RequestErrorCode};
use crate::execute::Execution;
use crate::execute::permit::Permits;
use crate::plan::input::Variables;
use crate::plan::{FieldPlan, Origin, Plan, PlannedResolver, ResolverPlan, Source};
use crate::request::{Outcome, Request, Response};
use crate::table::Selection;
use crate::trace::{Record, Recorder, Times, Trace};
use crate::write::answer::write_answer;
use crate::write::errors::{FieldErrors, Path, Step};

/// A backend whose resolvers of the subscription type give events.
pub trait EventSource: Backend {
    /// The events of one subscription. Dropping it ends the source.
    type Events: Events<Self>;

    /// Starts the resolver of a subscription's root field, which has no parents.
    ///
    /// It returns at once; what goes wrong is an [`Event::Failed`].
    fn subscribe(&self, call: Call<Self>) -> Self::Events;
}

/// The events of one subscription, in order.
pub trait Events<B: Backend>: Send + 'static {
    /// Waits for the next event. The future may be dropped: no event is lost by that.
    fn next(&mut self) -> impl Future<Output = Event<B>> + Send;
}

/// What comes out of a source of events.
pub enum Event<B: Backend> {
    /// What the resolver would have returned if it were one of a query.
    Value(Resolved<B>),
    /// This event has no value, the next one may have.
    Bad(FieldError),
    /// The source has failed. Nothing follows.
    Failed(FieldError),
    /// The source has come to its end.
    End,
}

impl<B: EventSource> Engine<B> {
    /// Begins a subscription, if its root field may be shown; nothing of that is asked for again.
    ///
    /// There is no time-out here: the caller owns the clock.
    ///
    /// # Errors
    /// The answer to a request that is no valid subscription.
    pub async fn subscribe(
        &self,
        request: Request,
        context: B::Context,
    ) -> Result<Subscription<B>, Box<Response>> {
        self.try_subscribe(request, context)
            .await
            .map_err(|error| Box::new(Response::refused(&error)))?
    }

    async fn try_subscribe(
        &self,
        request: Request,
        context: B::Context,
    ) -> Result<Result<Subscription<B>, Box<Response>>, RequestError> {
        let record = request.record;
        let plan = self.planned(&request.query, request.operation_name.as_deref(), &mut true)?;
        let Some((field, number, resolver)) = root(&plan).filter(|_| plan.is_subscription) else {
            let message = "this operation is no subscription";
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        };
        let PlannedResolver::Call(id) = &resolver.kind else {
            let message = format!("{} has no source of events", field.name);
            return Err(RequestError::new(RequestErrorCode::OperationNotAllowed, message));
        };
        let (variables, flags) = self.bind(&plan, request.variables).await?;
        let arguments = match resolver.arguments.evaluate(&variables) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(Err(failed(field, &error).into())),
        };
        let execution = Execution {
            backend: &*self.backend,
            plan: &plan,
            options: self.schema.options(),
            context: context.clone(),
            flags,
            variables,
            recorder: None,
            event: Mutex::default(),
            failed: Mutex::default(),
        };
        let permits = execution.root_permits().await;
        let Execution { flags, variables, .. } = execution;
        if let Some(permits) = &permits {
            let of_field = field
                .permission
                .and_then(|permission| permits.field(permission, 0));
            if let Some(error) = of_field.or_else(|| permits.child(number)) {
                return Ok(Err(failed(field, error).into()));
            }
        }
        let events = self.backend.subscribe(Call {
            id: *id,
            context: context.clone(),
            arguments,
            parents: None,
            wanted: resolver.wanted.clone(),
            selection: Selection {
                wanted: resolver.wanted.clone(),
                flags: flags.clone(),
            },
            field: field.name.clone(),
            is_mutation: false,
        });
        Ok(Ok(Subscription {
            engine: self.clone(),
            record,
            flags,
            permits,
            plan,
            variables,
            context,
            events,
        }))
    }
}

/// The one root field of a valid subscription, with the number of its child.
fn root(plan: &Plan) -> Option<(&FieldPlan, usize, &ResolverPlan)> {
    let field = plan.root.variants.first()?.fields.first()?;
    let Source::Child { number, .. } = field.source else {
        return None;
    };
    match &plan.root.children.get(number)?.origin {
        Origin::Resolver(resolver) => Some((field, number, resolver)),
        Origin::Attribute { .. } => None,
    }
}

/// The last answer of a subscription whose source failed, without data.
fn failed(field: &FieldPlan, error: &FieldError) -> Response {
    let mut errors = FieldErrors::new(1);
    let path = Path {
        parent: None,
        step: Step::Key(&field.key),
    };
    // The one field has no condition, so all its places count.
    let places: Vec<_> = field.locations.iter().map(|(_, place)| *place).collect();
    errors.add(error, &places, Some(&path));
    let mut list = Vec::with_capacity(256);
    errors.finish(&mut list);
    let mut body = Vec::with_capacity(list.len() + 2);
    body.push(b'{');
    // After the comma that would part it from the data.
    body.extend_from_slice(list.get(1..).unwrap_or_default());
    body.push(b'}');
    Response {
        body: Bytes::from(body),
        outcome: Outcome::Executed { errors: 1 },
        times: None,
        trace: None,
    }
}

/// A subscription that is under way. Dropping it ends its source.
pub struct Subscription<B: EventSource> {
    engine: Engine<B>,
    plan: Arc<Plan>,
    variables: Variables,
    flags: Arc<[bool]>,
    /// What the root field was granted at the beginning.
    permits: Option<Arc<Permits>>,
    /// What to take down of each event.
    record: Record,
    context: B::Context,
    events: B::Events,
}

impl<B: EventSource> Subscription<B> {
    /// Waits for the next event of the source. The future may be dropped: no event is lost by that.
    pub async fn event(&mut self) -> Event<B> {
        self.events.next().await
    }

    /// The answer that an event comes to: executed, or for one that [`Event::Failed`] its error alone. `None` at
    /// the end.
    ///
    /// The caller owns the clock, as with [`Engine::execute`].
    pub async fn answer(&self, event: Event<B>) -> Option<Response> {
        let event = match event {
            Event::Value(value) => Ok(value),
            Event::Bad(error) => Err(error),
            Event::Failed(error) => return root(&self.plan).map(|(field, ..)| failed(field, &error)),
            Event::End => return None,
        };
        let start = (self.record != Record::Nothing).then(Instant::now);
        let execution = Execution {
            backend: &*self.engine.backend,
            plan: &self.plan,
            options: self.engine.schema.options(),
            context: self.context.clone(),
            flags: self.flags.clone(),
            variables: self.variables.clone(),
            recorder: start.filter(|_| self.record == Record::Layers).map(Recorder::new),
            event: Mutex::new(Some(event)),
            failed: Mutex::default(),
        };
        let root = execution.run_permitted(self.permits.clone()).await;
        let (body, errors) = write_answer(&execution, &root, &[]);
        drop(root);
        let times = start.map(|start| {
            let execute = start.elapsed();
            Times {
                cached: true,
                execute,
                total: execute,
                ..Times::default()
            }
        });
        let trace = execution.recorder.map(|recorder| Trace {
            times: times.unwrap_or_default(),
            layers: recorder.finish(),
        });
        Some(Response {
            body: Bytes::from(body),
            outcome: Outcome::Executed { errors },
            times,
            trace,
        })
    }
}
