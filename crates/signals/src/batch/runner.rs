//! Carries the batches of one backend out, one after the other, until its buffer is closed and empty.
//!
//! A batch is tried until it has left: a backend that is away costs its own lines, and only once its buffer is full. One that
//! is too large goes in halves.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use chassis::{
    guard::Backoff,
    lifecycle::{Component, Drain},
};
use tracing::{debug, error, info, warn};

use super::{Buffer, Parcel};
use crate::{
    backends::{Capacity, DeadLetters, Failure, Refusal, Sink},
    metrics::BackendMetrics,
};

/// One backend at work.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) name: Arc<str>,
    pub(crate) buffer: Arc<Buffer>,
    pub(crate) metrics: BackendMetrics,
    pub(crate) health: Component,
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// Lines that go together; a cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    parcels: Arc<Vec<Parcel>>,
    /// Which of their lines.
    range: Range<usize>,
}

impl Batch {
    pub(crate) fn new(parcels: Vec<Parcel>) -> Self {
        let lines = parcels.iter().map(|parcel| parcel.lines).sum();
        Self {
            parcels: Arc::new(parcels),
            range: 0..lines,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// The parcels, whole; for those who never call a batch too large.
    pub(crate) fn parcels(&self) -> &[Parcel] {
        &self.parcels
    }

    /// The lines, without their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().map(|(_, line)| line)
    }

    /// The lines, without their ends, each with the parcel that it came in.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Parcel, &[u8])> {
        let all = self
            .parcels
            .iter()
            .flat_map(|parcel| parcel.iter().map(move |line| (parcel, line)));
        all.skip(self.range.start).take(self.range.len())
    }

    /// Whether both are the same lines, and not only lines that read the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parcels, &other.parcels) && self.range == other.range
    }

    pub(crate) fn halves(self) -> [Self; 2] {
        let middle = self.range.start + self.range.len().div_ceil(2);
        let half = |range| Self {
            parcels: Arc::clone(&self.parcels),
            range,
        };
        [half(self.range.start..middle), half(middle..self.range.end)]
    }
}

/// Between attempts on a backend that is away.
const AWAY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

impl Runner {
    /// Works until the buffer is closed and empty, another has it, or `drain` is cut; says how many lines were left then.
    /// What is on disk stays there once the drain has begun.
    pub(crate) async fn run(self, mut sink: Box<dyn Sink>, drain: Drain) -> usize {
        let Capacity { lines, bytes } = sink.capacity();
        let mut at_once = lines;
        let seat = tokio::select! {
            seat = self.buffer.seat() => Some(seat),
            () = self.leaves(&drain) => None,
            () = drain.cut() => None,
        };
        while seat.is_some() {
            let trouble = self.buffer.trouble();
            let taken = tokio::select! {
                biased;
                () = self.leaves(&drain) => break,
                taken = self.buffer.take(at_once, bytes) => taken,
                () = drain.cut() => break,
                () = self.buffer.trouble_changes(trouble.as_deref()) => {
                    self.tell_health();
                    continue;
                }
            };
            let Some(parcels) = taken else { break };
            let batch = Batch::new(parcels);
            let all = Arc::clone(&batch.parcels);
            at_once = at_once.saturating_add(at_once.div_ceil(4)).min(lines);
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                match self.carry(&mut *sink, &part, &drain).await {
                    Carried::Left => {}
                    Carried::TooLarge(why) => {
                        at_once = at_once.min(part.len()).div_ceil(2);
                        debug!(
                            backend = &*self.name,
                            why, at_once, "a batch was too large, it goes in halves"
                        );
                        let [first, second] = part.halves();
                        parts.extend([second, first]);
                    }
                    Carried::Cut => {
                        // The parts went in their order.
                        self.buffer.give_back(part.range.start).await;
                        return self.end(sink, &drain).await;
                    }
                }
            }
            tokio::select! {
                biased;
                () = self.buffer.finish(&all) => {}
                () = drain.cut() => break,
            }
        }
        self.end(sink, &drain).await
    }

    /// Waits until what is left is for another, or for the next process.
    async fn leaves(&self, drain: &Drain) {
        tokio::select! {
            () = self.buffer.passed_on() => {}
            () = drain.begun(), if self.buffer.keeps() => {}
        }
    }

    async fn end(&self, mut sink: Box<dyn Sink>, drain: &Drain) -> usize {
        sink.close().await;
        let left = self.buffer.lines();
        if left == 0 || (self.buffer.keeps() && !drain.is_begun()) {
            return 0;
        }
        if self.buffer.keeps() {
            info!(
                backend = &*self.name,
                lines = left,
                "lines wait on disk, they go out at the next start"
            );
        } else {
            self.metrics.failed(left);
            error!(
                backend = &*self.name,
                lines = left,
                "the grace ended before a backend had its lines, they are lost"
            );
        }
        left
    }

    /// Tries until a batch has left.
    async fn carry(&self, sink: &mut dyn Sink, batch: &Batch, drain: &Drain) -> Carried {
        let mut steps = AWAY.steps();
        loop {
            let began = Instant::now();
            let delivered = tokio::select! {
                biased;
                delivered = sink.deliver(batch) => delivered,
                () = drain.cut() => return Carried::Cut,
            };
            self.metrics.latency(began.elapsed());
            let (why, pause) = match delivered {
                Ok(refused) => {
                    self.healthy();
                    for refusal in refused {
                        self.bury(batch, &refusal).await;
                    }
                    return Carried::Left;
                }
                Err(Failure::TooLarge { why }) if batch.len() > 1 => return Carried::TooLarge(why),
                Err(Failure::TooLarge { why } | Failure::Refused { why }) => {
                    self.healthy();
                    let lines = (0..batch.len()).collect();
                    self.bury(batch, &Refusal { lines, why }).await;
                    return Carried::Left;
                }
                Err(Failure::Away { why, after }) => {
                    self.buffer.set_failing(true);
                    (why, steps.failed(after))
                }
            };
            let pause = tokio::time::sleep(pause);
            tokio::pin!(pause);
            loop {
                let trouble = self.buffer.trouble();
                self.health.failing(match &trouble {
                    None => why.clone(),
                    Some(trouble) => format!("{why}; {trouble}"),
                });
                tokio::select! {
                    () = &mut pause => break,
                    () = self.leaves(drain) => return Carried::Cut,
                    () = drain.cut() => return Carried::Cut,
                    () = self.buffer.trouble_changes(trouble.as_deref()) => {}
                }
            }
        }
    }

    fn healthy(&self) {
        self.buffer.set_failing(false);
        self.tell_health();
    }

    fn tell_health(&self) {
        match self.buffer.trouble() {
            None => self.health.ok(),
            Some(why) => self.health.failing(why),
        }
    }

    /// Lines that the backend will never take.
    async fn bury(&self, batch: &Batch, refusal: &Refusal) {
        let (lines, why) = (refusal.lines.len(), &refusal.why);
        self.metrics.failed(lines);
        warn!(backend = &*self.name, lines, why, "a backend refused lines for good");
        let Some(letters) = &self.dead_letters else { return };
        let all: Vec<&[u8]> = batch.lines().collect();
        let mut text = Vec::new();
        for line in refusal.lines.iter().filter_map(|index| all.get(*index)) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
        if let Err(error) = letters.write(text).await {
            error!(backend = &*self.name, %error, lines, "the file of dead letters cannot be written, lines are lost");
        }
    }
}

/// How a batch ended.
enum Carried {
    Left,
    TooLarge(String),
    /// The grace is over, or another has what is left.
    Cut,
}
