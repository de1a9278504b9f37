//! The events of a subscription: a Python generator in a greenlet gives them, a task of Tokio's takes them.
//!
//! Between the two lies a short queue. A generator whose client is slow finds it full and is parked; it waits in
//! its `yield`. Dropping [`PythonEvents`] ends the greenlet: `GreenletExit` where it waits, which closes the
//! generator.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use puff_graphql::{Call, Event, EventSource, Events, FieldError, Resolved};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use tokio::sync::Notify;

use super::backend::PythonBackend;
use super::call::ResolverCall;
use super::context::Context;
use crate::lifeline::{Guard, Lifeline};
use crate::reactor::{Event as HubEvent, Job};
use crate::waiter::Waiter;

/// How many events may wait between a generator and the execution of its events.
const QUEUE: usize = 16;

/// How many events a generator may give in a row without letting other greenlets run.
const LONGEST_RUN: u8 = 32;

/// What the generator's greenlet and the subscription's task share.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// There is an event, or the end.
    changed: Notify,
}

#[derive(Default)]
struct State {
    events: VecDeque<Result<Resolved<PythonBackend>, FieldError>>,
    /// How the generator ended.
    end: Option<Result<(), FieldError>>,
    /// The greenlet, while it waits for room.
    sender: Option<Py<Waiter>>,
    /// Nobody takes events any more.
    gone: bool,
    run: u8,
}

impl Queue {
    fn end(&self, end: Result<(), FieldError>) {
        self.state.lock().end.get_or_insert(end);
        self.changed.notify_one();
    }
}

/// The task's end of the queue.
pub(crate) struct PythonEvents {
    queue: Arc<Queue>,
    /// Dropped with this, which ends the greenlet.
    _guard: Guard,
}

impl Events<PythonBackend> for PythonEvents {
    async fn next(&mut self) -> Event<PythonBackend> {
        loop {
            let (event, sender) = {
                let mut state = self.queue.state.lock();
                match state.events.pop_front() {
                    Some(Ok(value)) => (Some(Event::Value(value)), state.sender.take()),
                    Some(Err(error)) => (Some(Event::Bad(error)), state.sender.take()),
                    None => match state.end.take() {
                        Some(Err(error)) => {
                            state.end = Some(Ok(()));
                            (Some(Event::Failed(error)), None)
                        }
                        Some(Ok(())) => {
                            state.end = Some(Ok(()));
                            (Some(Event::End), None)
                        }
                        None => (None, None),
                    },
                }
            };
            if let Some(waiter) = sender {
                Waiter::complete(waiter, Box::new(|py| true.into_py_any(py)));
            }
            match event {
                Some(event) => return event,
                None => self.queue.changed.notified().await,
            }
        }
    }
}

impl Drop for PythonEvents {
    fn drop(&mut self) {
        let events = {
            let mut state = self.queue.state.lock();
            state.gone = true;
            std::mem::take(&mut state.events)
        };
        // Without the lock: they may hold Python objects.
        drop(events);
    }
}

impl EventSource for PythonBackend {
    type Events = PythonEvents;

    fn subscribe(&self, call: Call<Self>) -> PythonEvents {
        let (life, guard) = Lifeline::new(self.lifelines());
        let queue = Arc::new(Queue::default());
        let job = SubscribeJob(SubscriptionCall {
            call: ResolverCall::of_subscription(self.shared().clone(), call),
            queue: queue.clone(),
            life,
        });
        self.reactor().push(HubEvent::Job(Box::new(job)));
        PythonEvents { queue, _guard: guard }
    }
}

/// A subscription in the hub's queue.
struct SubscribeJob(SubscriptionCall);

impl Job for SubscribeJob {
    fn into_call(self: Box<Self>, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handler = self.0.call.shared().subscriber.clone_ref(py);
        Ok((handler, Py::new(py, self.0)?.into_any()))
    }
}

/// One subscription, for `puff.graphql._subscribe.run`.
#[pyclass(frozen, module = "puff.graphql", name = "SubscriptionCall")]
pub(crate) struct SubscriptionCall {
    call: ResolverCall,
    queue: Arc<Queue>,
    life: Arc<Lifeline>,
}

#[pymethods]
impl SubscriptionCall {
    /// The generator runs in the greenlet `worker` from now on. False: nobody wants its events any more.
    fn begin(slf: &Bound<'_, Self>, worker: Py<PyAny>) -> PyResult<bool> {
        slf.get().life.begin(worker, slf.as_any())
    }

    /// The greenlet to end because nobody wants its events any more; None if it has ended.
    fn doomed(&self) -> Option<Py<PyAny>> {
        self.life.doomed()
    }

    /// The id of the request, if the server gives ids.
    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.call.request_id()
    }

    /// The resolver's own `call(parents, context, arguments)`.
    #[getter]
    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.call.function(py)
    }

    /// An empty list where the resolver wants its parents; else None.
    fn parents<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.call.parents(py)
    }

    /// The `context` argument.
    fn context(&self) -> Context {
        self.call.context()
    }

    /// The field's arguments by their GraphQL names.
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.call.arguments(py)
    }

    /// Hands an event on: whatever a resolver may return. If it is nothing of the kind, the client is told, and the
    /// subscription goes on. Then ask `is_full`.
    ///
    /// Gives the exceptions in it that nobody meant for clients: the first, and how many.
    fn emit(&self, event: &Bound<'_, PyAny>) -> Option<(Py<PyAny>, usize)> {
        let failures = self.call.failures();
        let resolved = self.call.interpret(event, &failures);
        let resolved = resolved.map_err(|error| failures.of_raised(event.py(), &error));
        let unexpected = failures.unexpected();
        let mut state = self.queue.state.lock();
        if state.gone {
            drop(state);
            return unexpected;
        }
        state.events.push_back(resolved);
        state.run = state.run.saturating_add(1);
        let first = state.events.len() == 1;
        drop(state);
        if first {
            self.queue.changed.notify_one();
        }
        unexpected
    }

    /// Whether the generator has to wait for `room` before it goes on.
    fn is_full(&self) -> bool {
        let state = self.queue.state.lock();
        state.gone || state.events.len() >= QUEUE || state.run >= LONGEST_RUN
    }

    /// Completes `waiter` with True when there is room; with False if nobody wants events any more.
    fn room(&self, waiter: Py<Waiter>) {
        let mut state = self.queue.state.lock();
        state.run = 0;
        if !state.gone && state.events.len() >= QUEUE {
            state.sender = Some(waiter);
            return;
        }
        let wanted = !state.gone;
        drop(state);
        Waiter::complete(waiter, Box::new(move |py| wanted.into_py_any(py)));
    }

    /// The generator has come to its end.
    fn finish(&self) {
        self.over(Ok(()));
    }

    /// The generator raised `error`; whether that is news for the log.
    fn fail(&self, error: &Bound<'_, PyAny>) -> bool {
        let failures = self.call.failures();
        self.over(Err(failures.of(error)));
        failures.unexpected().is_some()
    }

    /// The greenlet was ended.
    fn killed(&self) {
        self.over(Err(ended()));
    }

    fn __repr__(&self) -> String {
        self.call.to_string()
    }
}

impl SubscriptionCall {
    fn over(&self, end: Result<(), FieldError>) {
        self.life.end();
        self.queue.end(end);
    }
}

impl Drop for SubscriptionCall {
    /// A call that was dropped before it began, as the hub does at its end.
    fn drop(&mut self) {
        self.queue.end(Err(ended()));
    }
}

fn ended() -> FieldError {
    FieldError::new("RESOLVER_ENDED", "the subscription was ended by the server")
}
