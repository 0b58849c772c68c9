//! One function, and how it is called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chassis::{guard::Limit, telemetry::in_full};
use handlers::{Call, Handler as _, HandlerError, Pool, Slot};
use http::HeaderValue;
use http_body_util::BodyExt;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};
use wire::{Draft, Envelope, Input, Json, Reply, TraceContext};

use super::{
    Args, CallError, Contract, Exchange, Source, Target,
    exchange::{Pieces, Wanted},
};
use crate::{
    Body,
    config::StreamInput,
    telemetry::{Account, FunctionMetrics, Telemetry},
};

/// One function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) contract: Contract,
    /// What a call of it is posted to.
    pub(crate) path: Option<String>,
    pub(super) route: Option<String>,
    pub(super) source: Arc<Source>,
    pub(super) limit: Limit,
    timeout: Option<Duration>,
    /// Whether its handler is told which of its functions is called.
    is_told: bool,
    telemetry: Telemetry,
    metrics: FunctionMetrics,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The way the call came: `http`, `ipc` or `actor`.
    pub(crate) way: &'static str,
    /// The span that it is made in, where that is known.
    pub(crate) trace: Option<TraceContext>,
}

impl Function {
    pub(super) fn new(
        package: &str,
        name: &str,
        contract: Contract,
        source: &Arc<Source>,
        is_told: bool,
        telemetry: &Telemetry,
    ) -> Self {
        let config = &source.config;
        Self {
            contract,
            path: None,
            route: config.route.clone(),
            source: Arc::clone(source),
            limit: Limit::new(config.concurrency.get()),
            timeout: Some(config.timeout.get()).filter(|timeout| !timeout.is_zero()),
            is_told,
            telemetry: telemetry.clone(),
            metrics: telemetry.function(package, name),
            package: package.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `package/name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.package, self.name)
    }

    /// Calls under way.
    pub(crate) fn busy(&self) -> usize {
        self.limit.busy()
    }

    /// Calls at once, at most.
    pub(crate) fn concurrency(&self) -> usize {
        self.limit.size()
    }

    /// Whether the body of a call streams through to its handler.
    pub(crate) fn takes_stream(&self) -> bool {
        self.source.config.input == Some(StreamInput::Stream)
    }

    /// Begins a call with these arguments, which are checked first.
    pub(crate) fn call(self: &Arc<Self>, args: &Args, caller: &Caller, wanted: Wanted) -> Result<Exchange, CallError> {
        let account = self.account(caller);
        if self.takes_stream() {
            let way = self
                .path
                .as_ref()
                .map_or_else(|| "over HTTP".to_owned(), |path| format!("with `POST {path}`"));
            let why = format!("`{}` takes a stream: call it {way}", self.full_name());
            return Err(account.refuse(CallError::BadRequest { why }));
        }
        let flaws = self.contract.check(args);
        if !flaws.is_empty() {
            return Err(account.refuse(CallError::BadArguments {
                function: self.full_name(),
                flaws,
            }));
        }
        let (function, body) = (Arc::clone(self), self.contract.frame(args));
        let call = self.request(body, &account);
        Ok(Exchange::new(wanted, account, |pieces| async move {
            let reply = function.exchange(call, &pieces).await;
            function.judge(reply)
        }))
    }

    /// Counts a call that could not begin.
    pub(super) fn refuse(&self, error: CallError, caller: &Caller) -> CallError {
        self.account(caller).refuse(error)
    }

    /// Begins a call whose body streams through.
    pub(crate) fn stream(self: &Arc<Self>, body: Body, media: Option<HeaderValue>, caller: &Caller) -> Exchange {
        let account = self.account(caller);
        let (function, call) = (Arc::clone(self), self.request(Bytes::new(), &account));
        Exchange::new(Wanted::ResultAlone, account, |pieces| async move {
            let reply = function.stream_through(call, body, media, &pieces).await;
            function.judge(reply)
        })
    }

    /// Whether its handler is there.
    pub(super) async fn ping(&self) -> Result<handlers::Liveness, HandlerError> {
        match &self.source.target {
            Target::Socket(handler) => handler.ping().await,
            Target::Http(handler) => handler.ping().await,
            // The pool of the actor looks after that itself.
            Target::Actor { .. } => Ok(handlers::Liveness::Connected),
        }
    }

    fn account(&self, caller: &Caller) -> Account {
        self.telemetry.begin(&self.package, &self.name, &self.metrics, caller)
    }

    fn request(&self, body: Bytes, account: &Account) -> Call {
        let function = self.is_told.then(|| self.name.clone());
        let actor = match &self.source.target {
            Target::Actor { name, .. } => name.clone(),
            Target::Socket(_) | Target::Http(_) => self.name.clone(),
        };
        Call {
            id: wire::fresh_id(),
            actor,
            package: function.as_ref().map(|_| self.package.clone()),
            function,
            attempt: 1,
            deadline: self
                .timeout
                .and_then(|timeout| Timestamp::now().checked_add(timeout).ok()),
            headers: account.headers(),
            input: Input::Payload,
            body,
        }
    }

    /// The reply of its handler, once there is a place for the call.
    async fn exchange(&self, mut call: Call, pieces: &Pieces) -> Result<Reply, CallError> {
        let mut report = |interim| pieces.note(interim);
        let until = self.timeout.map(|timeout| Instant::now() + timeout);
        let _place = self.wait(until, self.limit.acquire()).await?;
        let reply = match &self.source.target {
            Target::Socket(handler) => handler.call(&call, &mut report).await,
            Target::Http(handler) => handler.call(&call, &mut report).await,
            Target::Actor { name, pool, input } => {
                let mut slot = self.wait(until, self.slot(pool)).await??;
                if *input == Input::Envelope {
                    call = enveloped(name, call);
                }
                slot.call(&call, &mut report).await
            }
        };
        reply.map_err(|error| self.no_reply(error))
    }

    async fn stream_through(
        &self,
        call: Call,
        body: Body,
        media: Option<HeaderValue>,
        pieces: &Pieces,
    ) -> Result<Reply, CallError> {
        let Target::Http(handler) = &self.source.target else {
            let why = format!("the handler of `{}` takes no stream", self.full_name());
            return Err(CallError::BadRequest { why });
        };
        let until = self.timeout.map(|timeout| Instant::now() + timeout);
        let _place = self.wait(until, self.limit.acquire()).await?;
        let broke_off = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&broke_off);
        let body = body.map_err(move |error| {
            seen.store(true, Ordering::Relaxed);
            error
        });
        let reply = handler
            .stream(&call, body.boxed_unsync(), media, &mut |interim| pieces.note(interim))
            .await;
        reply.map_err(|error| {
            if broke_off.load(Ordering::Relaxed) {
                let why = "the body broke off".to_owned();
                return CallError::BadRequest { why };
            }
            self.no_reply(error)
        })
    }

    /// A slot of the actor's handlers, where any of them is alive.
    async fn slot(&self, pool: &Pool) -> Result<Slot, CallError> {
        let nobody = async {
            let mut readiness = pool.readiness();
            while pool.slots() > 0 && readiness.changed().await.is_ok() {}
        };
        tokio::select! {
            biased;
            slot = pool.slot_for_work() => Ok(slot),
            () = nobody => Err(self.unavailable("its handler is not there")),
        }
    }

    async fn wait<T>(&self, until: Option<Instant>, place: impl Future<Output = T>) -> Result<T, CallError> {
        match until {
            None => Ok(place.await),
            Some(until) => {
                let late = |_| self.unavailable("all its places are taken");
                timeout_at(until, place).await.map_err(late)
            }
        }
    }

    fn unavailable(&self, why: &'static str) -> CallError {
        CallError::Unavailable {
            function: self.full_name(),
            why,
            source: None,
        }
    }

    fn no_reply(&self, error: HandlerError) -> CallError {
        let function = self.full_name();
        info!(function, error = in_full(&error), "no reply from the handler");
        CallError::of_exchange(&function, error)
    }

    /// What a reply means for the caller: the result, literally, where it keeps to the contract.
    fn judge(&self, reply: Result<Reply, CallError>) -> Result<Json, CallError> {
        let result = match reply? {
            Reply::Done(result) => result.unwrap_or_else(Json::null),
            Reply::Parts(mut parts) if parts.len() == 1 => parts.remove(0).payload,
            Reply::Parts(parts) if parts.is_empty() => Json::null(),
            Reply::Parts(parts) => {
                let payloads: Vec<Json> = parts.into_iter().map(|part| part.payload).collect();
                Json::from_value(&payloads)
            }
            Reply::Fault(fault) => return Err(CallError::of_fault(&self.package, fault)),
        };
        let flaws = self.contract.check_result(&result);
        if flaws.is_empty() {
            return Ok(result);
        }
        let error = CallError::BrokenContract {
            function: self.full_name(),
            flaws,
        };
        warn!(function = self.full_name(), %error, "the handler broke the contract of its function");
        Err(error)
    }
}

/// The call of an actor that is given whole messages.
fn enveloped(actor: &str, call: Call) -> Call {
    let payload = Json::parse(call.body.clone()).unwrap_or_else(|_| Json::null());
    let body = Envelope::compose(Draft {
        id: Some(call.id.clone()),
        headers: Some(call.headers.clone()).filter(|headers| !headers.is_null()),
        ..Draft::new([actor], payload)
    });
    Call {
        input: Input::Envelope,
        body,
        ..call
    }
}
