//! A backend of every bad kind beside a good one.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    arrived::{Arrived, line, lines},
    dropped, failing, health, is_long, nothing_waits, port, send, stays_below_its_ceiling, waiting,
};
use crate::harness::{Asked, Field, Said, Sidecar, Value, Web, wait_until, within};

/// Lines that wait for a bad backend.
const ROOM: usize = 200;
/// Lines after all the bad ones were seen to be bad.
const LINES: usize = 2_000;
/// How long a backend may have been left alone before it is asked again, and a little.
const LATE: Duration = Duration::from_secs(100);

/// An address whose connections are reset: what was sent is never read.
fn resetting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // Closed with something unread: the system sends a reset.
            let _ = stream.peek(&mut [0]);
        }
    });
    format!("http://{address}")
}

/// A port on which nobody listens.
fn closed() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A server that answers what it is told to.
struct Server {
    web: Web,
    status: Arc<AtomicU16>,
    /// The lines of requests that it answered with 200.
    taken: Arc<Mutex<String>>,
}

impl Server {
    fn answering(status: u16) -> Self {
        let (status, taken) = (Arc::new(AtomicU16::new(status)), Arc::<Mutex<String>>::default());
        let (told, lines) = (Arc::clone(&status), Arc::clone(&taken));
        let web = Web::on_port(move |asked: &Asked| {
            let status = told.load(Ordering::SeqCst);
            if status == 200 {
                lines.lock().expect("no thread has failed").push_str(asked.text());
            }
            Said::with(status, &[], "")
        });
        Self { web, status, taken }
    }
}

fn config(bad: &[(&str, String)]) -> String {
    let bad = bad.iter().map(|(name, url)| {
        format!(
            "    {name}: {{ type: http, url: \"{url}\", timeout: 1s, max_queue_size: {ROOM}, flush_batch_size: 50 }}\n"
        )
    });
    format!(
        "signals:
  tcp: {{ port: 0 }}
  max_memory_mb: 16
  buffers: {{ flush_interval: 0 }}
  backends:
    good: {{ type: file, path: out.jsonl }}
{}",
        bad.collect::<String>()
    )
}

/// A backend that is away is left alone for a minute where there is time, else for as long as a few attempts take.
fn away_for_a_while(run: &Sidecar, began: Instant, web: &Web) {
    if is_long() {
        let minute = Duration::from_mins(1);
        within(LATE, "a minute has passed", || {
            (began.elapsed() >= minute).then_some(())
        });
    } else {
        web.wait_for(4);
    }
    assert_eq!(health(run)["status"], "degraded");
}

/// Bad: servers that hang, refuse connections, reset them, answer 429, 500 and 413, side by side with a file.
/// Holds: the file gets every line; `/health` tells each from the others; what waits for them stays within its bounds; one
/// that answers again, and one that listens again, get what waited for them, in its order, each line once.
#[test]
fn backends_of_every_bad_kind_harm_no_other_and_those_that_come_back_get_what_waited() {
    let began = Instant::now();
    let hanging = Web::on_port(|_: &Asked| Said::Silence);
    let [busy, broken, narrow] = [429, 500, 413].map(Server::answering);
    let port_of_refusing = closed();
    let field = Field::new(&config(&[
        ("hangs", hanging.address().to_owned()),
        ("refuses", format!("http://127.0.0.1:{port_of_refusing}")),
        ("resets", resetting()),
        ("busy", busy.web.address().to_owned()),
        ("broken", broken.web.address().to_owned()),
        ("narrow", narrow.web.address().to_owned()),
    ]));
    let run = field.run();
    send(port(&run), &(line("first", 0) + "\n"));
    for (backend, word) in [
        ("hangs", "timed out"),
        ("refuses", "refused"),
        ("resets", "reset"),
        ("busy", "429"),
        ("broken", "500"),
    ] {
        let reason = failing(&run, backend);
        assert!(reason.to_lowercase().contains(word), "{backend}: {reason}");
    }
    send(port(&run), &lines("a", LINES));
    let out = field.path("out.jsonl");
    wait_until("the good one has every line", || {
        (Arrived::so_far_in(&out).different("a") == LINES).then_some(())
    });
    assert_eq!(Arrived::in_file(&out).repeated(), 0);
    // Of a line that is too large alone nothing can be hoped for.
    wait_until("each line is refused for good", || {
        (dropped(&run, "backend_failed") == 1 + LINES).then_some(())
    });
    for backend in ["good", "narrow"] {
        assert_eq!(status(&run, backend), "ok");
    }
    for backend in ["hangs", "refuses", "resets", "busy", "broken"] {
        assert_eq!(waiting(&run, backend), ROOM, "for `{backend}`");
    }
    stays_below_its_ceiling(&run, "backends of every bad kind");

    away_for_a_while(&run, began, &broken.web);
    broken.status.store(200, Ordering::SeqCst);
    let refusing = Web::on_this_port(port_of_refusing, |_: &Asked| Said::with(200, &[], ""));
    for backend in ["broken", "refuses"] {
        within(LATE, &format!("`{backend}` is there again"), || {
            (status(&run, backend) == "ok").then_some(())
        });
        nothing_waits(&run, backend);
    }
    let asked = refusing.asked();
    for taken in [
        Arrived::read(broken.taken.lock().unwrap().lines()),
        Arrived::in_requests(&asked),
    ] {
        assert_eq!((taken.different("first"), taken.different("a")), (1, ROOM - 1));
        assert_eq!(taken.repeated(), 0);
        taken.are_the_first("a");
    }
    assert_eq!(dropped(&run, "buffer_full"), 5 * (1 + LINES - ROOM));
    // What the others never took is not waited for.
    run.kill();
}

fn status(run: &Sidecar, backend: &str) -> Value {
    health(run)["backends"][backend]["status"].clone()
}
