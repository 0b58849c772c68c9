//! One call: tries until there is an answer, or may be none.

use std::{sync::Arc, time::Duration};

use chassis::telemetry::in_full;
use http::{Method, Response, StatusCode, header, request::Parts, uri::PathAndQuery};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tracing::debug;
use wire::TraceContext;

use super::{
    account::Account,
    answer::{AnswerBody, Sending},
    connect::{self, Link},
    exchange::{Answered, Terms, exchange},
    failure::{self, Failure},
    outgoing::Outgoing,
    passage::Passage,
    request::Forwarding,
    tunnel,
    upload::Upload,
    upstream::Chosen,
};
use crate::{
    Body,
    http1::{BodyForm, Incoming},
    listen::{Expectation, Interim, Patience, Peer, Takeover},
};

/// One call.
pub(super) struct Call<'a> {
    pub(super) passage: &'a Passage,
    pub(super) parts: &'a Parts,
    pub(super) peer: &'a Peer,
    pub(super) target: &'a PathAndQuery,
    pub(super) trace: &'a TraceContext,
    pub(super) is_websocket: bool,
    pub(super) deadline: Option<Instant>,
}

impl Call<'_> {
    /// Tries until there is an answer, or may be none.
    pub(super) async fn run(&self, body: Body, account: &mut Account) -> Result<(Box<Answered>, Chosen), Failure> {
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
                chosen.failed(|| in_full(&failure));
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
    pub(super) fn answer(&self, answered: Box<Answered>, chosen: Chosen, mut account: Account) -> Response<Body> {
        let Answered {
            reply,
            reader,
            upload,
            alarm,
            refuses_body,
        } = *answered;
        account.answered(reply.status);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = reply.status;
        *answer.headers_mut() = reply.headers;
        let extensions = answer.extensions_mut();
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
        let sending = if refuses_body {
            Sending::Stopped { _writer: upload.writer }
        } else {
            self.sending(upload)
        };
        let mut incoming = Incoming::new(reader, reply.body);
        // A small answer mostly comes with its head: then there is nothing to be carried on.
        let whole = incoming.whole();
        let is_done = incoming.is_done();
        let mut body = AnswerBody::new(incoming, sending, alarm, reply.keep_alive, chosen, account);
        if is_done {
            body.finish();
            *answer.body_mut() = whole.map_or_else(Body::empty, Body::from);
        } else {
            *answer.body_mut() = Body::new(body.within(limits.idle, self.deadline));
            let patience = Patience(limits.idle);
            if patience != Patience::default() {
                answer.extensions_mut().insert(patience);
            }
        }
        answer
    }

    /// What is still to be sent goes on beside the answer.
    fn sending(&self, mut upload: Upload) -> Sending {
        if upload.is_over() {
            return Sending::Over(upload.writer);
        }
        let pulse = Arc::clone(upload.pulse());
        let (give, back) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let idle = self.passage.upstream.limits.idle;
        self.passage.shared.drain.spawn("proxy upload", async move {
            let is_sent = tokio::select! {
                biased;
                sent = std::future::poll_fn(|cx| upload.poll(cx)) => sent.is_ok(),
                told = released => told.is_ok() && alone(&mut upload, idle).await,
            };
            if is_sent {
                // Whoever has the answer may have gone.
                let _ = give.send(upload.writer);
            }
        });
        Sending::Underway { back, pulse, release }
    }
}

/// Sends the rest of a request whose answer is over, as long as it moves; says whether all is sent.
async fn alone(upload: &mut Upload, idle: Option<Duration>) -> bool {
    let pulse = Arc::clone(upload.pulse());
    tokio::select! {
        sent = std::future::poll_fn(|cx| upload.poll(cx)) => sent.is_ok(),
        () = pulse.silence(idle) => false,
    }
}

/// Whether doing it twice does no harm.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].contains(method)
}
