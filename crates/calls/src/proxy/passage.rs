//! The proxy as a whole, and the way of one route through it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chassis::{
    lifecycle::Drain,
    telemetry::{Metrics as Registry, traces::Tracer},
};
use http::{Method, Request, Response, StatusCode, header, uri::PathAndQuery};
use tokio::time::{Instant, timeout_at};
use tracing::debug;
use wire::{TraceContext, TraceId};

use super::{
    UpstreamAddress,
    account::Account,
    answer::{AnswerBody, Sending},
    connect::{self, Link},
    exchange::{Answered, Terms, exchange},
    failure::{self, Failure},
    headers::asks_for_websocket,
    metrics::{BreakerStates, Metrics, PassageMetrics},
    outgoing::Outgoing,
    request::{self, Forwarding},
    tunnel,
    upstream::{Chosen, Origin, Upstream},
};
use crate::{
    Body,
    config::{self, TrustedProxies},
    http1::{BodyForm, Incoming},
    listen::{Expectation, Interim, Peer, Takeover},
};

/// All upstreams; made once.
#[derive(Debug)]
pub struct Proxy {
    upstreams: BTreeMap<String, Arc<Upstream>>,
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
    upstream: Arc<Upstream>,
    shared: Arc<Shared>,
    metrics: Arc<PassageMetrics>,
}

#[derive(Debug)]
struct Shared {
    trusted: TrustedProxies,
    tracer: Tracer,
    drain: Drain,
}

/// Between looks at connections that nobody uses.
const SWEEP: Duration = Duration::from_secs(5);

impl Proxy {
    /// Connects to nothing yet.
    pub fn new(upstreams: &BTreeMap<String, config::Upstream>, parts: ProxyParts) -> Result<Self, ProxyError> {
        let mut all = BTreeMap::new();
        for (name, config) in upstreams {
            let origins = origins(name, config)?;
            all.insert(name.clone(), Arc::new(Upstream::new(name, config, origins)));
        }
        let breakers = all.values().flat_map(|upstream| {
            let of = |origin: &Arc<Origin>| {
                let breaker = origin.breaker.clone()?;
                Some((upstream.name.to_string(), origin.address.to_string(), breaker))
            };
            upstream.origins.iter().filter_map(of).collect::<Vec<_>>()
        });
        parts.metrics.collect(Box::new(BreakerStates::new(breakers)));
        let pools: Vec<Arc<Origin>> = all
            .values()
            .flat_map(|upstream| upstream.origins.iter().cloned())
            .collect();
        parts.drain.spawn("proxy pools", sweep(pools, parts.drain.clone()));
        Ok(Self {
            upstreams: all,
            metrics: Metrics::new(&parts.metrics),
            shared: Arc::new(Shared {
                trusted: parts.trusted,
                tracer: parts.tracer,
                drain: parts.drain,
            }),
        })
    }

    /// The way to an upstream, for a route that is called so in metrics and spans; `None` where there is no such upstream.
    pub fn passage(&self, route: &str, upstream: &str) -> Option<Passage> {
        let found = self.upstreams.get(upstream)?;
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
                && parts.version == http::Version::HTTP_11
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

/// One call.
struct Call<'a> {
    passage: &'a Passage,
    parts: &'a http::request::Parts,
    peer: &'a Peer,
    target: &'a PathAndQuery,
    trace: &'a TraceContext,
    is_websocket: bool,
    deadline: Option<Instant>,
}

impl Call<'_> {
    /// Tries until there is an answer, or may be none.
    async fn run(&self, body: Body, account: &mut Account) -> Result<(Answered, Chosen), Failure> {
        let upstream = &self.passage.upstream;
        let method = &self.parts.method;
        if *method == Method::CONNECT || *method == Method::TRACE {
            return Err(Failure::Method);
        }
        let expectation = self.parts.extensions.get::<Expectation>();
        if let Some(expectation) = expectation {
            expectation.take_on();
        }
        let mut outgoing = Outgoing::new(body, is_idempotent(method));
        outgoing.look().await.map_err(Failure::Client)?;
        upstream.count();
        let form = self.form(&outgoing);
        let terms = Terms {
            method,
            form,
            expects: expectation.is_some(),
            is_websocket: self.is_websocket,
            limits: upstream.limits,
            deadline: self.deadline,
            interim: self.parts.extensions.get::<Interim>(),
        };
        let (mut tried, mut attempt, mut may_reuse) = (Vec::new(), 1, true);
        loop {
            let mut chosen = upstream.choose(&tried)?;
            account.tries(|| chosen.origin.address.to_string());
            let pooled = if may_reuse { chosen.origin.pool.take() } else { None };
            let is_reused = pooled.is_some();
            let (failure, back) = match self.connected(pooled, &chosen).await {
                Err(failure) => (failure, outgoing),
                Ok(mut link) => {
                    self.forwarding(form).write(&mut link.writer.buffer, &chosen.origin);
                    match exchange(link, outgoing, terms).await {
                        Ok(answered) => {
                            chosen.answered();
                            return Ok((answered, chosen));
                        }
                        Err(failed) => failed,
                    }
                }
            };
            outgoing = back;
            let can_repeat = failure.is_before_answer() && is_idempotent(method) && outgoing.rewind();
            if is_reused && matches!(failure, Failure::Closed { has_begun: false, .. }) {
                // It was closed while the request was on its way: that says nothing about the upstream.
                may_reuse = false;
                if can_repeat {
                    continue;
                }
                return Err(failure);
            }
            if failure.is_upstreams() {
                chosen.failed();
            }
            tried.push(chosen.index);
            drop(chosen);
            if !can_repeat || attempt >= upstream.attempts.get() || !upstream.spend() {
                return Err(failure);
            }
            let pause = upstream.backoff.delay(attempt, fastrand::f64());
            attempt += 1;
            self.passage.metrics.retried();
            self.sleep(pause).await?;
        }
    }

    async fn connected(&self, pooled: Option<Link>, chosen: &Chosen) -> Result<Link, Failure> {
        if let Some(link) = pooled {
            return Ok(link);
        }
        let origin = &chosen.origin;
        let connect = async {
            connect::open(&origin.address, origin.tls.as_ref())
                .await
                .map_err(Failure::Connect)
        };
        let limit = self
            .passage
            .upstream
            .limits
            .connect
            .and_then(|limit| Instant::now().checked_add(limit));
        match [limit, self.deadline].into_iter().flatten().min() {
            None => connect.await,
            Some(until) => timeout_at(until, connect).await.unwrap_or(Err(Failure::ConnectTimeout)),
        }
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Failure> {
        let until = Instant::now() + pause;
        if self.deadline.is_some_and(|deadline| deadline <= until) {
            return Err(Failure::TotalTimeout);
        }
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    fn form(&self, outgoing: &Outgoing) -> BodyForm {
        if outgoing.is_empty() {
            BodyForm::None
        } else if self.parts.headers.contains_key(header::CONTENT_LENGTH) {
            BodyForm::Plain
        } else {
            BodyForm::Chunked
        }
    }

    fn forwarding(&self, form: BodyForm) -> Forwarding<'_> {
        Forwarding {
            parts: self.parts,
            target: self.target,
            peer: self.peer,
            is_trusted: self.passage.shared.trusted.trust(self.peer.ip()),
            host: self.passage.upstream.host,
            form,
            is_websocket: self.is_websocket,
            trace: self.trace,
        }
    }

    /// The answer as the client gets it.
    fn answer(&self, answered: Answered, chosen: Chosen, mut account: Account) -> Response<Body> {
        let Answered { reply, reader, upload } = answered;
        account.answered(reply.status);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = reply.headers;
        let extensions = answer.extensions_mut();
        extensions.insert(reply.reason);
        extensions.insert(reply.spelling);
        let limits = self.passage.upstream.limits;
        if reply.status == StatusCode::SWITCHING_PROTOCOLS {
            if !upload.is_over() {
                return failure::internal();
            }
            let idle = limits.idle;
            let upstream = tunnel::End {
                input: reader,
                output: upload.writer.into_half(),
            };
            extensions.insert(Takeover::new(move |input, output| async move {
                let (mut chosen, _account) = (chosen, account);
                if let Err(error) = tunnel::carry(tunnel::End { input, output }, upstream, idle).await {
                    debug!(%error, "a tunnel has ended");
                }
                chosen.finished();
            }));
            let websocket = http::HeaderValue::from_static("websocket");
            answer
                .headers_mut()
                .insert(header::CONNECTION, http::HeaderValue::from_static("Upgrade"));
            answer.headers_mut().insert(header::UPGRADE, websocket);
            return answer;
        }
        let sending = self.sending(upload);
        let is_done = reply.body.is_done();
        let incoming = Incoming::new(reader, reply.body);
        let mut body =
            AnswerBody::new(incoming, sending, reply.keep_alive, chosen, account).within(limits.idle, self.deadline);
        if is_done {
            body.finish();
        } else {
            *answer.body_mut() = Body::new(body);
        }
        answer
    }

    /// What is still to be sent goes on beside the answer.
    fn sending(&self, mut upload: super::upload::Upload) -> Sending {
        if upload.is_over() {
            return Sending::Over(upload.writer);
        }
        let moved = Arc::clone(upload.moved());
        let (give, back) = tokio::sync::oneshot::channel();
        let task = self.passage.shared.drain.spawn("proxy upload", async move {
            if std::future::poll_fn(|cx| upload.poll(cx)).await.is_ok() {
                // Whoever has the answer may have gone.
                let _ = give.send(upload.writer);
            }
        });
        Sending::Underway {
            back,
            moved,
            _task: task.scoped(),
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
        origins.push(Arc::new(Origin::new(address, config.breaker, tls)));
    }
    Ok(origins)
}

/// Closes connections that nobody uses, until the drain begins.
async fn sweep(origins: Vec<Arc<Origin>>, drain: Drain) {
    loop {
        tokio::select! {
            () = drain.begun() => break,
            () = tokio::time::sleep(SWEEP) => origins.iter().for_each(|origin| origin.pool.sweep()),
        }
    }
    origins.iter().for_each(|origin| origin.pool.clear());
}

/// Whether doing it twice does no harm.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}

fn cause(failure: &Failure) -> Option<String> {
    std::error::Error::source(failure).map(ToString::to_string)
}
