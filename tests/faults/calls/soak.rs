//! All of it at once, for a while.

use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::net::UnixStream,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use super::{
    Scene,
    client::{Client, get},
    clients,
    gauge::{Bound, Gauge},
    handlers, ipc, is_long,
    steady::Steady,
    upstreams::FAULTS,
};
use crate::harness::{Round, rounds_of};

/// Whoever makes trouble, at once.
const TROUBLERS: usize = 8;
/// Connections of a small crowd.
const CROWD: usize = 100;
/// What there may be afterwards: connections of the last crowds to the service wait for a next request; and what the allocator
/// keeps of the largest moment, with arenas of its own for each thread.
const BOUND: Bound = Bound {
    descriptors: Bound::FEW.descriptors + CROWD,
    mib: 24,
};

/// Makes trouble once.
type Trouble = fn(&Scene, &mut fastrand::Rng);

/// Kinds of trouble.
const TROUBLES: &[(&str, Trouble)] = &[
    ("upstream faults", |scene, random| {
        let faults = random.choice(FAULTS).expect("some");
        let (path, seen) = random.choice(*faults).expect("some");
        seen.is(path, Some(&get(scene.port(), path)));
    }),
    ("handlers that end", |scene, random| match random.usize(..6) {
        0 => handlers::dies_in_pieces(scene.port()),
        1 => handlers::is_late(scene.port()),
        _ => handlers::dies(scene.port(), *random.choice(handlers::ENDS).expect("some")),
    }),
    ("clients that leave", |scene, random| {
        let when = random.choice(clients::Leaves::ALL).expect("some");
        clients::leave(scene.port(), when, random.bool());
    }),
    ("callers on the socket that leave", |scene, random| {
        ipc::leave(&scene.socket(), random.choice(ipc::Leaves::ALL).expect("some"));
    }),
    ("slow readers that leave", |scene, random| {
        let mut client = Client::connect(scene.port());
        client.ask("/good/long");
        client.head().expect("a head");
        for _ in 0..random.usize(..50) {
            client.byte().expect("a byte");
            // It is the client that is slow.
            thread::sleep(Duration::from_millis(5));
        }
    }),
    ("slow senders that leave", |scene, random| {
        let mut client = Client::connect(scene.port());
        let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n\"too short";
        for byte in request.bytes().take(random.usize(..request.len())) {
            client.say([byte]).expect("it takes it");
            // It is the client that is slow.
            thread::sleep(Duration::from_millis(2));
        }
    }),
    ("slow callers on the socket that leave", |scene, random| {
        let mut caller = UnixStream::connect(scene.socket()).expect("it listens");
        let call = br#"{"id":"s","function":"hold","args":["\\"]}"#;
        for byte in &call[..random.usize(..call.len())] {
            caller.write_all(&[*byte]).expect("it takes it");
            // It is the caller that is slow.
            thread::sleep(Duration::from_millis(2));
        }
    }),
    ("requests that are none", |scene, random| {
        let mut client = Client::connect(scene.port());
        let noise: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
        let request = [b"GET /good/x HTTP/1.1\r\nHost: x\r\n", &*noise, b"\0\r\n\r\n"].concat();
        // It is refused at its first wrong byte, and may not be taken to its end.
        let _ = client.say(request);
        if let Some(answer) = client.answer() {
            assert_eq!(answer.status, 400, "{answer:?}");
        }
    }),
    ("small crowds", |scene, _| {
        let mut guests: Vec<Client> = (0..CROWD).map(|_| Client::connect(scene.port())).collect();
        for (number, guest) in guests.iter_mut().enumerate() {
            guest.ask(&format!("/good/crowd-{number}"));
        }
        for (number, guest) in guests.iter_mut().enumerate() {
            let answer = guest.answer().expect("an answer");
            let wanted = format!("/good/crowd-{number}");
            assert_eq!((answer.status, answer.text(), answer.is_whole), (200, wanted, true));
        }
    }),
];

/// Makes trouble until the time is over; gives how often there was each kind.
fn trouble(scene: &Scene, round: &mut Round, time: Duration) -> BTreeMap<&'static str, usize> {
    let counts = Mutex::new(BTreeMap::new());
    let began = Instant::now();
    let seeds: Vec<u64> = (0..TROUBLERS as u64)
        .map(|number| round.seed.wrapping_add(number))
        .collect();
    thread::scope(|scope| {
        for seed in seeds {
            let counts = &counts;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                while began.elapsed() < time {
                    let (name, make) = random.choice(TROUBLES).expect("some");
                    make(scene, &mut random);
                    *counts.lock().expect("nobody panicked").entry(*name).or_default() += 1;
                }
            });
        }
    });
    counts.into_inner().expect("nobody panicked")
}

/// Everything at once, at random, for 20 seconds, or for ten minutes in the long rounds: upstreams and handlers that have every
/// fault, clients and callers that are slow and leave, crowds, requests that are none.
/// Holds: each gets what it is to get; those beside get right answers alone; memory and descriptors are back in the end.
#[test]
fn all_faults_at_once_leave_nothing_behind() {
    let time = Duration::from_secs(if is_long() { 600 } else { 20 });
    rounds_of(1, 200, |round| {
        let scene = Scene::new();
        let steady = Steady::beside(&scene);
        // What is loaded and grown with the first of each kind is the program.
        trouble(&scene, round, time / 10);
        let gauge = Gauge::new(&scene.sidecar);
        let counts = trouble(&scene, round, time);
        steady.goes_on();
        scene.bad.is_left(0);
        gauge.is_back("the soak", BOUND);
        for (name, count) in counts {
            eprintln!("{count:>8} {name}");
        }
        eprintln!("{:>8} right answers beside", steady.end());
        assert!(scene.sidecar.stop().success());
    });
}
