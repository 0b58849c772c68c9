//! Upstreams that stall, break off and lie.

use std::{net::SocketAddr, thread};

use super::{
    Scene,
    client::{Answer, get},
    gauge::{Bound, Gauge},
    scale,
    steady::Steady,
};

/// What a client gets of a fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    /// An answer of the proxy's own.
    Error(u16, &'static str),
    /// The upstream's head, and a body that breaks off: no client takes it for the whole.
    Broken,
    /// This body, and nothing beyond.
    Whole(&'static str),
}

/// No head in time.
const SLOW: &[(&str, Seen)] = &[
    ("/late/silent", Seen::Error(504, "Gateway timeout")),
    ("/late/half-head", Seen::Error(504, "Gateway timeout")),
    ("/late/interims", Seen::Error(504, "Gateway timeout")),
];
/// No more of a body.
const STALLED: &[(&str, Seen)] = &[("/bad/stall", Seen::Broken), ("/bad/stall-chunks", Seen::Broken)];
/// A reset or an end where none should be.
const RESET: &[(&str, Seen)] = &[
    ("/bad/nothing", Seen::Error(502, "Bad gateway")),
    ("/bad/reset", Seen::Error(502, "Bad gateway")),
    ("/bad/reset-head", Seen::Error(502, "Bad gateway")),
    ("/bad/reset-body", Seen::Broken),
];
/// Another length than the head says.
const LENGTHS: &[(&str, Seen)] = &[
    ("/bad/short", Seen::Broken),
    ("/bad/short-chunks", Seen::Broken),
    ("/bad/bad-chunk", Seen::Broken),
    ("/bad/two-lengths", Seen::Error(502, "Bad gateway")),
    ("/bad/long", Seen::Whole("ok")),
];
/// More head than there may be.
const HEADS: &[(&str, Seen)] = &[
    ("/bad/endless", Seen::Error(502, "Bad gateway")),
    ("/bad/endless-line", Seen::Error(502, "Bad gateway")),
    ("/bad/large", Seen::Error(502, "Bad gateway")),
];
/// Something else.
const STRANGERS: &[(&str, Seen)] = &[
    ("/bad/ssh", Seen::Error(502, "Bad gateway")),
    ("/bad/tls", Seen::Error(502, "Bad gateway")),
];

/// Every fault, and what a client gets of it.
pub(super) const FAULTS: &[&[(&str, Seen)]] = &[SLOW, STALLED, RESET, LENGTHS, HEADS, STRANGERS];

/// How often each is met, more often than there may be descriptors left; so many of them at once.
const TIMES: usize = 64;
const AT_ONCE: usize = 8;

impl Seen {
    #[track_caller]
    pub(super) fn is(self, path: &str, answer: Option<&Answer>) {
        let answer = answer.unwrap_or_else(|| panic!("{path}: no answer"));
        match self {
            Self::Error(status, error) => answer.is_error(status, error),
            Self::Broken => {
                assert_eq!((answer.status, answer.is_whole), (200, false), "{path}: {answer:?}");
                assert!(b"abcabc".starts_with(&answer.body), "{path}: {answer:?}");
            }
            Self::Whole(body) => assert_eq!(
                (answer.status, &*answer.text(), answer.is_whole),
                (200, body, true),
                "{path}: {answer:?}"
            ),
        }
    }
}

/// Asks for each of the faults, and sees what comes of it.
fn meet(port: SocketAddr, faults: &[(&str, Seen)]) {
    for (path, seen) in faults {
        seen.is(path, Some(&get(port, path)));
    }
}

/// Meets the faults many times beside steady callers; then nothing of it is left.
#[track_caller]
fn harm_nobody(what: &str, faults: &'static [(&str, Seen)]) {
    let scene = Scene::new();
    let port = scene.port();
    let steady = Steady::beside(&scene);
    let many = |times| {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(move || (0..times).for_each(|_| meet(port, faults)));
            }
        });
    };
    many(1);
    let gauge = Gauge::new(&scene.sidecar);
    many(TIMES * scale() / AT_ONCE);
    steady.goes_on();
    scene.bad.is_left(0);
    gauge.is_back(what, Bound::FEW);
    eprintln!("{what}: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// Slow: an upstream says nothing, or half a head, or only that it is at work.
/// Holds: 504 when the time for a head is over; the upstream's connection is closed.
#[test]
fn an_upstream_without_a_head_in_time_is_504() {
    harm_nobody("slow heads", SLOW);
}

/// Slow: an upstream begins a body and falls silent.
/// Holds: the client's connection breaks when the time for silence is over; the body is never taken for the whole.
#[test]
fn an_upstream_that_falls_silent_in_its_body_breaks_the_answer_off() {
    harm_nobody("slow bodies", STALLED);
}

/// Reset: an upstream closes or resets its connection before its head, within it, and in its body.
/// Holds: 502 as long as no head has gone out; then the answer breaks off.
#[test]
fn an_upstream_that_resets_is_502_or_breaks_the_answer_off() {
    harm_nobody("resets", RESET);
}

/// Lie: an upstream's body is shorter or longer than its head says, or its head says two lengths.
/// Holds: what is too short breaks off; what is too much reaches nobody, and no later request either.
#[test]
fn a_wrong_length_is_never_hidden_and_never_somebody_elses_answer() {
    harm_nobody("wrong lengths", LENGTHS);
}

/// Attack: an upstream's head has no end, or more than 64 KiB.
/// Holds: 502, and no more of it is read.
#[test]
fn an_upstreams_head_without_end_is_502() {
    harm_nobody("endless heads", HEADS);
}

/// Lie: what an upstream says is another protocol's.
/// Holds: 502.
#[test]
fn an_upstream_that_speaks_no_http_is_502() {
    harm_nobody("not HTTP", STRANGERS);
}
