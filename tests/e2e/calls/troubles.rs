//! What the log says of services that fail.

use std::io::Read;

use super::{ask, begin, proxy::config};
use crate::harness::{Field, Said, Sidecar, Value, Web, json, wait_until};

/// What the log has of upstreams.
fn troubles(sidecar: &Sidecar) -> Vec<Value> {
    let mut lines = sidecar.lines();
    lines.retain(|line| line["target"] == "calls::proxy::trouble");
    lines
}

#[test]
fn the_log_says_once_why_an_upstream_fails_and_when_it_is_back() {
    let field = Field::new("");
    let socket = field.path("app.sock");
    let upstream = format!("http+unix://{}", socket.display());
    field.configure(&config(&upstream, ""));
    let sidecar = field.run();
    for _ in 0..3 {
        assert_eq!(ask(&sidecar, "GET", "/api", &[], "").status, 503);
    }
    let _app = Web::on_socket(&socket, |_| Said::with(200, &[], "ok"));
    for _ in 0..2 {
        assert_eq!(ask(&sidecar, "GET", "/api", &[], "").status, 200);
    }
    let words = wait_until("it says so", || {
        Some(troubles(&sidecar)).filter(|words| words.len() > 1)
    });
    assert_eq!(words.len(), 2, "{words:?}");
    assert_eq!(
        (&words[0]["level"], &words[0]["message"]),
        (&json!("WARN"), &json!("an upstream fails"))
    );
    assert_eq!(
        (&words[0]["upstream"], &words[0]["address"]),
        (&json!("api"), &json!(upstream))
    );
    let error = words[0]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("cannot connect: No such file"), "{words:?}");
    assert_eq!(
        (&words[1]["level"], &words[1]["message"]),
        (&json!("INFO"), &json!("an upstream answers again"))
    );
}

#[test]
fn the_log_says_that_an_answer_broke_off_and_that_its_upstream_is_left_alone() {
    let upstream = Web::on_port(|_| Said::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()));
    let broken = format!(
        "calls:
  listen: [ \"http://127.0.0.1:0\" ]
  upstreams: {{ api: {{ urls: [ \"{}\" ], breaker: {{ failures: 1, open: 90s }} }} }}
  routes: [ {{ prefix: /, upstream: api }} ]
",
        upstream.address()
    );
    let field = Field::new(&broken);
    let sidecar = field.run();
    let mut cut = String::new();
    let _ = begin(&sidecar, "GET", "/api", &[], "").read_to_string(&mut cut);
    assert!(cut.ends_with("half"), "{cut:?}");
    let words = wait_until("it says so", || {
        Some(troubles(&sidecar)).filter(|words| !words.is_empty())
    });
    let message = "an upstream fails, and is left alone";
    assert_eq!(
        (&words[0]["message"], words[0]["for_s"].as_f64()),
        (&json!(message), Some(90.0)),
        "{words:?}"
    );
    let error = words[0]["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("the answer broke off: "), "{words:?}");
}
