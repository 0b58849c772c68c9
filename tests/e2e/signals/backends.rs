//! Backends that take, refuse, hang and come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use super::{dropped, event, health, lines_of, port, run, send, wait_for_lines};
use crate::harness::{Asked, Field, Said, Web, wait_until};

/// A server that answers what `status` has at the moment.
fn server(status: &Arc<AtomicU16>) -> Web {
    let status = Arc::clone(status);
    Web::on_port(move |_: &Asked| Said::with(status.load(Ordering::Relaxed), &[], ""))
}

/// A file, and a server, each with all lines.
fn both(url: &str, more: &str) -> String {
    format!(
        "signals:
  tcp: {{ port: 0 }}
  buffers: {{ flush_interval: 0, flush_batch_size: 10, max_queue_size: 100 }}
  backends:
    out: {{ type: file, path: out.jsonl }}
    web: {{ type: http, url: \"{url}\", timeout: 1s, {more} }}
"
    )
}

fn events(count: usize) -> Vec<String> {
    (0..count).map(|number| event("a", number)).collect()
}

/// Every line that a server took with a request that it answered with 200.
fn taken(web: &Web) -> Vec<String> {
    let asked = web.asked();
    let bodies = asked.iter().map(Asked::text);
    bodies.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn a_backend_that_comes_back_gets_what_waited_for_it() {
    let status = Arc::new(AtomicU16::new(503));
    let web = server(&status);
    let (field, sidecar) = run(&both(web.address(), ""));
    let lines = events(60);
    send(port(&sidecar), &lines);
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 60), lines);
    let failing = wait_until("the backend is seen to fail", || {
        let health = health(&sidecar);
        (health["backends"]["web"]["status"] == "failing").then_some(health)
    });
    assert_eq!(failing["status"], "degraded");
    assert_eq!(failing["backends"]["out"]["status"], "ok");
    let reason = failing["backends"]["web"]["reason"].as_str().unwrap();
    assert!(reason.contains("503"), "{reason}");
    status.store(200, Ordering::Relaxed);
    wait_until("it works again", || {
        (health(&sidecar)["status"] == "healthy").then_some(())
    });
    wait_until("it has every line", || {
        let taken = taken(&web);
        lines.iter().all(|line| taken.contains(line)).then_some(())
    });
    assert!(dropped(&sidecar).is_empty());
}

#[test]
fn a_dead_backend_slows_nobody_and_says_what_it_lost() {
    let status = Arc::new(AtomicU16::new(500));
    let web = server(&status);
    let (field, sidecar) = run(&both(web.address(), ""));
    // Seen to fail before the many come.
    send(port(&sidecar), &events(1));
    wait_until("the backend is seen to fail", || {
        (health(&sidecar)["backends"]["web"]["status"] == "failing").then_some(())
    });
    let lines = events(5000);
    send(port(&sidecar), &lines);
    assert_eq!(wait_for_lines(&field.path("out.jsonl"), 5001).len(), 5001);
    wait_until("what did not fit is counted", || {
        (dropped(&sidecar).get("buffer_full") == Some(&4901)).then_some(())
    });
    assert_eq!(sidecar.metric("sidecar_buffer_size{source=\"a\"}"), 100);
}

#[test]
fn a_sender_is_held_back_while_a_backend_is_slow_and_nothing_is_lost() {
    let web = Web::on_port(|_: &Asked| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
        Said::Slowly(vec![answer], Duration::from_millis(5))
    });
    let (_field, sidecar) = run(&both(web.address(), ""));
    let lines = events(1000);
    send(port(&sidecar), &lines);
    wait_until("the backend has every line", || {
        (taken(&web).len() >= 1000).then_some(())
    });
    assert_eq!(taken(&web), lines);
    assert!(dropped(&sidecar).is_empty());
}

#[test]
fn what_is_refused_for_good_is_in_the_file_of_dead_letters() {
    let web = Web::on_port(|asked: &Asked| {
        let is_bad = asked.text().contains("\"n\":3");
        Said::with(if is_bad { 400 } else { 200 }, &[], "")
    });
    let config = both(web.address(), "flush_batch_size: 1, dead_letter: dead.jsonl");
    let (field, sidecar) = run(&config);
    send(port(&sidecar), &events(5));
    assert_eq!(wait_for_lines(&field.path("dead.jsonl"), 1), [event("a", 3)]);
    wait_until("the others are there", || (taken(&web).len() == 5).then_some(()));
    assert_eq!(dropped(&sidecar), [("backend_failed".to_owned(), 1)].into());
}

#[test]
fn a_batch_that_is_too_large_goes_in_parts() {
    let web = Web::on_port(|asked: &Asked| {
        let lines = asked.text().lines().count();
        Said::with(if lines > 3 { 413 } else { 200 }, &[], "")
    });
    let (_field, sidecar) = run(&both(web.address(), "flush_batch_size: 50, flush_interval: 300ms"));
    let lines = events(40);
    send(port(&sidecar), &lines);
    let accepted = || -> Vec<String> {
        let asked = web.asked();
        let small = asked.iter().filter(|asked| asked.text().lines().count() <= 3);
        small
            .flat_map(|asked| asked.text().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    wait_until("every line is there", || (accepted().len() >= 40).then_some(()));
    assert_eq!(accepted(), lines);
    assert!(dropped(&sidecar).is_empty());
}

#[test]
fn a_server_that_hangs_or_resets_is_tried_again() {
    let web = Web::on_port(|asked: &Asked| match asked.number {
        1 => Said::Silence,
        2 => Said::Close,
        _ => Said::with(200, &[], ""),
    });
    let (_field, sidecar) = run(&both(web.address(), "flush_batch_size: 10"));
    send(port(&sidecar), &events(10));
    wait_until("it was asked until it answered", || {
        (web.asked().len() >= 3).then_some(())
    });
    wait_until("it works again", || {
        (health(&sidecar)["status"] == "healthy").then_some(())
    });
    wait_until("nothing waits any more", || {
        (sidecar.metric("sidecar_buffer_size{source=\"a\"}") == 0).then_some(())
    });
}

#[test]
fn a_full_disk_costs_nobody_else_and_is_told() {
    // Writing there fails as on a disk without room.
    let config = "signals:
  tcp: { port: 0 }
  buffers: { flush_interval: 0 }
  backends: { full: { type: file, path: /dev/full }, out: { type: file, path: out.jsonl } }
";
    let field = Field::new(config);
    let sidecar = field.run();
    send(port(&sidecar), &events(10));
    wait_for_lines(&field.path("out.jsonl"), 10);
    let reason = wait_until("the full one is seen to fail", || {
        health(&sidecar)["backends"]["full"]["reason"]
            .as_str()
            .map(str::to_owned)
    });
    assert!(
        reason.contains("/dev/full") && reason.contains("No space left"),
        "{reason}"
    );
    assert_eq!(lines_of(&field.path("out.jsonl")).len(), 10);
    assert_eq!(health(&sidecar)["backends"]["out"]["status"], "ok");
}
