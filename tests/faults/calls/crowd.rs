//! Crowds: ten thousand connections at once, and more than there are descriptors.

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, Semaphore},
    time::timeout,
};

use super::{
    Scene,
    client::{Client, get},
    gauge::{Bound, Gauge},
    scale,
    steady::Steady,
};
use crate::harness::{Field, Sidecar, wait_until};

/// Whoever opens thousands of connections does so alone.
static CROWD: Mutex<()> = Mutex::new(());
/// Connections at once.
const CONNECTIONS: usize = 10_000;
/// Descriptors that are left to other tests of this process.
const OTHERS: usize = 2_000;
/// Connections on their way at once: more than the system lets wait to be taken are not connected, whatever it tells their clients,
/// who then try again after 1, 2, 4 .. seconds.
const COMING: usize = 1_000;
/// Requests to the service at once: each has a connection there, and a thread of this test.
const AT_ONCE: usize = 200;
/// What a connection without a request may take: its buffer of 8 KiB, its task, and the system's bookkeeping.
const EACH_KIB: u64 = 40;
/// What hangs for longer is a failure, on however loaded a machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// As many descriptors as this process may have, and so may those that it starts; gives how many.
fn raise() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the most that is allowed");
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// One of a crowd: is answered, waits until all are, and is answered again.
async fn one(address: SocketAddr, number: usize, all: Arc<Barrier>, [coming, few]: [Arc<Semaphore>; 2]) {
    let mut on_its_way = Some(coming.acquire().await.expect("it is open"));
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    for round in 0..2 {
        let (request, wanted) = if number.is_multiple_of(2) {
            let target = format!("/good/{number}-{round}");
            (format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"), target)
        } else {
            let argument = format!("\"{number}-{round}\"");
            let length = argument.len();
            let head = format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            (head + &argument, argument + "\n")
        };
        let place = few.acquire().await.expect("it is open");
        stream.write_all(request.as_bytes()).await.expect("it takes them");
        let mut answer = Vec::new();
        while !answer.ends_with(wanted.as_bytes()) {
            let read = stream.read_buf(&mut answer).await.expect("an answer");
            assert!(read > 0, "{wanted}: {:?}", String::from_utf8_lossy(&answer));
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
        drop(place);
        drop(on_its_way.take());
        all.wait().await;
        // Twice, so that there is a time at which all of them stand still.
        all.wait().await;
    }
}

/// Has a crowd come, be answered, and leave; `inspect` is called when all of them are there.
fn crowd(address: SocketAddr, count: usize, inspect: impl Fn()) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let all = Arc::new(Barrier::new(count + 1));
        let places = [COMING, AT_ONCE].map(|places| Arc::new(Semaphore::new(places)));
        let mut guests = tokio::task::JoinSet::new();
        for number in 0..count {
            guests.spawn(one(address, number, Arc::clone(&all), places.clone()));
        }
        let come_and_go = async {
            for _ in 0..2 {
                tokio::select! {
                    _ = all.wait() => {}
                    Some(gone) = guests.join_next() => panic!("one has left: {gone:?}"),
                }
                inspect();
                all.wait().await;
            }
            while let Some(gone) = guests.join_next().await {
                gone.expect("its answers were right");
            }
        };
        timeout(PATIENCE, come_and_go).await.expect("all of them are answered");
    });
}

/// A crowd: 10,000 connections in a burst, all of which ask a function or the service, stay, and ask again.
/// Holds: each of them gets its own answers, as do those beside; a connection takes little memory, and none when it has gone.
///
/// Where the system allows this process fewer descriptors the crowd is smaller, and says so. What becomes of those for whom there
/// is none is the next test's matter.
#[test]
fn ten_thousand_connections_are_answered_each() {
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let count = CONNECTIONS.min(raise().saturating_sub(OTHERS));
    let scene = Scene::new();
    let port = scene.port();
    // Before anyone has connected: who leaves while it is counted was not there at first.
    let empty = Gauge::new(&scene.sidecar);
    let steady = Steady::beside(&scene);
    crowd(port, 100, || {});
    let gauge = Gauge::new(&scene.sidecar);
    crowd(port, count, || {
        let (most, more) = (gauge.peak_growth(), empty.more_descriptors());
        eprintln!("{count} connections: {most} MiB more at most, {more} descriptors more");
        assert!(more >= count, "all of them are there: {more}");
        assert!(most << 10 <= count as u64 * EACH_KIB, "{most} MiB");
    });
    steady.goes_on();
    let bound = Bound {
        // Connections to the service wait for 55 seconds for a next request.
        descriptors: Bound::FEW.descriptors + AT_ONCE,
        // What the allocator keeps of what it had.
        mib: (count as u64 * EACH_KIB) >> 11,
    };
    gauge.is_back("the first crowd", bound);
    // It has it for the next ones, and finds room for all of them by the third.
    for _ in 0..2 {
        crowd(port, count, || {});
    }
    wait_until("the third crowd has gone", || {
        (gauge.more_descriptors() <= bound.descriptors).then_some(())
    });
    let gauge = Gauge::new(&scene.sidecar);
    for _ in 0..scale() {
        crowd(port, count, || {});
    }
    steady.goes_on();
    gauge.is_back("the crowds after it", Bound { mib: 8, ..bound });
    eprintln!("crowds: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// The process with so few descriptors.
fn confined(field: &Field, descriptors: usize) -> Sidecar {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" run")]);
    command.arg(env!("CARGO_BIN_EXE_outrigger"));
    field.prepare(&mut command);
    Sidecar::start(command, field.next_log())
}

/// A crowd: more connections than the process may have descriptors.
/// Holds: it stays up. Those for whom there is no descriptor wait, in the system's queue, and those whose upstream there is none
/// for are told 503, which is not held against the upstream. When the crowd leaves everybody is served, at once.
#[test]
fn more_connections_than_descriptors_are_survived() {
    const DESCRIPTORS: usize = 200;
    /// Those too many wait in the system's queue, which may be short: they have connected, as far as they can see.
    const GUESTS: usize = DESCRIPTORS + 60;
    let scene = Scene::started(|field| confined(field, DESCRIPTORS));
    let port = scene.port();
    get(port, "/good/before");
    let gauge = Gauge::new(&scene.sidecar);
    let mut guests: Vec<Client> = (0..GUESTS).map(|_| Client::connect(port)).collect();
    wait_until("it says that it cannot take more", || {
        let said = scene.sidecar.said();
        said.contains("cannot take a connection").then_some(())
    });
    // Each of those that it has taken wants a connection to the service, for which there is no descriptor.
    for guest in &mut guests {
        guest.ask("/good/during");
    }
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for guest in guests.iter_mut().take(DESCRIPTORS / 2) {
        let answer = guest.answer().expect("an answer");
        assert!(matches!(answer.status, 200 | 503) && answer.is_whole, "{answer:?}");
        *statuses.entry(answer.status).or_default() += 1;
    }
    eprintln!("{GUESTS} connections with {DESCRIPTORS} descriptors: {statuses:?}");
    drop(guests);
    wait_until("the crowd has gone", || {
        (gauge.more_descriptors() < DESCRIPTORS / 2).then_some(())
    });
    let steady = Steady::beside(&scene);
    steady.goes_on();
    // Its connections may wait for a next request.
    let bound = Bound {
        descriptors: Bound::FEW.descriptors + DESCRIPTORS / 2,
        ..Bound::FEW
    };
    gauge.is_back("more connections than descriptors", bound);
    eprintln!("after the crowd: {} right answers", steady.end());
    drop(TcpStream::connect(port).expect("it listens"));
    assert!(scene.sidecar.stop().success());
}
