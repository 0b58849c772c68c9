//! The admin address as its readers meet it: HTTP over a socket.

use std::error::Error as _;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::lifecycle::Outcome;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "").await
}

fn admin(health: &Health, drain: &Drain) -> Admin {
    Admin::new("1.2.3", health.clone(), Metrics::with_process(), drain.clone())
}

async fn started() -> (Running, Health, Drain) {
    let (health, drain) = (Health::new(), Drain::new());
    let running = admin(&health, &drain).start("127.0.0.1:0").await.unwrap();
    (running, health, drain)
}

#[tokio::test]
async fn readiness_is_red_with_reasons_until_every_part_is_ready() {
    let (running, health, _drain) = started().await;
    let queue = health.component("queue");
    let red = get(running.address(), "/readyz").await;
    assert_eq!(red.status, 503);
    assert_eq!(
        red.json(),
        json!({"ready": false, "reasons": [{"component": "queue", "reason": "starting"}]})
    );
    queue.ready();
    let green = get(running.address(), "/readyz").await;
    assert_eq!(
        (green.status, green.json()),
        (200, json!({"ready": true, "reasons": []}))
    );
}

#[tokio::test]
async fn it_answers_while_the_drain_waits_and_says_so() {
    let (running, _health, drain) = started().await;
    let hold = drain.hold();
    let waiting = tokio::time::timeout(Duration::from_secs(30), drain.wait(None));
    let asking = async {
        drain.begun().await;
        let readyz = get(running.address(), "/readyz").await;
        assert_eq!(readyz.status, 503);
        assert_eq!(
            readyz.json()["reasons"],
            json!([{"component": "drain", "reason": "shutting down"}])
        );
        assert_eq!(get(running.address(), "/healthz").await.status, 200);
        drop(hold);
    };
    let (outcome, ()) = tokio::join!(waiting, asking);
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let address = running.address();
    assert_eq!(
        get(address, "/healthz").await.status,
        200,
        "still there when all else has ended"
    );
    running.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let (running, ..) = started().await;
    let mut idle = TcpStream::connect(running.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), running.stop())
        .await
        .unwrap();
}

#[tokio::test]
async fn health_tells_the_whole() {
    let (health, drain) = (Health::new(), Drain::new());
    health.component("queue").ready();
    health.backend("files").failing("disk full");
    let running = admin(&health, &drain)
        .plane("messages", || async { Status::new("", PlaneState::Ready) })
        .start("127.0.0.1:0")
        .await
        .unwrap();
    let answer = get(running.address(), "/health").await;
    assert_eq!(answer.status, 200);
    let mut report = answer.json();
    assert!(report["uptime"].take().is_u64());
    assert_eq!(
        report,
        json!({
            "status": "degraded", "version": "1.2.3", "uptime": null,
            "components": {"queue": {"status": "ok"}},
            "backends": {"files": {"status": "failing", "reason": "disk full"}},
            "planes": [{"name": "messages", "state": "ready"}],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_plane_that_does_not_answer_is_reported_and_holds_nobody_up() {
    let (health, drain) = (Health::new(), Drain::new());
    let shared = admin(&health, &drain)
        .plane("a", std::future::pending)
        .plane("b", || async { Status::new("b", PlaneState::Ready) })
        .shared;
    let began = Instant::now();
    let planes = shared.planes().await;
    assert_eq!(began.elapsed(), PLANE_PATIENCE);
    assert_eq!(
        planes[0],
        Status::new("a", PlaneState::Failing).reason("no answer within 1s")
    );
    assert_eq!(
        planes[1].state,
        PlaneState::Ready,
        "the silence of one is not that of the next"
    );
}

#[tokio::test]
async fn metrics_are_spelt_as_the_reader_asks() {
    let (running, ..) = started().await;
    let plain = get(running.address(), "/metrics").await;
    assert_eq!(plain.status, 200);
    assert!(
        plain
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        plain.head
    );
    assert!(
        plain
            .body
            .contains("# TYPE sidecar_process_cpu_seconds_total counter\n"),
        "{}",
        plain.body
    );
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.3\r\n";
    let open = ask(running.address(), "GET", "/metrics", accept).await;
    assert!(
        open.head
            .contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        open.head
    );
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let (running, ..) = started().await;
    let answer = get(running.address(), "/nothing?x=1").await;
    assert_eq!(answer.status, 404);
    assert!(
        answer.head.contains("content-type: application/problem+json"),
        "{}",
        answer.head
    );
    let problem: Problem = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (problem.code.as_str(), problem.instance.as_deref()),
        ("not_found", Some("/nothing"))
    );
    assert_eq!(problem.kind, "docs/problems/not_found");
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let (health, drain) = (Health::new(), Drain::new());
    let routes = Router::new().route("/reload", axum::routing::post(async || "done"));
    let running = admin(&health, &drain)
        .routes(routes)
        .start("127.0.0.1:0")
        .await
        .unwrap();
    for (method, path, allow) in [
        ("POST", "/health", "allow: get,head"),
        ("GET", "/reload", "allow: post"),
    ] {
        let answer = ask(running.address(), method, path, "").await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (405, Some("method_not_allowed"))
        );
        assert!(
            answer.head.contains("content-type: application/problem+json"),
            "{}",
            answer.head
        );
        assert!(answer.head.contains(allow), "{}", answer.head);
    }
    assert_eq!(ask(running.address(), "POST", "/reload", "").await.body, "done");
    assert_eq!(ask(running.address(), "HEAD", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let (running, health, drain) = started().await;
    let taken = running.address().to_string();
    let error = admin(&health, &drain).start(&taken).await.unwrap_err();
    assert!(
        matches!(&error, AdminError::InUse { address, .. } if *address == taken),
        "{error}"
    );
    assert!(
        error.to_string().contains(&taken) && error.source().is_some(),
        "{error}"
    );
    let error = admin(&health, &drain).start("127.0.0.1:nonsense").await.unwrap_err();
    assert!(matches!(error, AdminError::Bind { .. }), "{error}");
}
