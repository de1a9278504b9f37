//! One WebSocket's session: what the client says goes to the state machine, what that wants is done.

use std::collections::HashMap;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue};
use puff_graphql::Request;
use puff_graphql::transport::{Action, Dialect, Frame, OperationKey, Session};
use puff_python::Runtime;
use puff_python::graphql::{Connection, GraphQl, RequestContext};
use puff_python::websocket::{Closed, Message};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::debug;

use super::super::Documents;
use super::config::SubscriptionConfig;
use super::operation::{Answer, Operation, Tracing};
use super::pipe::Pipe;
use crate::web::websocket::Peer;

/// A WebSocket that was just opened.
pub(super) struct Socket {
    pub(super) graphql: GraphQl,
    pub(super) documents: Documents,
    pub(super) runtime: Runtime,
    pub(super) config: SubscriptionConfig,
    pub(super) dialect: Dialect,
    pub(super) headers: HeaderMap,
    pub(super) id: Option<HeaderValue>,
    /// The client's address, if it came over TCP.
    pub(super) peer: Option<SocketAddr>,
    pub(super) tracing: Tracing,
    pub(super) pipe: Arc<Pipe>,
}

/// How an operation ended.
enum End {
    Completed,
    Failed(Bytes),
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The operations of a session, all in its task.
#[derive(Default)]
struct Operations {
    running: FuturesUnordered<Abortable<Boxed<(OperationKey, End)>>>,
    handles: HashMap<OperationKey, AbortHandle>,
}

impl Operations {
    fn start(&mut self, key: OperationKey, operation: Boxed<End>) {
        let (handle, registration) = AbortHandle::new_pair();
        let named: Boxed<_> = Box::pin(async move { (key, operation.await) });
        self.running.push(Abortable::new(named, registration));
        self.handles.insert(key, handle);
    }

    /// Ends an operation: it is dropped before anything else of it is sent.
    fn stop(&mut self, key: OperationKey) {
        if let Some(handle) = self.handles.remove(&key) {
            handle.abort();
        }
    }

    /// Waits until one has ended by itself.
    async fn ended(&mut self) -> (OperationKey, End) {
        loop {
            match self.running.next().await {
                Some(Ok((key, end))) => {
                    self.handles.remove(&key);
                    return (key, end);
                }
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }
}

impl Socket {
    /// Runs until the connection or the session ends. Dropping it ends all operations.
    pub(super) async fn run(self) {
        let pipe = self.pipe.clone();
        let _counted = self.graphql.count_socket();
        self.talk().await;
        pipe.finish();
    }

    async fn talk(self) {
        let mut session = Session::new(self.dialect, self.config.most);
        let mut operations = Operations::default();
        let mut context = RequestContext::default();
        let mut asking: Option<Boxed<Connection>> = None;
        let mut patience = pin!(sleep(self.config.init_timeout));
        let every = self.config.keep_alive;
        let mut keep_alive = interval_at(Instant::now() + every, every);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let actions = tokio::select! {
                biased;
                message = self.pipe.receive() => match message {
                    Some(Message::Text(text)) => session.receive(&text),
                    Some(Message::Binary(_)) => session.receive_binary(),
                    None => return,
                },
                answer = answered(&mut asking) => {
                    asking = None;
                    match answer {
                        Connection::Accepted(payload) => session.accept(payload.as_ref().map(String::as_bytes)),
                        Connection::Refused(reason) => session.refuse(&reason),
                        Connection::Failed => session.fail_connection(),
                    }
                },
                (key, end) = operations.ended() => {
                    let last = match end {
                        End::Completed => session.completed(key),
                        End::Failed(answer) => session.failed(key, &answer),
                    };
                    last.map(Action::Send).into_iter().collect()
                },
                () = &mut patience, if session.is_new() => session.init_timed_out(),
                _ = keep_alive.tick(), if self.dialect == Dialect::Legacy => {
                    session.keep_alive().map(Action::Send).into_iter().collect()
                },
            };
            for action in actions {
                match action {
                    Action::Connect(payload) => {
                        let (headers, id) = (self.headers.clone(), self.id.clone());
                        context = RequestContext::of_connection(headers, id, self.peer, payload);
                        asking = Some(self.ask(context.clone()));
                    }
                    Action::Send(message) => self.pipe.push(message),
                    Action::Start {
                        operation,
                        request,
                        frame,
                    } => {
                        let running = self.operate(*request, context.operation(), frame);
                        operations.start(operation, running);
                    }
                    Action::Stop(operation) => operations.stop(operation),
                    Action::Close(closing) => {
                        debug!(
                            code = closing.code,
                            "a client of subscriptions is sent away: {}", closing.reason
                        );
                        self.pipe.shut(Closed::new(closing.code, closing.reason));
                        return;
                    }
                }
            }
        }
    }

    fn ask(&self, context: RequestContext) -> Boxed<Connection> {
        let (graphql, runtime) = (self.graphql.clone(), self.runtime.clone());
        Box::pin(async move { graphql.connect(&runtime, context).await })
    }

    fn operate(&self, mut request: Request, context: RequestContext, frame: Frame) -> Boxed<End> {
        let (graphql, pipe) = (self.graphql.clone(), self.pipe.clone());
        request.record = self.tracing.record(&request);
        let mut operation = Operation::begin(&graphql, &self.documents, request, context);
        Box::pin(async move {
            loop {
                match operation.next().await {
                    Answer::Some(answer) => pipe.send(frame.around(&answer)).await,
                    Answer::Failed(answer) => return End::Failed(answer),
                    Answer::End => return End::Completed,
                }
            }
        })
    }
}

/// The answer to the question that was asked; waits for ever if there was none.
async fn answered(asking: &mut Option<Boxed<Connection>>) -> Connection {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}
