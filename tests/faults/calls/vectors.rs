//! A public suite against the proxy: the requests that gunicorn's own tests are made of, right ones and wrong ones.
//!
//! `cargo xtask setup` fetches them; `vectors.py` says what they look like.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    client::Client,
    gauge::{Bound, Gauge},
    server::{Request, Server, Wire},
};
use crate::harness::{Field, Value};

/// One of the suite.
struct Vector {
    name: String,
    request: Vec<u8>,
    /// None where it is no request.
    wanted: Vec<Request>,
    /// Whether gunicorn takes it so by default, and not only when it is told to.
    is_usual: bool,
}

/// What the proxy does otherwise than gunicorn, and why.
const OTHERWISE: &[(&str, &[&str])] = &[
    (
        "limits are gunicorn's own: here a head may have 64 KiB and 256 fields, a target 16 KiB",
        &[
            "invalid/006",
            "invalid/007",
            "invalid/008",
            "invalid/009",
            "invalid/017",
        ],
    ),
    (
        "what a field other than the framing ones says twice is the upstream's to judge",
        &["invalid/041"],
    ),
    (
        "such a field in trailers is dropped, as a recipient may (RFC 9110, 6.5.1): no upstream sees it",
        &[
            "invalid/rfc9110_trailer_forbidden_cl_01",
            "invalid/rfc9110_trailer_forbidden_host_01",
            "invalid/rfc9110_trailer_forbidden_te_01",
        ],
    ),
    (
        "empty lines before a request are passed over, also more than the one that ought to be (RFC 9112, 2.2)",
        &["invalid/rfc9112_leading_crlf_02"],
    ),
    (
        "a target has neither a fragment nor quotes, nor names of users (RFC 9112, 3.2; RFC 9110, 4.2.4): refused",
        &["valid/005", "valid/014", "valid/rfc9112_target_absolute_userinfo_01"],
    ),
    (
        "no coding but chunked is passed on, so that nobody could read it otherwise: refused",
        &[
            "valid/025",
            "valid/025_line",
            "valid/029",
            "valid/030",
            "valid/rfc9112_smuggle_gzip_chunked_01",
            "valid/rfc9112_smuggle_te_identity_chunked_01",
        ],
    ),
    (
        "the request's body is shorter than its length, which gunicorn's test does not look at: refused",
        &["valid/099"],
    ),
    (
        "an absolute target goes on without scheme and authority, as an origin wants it (RFC 9112, 3.2.1)",
        &[
            "valid/rfc9112_target_absolute_01",
            "valid/rfc9112_target_absolute_https_01",
            "valid/rfc9112_target_absolute_ipv6_01",
        ],
    ),
    (
        "`OPTIONS *` has no path that a route could be for: 404",
        &["valid/rfc9112_target_asterisk_options_01"],
    ),
    (
        "CONNECT is for forward proxies: 405",
        &[
            "valid/rfc9112_target_authority_connect_01",
            "valid/rfc9112_target_authority_ipv6_01",
        ],
    ),
];

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// How long one that is none may wait for its refusal before its sender says that there is no more.
const MORE: Duration = Duration::from_secs(2);

impl Vector {
    fn of(value: &Value) -> Self {
        let bytes = |hex: &Value| -> Vec<u8> {
            let hex = hex.as_str().expect("hexadecimal");
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        let text = |text: &Value| text.as_str().expect("text").to_owned();
        let wanted = value["wanted"].as_array().expect("a list").iter();
        Self {
            name: text(&value["name"]),
            request: bytes(&value["request"]),
            wanted: wanted
                .map(|one| Request {
                    method: text(&one["method"]),
                    target: text(&one["target"]),
                    body: bytes(&one["body"]),
                })
                .collect(),
            is_usual: value["settings"].as_array().expect("a list").is_empty(),
        }
    }

    /// Sends it, and gives the statuses that come back.
    fn statuses(&self, client: &mut Client) -> Vec<u16> {
        // It may be refused before its end.
        let _ = client.say(&self.request);
        let mut statuses = Vec::new();
        let began = Instant::now();
        while !client.has_answer() {
            if self.wanted.is_empty() && began.elapsed() > MORE {
                client.half_close();
                break;
            }
            thread::sleep(LOOK);
        }
        while let Some(answer) = client.answer() {
            statuses.push(answer.status);
            if statuses.len() >= self.wanted.len().max(1) {
                // More than that comes only where more was seen in it.
                client.half_close();
            }
        }
        statuses
    }

    /// What is wrong with what became of it; nothing where it is right.
    fn judge(&self, statuses: &[u16], seen: &[Request]) -> Option<String> {
        let is_right = if self.wanted.is_empty() {
            seen.is_empty() && statuses.iter().all(|status| (400..600).contains(status))
        } else {
            seen == self.wanted && statuses.len() == seen.len() && statuses.iter().all(|status| *status == 200)
        };
        (!is_right).then(|| {
            format!(
                "{statuses:?}, and the upstream saw {seen:?} of {}",
                self.request.escape_ascii()
            )
        })
    }
}

fn suite() -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/http-vectors/vectors.json");
    let text = fs::read_to_string(path).expect("`cargo xtask setup` has fetched the suite");
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    list.iter().map(Vector::of).collect()
}

/// Lie: requests of every wrong kind that the suite has, and right ones of odd kinds.
/// Holds: the wrong ones are refused, and no upstream ever has a whole request of them; the right ones arrive as they are. What is
/// done otherwise is listed, each with its reason, and nothing in the list is done as gunicorn does it.
#[test]
fn the_requests_of_gunicorns_tests_are_refused_or_arrive_as_they_are() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let server = Server::hearing(move |wire: &mut Wire, request: Request| -> io::Result<()> {
        told.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        wire.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let field = Field::new(&format!(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  upstreams: {{ all: {{ urls: [ \"{}\" ], timeouts: {{ connect: 60s, idle: 10s }} }} }}
  routes: [ {{ prefix: /, upstream: all }} ]
",
        server.url()
    ));
    let sidecar = field.run();
    let gauge = Gauge::new(&sidecar);
    let suite = suite();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for vector in suite.iter().filter(|vector| vector.is_usual) {
        seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut client = Client::connect(sidecar.calls());
        let statuses = vector.statuses(&mut client);
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = vector.judge(&statuses, &seen);
        let otherwise = OTHERWISE.iter().any(|(_, names)| names.contains(&&*vector.name));
        match judged {
            Some(_) if otherwise => {}
            None if otherwise => wrong.push(format!("{}: no longer otherwise", vector.name)),
            Some(why) => wrong.push(format!("{}: {why}", vector.name)),
            None => count += 1,
        }
    }
    gauge.is_back("the suite", Bound::FEW);
    eprintln!(
        "{count} of {} as gunicorn has them, {} otherwise; {} are for other settings of gunicorn",
        suite.len(),
        OTHERWISE.iter().map(|(_, names)| names.len()).sum::<usize>(),
        suite.iter().filter(|vector| !vector.is_usual).count()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sidecar.stop().success());
}
