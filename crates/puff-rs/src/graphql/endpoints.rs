//! The schemas of a server, as its handlers find them among a request's extensions.

use std::collections::BTreeMap;
use std::sync::Arc;

use puff_python::graphql::{GraphQl, NoSchema};
use tokio_util::sync::CancellationToken;

use super::{GraphQlConfig, Streams, SubscriptionConfig};
use crate::web::BodyLimits;

/// One schema and its limits.
pub(crate) struct Endpoint {
    pub(crate) graphql: GraphQl,
    pub(crate) body: BodyLimits,
    pub(crate) config: GraphQlConfig,
    pub(crate) subscriptions: SubscriptionConfig,
    /// The places of event streams, which all schemas share.
    pub(crate) streams: Streams,
    /// The server stops: streams end.
    pub(crate) stop: CancellationToken,
}

/// All schemas. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Endpoints {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    default: Option<Arc<Endpoint>>,
    named: BTreeMap<String, Arc<Endpoint>>,
}

impl Endpoints {
    /// The schemas by their names; the default one has none.
    pub(crate) fn new(endpoints: impl IntoIterator<Item = (Option<String>, Endpoint)>) -> Endpoints {
        let mut inner = Inner::default();
        for (name, endpoint) in endpoints {
            let endpoint = Arc::new(endpoint);
            match name {
                Some(name) => drop(inner.named.insert(name, endpoint)),
                None => inner.default = Some(endpoint),
            }
        }
        Endpoints {
            inner: Arc::new(inner),
        }
    }

    /// The schema called `name`, or the default one.
    ///
    /// # Errors
    /// The server has none of this name.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<&Arc<Endpoint>, NoSchema> {
        let Inner { default, named } = &*self.inner;
        match name {
            Some(name) => named.get(name),
            None => default.as_ref(),
        }
        .ok_or_else(|| NoSchema::among(name, named.keys()))
    }
}
