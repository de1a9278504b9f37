//! GraphQL subscriptions called in process.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use puff_graphql::{Request, Response};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::graphql::{Answer, More, schema};
use crate::graphql::Next;
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// How many answers may wait for the greenlet that takes them.
const QUEUE: usize = 16;

/// A subscription of the program's own: answers that a task of Tokio's makes and a greenlet or thread takes.
/// Dropping it closes the generator.
#[pyclass(frozen, module = "puff", name = "SubscriptionHandle")]
pub(crate) struct SubscriptionHandle {
    answers: Arc<Answers>,
    task: AbortHandle,
}

#[derive(Default)]
struct Answers {
    state: Mutex<Waiting>,
    /// There is room for an answer.
    room: Notify,
}

#[derive(Default)]
struct Waiting {
    answers: VecDeque<Bytes>,
    takers: Vec<Py<Waiter>>,
    ended: bool,
}

impl Answers {
    async fn push(&self, answer: Bytes) {
        while self.state.lock().answers.len() >= QUEUE {
            self.room.notified().await;
        }
        self.change(|waiting| {
            // Not after it was closed.
            if !waiting.ended {
                waiting.answers.push_back(answer);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let takers = {
            let mut state = self.state.lock();
            change(&mut state);
            std::mem::take(&mut state.takers)
        };
        for waiter in takers {
            Waiter::complete(waiter, Box::new(|py| Ok(py.None())));
        }
    }
}

/// Tells whoever waits that there is nothing more, also when the task is aborted.
struct Ending(Arc<Answers>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.change(|waiting| waiting.ended = true);
    }
}

#[pymethods]
impl SubscriptionHandle {
    /// The next answer, a dict; None if there is none now, or no more (see `ended`).
    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let answer = self.answers.state.lock().answers.pop_front();
        let Some(answer) = answer else { return Ok(None) };
        self.answers.room.notify_one();
        Ok(Some(Answer(answer).into_pyobject(py)?.unbind()))
    }

    /// Whether nothing follows what can be taken now.
    #[getter]
    fn ended(&self) -> bool {
        self.answers.state.lock().ended
    }

    /// Completes `waiter` when it is worth to `take` again.
    fn readable(&self, waiter: Py<Waiter>) {
        let mut state = self.answers.state.lock();
        if state.answers.is_empty() && !state.ended {
            state.takers.retain(|other| !other.get().is_finished());
            state.takers.push(waiter);
            return;
        }
        drop(state);
        Waiter::complete(waiter, Box::new(|py| Ok(py.None())));
    }

    /// Closes the generator; a waiting taker is told.
    fn close(&self) {
        self.task.abort();
        self.answers.change(|waiting| {
            waiting.answers.clear();
            waiting.ended = true;
        });
    }
}

impl Drop for SubscriptionHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Begins a subscription.
#[pyfunction]
fn graphql_subscribe(
    py: Python<'_>,
    name: Option<&str>,
    query: String,
    variables: Option<Bound<'_, PyDict>>,
    more: More,
) -> PyResult<SubscriptionHandle> {
    let graphql = schema(name)?;
    let body = more.body(query, variables, py)?;
    let context = more.context()?;
    let answers = Arc::<Answers>::default();
    let ending = Ending(answers.clone());
    let work = async move {
        let answers = &ending.0;
        let subscribed = match Request::from_json(body.as_bytes()) {
            Ok(request) => graphql.subscribe(request, context).await,
            Err(error) => Err(Response::refused(&error).into()),
        };
        let mut subscription = match subscribed {
            Ok(subscription) => subscription,
            Err(refused) => return answers.push(refused.body).await,
        };
        loop {
            match subscription.next().await {
                Next::Answer(response) => answers.push(response.body).await,
                Next::Failed(response) => return answers.push(response.body).await,
                Next::End => return,
            }
        }
    };
    let task = Runtime::current()?.reactor().tokio().spawn(work);
    Ok(SubscriptionHandle {
        answers,
        task: task.abort_handle(),
    })
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SubscriptionHandle>()?;
    module.add_function(wrap_pyfunction!(graphql_subscribe, module)?)
}
