//! Random transactions, some of them undone, beside a naive model.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// One thing that a transaction does.
#[derive(Debug, Clone)]
enum Step {
    Put {
        line: usize,
        length: usize,
    },
    Claim {
        line: usize,
    },
    /// By its position, out of turn.
    ClaimAt {
        line: usize,
        nth: usize,
    },
    Finish {
        nth: usize,
    },
    PutBack {
        nth: usize,
        delay: u64,
    },
    Trim {
        line: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let line = 0..2usize;
    prop_oneof![
        3 => (line.clone(), 0..40usize).prop_map(|(line, length)| Step::Put { line, length }),
        3 => line.clone().prop_map(|line| Step::Claim { line }),
        1 => (line.clone(), any::<usize>()).prop_map(|(line, nth)| Step::ClaimAt { line, nth }),
        2 => any::<usize>().prop_map(|nth| Step::Finish { nth }),
        1 => (any::<usize>(), 0..3u64).prop_map(|(nth, delay)| Step::PutBack { nth, delay }),
        1 => line.prop_map(|line| Step::Trim { line }),
    ]
}

/// The file: what is there, in order, and where each message is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    rows: BTreeMap<Seq, (Bytes, Option<Place>)>,
    next: [u64; 2],
}

impl Model {
    fn held(&self) -> Vec<(Seq, Held)> {
        let held = self.rows.iter().filter_map(|(seq, (_, place))| match place {
            Some(Place::Held(held)) => Some((*seq, *held)),
            _ => None,
        });
        held.collect()
    }

    fn first_ready(&self, line: usize) -> Option<Seq> {
        let mut rows = self.rows.iter();
        rows.find(|(seq, (_, place))| seq.line() == line && matches!(place, None | Some(Place::Ready(_))))
            .map(|(seq, _)| *seq)
    }

    fn window(&self, line: usize, from: u64, end: u64) -> (Vec<Fresh>, u64) {
        let all = self.rows.range(Seq::new(line, from)..Seq::new(line, end));
        let rows: Vec<Fresh> = all
            .take(3)
            .map(|(seq, (body, _))| Fresh {
                number: seq.number(),
                put_at: 0,
                body: body.clone(),
            })
            .collect();
        let through = if rows.len() == 3 { rows[2].number + 1 } else { end };
        (rows, through)
    }
}

const CONSUMERS: [Consumer; 2] = [Consumer { holder: 7, number: 1 }, Consumer { holder: 8, number: 1 }];

fn next(ledger: &mut Ledger, model: &Model, line: usize) -> Option<Seq> {
    loop {
        match ledger.next(line) {
            Next::Message(number) => return Some(Seq::new(line, number)),
            Next::Nothing => return None,
            Next::Load(from) => {
                let (rows, through) = model.window(line, from, ledger.line(line).next);
                ledger.load(line, rows, through);
            }
        }
    }
}

fn take(ledger: &mut Ledger, model: &mut Model, seq: Seq, token: u64) {
    let by = CONSUMERS[usize::try_from(token % 2).unwrap()];
    let (mark, body) = ledger.claim(seq, token, by);
    let row = model.rows.get_mut(&seq).unwrap();
    if let Some(body) = body {
        assert_eq!(body, row.0);
    }
    row.1 = Some(Place::Held(Held { mark, by }));
}

fn apply(ledger: &mut Ledger, model: &mut Model, step: &Step, token: u64) {
    match step {
        Step::Put { line, length } => {
            let body = Bytes::from(vec![0; *length]);
            let seq = ledger.put(*line, 0, body.clone());
            assert_eq!(seq, Seq::new(*line, model.next[*line]));
            model.next[*line] += 1;
            model.rows.insert(seq, (body, None));
        }
        Step::Claim { line } => {
            let found = next(ledger, model, *line);
            assert_eq!(found, model.first_ready(*line));
            if let Some(seq) = found {
                take(ledger, model, seq, token);
            }
        }
        Step::ClaimAt { line, nth } => {
            let free = model
                .rows
                .iter()
                .filter(|(seq, (_, place))| seq.line() == *line && !matches!(place, Some(Place::Held(_))));
            let free: Vec<Seq> = free.map(|(seq, _)| *seq).collect();
            if !free.is_empty() {
                take(ledger, model, free[nth % free.len()], token);
            }
        }
        Step::Finish { nth } => {
            let held = model.held();
            if !held.is_empty() {
                let (seq, _) = held[nth % held.len()];
                ledger.set(seq, None);
                model.rows.remove(&seq);
            }
        }
        Step::PutBack { nth, delay } => {
            let held = model.held();
            if !held.is_empty() {
                let (seq, held) = held[nth % held.len()];
                let place = match delay {
                    0 => Place::Ready(held.mark),
                    due => Place::Delayed(*due, held.mark),
                };
                ledger.set(seq, Some(place));
                model.rows.get_mut(&seq).unwrap().1 = Some(place);
            }
        }
        Step::Trim { line } => {
            let fresh = model
                .rows
                .iter()
                .find(|(seq, (_, place))| seq.line() == *line && place.is_none());
            if let Some(seq) = fresh.map(|(seq, _)| *seq) {
                ledger.trim(seq);
                model.rows.remove(&seq);
            }
        }
    }
}

/// The ledger says of every message, queue and consumer what the model says.
fn agrees(ledger: &Ledger, model: &Model) {
    for line in 0..2 {
        let rows = || model.rows.iter().filter(move |(seq, _)| seq.line() == line);
        let count = |wanted: fn(&Option<Place>) -> bool| rows().filter(|(_, (_, place))| wanted(place)).count() as u64;
        let it = ledger.line(line);
        assert_eq!(it.depth(), count(|place| matches!(place, None | Some(Place::Ready(_)))));
        assert_eq!(it.held(), count(|place| matches!(place, Some(Place::Held(_)))));
        assert_eq!(it.delayed(), count(|place| matches!(place, Some(Place::Delayed(..)))));
        for (seq, (_, place)) in rows() {
            assert_eq!(ledger.place(*seq), *place);
        }
    }
    let cached = |it: &Line| it.window.iter().map(|fresh| fresh.body.len()).sum::<usize>();
    assert_eq!(ledger.cached, ledger.lines.iter().map(cached).sum::<usize>());
    let due = model.rows.values().filter_map(|(_, place)| match place {
        Some(Place::Delayed(due, _)) => Some(*due),
        _ => None,
    });
    assert_eq!(ledger.first_due(), due.min());
    for consumer in CONSUMERS {
        let held = model.held().iter().filter(|(_, held)| held.by == consumer).count() as u64;
        assert_eq!(ledger.credits[&consumer].held, held);
        assert_eq!(ledger.holding(consumer.holder), held);
    }
}

proptest! {
    #[test]
    fn a_ledger_that_undoes_what_the_file_refused_always_agrees_with_the_file(
        transactions in prop::collection::vec((prop::collection::vec(step(), 1..12), any::<bool>(), 0..80usize), 1..30)
    ) {
        let mut ledger = Ledger::default();
        let mut model = Model { next: [1, 1], ..Model::default() };
        for name in ["a", "b"] {
            ledger.add(Line::empty(name.into()));
        }
        for consumer in CONSUMERS {
            ledger.consume(0, consumer, 100);
        }
        let mut token = 0;
        for (steps, kept, cache) in transactions {
            let before = model.clone();
            for step in &steps {
                token += 1;
                apply(&mut ledger, &mut model, step, token);
            }
            if kept {
                ledger.commit();
                ledger.evict(0, cache);
            } else {
                ledger.rollback();
                model = before;
            }
            agrees(&ledger, &model);
        }
        for line in 0..2 {
            while let Some(seq) = next(&mut ledger, &model, line) {
                assert_eq!(Some(seq), model.first_ready(line));
                token += 1;
                take(&mut ledger, &mut model, seq, token);
            }
            assert_eq!(model.first_ready(line), None);
        }
    }
}

#[test]
fn consumers_with_credit_are_served_in_turn() {
    let mut ledger = Ledger::default();
    ledger.add(Line::empty("a".into()));
    let [one, other] = CONSUMERS;
    ledger.consume(0, one, 2);
    ledger.consume(0, other, 1);
    let served = (1..=4).map(|token| {
        let seq = ledger.put(0, 0, Bytes::new());
        let consumer = ledger.whose_turn(0);
        if let Some(consumer) = consumer {
            ledger.claim(seq, token, consumer);
        }
        consumer
    });
    assert_eq!(served.collect::<Vec<_>>(), [Some(one), Some(other), Some(one), None]);
}

#[test]
fn delayed_messages_are_ready_when_they_are_due() {
    let mut ledger = Ledger::default();
    ledger.add(Line::empty("a".into()));
    let seq = ledger.put(0, 0, Bytes::new());
    let (mark, _) = ledger.claim(seq, 1, CONSUMERS[0]);
    ledger.set(seq, Some(Place::Delayed(50, mark)));
    ledger.wake(49);
    assert_eq!(ledger.next(0), Next::Nothing);
    ledger.wake(50);
    assert_eq!(ledger.next(0), Next::Message(1));
}
