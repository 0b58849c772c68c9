//! A function as an actor's handler: the payload is its one argument.

use async_trait::async_trait;
use handlers::{Call, Handler, HandlerError, Liveness, Report};
use wire::{Fault, Json, Reply, TraceContext};

use super::{Args, CallError, Caller, Event, Registry, exchange::Wanted};

/// A function of this process, called for the messages of an actor.
///
/// Arguments that do not fit its contract are an error of the message, which is not tried again.
#[derive(Debug)]
pub struct FunctionHandler {
    registry: Registry,
    package: Option<String>,
    name: String,
}

impl FunctionHandler {
    /// The function `name`, or `package/name`.
    pub(crate) fn new(registry: Registry, name: &str) -> Self {
        let (package, name) = match name.split_once('/') {
            Some((package, name)) => (Some(package.to_owned()), name),
            None => (None, name),
        };
        Self {
            registry,
            package,
            name: name.to_owned(),
        }
    }

    async fn exchange(&self, call: &Call, report: &mut Report<'_>) -> Result<Json, CallError> {
        let function = self.registry.named(self.package.as_deref(), &self.name)?;
        let payload =
            Json::parse(call.body.clone()).map_err(|error| CallError::BadRequest { why: error.to_string() })?;
        let caller = Caller {
            way: "actor",
            trace: trace(&call.headers),
        };
        let function = self.registry.sure(function, &caller).await?;
        let mut exchange = function.call(&Args::one(payload), &caller, Wanted::Pieces)?;
        loop {
            match exchange.next().await {
                Some(Event::Piece(piece)) => report(wire::Interim::Partial(piece)),
                Some(Event::End(end)) => return end,
                None => return Ok(Json::null()),
            }
        }
    }
}

#[async_trait]
impl Handler for FunctionHandler {
    async fn call(&self, call: &Call, report: &mut Report<'_>) -> Result<Reply, HandlerError> {
        match self.exchange(call, report).await {
            Ok(result) => Ok(Reply::Done(Some(result))),
            Err(
                CallError::Timeout {
                    source: Some(error), ..
                }
                | CallError::Unavailable {
                    source: Some(error), ..
                }
                | CallError::BadReply { source: error, .. },
            ) => Err(error),
            Err(CallError::Unavailable { source: None, why, .. }) => Err(HandlerError::Unreachable {
                handler: self.describe(),
                source: std::io::Error::new(std::io::ErrorKind::NotConnected, why),
            }),
            Err(error) => Ok(Reply::Fault(fault(&error))),
        }
    }

    async fn ping(&self) -> Result<Liveness, HandlerError> {
        match self.registry.named(self.package.as_deref(), &self.name) {
            Ok(function) => function.ping().await,
            Err(error) => Err(HandlerError::Unreachable {
                handler: self.describe(),
                source: std::io::Error::new(std::io::ErrorKind::NotFound, error.to_string()),
            }),
        }
    }

    fn describe(&self) -> String {
        let package = self
            .package
            .as_ref()
            .map_or_else(String::new, |package| format!("{package}/"));
        format!("function {package}{}", self.name)
    }
}

fn fault(error: &CallError) -> Fault {
    let fault = Fault {
        code: Some(error.code().to_owned()),
        ..Fault::new(error.to_string())
    };
    match error {
        CallError::Domain { tag, payload, .. } => Fault {
            kind: tag.rsplit_once('/').map(|(_, kind)| kind.to_owned()),
            details: Some(payload.clone()).filter(|payload| !payload.is_null()),
            ..fault
        },
        error if !error.flaws().is_empty() => Fault {
            details: Some(Json::from_value(error.flaws())),
            retryable: Some(false),
            ..fault
        },
        _ => fault,
    }
}

/// The span that a message's headers name.
fn trace(headers: &Json) -> Option<TraceContext> {
    let headers: std::collections::BTreeMap<String, Json> = headers.read().ok()?;
    let text = |name: &str| headers.get(name)?.read::<String>().ok();
    TraceContext::parse(&text("traceparent")?, text("tracestate").as_deref())
}
