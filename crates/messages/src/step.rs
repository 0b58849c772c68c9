//! One message: decode, call the handler, decide, dispatch.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chassis::{lifecycle::Drain, telemetry::in_full};
use handlers::{Call, MemberId, MemberStatus, Ownership, Pool, Slot};
use jiff::Timestamp;
use queues::{Again, Delivery, Put};
use tracing::{debug, info, warn};
use wire::{Envelope, Fault, Happening, Input, InvalidEnvelope, Json, Part, code};

use crate::{
    Hop, Observer,
    dispatch::{Dispatch, Handover, Parcel, put_back},
    events::{Courier, Reporter},
    fate::{Fate, Kind, Policy, Trial, Tries, fault},
    metrics::ActorMetrics,
    routing::{self, Output, Target},
    span::{HopSpan, Outcome, Tracing},
};

/// What every step of one actor shares.
pub(crate) struct Actor {
    pub(crate) name: Arc<str>,
    pub(crate) input: Input,
    pub(crate) policy: Policy,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) courier: Courier,
    pub(crate) metrics: ActorMetrics,
    pub(crate) tracing: Tracing,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) pool: Pool,
}

/// How long a process of ours that is being killed is waited for.
const CUT: Duration = Duration::from_secs(3);

/// What a parcel is: results, or a failure with its code.
enum Way {
    Forwarded,
    Failed(String),
}

/// Works on one delivery with one slot, and settles it whatever happens.
///
/// When `drain` is cut, the exchange is ended first and the message then put back, uncounted.
pub(crate) async fn run(actor: Arc<Actor>, slot: Slot, delivery: Delivery, drain: Drain) {
    let taken = Instant::now();
    let metrics = &actor.metrics;
    metrics.received.inc();
    #[expect(clippy::cast_precision_loss, reason = "no envelope has 2^52 bytes")]
    metrics.size.observe(delivery.body().len() as f64);
    let _in_flight = InFlight::new(metrics);
    let decoded = match actor.policy.kind {
        Kind::Ordinary => Envelope::decode(delivery.body().clone()),
        Kind::End => Envelope::decode_at_end(delivery.body().clone()),
    };
    let (span, outcome) = match decoded {
        Ok(mut envelope) => {
            let span = actor.tracing.enter(&mut envelope, &delivery);
            let step = Step {
                actor: &actor,
                envelope,
                taken,
            };
            step.run(slot, delivery, span, &drain).await
        }
        Err(invalid) => {
            drop(slot);
            let mut span = actor.tracing.enter_invalid(&invalid, &delivery);
            let outcome = actor.bury_invalid(delivery, &invalid, &mut span).await;
            (span, outcome)
        }
    };
    actor.tracing.end(span, &actor.name, taken.elapsed(), outcome);
}

struct Step<'a> {
    actor: &'a Actor,
    envelope: Envelope,
    taken: Instant,
}

/// What is told of a message while it is worked on, and to whom.
struct Account {
    tries: Tries,
    /// Whoever follows the job.
    reporter: Reporter,
    /// Whoever follows the trace.
    span: HopSpan,
}

impl Step<'_> {
    async fn run(self, slot: Slot, delivery: Delivery, mut span: HopSpan, drain: &Drain) -> (HopSpan, Outcome) {
        let (actor, envelope) = (self.actor, &self.envelope);
        let tries = tries(&delivery, envelope);
        span.tries(tries);
        let reporter = match actor.policy.kind {
            Kind::Ordinary => Reporter::new(envelope, &actor.name, &actor.courier, &actor.metrics.events),
            // Its last event went out with the settle that brought it here.
            Kind::End => Reporter::default(),
        };
        let mut account = Account { tries, reporter, span };
        let mut handler_time = Duration::ZERO;
        let fate = if let Err(fault) = self.admit(tries).await {
            drop(slot);
            actor.policy.bury(fault, tries, fastrand::f64())
        } else {
            account.reporter.received();
            actor.metrics.attempts.inc();
            let called = Instant::now();
            let member = slot.member();
            let fate = tokio::select! {
                biased;
                fate = self.call(slot, &mut account) => fate,
                () = drain.cut() => self.cut_off(member).await,
            };
            handler_time = called.elapsed();
            actor.metrics.handler.observe(handler_time.as_secs_f64());
            fate
        };
        let outcome = match fate {
            Fate::Forward(parts) => self.forward(delivery, &parts, &mut account).await,
            Fate::Bury(fault) => self.bury(delivery, &fault, &mut account).await,
            Fate::Again(again) => {
                debug!(actor = %actor.name, message = envelope.id(), after_ms = again.after.as_millis(), "put back");
                account.span.again(&again);
                actor.count_put_back(put_back(delivery, again).await)
            }
        };
        if matches!(outcome, Outcome::Forwarded | Outcome::Failed) {
            let whole = self.taken.elapsed();
            actor.metrics.hop.observe(whole.as_secs_f64());
            if let Some(observer) = &actor.observer {
                observer.hop(&Hop {
                    actor: &actor.name,
                    message: envelope.id(),
                    whole,
                    handler: handler_time,
                });
            }
        }
        (account.span, outcome)
    }

    /// The grace is over: the exchange was ended, and a process of ours is waited for until it is gone, so that nobody
    /// still works on the message when it is given out again.
    async fn cut_off(&self, member: MemberId) -> Fate {
        let pool = &self.actor.pool;
        let is_ours = |other: &MemberStatus| other.id == member && other.ownership == Ownership::Ours;
        let gone = !pool.members().iter().any(is_ours) || tokio::time::timeout(CUT, pool.gone(member)).await.is_ok();
        warn!(actor = %self.actor.name, message = self.envelope.id(), handler_gone = gone,
            "cut off by the shutdown, put back");
        Fate::Again(Again::UNCOUNTED)
    }

    /// Whether the handler may be called.
    async fn admit(&self, tries: Tries) -> Result<(), Box<Fault>> {
        let (actor, envelope) = (self.actor, &self.envelope);
        // At an end there is nowhere to send a message that may not be worked on.
        if actor.policy.kind == Kind::End {
            return Ok(());
        }
        if envelope.deadline().is_some_and(|deadline| deadline <= Timestamp::now()) {
            return Err(fault(
                code::DEADLINE_EXCEEDED,
                "the deadline had passed before the handler was called",
            ));
        }
        actor.policy.admit(tries)?;
        match envelope.here() {
            Some(here) if here == &*actor.name => {}
            here => return Err(mismatch(here, &actor.name, envelope)),
        }
        let next = routing::expected(envelope);
        if !actor.dispatch.exists(&next).await {
            return Err(no_queue(&next, &actor.dispatch));
        }
        Ok(())
    }

    /// The exchange with the handler, judged. The slot is free again when this returns.
    async fn call(&self, mut slot: Slot, account: &mut Account) -> Fate {
        let (actor, envelope) = (self.actor, &self.envelope);
        let Account { tries, reporter, span } = account;
        let tries = *tries;
        let call = Call {
            id: envelope.id().to_owned(),
            actor: actor.name.to_string(),
            package: None,
            function: None,
            attempt: tries.attempt,
            deadline: envelope.deadline().filter(|_| actor.policy.kind == Kind::Ordinary),
            headers: envelope.headers().unwrap_or_else(Json::null),
            input: actor.input,
            body: match actor.input {
                Input::Payload => envelope.payload().bytes().clone(),
                Input::Envelope => envelope.with_attempt(tries.attempt),
            },
        };
        let mut interim = |interim| {
            actor.tracing.interim(span, envelope, &actor.name, &interim);
            reporter.interim(interim);
        };
        let ending = slot.call(&call, &mut interim).await;
        span.replied(&ending);
        // Asked afterwards: a slot whose member went meanwhile moves to another.
        let trial = if slot.is_probe() { Trial::Probe } else { Trial::Ordinary };
        if let Err(error) = &ending {
            info!(actor = %actor.name, message = envelope.id(), error = in_full(error), "no reply from the handler");
        }
        actor.policy.after(ending, trial, tries, fastrand::f64())
    }

    /// Sends the outputs on.
    async fn forward(&self, delivery: Delivery, parts: &[Part], account: &mut Account) -> Outcome {
        if self.actor.policy.kind == Kind::End {
            let nothing = Parcel {
                outputs: Vec::new(),
                events: Vec::new(),
            };
            return self.hand_over(delivery, nothing, account, &Way::Forwarded).await;
        }
        match routing::next(&self.envelope, parts) {
            Ok(mut outputs) => {
                self.actor.dispatch.name_ends(&mut outputs);
                account.span.outputs(outputs.len());
                account.reporter.flush().await;
                let events = events(&outputs, parts, &mut account.reporter);
                self.hand_over(delivery, Parcel { outputs, events }, account, &Way::Forwarded)
                    .await
            }
            Err(refused) => {
                self.bury(delivery, &fault(code::BAD_REPLY, refused.to_string()), account)
                    .await
            }
        }
    }

    /// Sends the original to the error end.
    async fn bury(&self, delivery: Delivery, fault: &Fault, account: &mut Account) -> Outcome {
        account.reporter.flush().await;
        let record = fault.record(&self.actor.name, account.tries.attempt, Timestamp::now());
        account.span.failed(&record.code, || record.message.clone());
        let output = routing::failed(&self.envelope, &record);
        let event = account
            .reporter
            .last(Happening::Failed, None, || Some(Json::from_value(&record)));
        let parcel = Parcel {
            outputs: vec![output],
            events: event.into_iter().collect(),
        };
        self.hand_over(delivery, parcel, account, &Way::Failed(record.code))
            .await
    }

    /// Hands over; a refused output makes the message a failed one, and a refused failure goes back to wait.
    async fn hand_over(&self, delivery: Delivery, parcel: Parcel, account: &mut Account, way: &Way) -> Outcome {
        let metrics = &self.actor.metrics;
        match (self.actor.send(delivery, parcel).await, way) {
            (Handover::Safe(_), Way::Forwarded) => {
                metrics.forwarded.inc();
                Outcome::Forwarded
            }
            (Handover::Safe(_), Way::Failed(code)) => {
                metrics.failed_with(code);
                info!(actor = %self.actor.name, message = self.envelope.id(), code, "sent to the error end");
                Outcome::Failed
            }
            (Handover::Lost, _) => {
                metrics.lost.inc();
                Outcome::Lost
            }
            (Handover::Refused(delivery, refusal), Way::Forwarded) => {
                let fault = fault(refusal.code, in_full(&refusal.error));
                Box::pin(self.bury(*delivery, &fault, account)).await
            }
            (Handover::Refused(delivery, refusal), Way::Failed(_)) => {
                let attempt = account.tries.attempt;
                let kept = self.actor.dispatch.keep(*delivery, attempt, &refusal.error).await;
                self.actor.count_put_back(kept)
            }
        }
    }
}

impl Actor {
    /// Puts everything and settles, timed and counted.
    async fn send(&self, delivery: Delivery, parcel: Parcel) -> Handover {
        let began = Instant::now();
        let handover = self.dispatch.hand_over(delivery, parcel).await;
        if let Handover::Safe(sent) = &handover {
            self.metrics.send.observe(began.elapsed().as_secs_f64());
            self.metrics.sent(*sent);
        }
        handover
    }

    fn count_put_back(&self, written: bool) -> Outcome {
        if written {
            self.metrics.put_back.inc();
            Outcome::PutBack
        } else {
            self.metrics.lost.inc();
            Outcome::Lost
        }
    }

    /// Bytes that are no message: to the error end with their reason, as far as there is an end to send them to.
    async fn bury_invalid(&self, delivery: Delivery, invalid: &InvalidEnvelope, span: &mut HopSpan) -> Outcome {
        let fault = fault(code::INVALID_ENVELOPE, invalid.to_string());
        let attempt = delivery.tally().attempt.unwrap_or(1);
        let tries = Tries {
            attempt,
            deliveries: delivery.tally().deliveries,
        };
        span.tries(tries);
        span.failed(code::INVALID_ENVELOPE, || invalid.to_string());
        warn!(actor = %self.name, queue = %delivery.queue(), error = %invalid, "not an envelope");
        match self.policy.bury(fault, tries, fastrand::f64()) {
            Fate::Bury(fault) => {
                let record = fault.record(&self.name, attempt, Timestamp::now());
                let output = Output {
                    target: Target::ErrorEnd,
                    id: String::new(),
                    body: wire::buried(invalid, &record),
                    trace: Some(span.place().clone()),
                };
                let parcel = Parcel {
                    outputs: vec![output],
                    events: Vec::new(),
                };
                match self.send(delivery, parcel).await {
                    Handover::Safe(_) => {
                        self.metrics.failed_with(code::INVALID_ENVELOPE);
                        Outcome::Failed
                    }
                    Handover::Refused(delivery, refusal) => {
                        let kept = self.dispatch.keep(*delivery, attempt, &refusal.error).await;
                        self.count_put_back(kept)
                    }
                    Handover::Lost => {
                        self.metrics.lost.inc();
                        Outcome::Lost
                    }
                }
            }
            Fate::Again(again) => {
                span.again(&again);
                self.count_put_back(put_back(delivery, again).await)
            }
            Fate::Forward(_) => unreachable!("a failure is never forwarded"),
        }
    }
}

/// `done` for each output that ends the route, `forwarded` for the others and wherever there are several.
fn events(outputs: &[Output], parts: &[Part], reporter: &mut Reporter) -> Vec<Put> {
    let goes_on = outputs.len() > 1 || outputs.iter().any(|output| output.target != Target::HappyEnd);
    let forwarded = goes_on.then(|| {
        let ids = || {
            Some(Json::from_value(
                &outputs.iter().map(|output| &output.id).collect::<Vec<_>>(),
            ))
        };
        reporter.last(Happening::Forwarded, None, ids)
    });
    let mut events: Vec<Put> = forwarded.flatten().into_iter().collect();
    for (index, output) in outputs
        .iter()
        .enumerate()
        .filter(|(_, output)| output.target == Target::HappyEnd)
    {
        let child = (index > 0).then_some(output.id.as_str());
        let result = || Some(parts.get(index).map_or_else(Json::null, |part| part.payload.clone()));
        events.extend(reporter.last(Happening::Done, child, result));
    }
    events
}

fn tries(delivery: &Delivery, envelope: &Envelope) -> Tries {
    let tally = delivery.tally();
    Tries {
        attempt: tally.attempt.unwrap_or_else(|| envelope.attempt()),
        deliveries: tally.deliveries,
    }
}

fn mismatch(here: Option<&str>, actor: &str, envelope: &Envelope) -> Box<Fault> {
    let why = match here {
        Some(here) => format!("the route says that actor `{here}` has the message, but it came to `{actor}`"),
        None if envelope.actors().is_empty() => "the route is empty".to_owned(),
        None => format!(
            "the route has {} actors and `current` is {}",
            envelope.actors().len(),
            envelope.current()
        ),
    };
    fault(code::ROUTE_MISMATCH, why)
}

fn no_queue(next: &Target, dispatch: &Dispatch) -> Box<Fault> {
    let queue = dispatch.queue_of(next).unwrap_or_default();
    fault(
        code::NO_QUEUE,
        format!("queue `{queue}`, the next on the route, does not exist: start its actor, then send the message again"),
    )
}

/// Counts a message as in flight for as long as it stands.
struct InFlight<'a>(&'a ActorMetrics);

impl<'a> InFlight<'a> {
    fn new(metrics: &'a ActorMetrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}
