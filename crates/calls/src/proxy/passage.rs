//! The proxy as a whole, and the way of one route through it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{
    lifecycle::Drain,
    telemetry::{Metrics as Registry, traces::Tracer},
};
use http::{Method, Request, Response, Version, uri::PathAndQuery};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::debug;
use wire::TraceId;

use super::{
    UpstreamAddress,
    account::Account,
    call::Call,
    connect,
    failure::Failure,
    headers::asks_for_websocket,
    metrics::{BreakerStates, Metrics, PassageMetrics},
    request,
    roster::Roster,
    upstream::{Origin, Upstream},
};
use crate::{
    Body,
    config::{self, TrustedProxies},
    listen::Peer,
};

/// All upstreams of a configuration.
#[derive(Debug)]
pub struct Proxy {
    upstreams: BTreeMap<String, (config::Upstream, Arc<Upstream>)>,
    roster: Arc<Roster>,
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// What a proxy is made with.
#[derive(Debug)]
pub struct ProxyParts {
    /// Proxies before us.
    pub trusted: TrustedProxies,
    /// Where its metrics are registered.
    pub metrics: Registry,
    /// Who hears of its spans.
    pub tracer: Tracer,
    /// What its tasks belong to.
    pub drain: Drain,
}

/// Why a proxy cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// An address is none.
    #[error("upstream `{upstream}`: `{url}` is no address: {why}")]
    Address {
        /// The upstream.
        upstream: String,
        /// Its URL.
        url: String,
        /// In a person's words.
        why: String,
    },
    /// An address wants TLS, and nobody is trusted.
    #[error("upstream `{upstream}` wants TLS: {why}")]
    Tls {
        /// The upstream.
        upstream: String,
        /// In a person's words.
        why: String,
    },
}

/// The way of one route to its upstream; a cheap clone.
#[derive(Debug, Clone)]
pub struct Passage {
    pub(super) upstream: Arc<Upstream>,
    pub(super) shared: Arc<Shared>,
    pub(super) metrics: Arc<PassageMetrics>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) trusted: TrustedProxies,
    pub(super) tracer: Tracer,
    pub(super) drain: Drain,
}

/// Between looks at connections that nobody uses.
const SWEEP: Duration = Duration::from_secs(5);

impl Proxy {
    /// Connects to nothing yet.
    pub fn new(upstreams: &BTreeMap<String, config::Upstream>, parts: ProxyParts) -> Result<Self, ProxyError> {
        let roster = Arc::new(Roster::default());
        parts.metrics.collect(Box::new(BreakerStates::new(Arc::clone(&roster))));
        parts
            .drain
            .spawn("proxy pools", sweep(Arc::clone(&roster), parts.drain.clone()));
        let nobody = Self {
            upstreams: BTreeMap::new(),
            roster,
            metrics: Metrics::new(&parts.metrics),
            shared: Arc::new(Shared {
                trusted: parts.trusted.clone(),
                tracer: parts.tracer,
                drain: parts.drain,
            }),
        };
        nobody.renewed(upstreams, parts.trusted)
    }

    /// The proxy of another configuration. Upstreams of which it says the same are the same: their connections, their breakers and
    /// their retry budgets stay.
    pub fn renewed(
        &self,
        upstreams: &BTreeMap<String, config::Upstream>,
        trusted: TrustedProxies,
    ) -> Result<Self, ProxyError> {
        let mut all = BTreeMap::new();
        for (name, config) in upstreams {
            let known = self.upstreams.get(name).filter(|(known, _)| known == config);
            let upstream = if let Some((_, upstream)) = known {
                Arc::clone(upstream)
            } else {
                let upstream = Arc::new(Upstream::new(name, config, origins(name, config)?));
                self.roster.add(&upstream);
                upstream
            };
            all.insert(name.clone(), (config.clone(), upstream));
        }
        Ok(Self {
            upstreams: all,
            roster: Arc::clone(&self.roster),
            metrics: self.metrics.clone(),
            shared: Arc::new(Shared {
                trusted,
                tracer: self.shared.tracer.clone(),
                drain: self.shared.drain.clone(),
            }),
        })
    }

    /// What is said of each upstream: its addresses, the state of their breakers, and calls under way.
    pub(crate) fn status(&self) -> impl Iterator<Item = Value> + '_ {
        self.upstreams.iter().map(|(name, (_, upstream))| {
            let urls: Vec<Value> = upstream.origins.iter().map(|origin| origin.status()).collect();
            json!({ "kind": "upstream", "name": name, "urls": urls })
        })
    }

    /// The way to an upstream, for a route that is called so in metrics and spans; `None` where there is no such upstream.
    pub fn passage(&self, route: &str, upstream: &str) -> Option<Passage> {
        let (_, found) = self.upstreams.get(upstream)?;
        Some(Passage {
            upstream: Arc::clone(found),
            shared: Arc::clone(&self.shared),
            metrics: self.metrics.passage(route, upstream),
        })
    }
}

impl Passage {
    /// Forwards a request, and gives its answer back, or an error in its place. `target` is what the upstream is asked for, mostly
    /// [`Match::target`](crate::routes::Match::target).
    ///
    /// # Cancellation
    /// Dropping the future, or the answer's body, closes the connection to the upstream.
    pub async fn call(&self, request: Request<Body>, peer: &Peer, target: &PathAndQuery) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let mut account = Account::begin(&self.metrics);
        let parent = request::trace(&parts.headers);
        let place = self
            .shared
            .tracer
            .place(parent.as_ref(), || TraceId::new(fastrand::u128(1..)));
        account.record(
            &self.shared.tracer,
            &place,
            parent.as_ref(),
            &parts.method,
            parts.uri.path(),
        );
        let call = Call {
            passage: self,
            is_websocket: parts.method == Method::GET
                && parts.version == Version::HTTP_11
                && asks_for_websocket(&parts.headers),
            parts: &parts,
            peer,
            target,
            trace: &place,
            deadline: self
                .upstream
                .limits
                .total
                .and_then(|total| Instant::now().checked_add(total)),
        };
        match call.run(body, &mut account).await {
            Ok((answered, chosen)) => call.answer(answered, chosen, account),
            Err(failure) => {
                let upstream = &*self.upstream.name;
                debug!(upstream, error = %failure, cause = cause(&failure), "a call was not answered");
                account.failed(failure.reason());
                account.answered(failure.status());
                failure.answer()
            }
        }
    }
}

fn origins(name: &str, config: &config::Upstream) -> Result<Vec<Arc<Origin>>, ProxyError> {
    let mut origins = Vec::new();
    for url in &config.urls {
        let address: UpstreamAddress = url
            .parse()
            .map_err(|why: super::address::BadAddress| ProxyError::Address {
                upstream: name.to_owned(),
                url: url.clone(),
                why: why.to_string(),
            })?;
        let tls = if Origin::is_encrypted(&address) {
            let upstream = name.to_owned();
            Some(connect::encryption().map_err(|why| ProxyError::Tls { upstream, why })?)
        } else {
            None
        };
        origins.push(Arc::new(Origin::new(name.into(), address, config.breaker, tls)));
    }
    Ok(origins)
}

/// Closes connections that nobody uses, until the drain begins.
async fn sweep(roster: Arc<Roster>, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.begun() => break,
            () = tokio::time::sleep(SWEEP) => roster.origins().for_each(|(_, origin)| origin.pool.sweep()),
        }
    }
    for (_, origin) in roster.origins() {
        origin.pool.clear();
    }
}

fn cause(failure: &Failure) -> Option<String> {
    std::error::Error::source(failure).map(ToString::to_string)
}
