//! SIGKILL of the process that owns the queue file, while others use it.

//! SIGKILL of the process that owns the queue file, while others use it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{Field, Foreign, Round, rounds, stop, wait_until},
    line::{CONCURRENCY, foreign_on},
};

const MESSAGES: usize = 100;
/// Each message is called at two actors.
const CALLS: usize = 2 * MESSAGES;
/// Sent one by one while the owners are killed.
const LATER: usize = 30;

/// Two sidecars on one file, `a` in one folder and `b` in another; the first to open the file owns it.
struct Pair {
    first: Field,
    second: Field,
    _handlers: [Foreign; 2],
    _shared: Field,
}

impl Pair {
    fn new() -> Self {
        let shared = Field::new("");
        let queue = shared.path("shared.db");
        let (first, second) = (foreign_on(&queue, "a"), foreign_on(&queue, "b"));
        let handlers = [
            Foreign::plain(&first, "a.sock", "a"),
            Foreign::runtime(&second, "b.sock", "b", "work", CONCURRENCY),
        ];
        Self {
            first,
            second,
            _handlers: handlers,
            _shared: shared,
        }
    }

    fn calls(&self) -> usize {
        self.first.notes().calls.len() + self.second.notes().calls.len()
    }

    fn repeated(&self) -> [usize; 2] {
        [&self.first, &self.second].map(|field| field.notes().repeated())
    }

    /// Waits for a random part of the load: the first kill comes in its first half, the second in its second.
    #[track_caller]
    fn load_is_under_way(&self, round: &mut Round, kill: usize) {
        let half = CALLS / 2;
        let times = kill * half + round.number_in(1..=half - 2 * CONCURRENCY);
        wait_until(&format!("{times} calls"), || (self.calls() >= times).then_some(()));
        round.moment();
    }

    /// Waits until `count` messages are out, each of them once.
    #[track_caller]
    fn out_exactly_once(&self, count: usize) {
        wait_until("all messages are at happy-end", || {
            (self.first.depth("happy-end") >= count).then_some(())
        });
        each_once(self.first.messages("happy-end"), count);
        assert_eq!(self.first.messages("error-end"), Vec::<Value>::new());
    }
}

/// Killed: the process that owns the file, then the one that took over from it.
/// Holds: each message comes out once; the survivor keeps its claims, so none of its own calls is repeated.
#[test]
fn sigkill_of_the_owner_of_the_file_lets_the_other_process_go_on() {
    rounds(|round| {
        let pair = Pair::new();
        let first = pair.first.run();
        let second = pair.second.run();
        pair.first.load(&["a", "b"], MESSAGES);

        pair.load_is_under_way(round, 0);
        let unharmed = pair.repeated()[1];
        first.kill();
        let first = pair.first.run();
        assert_eq!(pair.repeated()[1], unharmed, "the survivor's calls were repeated");

        pair.load_is_under_way(round, 1);
        second.kill();
        let second = pair.second.run();
        pair.out_exactly_once(MESSAGES);
        let repeated = pair.repeated();
        assert!(
            repeated.iter().all(|count| *count <= CONCURRENCY),
            "{repeated:?} calls were repeated at a and b"
        );
        assert!(first.stop().success() && second.stop().success());
    });
}

/// Asked to leave: the process that owns the file, then the one that took over from it.
/// Holds: both exit 0; each message comes out once and no call is repeated.
#[test]
fn an_owner_of_the_file_that_leaves_hands_over_and_nothing_is_repeated() {
    rounds(|round| {
        let pair = Pair::new();
        let first = pair.first.run();
        let second = pair.second.run();
        pair.first.load(&["a", "b"], MESSAGES);

        pair.load_is_under_way(round, 0);
        assert!(first.stop().success());
        let first = pair.first.run();

        pair.load_is_under_way(round, 1);
        assert!(second.stop().success());
        let second = pair.second.run();
        pair.out_exactly_once(MESSAGES);
        assert_eq!(pair.repeated(), [0, 0], "calls were repeated at a and b");
        assert!(first.stop().success() && second.stop().success());
    });
}

/// Killed: the owner, of three processes that work on the same actor.
/// Holds: one of the two others takes over; each message comes out once; only the killed one's calls are repeated.
#[test]
fn sigkill_of_the_owner_among_three_lets_both_others_go_on() {
    rounds(|round| {
        let shared = Field::new("");
        let queue = shared.path("shared.db");
        let sides = ["a"; 3].map(|name| foreign_on(&queue, name));
        let _handlers = sides.each_ref().map(|side| Foreign::plain(side, "a.sock", "a"));
        let mut runs = sides.each_ref().map(Field::run).into_iter();
        let calls = || sides.iter().map(|side| side.notes().calls.len()).sum::<usize>();
        sides[1].load(&["a"], 2 * MESSAGES);
        let times = round.number_in(1..=MESSAGES);
        wait_until(&format!("{times} calls"), || (calls() >= times).then_some(()));
        round.moment();
        runs.next().expect("the owner").kill();
        wait_until("all messages are at happy-end", || {
            (sides[1].depth("happy-end") >= 2 * MESSAGES).then_some(())
        });
        each_once(sides[1].messages("happy-end"), 2 * MESSAGES);
        let repeated = calls() - 2 * MESSAGES;
        assert!(repeated <= CONCURRENCY, "{repeated} calls were repeated after one kill");
        assert!(runs.all(|run| run.stop().success()));
    });
}

/// Stopped, then killed: the owner; meanwhile the other process can neither take nor settle.
/// Holds: the other one goes on as soon as the owner is dead; each message comes out once.
#[test]
fn an_owner_that_hangs_and_then_dies_holds_the_others_up_and_no_longer() {
    let pair = Pair::new();
    let first = pair.first.run();
    let second = pair.second.run();
    pair.first.load(&["a", "b"], MESSAGES);
    wait_until("the load is under way", || (pair.calls() > 20).then_some(()));
    stop(first.pid());
    let waiting = pair.second.notes().calls.len();
    let quiet = Instant::now();
    wait_until("a while has passed", || {
        (quiet.elapsed() > Duration::from_millis(500)).then_some(())
    });
    assert!(
        pair.second.notes().calls.len() <= waiting + 2 * CONCURRENCY,
        "it works on without the owner"
    );
    first.kill();
    let first = pair.first.run();
    pair.out_exactly_once(MESSAGES);
    let repeated = pair.repeated();
    assert!(
        repeated[0] <= CONCURRENCY && repeated[1] == 0,
        "{repeated:?} calls were repeated at a and b"
    );
    assert!(first.stop().success() && second.stop().success());
}

/// Killed: the owner, twice, while `send` puts message after message and `take` takes what comes out.
/// Holds: every `send` and every `take` does what it was asked, once.
#[test]
fn send_and_take_go_on_when_the_owner_of_the_file_is_killed() {
    rounds(|round| {
        let pair = Pair::new();
        let first = pair.first.run();
        let second = pair.second.run();
        pair.first.load(&["a", "b"], MESSAGES);
        let all = MESSAGES + LATER;
        let done = AtomicBool::new(false);
        let taken = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                for n in MESSAGES + 1..=all {
                    pair.first.send("a,b", &format!("m{n}"), &format!("{{\"n\":{n}}}"));
                }
            });
            let all_taken = scope.spawn(|| take_all(&pair.second, all, &done));
            pair.load_is_under_way(round, 0);
            first.kill();
            let first = pair.first.run();
            pair.load_is_under_way(round, 1);
            second.kill();
            let second = pair.second.run();
            sender.join().expect("every send succeeds");
            wait_until("everything was taken or is there", || {
                (pair.calls() >= 2 * all && pair.first.depth("a") + pair.first.depth("b") == 0).then_some(())
            });
            done.store(true, Ordering::SeqCst);
            let taken = all_taken.join().expect("every take succeeds");
            assert!(first.stop().success() && second.stop().success());
            taken
        });
        each_once(taken, all);
        assert_eq!(
            pair.first.messages("happy-end"),
            Vec::<Value>::new(),
            "taken and still there"
        );
        assert_eq!(pair.first.messages("error-end"), Vec::<Value>::new());
    });
}

/// Takes until nothing more will come.
fn take_all(field: &Field, count: usize, done: &AtomicBool) -> Vec<Value> {
    let mut taken: Vec<Value> = Vec::new();
    while taken.len() < count {
        let last = done.load(Ordering::SeqCst);
        let printed = field.ok(&["take", "happy-end", "-n", "20", "--wait", "1s", "--output", "json"]);
        let some: Vec<Value> = serde_json::from_str(&printed).expect("an array");
        if last && some.is_empty() {
            break;
        }
        taken.extend(some);
    }
    taken
}

#[track_caller]
fn each_once(messages: Vec<Value>, count: usize) {
    let mut ids = BTreeMap::<String, usize>::new();
    for message in messages {
        *ids.entry(message["id"].as_str().expect("an id").to_owned())
            .or_default() += 1;
    }
    let twice: Vec<_> = ids.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "not once: {twice:?}");
    let lost: Vec<_> = (1..=count)
        .map(|n| format!("m{n}"))
        .filter(|id| !ids.contains_key(id))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(ids.len(), count);
}
