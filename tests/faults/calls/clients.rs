//! Clients that are slow, and clients that leave.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use super::{
    Scene,
    client::Client,
    gauge::{Bound, Gauge},
    is_long, scale,
    server::{LONG, LONG_BODY},
    steady::Steady,
};
use crate::harness::wait_until;

/// How slow a slow client is.
const SECOND: Duration = Duration::from_secs(1);

/// Slow: 50 clients ask for 4 MiB each and read a byte a second of it, for a while, then all of it.
/// Holds: what they do not read stays with the upstream: the process has a few hundred KiB of each; in the end they have every byte.
#[test]
fn clients_that_read_a_byte_a_second_hold_back_their_upstream_alone() {
    const CLIENTS: usize = 50;
    /// So much of each answer may be in the process: what it reads at once, and as much that it writes, and what the
    /// allocator makes of it.
    const EACH_KIB: u64 = 1024;
    let seconds = if is_long() { 120 } else { 5 };
    let scene = Scene::new();
    let port = scene.port();
    let steady = Steady::beside(&scene);
    read(port, "/good/long");
    let gauge = Gauge::new(&scene.sidecar);
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut client = Client::connect(port);
            client.ask("/good/long");
            client.head().expect("a head");
            client
        })
        .collect();
    let mut read = vec![Vec::new(); CLIENTS];
    for _ in 0..seconds {
        // It is the clients that are slow.
        thread::sleep(SECOND);
        for (client, read) in clients.iter_mut().zip(&mut read) {
            read.push(client.byte().expect("a byte"));
        }
    }
    steady.goes_on();
    let most = gauge.peak_growth();
    eprintln!(
        "{CLIENTS} slow readers: {most} MiB more at most, {} descriptors more",
        gauge.more_descriptors()
    );
    assert!(most << 10 <= CLIENTS as u64 * EACH_KIB, "{most} MiB");
    let wanted = &*LONG_BODY;
    for (client, read) in clients.iter_mut().zip(&mut read) {
        client.exactly(LONG - read.len(), read).expect("all of it");
        assert!(read == wanted, "other bytes than were sent");
    }
    drop(clients);
    // Their connections to the upstream wait for a next request.
    let bound = Bound {
        descriptors: Bound::FEW.descriptors + CLIENTS,
        // What the allocator has had for the buffers of all of them at once it keeps in part.
        mib: 16,
    };
    gauge.is_back("slow readers", bound);
    eprintln!("slow readers: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

#[track_caller]
fn read(port: SocketAddr, path: &str) {
    let answer = super::client::get(port, path);
    assert!(answer.status == 200 && answer.is_whole, "{}", answer.head);
}

/// Slow: 100 clients send a head, a byte a second; 20 others send one at once, and their body a byte a second.
/// Holds: the first are told 408 when half a minute is over, and their connections end; the others are answered.
#[test]
fn clients_that_send_a_byte_a_second_have_half_a_minute_for_a_head() {
    const HEADS: usize = 100;
    const BODIES: usize = 20;
    /// The time for a head, and what a loaded machine may take longer to notice.
    const LIMIT: Duration = Duration::from_secs(90);
    let scene = Scene::new();
    let port = scene.port();
    let steady = Steady::beside(&scene);
    let gauge = Gauge::new(&scene.sidecar);
    let head = b"GET /good/x HTTP/1.1\r\nHost: a-host-with-a-long-name-that-takes-more-than-half-a-minute\r\nX-More: and more and more and more and more\r\n";
    let (body, length) = ("\"abcdefgh\"", 10);
    let connect = |count: usize| -> Vec<Client> { (0..count).map(|_| Client::connect(port)).collect() };
    let (mut heads, mut bodies) = (connect(HEADS), connect(BODIES));
    for (number, client) in bodies.iter_mut().enumerate() {
        let path = if number % 2 == 0 { "/echo" } else { "/good/upload" };
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        client.say(head).expect("it takes them");
    }
    let began = Instant::now();
    let mut bytes = head.iter().zip(body.bytes().map(Some).chain(std::iter::repeat(None)));
    let mut refused = 0;
    while refused < HEADS {
        assert!(began.elapsed() < LIMIT, "{refused} were refused");
        let (byte, of_body) = bytes.next().expect("a byte");
        for client in &mut heads {
            // One that was refused takes no more.
            let _ = client.say([*byte]);
        }
        if let Some(byte) = of_body {
            for client in &mut bodies {
                client.say([byte]).expect("it takes it");
            }
        }
        thread::sleep(SECOND);
        refused = heads.iter().filter(|client| client.has_answer()).count();
    }
    steady.goes_on();
    for mut client in heads {
        client.answer().expect("an answer").is_code(408, "timeout");
        client.is_over();
    }
    for (number, client) in bodies.iter_mut().enumerate() {
        let answer = client.answer().expect("an answer");
        let wanted = if number % 2 == 0 {
            "\"abcdefgh\"\n"
        } else {
            "/good/upload"
        };
        assert_eq!((answer.status, &*answer.text()), (200, wanted), "{answer:?}");
    }
    drop(bodies);
    let bound = Bound {
        descriptors: Bound::FEW.descriptors + BODIES / 2,
        ..Bound::FEW
    };
    gauge.is_back("slow senders", bound);
    eprintln!("slow senders: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}

/// When a client leaves.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaves {
    BeforeTheHead,
    InTheBody,
    InTheRequest,
    /// While a function works for it.
    InTheCall,
}

impl Leaves {
    pub(super) const ALL: [Self; 4] = [
        Self::BeforeTheHead,
        Self::InTheBody,
        Self::InTheRequest,
        Self::InTheCall,
    ];
}

/// A client that asks and leaves, with an end or with a reset.
pub(super) fn leave(port: SocketAddr, when: Leaves, with_reset: bool) {
    let mut client = Client::connect(port);
    match when {
        Leaves::BeforeTheHead => client.ask("/bad/hold"),
        Leaves::InTheBody => {
            client.ask("/bad/flow");
            client.head().expect("a head");
            client.byte().expect("a byte");
        }
        Leaves::InTheRequest => client
            .say("PUT /good/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhello")
            .expect("it takes them"),
        Leaves::InTheCall => client.call("/hold", "1"),
    }
    if with_reset {
        client.reset();
    }
}

/// Gone: clients leave before the head of their answer, in its body, in the middle of their request, and while a function works.
/// Holds: the upstream's connection is closed, the handler's too; nothing of the call is left.
#[test]
fn clients_that_leave_end_what_was_begun_for_them() {
    const TIMES: usize = 40;
    let scene = Scene::new();
    let port = scene.port();
    let steady = Steady::beside(&scene);
    let many = |times| {
        thread::scope(|scope| {
            for when in Leaves::ALL {
                scope.spawn(move || (0..times).for_each(|number| leave(port, when, number % 2 == 0)));
            }
        });
    };
    many(2);
    let gauge = Gauge::new(&scene.sidecar);
    many(TIMES * scale());
    steady.goes_on();
    scene.bad.is_left(0);
    wait_until("every call that was left is counted as canceled", || {
        let calls = i64::try_from(2 + TIMES * scale()).expect("few");
        // One that has left before its request was read never was a call.
        (scene.canceled("hold", "http") > 0 && scene.canceled("hold", "http") <= calls).then_some(())
    });
    gauge.is_back("clients that leave", Bound::FEW);
    eprintln!("clients that leave: {} right answers beside", steady.end());
    assert!(scene.sidecar.stop().success());
}
