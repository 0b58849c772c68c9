//! Keeps the spans of the last hour, by trace.
//!
//! The one rule: the store never takes more than its bytes. A trace whose last line is the longest ago goes first, and one
//! trace alone has no more than half of the room, so that an id that is used for everything does not push out the rest.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Span, SpanLine, TraceMetrics, span::ALLOCATION};

/// Traces that can be shown.
#[derive(Debug)]
pub(crate) struct Traces {
    state: Mutex<State>,
    metrics: TraceMetrics,
}

#[derive(Debug, Default)]
struct State {
    traces: HashMap<Arc<str>, Trace>,
    /// By their last line, the one that is the longest ago first.
    order: BTreeMap<u64, Arc<str>>,
    /// Grows with each move to the end of the order.
    turn: u64,
    bytes: usize,
    most: usize,
}

#[derive(Debug)]
struct Trace {
    spans: Vec<Span>,
    by_id: HashMap<Arc<str>, usize>,
    texts: usize,
    id: usize,
    turn: u64,
    last: Instant,
}

/// How long a trace is kept after its last line.
const KEPT: Duration = Duration::from_hours(1);

impl Traces {
    /// An empty store without room.
    pub(crate) fn new(metrics: TraceMetrics) -> Self {
        Self {
            state: Mutex::default(),
            metrics,
        }
    }

    /// Says how many bytes it may take from now on.
    pub(crate) fn set_bytes(&self, most: usize) {
        let mut state = self.lock();
        state.most = most;
        state.shrink(&self.metrics);
    }

    /// Takes in what lines say of spans.
    pub(crate) fn note(&self, lines: Vec<SpanLine>, now: Instant) {
        let mut state = self.lock();
        state.expire(now, &self.metrics);
        for line in lines {
            state.note(line, now, &self.metrics);
            state.shrink(&self.metrics);
        }
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().expire(now, &self.metrics);
    }

    /// The spans of a trace in the order in which they were first told of.
    pub(crate) fn spans(&self, trace: &str, now: Instant) -> Option<Vec<Span>> {
        let mut state = self.lock();
        state.expire(now, &self.metrics);
        state.traces.get(trace).map(|trace| trace.spans.clone())
    }

    fn lock(&self) -> Locked<'_> {
        Locked {
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner),
            metrics: &self.metrics,
        }
    }
}

impl State {
    fn note(&mut self, line: SpanLine, now: Instant, metrics: &TraceMetrics) {
        let SpanLine { trace: id, span } = line;
        let largest = self.most / 2;
        let turn = self.turn;
        let trace = self.traces.entry(Arc::clone(&id)).or_insert_with(|| {
            let trace = Trace::new(&id, now);
            self.bytes += trace.size();
            trace
        });
        let before = trace.size();
        if !trace.note(span, largest) {
            metrics.refused.inc();
            if trace.spans.is_empty() {
                self.bytes -= before;
                self.traces.remove(&id);
                return;
            }
        }
        trace.last = now;
        // Its place in the order is its own already where the line before was of it too.
        if trace.turn != turn || turn == 0 {
            self.order.remove(&trace.turn);
            self.turn += 1;
            trace.turn = self.turn;
            self.order.insert(self.turn, id);
        }
        self.bytes = self.bytes - before + trace.size();
    }

    fn expire(&mut self, now: Instant, metrics: &TraceMetrics) {
        while let Some(oldest) = self.oldest()
            && now.saturating_duration_since(oldest.last) > KEPT
        {
            self.forget_oldest();
            metrics.too_old.inc();
        }
    }

    fn shrink(&mut self, metrics: &TraceMetrics) {
        while self.bytes > self.most && !self.traces.is_empty() {
            self.forget_oldest();
            metrics.no_room.inc();
        }
    }

    fn oldest(&self) -> Option<&Trace> {
        let (_, id) = self.order.first_key_value()?;
        self.traces.get(id)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.order.pop_first();
        if let Some(trace) = oldest.and_then(|(_, id)| self.traces.remove(&id)) {
            self.bytes -= trace.size();
        }
        if self.traces.is_empty() {
            // A table keeps its room; after a wave of traces that is given back.
            self.traces = HashMap::new();
        }
    }
}

impl Trace {
    fn new(id: &str, now: Instant) -> Self {
        Self {
            spans: Vec::new(),
            by_id: HashMap::new(),
            texts: 0,
            id: id.len(),
            turn: 0,
            last: now,
        }
    }

    /// Takes in a span, or what is new of it; a new one only while the trace is not larger than `largest`. Says whether.
    fn note(&mut self, span: Span, largest: usize) -> bool {
        if let Some(index) = self.by_id.get(&span.id) {
            let known = &mut self.spans[*index];
            self.texts -= known.text_size();
            known.merge(span);
            self.texts += known.text_size();
            return true;
        }
        if self.size() + span.text_size() > largest {
            return false;
        }
        self.texts += span.text_size();
        self.by_id.insert(Arc::clone(&span.id), self.spans.len());
        self.spans.push(span);
        true
    }

    /// What it takes in memory, its places in the two tables of the store considered.
    fn size(&self) -> usize {
        let own = size_of::<(Arc<str>, Self)>() * 2 + size_of::<(u64, Arc<str>)>() * 2 + self.id + ALLOCATION;
        let spans = self.spans.capacity() * size_of::<Span>();
        // Seven of eight places of a table are used, and each has a byte of its own beside.
        let ids = self.by_id.capacity() * 8 / 7 * (size_of::<(Arc<str>, usize)>() + 1);
        own + spans + ids + self.texts
    }
}

/// The state while it is looked at; what the metrics say is right when it is let go.
struct Locked<'a> {
    state: MutexGuard<'a, State>,
    metrics: &'a TraceMetrics,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let signed = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.traces.set(signed(self.state.traces.len()));
        self.metrics.bytes.set(signed(self.state.bytes));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::span::testing::span, *};

    fn store(most: usize) -> Traces {
        let store = Traces::new(TraceMetrics::unregistered());
        store.set_bytes(most);
        store
    }

    fn line(trace: &str, id: &str, name: &str) -> SpanLine {
        let mut span = span(id, None, None);
        span.name = (!name.is_empty()).then(|| name.into());
        SpanLine {
            trace: trace.into(),
            span,
        }
    }

    #[test]
    fn a_trace_is_forgotten_an_hour_after_its_last_line() {
        let (store, began) = (store(1 << 20), Instant::now());
        store.note(vec![line("old", "1", ""), line("new", "1", "")], began);
        store.note(vec![line("new", "2", "")], began + KEPT / 2);
        let later = began + KEPT + Duration::from_secs(1);
        assert!(store.spans("old", later).is_none());
        assert_eq!(store.spans("new", later).map(|spans| spans.len()), Some(2));
        store.sweep(later + KEPT);
        assert_eq!(store.metrics.too_old.get(), 2);
        assert_eq!((store.metrics.traces.get(), store.metrics.bytes.get()), (0, 0));
    }

    #[test]
    fn the_trace_that_was_told_of_the_longest_ago_goes_first() {
        let (store, now) = (store(8 << 10), Instant::now());
        let filler = "x".repeat(1000);
        store.note(
            vec![line("a", "1", &filler), line("b", "1", &filler), line("a", "2", "")],
            now,
        );
        for number in 0..3 {
            store.note(vec![line(&format!("n{number}"), "1", &filler)], now);
        }
        assert!(store.spans("a", now).is_some());
        assert!(store.spans("b", now).is_none());
        assert_eq!(store.metrics.no_room.get(), 1);
    }

    #[test]
    fn one_trace_does_not_take_all_of_the_room() {
        let (store, now) = (store(64 << 10), Instant::now());
        store.note(vec![line("other", "1", "")], now);
        let lines = (0..1000).map(|number| line("all", &number.to_string(), "")).collect();
        store.note(lines, now);
        let kept = store.spans("all", now).map_or(0, |spans| spans.len()) as u64;
        assert!(kept > 50, "{kept}");
        assert_eq!(store.metrics.refused.get(), 1000 - kept);
        assert!(store.spans("other", now).is_some());
        // What comes of a span that is kept is still taken.
        store.note(vec![line("all", "0", "named")], now);
        assert_eq!(store.spans("all", now).unwrap()[0].name.as_deref(), Some("named"));
    }

    proptest! {
        #[test]
        fn the_bytes_are_right_and_never_too_many(
            lines in proptest::collection::vec((0_u8..12, 0_u8..20, 0_usize..300, 0_u64..2000), 1..200),
        ) {
            let (store, mut now) = (store(10_000), Instant::now());
            for (trace, id, length, seconds) in lines {
                now += Duration::from_secs(seconds);
                store.note(vec![line(&trace.to_string(), &id.to_string(), &"x".repeat(length))], now);
                let state = store.lock();
                prop_assert!(state.bytes <= 10_000);
                prop_assert_eq!(state.bytes, state.traces.values().map(Trace::size).sum::<usize>());
                prop_assert_eq!(state.order.len(), state.traces.len());
                for (turn, id) in &state.order {
                    prop_assert_eq!(state.traces[id].turn, *turn);
                }
            }
        }

        #[test]
        fn it_does_not_matter_how_often_and_how_late_a_line_comes(
            ids in proptest::collection::vec(0_u8..6, 1..30),
        ) {
            let (store, now) = (store(1 << 20), Instant::now());
            for id in &ids {
                store.note(vec![line("t", &id.to_string(), &format!("span {id}"))], now);
            }
            let spans = store.spans("t", now).unwrap();
            let mut found: Vec<String> = spans.iter().map(|span| span.id.to_string()).collect();
            let mut wanted: Vec<String> = ids.iter().map(ToString::to_string).collect();
            found.sort();
            wanted.sort();
            wanted.dedup();
            prop_assert_eq!(found, wanted);
        }
    }
}
