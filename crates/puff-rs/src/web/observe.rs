//! What a server notes of each request: its id, its line in the access log, the numbers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use puff_python::wsgi::ConnectionInfo;

use super::access_log::{AccessLog, Entry, Outcome};
use super::health::Health;
use super::request_id::{IdHeader, identify};
use crate::errors::ConfigError;
use crate::metrics::Metrics;
use crate::settings::Settings;

/// What a server notes of its requests. By default nothing, and then it costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// The header in which each request and its answer have an id.
    pub request_id: Option<HeaderName>,
    /// Where a line is written for each request.
    pub access_log: Option<AccessLog>,
    /// What counts requests and connections.
    pub metrics: Option<Metrics>,
    /// What answers `/healthz` and `/readyz` beside the application.
    pub health: Option<Health>,
}

impl Observe {
    /// The request ids that `settings` want. What counts and writes is put there by who has opened it.
    ///
    /// # Errors
    /// A value that does not parse.
    pub fn from_settings(settings: &Settings) -> Result<Observe, ConfigError> {
        Ok(Observe {
            request_id: settings
                .get::<IdHeader>("request_id")?
                .and_then(|header| header.0),
            ..Observe::default()
        })
    }

    /// Itself, if requests are to be looked at one by one.
    pub(super) fn of_requests(&self) -> Option<Arc<Observe>> {
        let wanted = self.request_id.is_some() || self.access_log.is_some() || self.metrics.is_some();
        wanted.then(|| Arc::new(self.clone()))
    }

    /// A request has come.
    pub(super) fn begin<B>(self: &Arc<Self>, request: &Request<B>, info: ConnectionInfo) -> Box<Visit> {
        if let Some(metrics) = &self.metrics {
            metrics.request_began();
        }
        Box::new(Visit {
            started: Instant::now(),
            method: request.method().clone(),
            status: None,
            queued: Duration::ZERO,
            sent: 0,
            id: None,
            entry: self.access_log.as_ref().map(|log| log.entry(request, info)),
            observe: self.clone(),
        })
    }
}

/// The id of a request, among its extensions: `Extension<RequestId>` in a handler of a server that gives ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub HeaderValue);

/// A request from its head to the last byte of its answer; dropped, it is over and noted.
pub(super) struct Visit {
    observe: Arc<Observe>,
    started: Instant,
    method: Method,
    status: Option<StatusCode>,
    queued: Duration,
    sent: u64,
    id: Option<HeaderValue>,
    entry: Option<Entry>,
}

impl Visit {
    /// The request was not HTTP to the letter: what it said is not repeated.
    pub(super) fn refuse(&mut self) {
        self.method = Method::default();
        if let Some(entry) = &mut self.entry {
            entry.target = None;
        }
    }

    /// Who the client is, and the request's id. `is_trusted`: it came from somebody who may speak for clients.
    pub(super) fn identify<B>(&mut self, request: &mut Request<B>, info: ConnectionInfo, is_trusted: bool) {
        if let Some(entry) = &mut self.entry {
            entry.peer = info.peer.map(|peer| peer.ip());
        }
        if let Some(name) = &self.observe.request_id {
            let id = identify(request.headers_mut(), name, is_trusted);
            // Rust handlers find it here, whatever the header is called.
            request.extensions_mut().insert(RequestId(id.clone()));
            self.id = Some(id);
        }
    }

    /// It waited so long for its turn.
    pub(super) fn queued(&mut self, time: Duration) {
        self.queued = time;
    }

    /// There is an answer, whose body is about to be sent.
    pub(super) fn answered<B>(&mut self, response: &mut Response<B>) {
        self.status = Some(response.status());
        if let (Some(name), Some(id)) = (&self.observe.request_id, &self.id) {
            response.headers_mut().insert(name.clone(), id.clone());
        }
        if let (Some(log), Some(entry)) = (&self.observe.access_log, &mut self.entry) {
            log.answered(entry, response.headers());
        }
    }

    /// A piece of the body is on its way.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        if let Some(metrics) = &self.observe.metrics {
            metrics.request_ended(&self.method, self.status, duration, self.queued);
        }
        if let (Some(log), Some(entry)) = (&self.observe.access_log, &self.entry) {
            let outcome = Outcome {
                method: &self.method,
                status: self.status,
                sent: self.sent,
                duration,
                queued: self.queued,
                id: self.id.as_ref(),
            };
            log.write(entry, &outcome);
        }
    }
}
