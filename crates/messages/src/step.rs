//! One message: decode, call the handler, decide, dispatch.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chassis::lifecycle::Drain;
use handlers::{Call, Slot};
use jiff::Timestamp;
use queues::{Again, Delivery, Put};
use tracing::{debug, info, warn};
use wire::{Envelope, Fault, Happening, Input, InvalidEnvelope, Json, Part, code};

use crate::{
    Hop, Observer,
    dispatch::{Dispatch, Handover, Parcel, put_back},
    events::{Courier, Reporter},
    fate::{Fate, Kind, Policy, Trial, Tries, fault, in_full},
    metrics::ActorMetrics,
    routing::{self, Output, Target},
};

/// What every step of one actor shares.
pub(crate) struct Actor {
    pub(crate) name: Arc<str>,
    pub(crate) input: Input,
    pub(crate) policy: Policy,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) courier: Courier,
    pub(crate) metrics: ActorMetrics,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// How a message that ends here got to its end.
enum Way {
    Forwarded,
    Failed(String),
}

/// Works on one delivery with one slot, and settles it whatever happens.
///
/// When `drain` is cut, the exchange is ended first and the message then put back, uncounted.
pub(crate) async fn run(actor: Arc<Actor>, slot: Slot, delivery: Delivery, drain: Drain) {
    let taken = Instant::now();
    actor.metrics.received.inc();
    let _in_flight = InFlight::new(&actor.metrics);
    let decoded = match actor.policy.kind {
        Kind::Ordinary => Envelope::decode(delivery.body().clone()),
        Kind::End => Envelope::decode_at_end(delivery.body().clone()),
    };
    match decoded {
        Ok(envelope) => {
            Step {
                actor: &actor,
                envelope,
                taken,
            }
            .run(slot, delivery, &drain)
            .await;
        }
        Err(invalid) => {
            drop(slot);
            actor.bury_invalid(delivery, &invalid).await;
        }
    }
}

struct Step<'a> {
    actor: &'a Actor,
    envelope: Envelope,
    taken: Instant,
}

impl Step<'_> {
    async fn run(self, slot: Slot, delivery: Delivery, drain: &Drain) {
        let (actor, envelope) = (self.actor, &self.envelope);
        let tries = tries(&delivery, envelope);
        let mut reporter = Reporter::new(envelope, &actor.name, &actor.courier);
        let mut handler_time = Duration::ZERO;
        let fate = if let Err(fault) = self.admit(tries).await {
            drop(slot);
            actor.policy.bury(fault, tries, fastrand::f64())
        } else {
            reporter.received();
            let called = Instant::now();
            let fate = tokio::select! {
                biased;
                fate = self.call(slot, tries, &mut reporter) => fate,
                () = drain.cut() => {
                    warn!(actor = %actor.name, message = envelope.id(), "cut off by the shutdown, put back");
                    Fate::Again(Again::UNCOUNTED)
                }
            };
            handler_time = called.elapsed();
            actor.metrics.handler.observe(handler_time.as_secs_f64());
            fate
        };
        match fate {
            Fate::Forward(parts) => self.forward(delivery, &parts, tries, &mut reporter).await,
            Fate::Bury(fault) => self.bury(delivery, &fault, tries, &mut reporter).await,
            Fate::Again(again) => {
                debug!(actor = %actor.name, message = envelope.id(), after_ms = again.after.as_millis(), "put back");
                if put_back(delivery, again).await {
                    actor.metrics.put_back.inc();
                } else {
                    actor.metrics.lost.inc();
                }
                return;
            }
        }
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
    async fn call(&self, mut slot: Slot, tries: Tries, reporter: &mut Reporter) -> Fate {
        let (actor, envelope) = (self.actor, &self.envelope);
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
        let trial = if slot.is_probe() { Trial::Probe } else { Trial::Ordinary };
        let ending = slot.call(&call, &mut |interim| reporter.interim(interim)).await;
        if let Err(error) = &ending {
            info!(actor = %actor.name, message = envelope.id(), error = in_full(error), "no reply from the handler");
        }
        actor.policy.after(ending, trial, tries, fastrand::f64())
    }

    async fn forward(&self, delivery: Delivery, parts: &[Part], tries: Tries, reporter: &mut Reporter) {
        if self.actor.policy.kind == Kind::End {
            let nothing = Parcel {
                outputs: Vec::new(),
                events: Vec::new(),
            };
            return self
                .hand_over(delivery, nothing, tries, reporter, &Way::Forwarded)
                .await;
        }
        match routing::next(&self.envelope, parts) {
            Ok(outputs) => {
                let events = events(&outputs, parts, reporter);
                self.hand_over(delivery, Parcel { outputs, events }, tries, reporter, &Way::Forwarded)
                    .await;
            }
            Err(refused) => {
                self.bury(delivery, &fault(code::BAD_REPLY, refused.to_string()), tries, reporter)
                    .await;
            }
        }
    }

    async fn bury(&self, delivery: Delivery, fault: &Fault, tries: Tries, reporter: &mut Reporter) {
        let record = fault.record(&self.actor.name, tries.attempt, Timestamp::now());
        let output = routing::failed(&self.envelope, &record);
        let event = reporter.last(Happening::Failed, None, || Some(Json::from_value(&record)));
        let parcel = Parcel {
            outputs: vec![output],
            events: event.into_iter().collect(),
        };
        self.hand_over(delivery, parcel, tries, reporter, &Way::Failed(record.code))
            .await;
    }

    /// Hands over; a refused output makes the message a failed one, and a refused failure goes back to wait.
    async fn hand_over(&self, delivery: Delivery, parcel: Parcel, tries: Tries, reporter: &mut Reporter, way: &Way) {
        let metrics = &self.actor.metrics;
        match (self.actor.dispatch.hand_over(delivery, parcel).await, way) {
            (Handover::Safe, Way::Forwarded) => {
                metrics.forwarded.inc();
            }
            (Handover::Safe, Way::Failed(code)) => {
                metrics.failed_with(code);
                info!(actor = %self.actor.name, message = self.envelope.id(), code, "sent to the error end");
            }
            (Handover::Lost, _) => {
                metrics.lost.inc();
            }
            (Handover::Refused(delivery, refusal), Way::Forwarded) => {
                let fault = fault(refusal.code, in_full(&refusal.error));
                Box::pin(self.bury(*delivery, &fault, tries, reporter)).await;
            }
            (Handover::Refused(delivery, refusal), Way::Failed(_)) => {
                self.actor.dispatch.keep(*delivery, &refusal.error).await;
                metrics.put_back.inc();
            }
        }
    }
}

impl Actor {
    /// Bytes that are no message: to the error end with their reason, as far as there is an end to send them to.
    async fn bury_invalid(&self, delivery: Delivery, invalid: &InvalidEnvelope) {
        let fault = fault(code::INVALID_ENVELOPE, invalid.to_string());
        let attempt = delivery.tally().attempt.unwrap_or(1);
        let tries = Tries {
            attempt,
            deliveries: delivery.tally().deliveries,
        };
        warn!(actor = %self.name, queue = %delivery.queue(), error = %invalid, "not an envelope");
        match self.policy.bury(fault, tries, fastrand::f64()) {
            Fate::Bury(fault) => {
                let record = fault.record(&self.name, attempt, Timestamp::now());
                let body = wire::buried(invalid, &record);
                let output = Output {
                    target: Target::ErrorEnd,
                    id: String::new(),
                    body,
                };
                let parcel = Parcel {
                    outputs: vec![output],
                    events: Vec::new(),
                };
                match self.dispatch.hand_over(delivery, parcel).await {
                    Handover::Safe => self.metrics.failed_with(code::INVALID_ENVELOPE),
                    Handover::Refused(delivery, refusal) => self.dispatch.keep(*delivery, &refusal.error).await,
                    Handover::Lost => {
                        self.metrics.lost.inc();
                    }
                }
            }
            Fate::Again(again) => {
                put_back(delivery, again).await;
                self.metrics.put_back.inc();
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
