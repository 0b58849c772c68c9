//! One actor's own samples, looked up once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

use super::{
    Families,
    labels::{ActorLabel, FailedLabels, SentLabels, SettledLabels},
};
use crate::dispatch::Sent;

/// One actor's own counters.
#[derive(Debug, Clone)]
pub(crate) struct ActorMetrics {
    pub(crate) received: Counter,
    pub(crate) attempts: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) put_back: Counter,
    pub(crate) lost: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) size: Histogram,
    pub(crate) receive: Histogram,
    pub(crate) handler: Histogram,
    pub(crate) send: Histogram,
    pub(crate) hop: Histogram,
    /// Job events that reached their queue.
    pub(crate) events: Counter,
    next: Counter,
    happy_end: Counter,
    error_end: Counter,
    failed: Counter,
    actor: String,
    families: Arc<Families>,
    codes: Arc<Mutex<HashSet<String>>>,
}

/// Handlers choose their codes; more than this share one label.
const MAX_CODES: usize = 50;

impl ActorMetrics {
    pub(super) fn new(families: &Arc<Families>, actor: &str) -> Self {
        let label = ActorLabel {
            actor: actor.to_owned(),
        };
        let settled = |outcome| {
            let labels = SettledLabels {
                actor: actor.to_owned(),
                outcome,
            };
            families.settled.get_or_create(&labels).clone()
        };
        let sent = |kind| {
            let labels = SentLabels {
                actor: actor.to_owned(),
                kind,
            };
            families.sent.get_or_create(&labels).clone()
        };
        Self {
            received: families.received.get_or_create(&label).clone(),
            attempts: families.attempts.get_or_create(&label).clone(),
            forwarded: settled("forwarded"),
            failed: settled("failed"),
            put_back: settled("put_back"),
            lost: settled("lost"),
            in_flight: families.in_flight.get_or_create(&label).clone(),
            size: families.size.get_or_create(&label).clone(),
            receive: families.receive.get_or_create(&label).clone(),
            handler: families.handler.get_or_create(&label).clone(),
            send: families.send.get_or_create(&label).clone(),
            hop: families.hop.get_or_create(&label).clone(),
            events: sent("event"),
            next: sent("next"),
            happy_end: sent("happy_end"),
            error_end: sent("error_end"),
            actor: actor.to_owned(),
            families: families.clone(),
            codes: Arc::default(),
        }
    }

    /// Counts what left with a settle.
    pub(crate) fn sent(&self, sent: Sent) {
        for (counter, count) in [
            (&self.next, sent.next),
            (&self.happy_end, sent.happy_end),
            (&self.error_end, sent.error_end),
            (&self.events, sent.events),
        ] {
            counter.inc_by(count);
        }
    }

    /// Counts a message that went to the error end.
    pub(crate) fn failed_with(&self, code: &str) {
        let labels = FailedLabels {
            actor: self.actor.clone(),
            code: self.label(code).to_owned(),
        };
        self.families.failed.get_or_create(&labels).inc();
        self.failed.inc();
    }

    fn label<'a>(&self, code: &'a str) -> &'a str {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            codes.contains(code) || (code.len() <= 64 && codes.len() < MAX_CODES && codes.insert(code.to_owned()));
        if known { code } else { "_other" }
    }
}
