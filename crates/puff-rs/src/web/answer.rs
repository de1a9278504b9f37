//! One request: the rules that hold for all of them, its turn, the application, its answer.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::ConnectInfo;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::ext::Protocol;
use puff_core::task::panic_message;
use puff_python::wsgi::{ConnectionInfo, RequestBody, WsgiApp, WsgiBody};
use tokio::sync::OwnedSemaphorePermit;
use tower::Service;
use tracing::error;

use super::body::{Held, LongLived, ServerBody, Stalling, text_response};
use super::complete::Complete;
use super::compression::Plan;
use super::direct::{Direct, DirectAnswer};
use super::inspect::{check_http2, ends_with_answer, refusal_of};
use super::observe::Visit;
use super::pulse::Pulse;
use super::server::{Application, Shared};
use super::streams;
use super::websocket::wants_websocket;
use super::wsgi;

/// Answers one request; a panic in a handler is a 500 and the connection goes on.
///
/// Most requests wait for nothing but the application, or a handler. What they are until then would be moved with
/// each of the futures within each other that the general case takes, some 2.7 KB: theirs has the room for what they
/// wait for.
pub(super) fn answer(
    shared: Arc<Shared>,
    working: Working,
    request: Request<Incoming>,
    info: ConnectionInfo,
) -> impl Future<Output = Result<Response<ServerBody>, Infallible>> + Send + use<> {
    let answering = match plain_turn(&shared, &request) {
        Some((plain, turn)) => {
            let held = Held {
                turn: Some(turn),
                working,
                stall: None,
            };
            match plain {
                Plain::Application(app) => ask_plainly(&shared, app, held, request, info),
                Plain::Direct(handler) => ask_directly(&shared, handler, held, request, info),
            }
        }
        None => Answering::Any(Box::pin(answer_any(shared.clone(), working, request, info))),
    };
    async move {
        Ok(match answering {
            Answering::Plain(arrival, held, asked) => {
                let response = asked.await.map(|body| ServerBody::wsgi(body, held));
                arrival.leave(&shared, response)
            }
            Answering::Direct(arrival, held, asked) => {
                let asked = AssertUnwindSafe(asked).catch_unwind();
                let mut response = asked.await.unwrap_or_else(|panic| panicked(&*panic));
                response.body_mut().hold(held);
                arrival.leave(&shared, response)
            }
            Answering::Done(response) => *response,
            Answering::Any(answer) => answer.await,
        })
    }
}

/// How a request is answered.
#[allow(clippy::large_enum_variant)] // it is to be stored here
enum Answering<A> {
    /// The application has it.
    Plain(Arrival, Held, A),
    /// A handler has it.
    Direct(Arrival, Held, DirectAnswer),
    /// It was refused.
    Done(Box<Response<ServerBody>>),
    Any(Pin<Box<dyn Future<Output = Response<ServerBody>> + Send>>),
}

/// What answers a request that waits for nothing else.
enum Plain<'a> {
    /// It has no body.
    Application(&'a WsgiApp),
    Direct(&'a Arc<dyn Direct>),
}

/// What answers a request that waits for nothing else, and its turn.
fn plain_turn<'a>(
    shared: &'a Shared,
    request: &Request<Incoming>,
) -> Option<(Plain<'a>, OwnedSemaphorePermit)> {
    let path = request.uri().path();
    let plain = match &shared.app {
        Application::Wsgi(app) if request.body().is_end_stream() => Plain::Application(app),
        Application::Wsgi(_) => return None,
        Application::Router(_) => Plain::Direct(shared.direct.find(path)?),
    };
    let config = &shared.config;
    // On HTTP/2 the task in which this runs is not the stream's.
    let is_plain = request.version() != Version::HTTP_2
        && !ends_with_answer(request)
        && config
            .observe
            .health
            .as_ref()
            .is_none_or(|health| !health.knows(path))
        && config
            .static_files
            .as_ref()
            .is_none_or(|files| files.find(path).is_none())
        && !cfg!(feature = "otel");
    if is_plain {
        Some((plain, shared.turns.free()?))
    } else {
        None
    }
}

/// Hands a request without a body to the application.
fn ask_plainly(
    shared: &Shared,
    app: &WsgiApp,
    held: Held,
    mut request: Request<Incoming>,
    info: ConnectionInfo,
) -> Answering<impl Future<Output = Response<WsgiBody>> + Send + use<>> {
    let (arrival, info) = match Arrival::of(shared, &mut request, info) {
        Ok(arrived) => arrived,
        Err(refused) => return Answering::Done(refused),
    };
    let request = request.map(|_| RequestBody::whole(Bytes::new()));
    match catch_unwind(AssertUnwindSafe(|| app.call(request, info))) {
        Ok(asked) => Answering::Plain(arrival, held, asked),
        Err(panic) => Answering::Done(Box::new(arrival.leave(shared, panicked(&*panic)))),
    }
}

/// Hands a request to the handler of its path.
fn ask_directly<A>(
    shared: &Shared,
    handler: &Arc<dyn Direct>,
    held: Held,
    mut request: Request<Incoming>,
    info: ConnectionInfo,
) -> Answering<A> {
    match Arrival::of(shared, &mut request, info) {
        Ok((arrival, info)) => Answering::Direct(arrival, held, handler.clone().answer(request, info)),
        Err(refused) => Answering::Done(refused),
    }
}

/// Answers whatever request.
async fn answer_any(
    shared: Arc<Shared>,
    working: Working,
    mut request: Request<Incoming>,
    info: ConnectionInfo,
) -> Response<ServerBody> {
    let tunnel = is_tunnel(&request).then(|| working.pulse.clone());
    let (mut arrival, info) = match Arrival::of(&shared, &mut request, info) {
        Ok(arrived) => arrived,
        Err(refused) => return *refused,
    };
    arrival.line.tunnel = tunnel;
    if let Some(health) = &shared.config.observe.health {
        // In a box, so that other requests carry no room for it.
        let answer = Box::pin(health.answer(request.method(), request.uri().path()));
        if let Some(response) = answer.await {
            return seen(response, arrival.visit);
        }
    }
    let Some((turn, queued)) = shared.turns.next().await else {
        let mut response = text_response(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is busy, try again later",
        );
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return seen(response, arrival.visit);
    };
    if let Some(visit) = &mut arrival.visit {
        visit.queued(queued);
    }
    let held = Held {
        turn: Some(turn),
        working,
        stall: streams::current(),
    };
    // What a request can become is looked at only if it asks for something.
    let asks = arrival.line.ends || arrival.line.connect;
    #[cfg(feature = "otel")]
    let span = super::span::request_span(&request, info);
    let answering = AssertUnwindSafe(dispatch(&shared, request, info, held, asks)).catch_unwind();
    #[cfg(feature = "otel")]
    let answering = tracing::Instrument::instrument(answering, span.clone());
    let response = answering.await.unwrap_or_else(|panic| panicked(&*panic));
    #[cfg(feature = "otel")]
    super::span::answered(&span, &response);
    arrival.leave(&shared, response)
}

fn panicked(panic: &(dyn Any + Send)) -> Response<ServerBody> {
    error!("a handler panicked: {}", panic_message(panic));
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
}

/// What is kept of a request until it is answered.
struct Arrival {
    line: RequestLine,
    compression: Option<Plan>,
    visit: Option<Box<Visit>>,
}

impl Arrival {
    /// Looks at a request that has come; who its client is. An error is the answer to one that is refused.
    fn of(
        shared: &Shared,
        request: &mut Request<Incoming>,
        info: ConnectionInfo,
    ) -> Result<(Arrival, ConnectionInfo), Box<Response<ServerBody>>> {
        let mut visit = shared
            .observe
            .as_ref()
            .map(|observe| observe.begin(request, info));
        let refused = match request.version() {
            Version::HTTP_2 => check_http2(request, shared.config.head).err(),
            _ => refusal_of(request),
        };
        if let Some(refusal) = refused {
            let mut response = text_response(refusal.status(), refusal.to_string());
            if let Some(visit) = &mut visit {
                visit.refuse();
            }
            close_after(&mut response, request.version());
            return Err(Box::new(seen(response, visit)));
        }
        let proxies = &shared.config.trusted_proxies;
        let peer = info.peer.map(|peer| peer.ip());
        let info = proxies.settle(request.headers_mut(), info);
        if let Some(visit) = &mut visit {
            visit.identify(request, info, proxies.contains(peer));
        }
        let arrival = Arrival {
            line: RequestLine {
                head: request.method() == Method::HEAD,
                connect: request.method() == Method::CONNECT,
                ends: ends_with_answer(request),
                tunnel: None,
                version: request.version(),
            },
            compression: shared.config.compression.as_ref().map(|all| all.plan(request)),
            visit,
        };
        Ok((arrival, info))
    }

    /// Makes of the application's answer what goes out.
    ///
    /// It is a few hundred bytes, and changed where it is: each move of it shows in a profile.
    fn leave(self, shared: &Shared, mut response: Response<ServerBody>) -> Response<ServerBody> {
        let Arrival {
            line,
            compression,
            visit,
        } = self;
        line.settle(&mut response);
        if response.extensions_mut().remove::<LongLived>().is_some() {
            response.body_mut().give_up_turn();
        }
        if shared.leaving.load(Relaxed) && !line.switches(&response) {
            close_after(&mut response, line.version);
        }
        if let Some(seat) = &shared.seat {
            seat.count_request();
        }
        if let Some(plan) = compression {
            let is_old = line.version == Version::HTTP_10 && !line.is_bodiless(response.status());
            if is_old {
                response.body_mut().ends_with_connection();
            }
            response = plan.carry_out(response);
            // A length that the handler gave is gone then.
            if is_old && !response.headers().contains_key(CONTENT_LENGTH) {
                close_after(&mut response, line.version);
            }
        }
        seen(response, visit)
    }
}

/// The answer, observed until its body is out.
fn seen(mut response: Response<ServerBody>, visit: Option<Box<Visit>>) -> Response<ServerBody> {
    if let Some(mut visit) = visit {
        visit.answered(&mut response);
        response.body_mut().observe(visit);
    }
    response
}

async fn dispatch(
    shared: &Shared,
    mut request: Request<Incoming>,
    info: ConnectionInfo,
    held: Held,
    asks: bool,
) -> Response<ServerBody> {
    if let Some(sockets) = shared.websockets.as_ref().filter(|_| asks)
        && wants_websocket(&request)
    {
        if let Some(found) = sockets.find(request.uri().path()) {
            let (parts, body) = request.into_parts();
            // In a box, so that other requests carry no room for it.
            let answering = Box::pin(sockets.answer(found, parts, !body.is_end_stream(), info));
            return answering.await.map(|body| ServerBody::router(body, held));
        }
        // A route of the program may lead to Python as well.
        request.extensions_mut().insert(sockets.clone());
    }
    if let Some(files) = &shared.config.static_files
        && let Some(place) = files.find(request.uri().path())
    {
        let answer = place.answer(request.method(), request.uri(), request.headers());
        // In a box, so that other requests carry no room for it.
        if let Some(response) = Box::pin(answer).await {
            return response.map(|body| ServerBody::router(body, held));
        }
    }
    let version = request.version();
    let request = request.map(|body| Complete::new(body, version));
    match &shared.app {
        Application::Wsgi(app) => wsgi::answer(app, request, info, shared.config.body)
            .await
            .map(|body| ServerBody::wsgi(body, held)),
        Application::Router(router) => {
            let mut request = request.map(|body| Stalling::new(body, shared.config.body.time));
            if let Some(peer) = info.peer {
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            request.extensions_mut().insert(info);
            let response = match router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            response.map(|body| ServerBody::router(body, held))
        }
    }
}

/// What the answer must know of its request.
struct RequestLine {
    head: bool,
    connect: bool,
    ends: bool,
    /// Of a request that turns a stream of HTTP/2 into a tunnel, if it is answered so.
    tunnel: Option<Arc<Pulse>>,
    version: Version,
}

impl RequestLine {
    /// Whether the connection is no longer one of HTTP after the answer.
    fn switches(&self, response: &Response<ServerBody>) -> bool {
        let status = response.status();
        status == StatusCode::SWITCHING_PROTOCOLS || (self.connect && status.is_success())
    }

    /// Whether HTTP has no body in such an answer.
    fn is_bodiless(&self, status: StatusCode) -> bool {
        self.head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    /// Makes of the answer what may go out.
    fn settle(&self, response: &mut Response<ServerBody>) {
        let status = response.status();
        let switched = self.switches(response);
        if let Some(pulse) = self.tunnel.as_ref().filter(|_| switched) {
            // It may idle as long as it likes. Nobody tells us its end: the connection is not closed for idling
            // any more, only when it does not answer HTTP/2's pings.
            pulse.begin();
        }
        if self.connect && switched {
            // Such an answer has no body, and hyper sends none that says how long it is.
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        if self.ends && !switched {
            return close_after(response, self.version);
        }
        if self.version == Version::HTTP_2 && !switched && self.is_bodiless(status) {
            return drop_body(response);
        }
        if self.version == Version::HTTP_10
            && !self.is_bodiless(status)
            && response.body().size_hint().exact().is_none()
            && !response.headers().contains_key(CONTENT_LENGTH)
        {
            response.body_mut().ends_with_connection();
            return close_after(response, self.version);
        }
        if self.version == Version::HTTP_10 && response.headers().contains_key(CONNECTION) {
            return close_after(response, self.version); // all that an application's header can say
        }
        if !self.head && !switched && status != StatusCode::NOT_MODIFIED && lies(response) {
            error!("a handler's Content-Length is not the length of its body");
            *response = text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error");
        }
    }
}

/// Whether the request asks for a tunnel within its connection, as WebSockets over HTTP/2 do (RFC 8441).
fn is_tunnel(request: &Request<Incoming>) -> bool {
    request.method() == Method::CONNECT && request.extensions().get::<Protocol>().is_some()
}

/// On HTTP/1 hyper leaves the body away where there may be none, on HTTP/2 it sends what it is given.
fn drop_body(response: &mut Response<ServerBody>) {
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length
        && response.status() != StatusCode::NO_CONTENT
        && !response.headers().contains_key(CONTENT_LENGTH)
    {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = ServerBody::empty();
}

/// Whether the length that the headers say is wrong for certain. A stream's length is enforced as it is sent.
fn lies(response: &Response<ServerBody>) -> bool {
    let Some(said) = response.headers().get(CONTENT_LENGTH) else {
        return false;
    };
    let said = said.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    match (said, response.body().size_hint().exact()) {
        (None, _) => true,
        (Some(said), Some(length)) => said != length,
        (Some(_), None) => false,
    }
}

/// Ends the connection after the answer; on HTTP/2 a stream ends by itself.
fn close_after(response: &mut Response<ServerBody>, version: Version) {
    if version != Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        if version == Version::HTTP_10 {
            // To an answer that is one of HTTP/1.1 hyper adds `keep-alive` if the client wishes so.
            *response.version_mut() = version;
        }
    }
}

/// A request in work, for the connection's time-outs.
pub(super) struct Working {
    pulse: Arc<Pulse>,
    /// The client knows the end of the answer by the end of the connection.
    unframed: bool,
}

impl Working {
    /// To be called as soon as there is a request, so that nobody takes the connection for an idle one.
    pub(super) fn new(pulse: Arc<Pulse>) -> Working {
        pulse.begin();
        Working {
            pulse,
            unframed: false,
        }
    }

    /// The client will know the end of the answer by the end of the connection.
    pub(super) fn unframed(&mut self) {
        self.unframed = true;
    }

    /// The answer's body has failed.
    pub(super) fn break_off(&self) {
        if self.unframed {
            self.pulse.break_off();
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.pulse.end();
    }
}
