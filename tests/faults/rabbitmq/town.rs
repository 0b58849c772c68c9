//! A broker of the test's own, and two actors in a row on it, a round at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use rabbit_node::{Node, Proxy, Settings};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{Field, HANDLERS, Round, interpreter, rounds_of},
    line::CONCURRENCY,
};

/// How long all messages may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at the end.
const LOOK: Duration = Duration::from_millis(50);
/// Messages of a round.
pub(crate) const MESSAGES: usize = 150;

/// A broker, killed when the test ends.
pub(crate) struct Town {
    pub(crate) node: Node,
    _folder: TempDir,
}

impl Town {
    /// Starts a broker.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let node = Node::start(folder.path(), &Settings::default()).expect("the broker starts");
        Self { node, _folder: folder }
    }

    /// Actors `a` and `b` with handlers of ours, on queues that this round alone has; through a line, where one is given.
    pub(crate) fn street(&self, round: &Round, line: Option<&Proxy>) -> Field {
        self.street_of("work", round, line)
    }

    /// The same with another function of the tests' handlers.
    pub(crate) fn street_of(&self, function: &str, round: &Round, line: Option<&Proxy>) -> Field {
        let url = self.node.url();
        let url = line.map_or(url.clone(), |line| line.url(&url));
        let name = format!("r{}", round.number);
        let queue_type = if round.number.is_multiple_of(2) {
            "classic"
        } else {
            "quorum"
        };
        let python = interpreter();
        let actor = |name: &str| {
            format!(
                "  {name}: {{ handler: {{ run: \"{python} -m outrigger handlers.py:{function}\" }}, \
                 concurrency: {CONCURRENCY}, max_deliveries: 0 }}\n"
            )
        };
        let field = Field::new(&format!(
            "queue: \"{url}\"\nqueue_type: {queue_type}\nprefix: {name}-\nrabbitmq: {{ exchange: {name} }}\nactors:\n{}{}",
            actor("a"),
            actor("b")
        ));
        field.write("handlers.py", HANDLERS);
        field
    }
}

/// Runs a test's rounds against one broker: 3, or a quarter of what `OUTRIGGER_FAULT_ROUNDS` says.
pub(crate) fn rounds_in(town: &mut Town, mut test: impl FnMut(&mut Town, &mut Round)) {
    rounds_of(3, 4, |round| test(town, round));
}

/// What came out at an end, by id, each with how often.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) ids: BTreeMap<String, usize>,
}

impl Outcome {
    /// Takes what is at the happy end until every id has come; nothing else may come.
    #[track_caller]
    pub(crate) fn collect(field: &Field, round: &Round, ids: &BTreeSet<String>) -> Self {
        let mut outcome = Self::default();
        let end = format!("r{}-happy-end", round.number);
        let began = Instant::now();
        loop {
            outcome.take(field, &end);
            let missing: Vec<_> = ids.iter().filter(|id| !outcome.ids.contains_key(*id)).collect();
            if missing.is_empty() {
                break;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "not at the happy end: {missing:?}; the queues are\n{}",
                field.ok(&["queues"])
            );
            thread::sleep(LOOK);
        }
        let failed = taken(field, &format!("r{}-error-end", round.number));
        assert_eq!(failed, Vec::<Value>::new(), "nothing failed");
        let strangers: Vec<_> = outcome.ids.keys().filter(|id| !ids.contains(*id)).collect();
        assert!(strangers.is_empty(), "messages that nobody sent: {strangers:?}");
        outcome
    }

    /// Takes what came to the happy end later.
    #[track_caller]
    pub(crate) fn collect_rest(&mut self, field: &Field, round: &Round) {
        self.take(field, &format!("r{}-happy-end", round.number));
    }

    /// How many came more than once.
    pub(crate) fn repeated(&self) -> usize {
        self.ids.values().map(|times| times - 1).sum()
    }

    fn take(&mut self, field: &Field, queue: &str) {
        for message in taken(field, queue) {
            let id = message["id"].as_str().expect("an id").to_owned();
            *self.ids.entry(id).or_default() += 1;
        }
    }
}

/// Takes everything that is on a queue now; nothing while the broker is away.
fn taken(field: &Field, queue: &str) -> Vec<Value> {
    let words = ["take", queue, "-n", "100000", "--wait", "200ms", "--output", "json"];
    let output = field.output(&words);
    if output.stdout.is_empty() {
        return Vec::new();
    }
    // It may fail half-way; what it printed is out all the same.
    serde_json::from_slice(&output.stdout).expect("an array")
}

/// The ids that `Field::load` gives.
pub(crate) fn loaded(count: usize) -> BTreeSet<String> {
    (1..=count).map(|n| format!("m{n}")).collect()
}

/// Puts messages on the way from `a` to `b`.
#[track_caller]
pub(crate) fn load(field: &Field, count: usize) {
    let envelopes = crate::harness::envelopes(&["a", "b"], 1..=count);
    field.write("envelopes.jsonl", envelopes.join("\n") + "\n");
    field.ok(&["send", "a,b", "--envelopes", "envelopes.jsonl"]);
}
