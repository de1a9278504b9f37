//! `/healthz` and `/readyz`: whether the process lives, and whether it wants requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::{Method, Response, StatusCode};
use puff_python::Runtime;
use tokio::sync::Mutex;

use super::body::text_response;

const ALIVE: &str = "/healthz";
const READY: &str = "/readyz";

/// How long the hub may take for a sign of life.
const HUB_TIME: Duration = Duration::from_secs(5);
/// How long a service may take for one.
const SERVICE_TIME: Duration = Duration::from_secs(2);
/// How long what was found out counts: whoever asks more often asks for nothing new.
const FRESH: Duration = Duration::from_secs(1);

/// What answers questions after a server's health. Clones share what they found out.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    alive: Known,
    ready: Known,
}

/// An answer and when it was found. Held while one is looked for, so that many who ask cost one look.
type Known = Mutex<Option<(Instant, Verdict)>>;

/// What is wrong, line by line; nothing if all is well.
type Verdict = Arc<[String]>;

impl Health {
    /// The health of what runs on `runtime`. Make it when the application has been loaded.
    pub fn new(runtime: &Runtime) -> Health {
        Health {
            inner: Arc::new(Inner {
                runtime: runtime.clone(),
                alive: Mutex::default(),
                ready: Mutex::default(),
            }),
        }
    }

    /// Whether `path` is one of the two.
    pub(crate) fn knows(&self, path: &str) -> bool {
        matches!(path, ALIVE | READY)
    }

    /// The answer to a request for `path`, if that is one of the two.
    pub(crate) async fn answer<B: From<String>>(&self, method: &Method, path: &str) -> Option<Response<B>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let verdict = match path {
            ALIVE => self.alive().await,
            READY => self.ready().await,
            _ => return None,
        };
        let mut response = match verdict.is_empty() {
            true => text_response(StatusCode::OK, "ok"),
            false => text_response(StatusCode::SERVICE_UNAVAILABLE, verdict.join("\n")),
        };
        let never = http::HeaderValue::from_static("no-store");
        response.headers_mut().insert(http::header::CACHE_CONTROL, never);
        Some(response)
    }

    /// What keeps the process from working: a hub that does not answer.
    async fn alive(&self) -> Verdict {
        fresh(&self.inner.alive, async {
            match self.inner.runtime.hub_status(HUB_TIME).await {
                Some(_) => Vec::new(),
                None => vec![format!(
                    "the hub has not answered within {HUB_TIME:?}: a greenlet blocks it"
                )],
            }
        })
        .await
    }

    /// What keeps requests from being answered well: the end of the program, a service that is in use and does
    /// not answer, the hub.
    async fn ready(&self) -> Verdict {
        if self.inner.runtime.shutdown().is_cancelled() {
            return Arc::new(["the server is stopping".to_owned()]);
        }
        fresh(&self.inner.ready, async {
            let (hub, services) = tokio::join!(self.alive(), self.services());
            hub.iter().cloned().chain(services).collect()
        })
        .await
    }

    /// The services that are open and do not answer.
    async fn services(&self) -> Vec<String> {
        let services = self.inner.runtime.services();
        let postgres = services
            .opened_pools()
            .map(|(name, pool)| async move { judge(format!("PostgreSQL pool {name}"), pool.ping()).await });
        let redis = services
            .opened_redis()
            .map(|(name, pool)| async move { judge(format!("Redis pool {name}"), pool.ping()).await });
        let (postgres, redis) = tokio::join!(join_all(postgres), join_all(redis));
        postgres.into_iter().chain(redis).flatten().collect()
    }
}

async fn judge<E: fmt::Display>(name: String, look: impl Future<Output = Result<(), E>>) -> Option<String> {
    match tokio::time::timeout(SERVICE_TIME, look).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{name}: {error}")),
        Err(_) => Some(format!("{name}: no answer within {SERVICE_TIME:?}")),
    }
}

async fn fresh(known: &Known, look: impl Future<Output = Vec<String>>) -> Verdict {
    let mut known = known.lock().await;
    if let Some((found, verdict)) = &*known
        && found.elapsed() < FRESH
    {
        return verdict.clone();
    }
    let verdict: Verdict = look.await.into();
    *known = Some((Instant::now(), verdict.clone()));
    verdict
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}
