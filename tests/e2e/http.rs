//! Handlers behind HTTP: what they are asked, and what becomes of their answers.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use crate::harness::{Asked, Field, Foreign, Plain, Said, Web, json, wait_until};

/// One actor `a` behind `web`, and one `b` that answers with what it is given.
fn served_by(web: &Web, rest: &str) -> (Field, Plain) {
    let field = Field::new(&config(web.address(), rest));
    let second = Plain::echo(&field.path("b.sock"));
    (field, second)
}

fn config(address: &str, rest: &str) -> String {
    format!("actors: {{ a: {{ handler: {{ http: \"{address}\" }}{rest} }}, b: {{ handler: {{ socket: b.sock }} }} }}")
}

#[test]
fn a_call_is_a_post_with_the_payload_and_its_headers_on_one_connection() {
    let web = Web::on_port(|asked| match asked.number {
        1 => Said::json(200, r#"{"from": "a", "x": 1.50}"#),
        _ => Said::with(204, &[], ""),
    });
    let (field, second) = served_by(&web, "");
    let envelope = r#"{"id":"grün 1","route":{"actors":["a","b"],"current":0},"headers":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"payload":{"n" : 1e2},"deadline":"2999-01-01T00:00:00Z"}"#;
    field.put("a", &[envelope.to_owned()]);
    let run = field.run();
    let out = field.wait_for("happy-end", 1);
    assert_eq!(out[0]["payload"], json!({"from": "a", "x": 1.5}));
    assert_eq!(second.requests(), [r#"{"from": "a", "x": 1.50}"#], "the result's bytes");
    field.load(&["a", "b"], 3);
    field.wait_for("happy-end", 4);

    let asked = web.asked();
    assert!(
        asked[0].head.starts_with("POST /invoke HTTP/1.1\r\n"),
        "{}",
        asked[0].head
    );
    assert_eq!(asked[0].text(), r#"{"n" : 1e2}"#, "the payload's bytes");
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-outrigger-id", "gr%C3%BCn 1"),
        ("x-outrigger-actor", "a"),
        ("x-outrigger-attempt", "1"),
        ("x-outrigger-deadline", "2999-01-01T00:00:00Z"),
    ] {
        assert_eq!(asked[0].header(name), Some(value), "{name}");
    }
    let trace = asked[0].header("traceparent").expect("a trace");
    assert!(trace.contains("0af7651916cd43dd8448eb211c80319c"), "{trace}");
    let connections: Vec<_> = asked.iter().map(|asked| asked.connection).collect();
    assert!(connections.windows(2).all(|pair| pair[0] == pair[1]), "{connections:?}");
    assert!(run.stop().success());
}

#[test]
fn a_unix_socket_has_a_percent_encoded_path_and_a_base() {
    let field = Field::new("");
    let web = Web::on_socket(&field.path("my app.sock"), |_| Said::json(200, "7"));
    field.configure(&config("http+unix://my%20app.sock:/v2/", ""));
    let _second = Plain::echo(&field.path("b.sock"));
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], 7);
    let asked = web.asked();
    assert!(
        asked[0].head.starts_with("POST /v2/invoke HTTP/1.1\r\n"),
        "{}",
        asked[0].head
    );
    assert_eq!(asked[0].header("host"), Some("localhost"));
    assert!(run.stop().success());
}

#[test]
fn an_array_fans_out_and_nothing_sends_the_original_to_happy_end() {
    let web = Web::on_port(|asked| match asked.number {
        1 => Said::json(200, r#"["zero", null]"#),
        2 => Said::json(200, "[]"),
        3 => Said::with(204, &[], ""),
        _ => Said::json(200, r#"{"status":"ok"}"#),
    });
    let (field, _second) = served_by(&web, "");
    field.send("a", "order-42", "0");
    let run = field.run();
    let out = field.wait_for("happy-end", 2);
    assert_eq!(
        (&out[0]["id"], &out[0]["payload"]),
        (&json!("order-42"), &json!("zero"))
    );
    assert_eq!(
        (&out[1]["id"], &out[1]["parent_id"], &out[1]["payload"]),
        (
            &json!("aae1ccb4-fc35-50e6-a69e-c8847925a21c"),
            &json!("order-42"),
            &json!(null)
        )
    );
    field.load(&["a", "b"], 3);
    let out = field.wait_for("happy-end", 5);
    for message in &out[2..] {
        assert_eq!(message["route"]["current"], 0, "past the rest of the route: {message}");
    }
    assert!(run.stop().success());
}

#[test]
fn replies_are_read_in_the_style_that_the_actor_has() {
    let bare = Web::on_port(|_| Said::json(200, r#"{"status":"error","message":"data"}"#));
    let (field, _second) = served_by(&bare, ", reply: bare");
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"]["status"], "error");
    assert!(run.stop().success());

    let envelopes = Web::on_port(|_| {
        Said::json(
            200,
            r#"{"payload":1,"route":{"actors":["a","b"],"current":0},"headers":{"h":"new"}}"#,
        )
    });
    let (field, second) = served_by(&envelopes, ", reply: envelope, input: envelope");
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["headers"]["h"], "new");
    assert_eq!(second.requests(), ["1"]);
    assert!(envelopes.asked()[0].text().contains(r#""route""#), "the whole envelope");
    assert!(run.stop().success());
}

#[test]
fn a_4xx_is_terminal_with_what_the_problem_says_and_a_retry_policy_does_not_change_that() {
    let web = Web::on_port(|_| {
        Said::with(
            422,
            &["Content-Type: application/problem+json"],
            r#"{"type":"https://example.org/bad-row","title":"Bad row","detail":"row 7 has no name","code":"bad_row","row":7}"#,
        )
    });
    let (field, _second) = served_by(&web, ", retry: { attempts: 3, backoff: 10ms }");
    field.load(&["a"], 1);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["message"], &error["details"]["row"]),
        (&json!("bad_row"), &json!("row 7 has no name"), &json!(7))
    );
    assert_eq!(web.asked().len(), 1);
    assert!(run.stop().success());
}

#[test]
fn a_5xx_is_tried_again_after_the_time_that_it_asks_for() {
    let web = Web::on_port(|asked| match asked.number {
        1 => Said::with(503, &["Retry-After: 2", "Content-Type: text/plain"], "loading"),
        _ => Said::json(200, "1"),
    });
    let (field, _second) = served_by(&web, "");
    let began = Instant::now();
    field.load(&["a"], 1);
    let run = field.run();
    field.wait_for("happy-end", 1);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let attempts: Vec<_> = web
        .asked()
        .iter()
        .map(|asked| asked.header("x-outrigger-attempt").map(str::to_owned))
        .collect();
    assert_eq!(attempts, [Some("1".to_owned()), Some("2".to_owned())]);
    assert!(run.stop().success());
}

#[test]
fn when_attempts_run_out_the_answer_of_the_last_one_is_the_error() {
    let web = Web::on_port(|_| Said::with(429, &["Content-Type: text/plain"], "slow down"));
    let (field, _second) = served_by(&web, ", retry: { attempts: 2, backoff: 10ms }");
    field.load(&["a"], 1);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["attempt"]),
        (&json!("handler_error"), &json!(2))
    );
    assert!(
        error["message"].as_str().expect("a text").contains("slow down"),
        "{error}"
    );
    assert_eq!(web.asked().len(), 2);
    assert!(run.stop().success());
}

#[test]
fn frames_of_a_stream_are_interim_until_the_final_one() {
    let field = Field::new("");
    let _web = Foreign::web(&field, None);
    let port = std::fs::read_to_string(field.path("port")).expect("a port");
    field.configure(&format!(
        "actors: {{ a: {{ handler: {{ http: \"http://127.0.0.1:{port}\" }} }}, events: {{ handler: {{ socket: none.sock }} }} }}"
    ));
    let run = field.start(&["run"], &[("OUTRIGGER_ACTOR", "a")]);
    run.ready();
    let frames = r#"[{"status":"progress","percent":50,"message":"half"},{"status":"heartbeat"},{"status":"partial","data":{"t":"x"}},{"status":"ok","result":[[1,2]]}]"#;
    for (number, media) in ["application/x-ndjson", "text/event-stream"].into_iter().enumerate() {
        let payload = format!(r#"{{"do":"stream","as":"{media}","frames":{frames}}}"#);
        let envelope = format!(
            r#"{{"id":"s{number}","route":{{"actors":["a"],"current":0}},"headers":{{"reply_to":"events"}},"payload":{payload}}}"#
        );
        field.put("a", &[envelope]);
        let out = field.wait_for("happy-end", number + 1);
        assert_eq!(out[number]["payload"], json!([1, 2]), "{media}");
    }
    wait_until("both are done", || {
        let done = |events: &[_]| {
            events
                .iter()
                .filter(|event: &&serde_json::Value| event["event"] == "done")
                .count()
        };
        (done(&field.messages("events")) == 2).then_some(())
    });
    let events = field.messages("events");
    for id in ["s0", "s1"] {
        let mine: Vec<_> = events.iter().filter(|event| event["id"] == id).collect();
        let data = |name: &str| {
            mine.iter()
                .find(|event| event["event"] == name)
                .map(|event| event["data"].clone())
        };
        assert_eq!(
            data("progress"),
            Some(json!({"percent": 50.0, "message": "half"})),
            "{mine:?}"
        );
        assert_eq!(data("partial"), Some(json!({"t": "x"})), "{mine:?}");
    }
    assert!(run.stop().success());
}

#[test]
fn a_stream_that_goes_silent_or_never_ends_is_ended() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n";
    let beat = "{\"status\":\"heartbeat\"}\n";
    let web = Web::on_port(move |asked| {
        let few = [head, beat, beat, "{\"status\":\"ok\",\"result\":\"end\"}\n"];
        let pieces = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        if asked.number == 1 {
            Said::Slowly(pieces(&few), Duration::from_millis(300))
        } else {
            Said::Slowly(pieces(&[&[head], &[beat; 60][..]].concat()), Duration::from_millis(100))
        }
    });
    let (field, _second) = served_by(&web, ", idle_timeout: 700ms, timeout: 2s");
    field.load(&["a"], 2);
    let run = field.run();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], "end");
    assert_eq!(
        field.wait_for_error()["code"],
        "timeout",
        "heartbeats never hold off the timeout itself"
    );
    assert!(run.stop().success());
}

#[test]
fn a_handler_that_does_not_answer_in_time_is_cut_off_and_takes_one_probe() {
    let web = Web::on_port(|asked| match asked.number {
        1 => Said::Silence,
        _ => Said::json(200, "1"),
    });
    let (field, _second) = served_by(&web, ", timeout: 500ms");
    field.load(&["a"], 2);
    let run = field.run();
    let error = field.wait_for_error();
    assert_eq!(error["code"], "timeout");
    web.wait_for_the_end();
    field.wait_for("happy-end", 1);
    assert!(run.stop().success());
}

#[test]
fn a_handler_that_is_not_there_costs_nothing() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port()
    };
    let field = Field::new(&config(&format!("http://127.0.0.1:{port}"), ", max_deliveries: 1"));
    let _second = Plain::echo(&field.path("b.sock"));
    field.load(&["a"], 2);
    let run = field.start(&["run"], &[]);
    wait_until("it serves", || (run.get("/healthz").0 == 200).then_some(()));
    assert_eq!(run.get("/readyz").0, 503, "red while no handler lives");
    assert_eq!((field.depth("a"), field.depth("error-end")), (2, 0), "the queue waits");
    let web = Web::on_this_port(port, |asked| Said::json(200, asked.text()));
    run.ready();
    field.wait_for("happy-end", 2);
    assert_eq!((web.asked().len(), field.depth("error-end")), (2, 0));
    assert!(run.stop().success());
}

#[test]
fn a_connection_lost_after_the_request_is_tried_again_and_counted() {
    let web = Web::on_port(|_| Said::Close);
    let (field, _second) = served_by(&web, ", max_deliveries: 2");
    field.load(&["a"], 1);
    let run = field.run();
    assert_eq!(field.wait_for_error()["code"], "attempts_exhausted");
    assert_eq!(web.asked().len(), 2, "called as often as `max_deliveries` says");
    assert!(run.stop().success());
}

#[test]
fn a_close_on_a_reused_connection_is_tried_once_more_at_once_and_not_counted() {
    let web = Web::on_port(|asked| match asked.number {
        2 => Said::Close,
        _ => Said::json(200, asked.text()),
    });
    let (field, _second) = served_by(&web, ", max_deliveries: 1");
    field.load(&["a"], 2);
    let run = field.run();
    field.wait_for("happy-end", 2);
    let asked = web.asked();
    let texts: Vec<_> = asked.iter().map(Asked::text).collect();
    assert_eq!(texts, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":2}"#]);
    assert_eq!(field.depth("error-end"), 0);
    assert!(run.stop().success());
}

#[test]
fn a_server_of_the_older_kind_that_keeps_nothing_is_served_too() {
    let web = Web::on_port(|asked| {
        let answer = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
            asked.text()
        );
        Said::Last(answer.into_bytes())
    });
    let (field, _second) = served_by(&web, ", max_deliveries: 1");
    field.load(&["a"], 20);
    let run = field.run();
    field.wait_for("happy-end", 20);
    assert_eq!(web.asked().len(), 20, "each was asked once");
    assert!(run.stop().success());
}

#[test]
fn an_answer_that_is_none_is_a_bad_reply_with_its_reason() {
    let answers: [(&str, &str); 9] = [
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "within a frame"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"n\"",
            "4 bytes into a frame of 10",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", "not JSON"),
        (
            "HTTP/1.1 307 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "status 307",
        ),
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "status 202"),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "without a final frame",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: {\"\r\n",
            "into a frame",
        ),
    ];
    let texts = answers.map(|(text, _)| text);
    let web = Web::on_port(move |asked| Said::Last(texts[asked.number - 1].as_bytes().to_vec()));
    let (field, _second) = served_by(&web, ", max_deliveries: 1");
    field.load(&["a"], answers.len());
    let run = field.run();
    let failed = field.wait_for("error-end", answers.len());
    for (message, (text, reason)) in failed.iter().zip(answers) {
        let error = &message["error"];
        assert_eq!(error["code"], "bad_reply", "{text}: {error}");
        let said = error["message"].as_str().expect("a text");
        assert!(
            said.contains(reason) || reason == "within a frame" && said.contains("into a frame"),
            "{text}: {said}"
        );
    }
    assert!(run.stop().success());
}

#[test]
fn an_answer_over_the_cap_is_too_large_however_it_comes() {
    let long = format!("\"{}\"", "x".repeat(2000));
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let line = format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{long}\n");
    let event = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {long}\n\n");
    let texts = [whole, chunked, line, event];
    let count = texts.len();
    let web = Web::on_port(move |asked| Said::Last(texts[asked.number - 1].clone().into_bytes()));
    let (field, _second) = served_by(&web, ", max_frame: 1000");
    field.load(&["a"], count);
    let run = field.run();
    for message in field.wait_for("error-end", count) {
        assert_eq!(message["error"]["code"], "frame_too_large", "{message}");
    }
    assert!(run.stop().success());
}

#[test]
fn a_large_payload_goes_there_and_back_byte_for_byte() {
    let field = Field::new("");
    let _web = Foreign::web(&field, Some("web.sock"));
    field.configure(&config(
        &format!("http+unix://{}", field.path("web.sock").display()),
        "",
    ));
    let _second = Plain::echo(&field.path("b.sock"));
    let payload = format!(
        r#"{{"text" : "{}", "n": 1.0}}"#,
        "0123456789abcdef".repeat(8 * 1024 * 1024 / 16)
    );
    let sent = format!(r#"{{"id":"large","route":{{"actors":["a"],"current":0}},"payload":{payload}}}"#);
    field.put("a", std::slice::from_ref(&sent));
    let run = field.run();
    let text = field.wait_for_text("happy-end");
    let expected = sent.replace(r#""current":0"#, r#""current":1"#);
    assert!(text == expected, "of {} bytes came {}", expected.len(), text.len());
    assert!(run.stop().success());
}

#[test]
fn a_real_server_keeps_one_connection_for_each_exchange_at_once() {
    let field = Field::new("");
    let _web = Foreign::web(&field, Some("web.sock"));
    field.configure(&config("http+unix://web.sock", ", concurrency: 4"));
    let _second = Plain::echo(&field.path("b.sock"));
    field.load(&["a"], 200);
    let run = field.run();
    field.wait_for("happy-end", 200);
    let notes = std::fs::read_to_string(field.path("web-notes")).expect("notes");
    let mut threads: Vec<String> = notes
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")[1].to_string())
        .collect();
    assert_eq!(threads.len(), 200, "each was asked once");
    threads.sort();
    threads.dedup();
    assert!(
        threads.len() <= 4,
        "{} connections for 4 exchanges at once",
        threads.len()
    );
    assert!(run.stop().success());
}

#[test]
fn what_is_cut_off_by_the_end_is_put_back_and_the_connection_closed() {
    let web = Web::on_port(|_| Said::Silence);
    let (field, _second) = served_by(&web, ", max_deliveries: 1");
    field.load(&["a"], 1);
    let run = field.start(&["run", "--grace", "200ms"], &[]);
    web.wait_for(1);
    assert_eq!(run.stop().code(), Some(75));
    web.wait_for_the_end();
    assert_eq!((field.depth("a"), field.depth("error-end")), (1, 0));
}

#[test]
fn addresses_are_checked_before_anything_starts() {
    for (handler, reason) in [
        ("http: \"https://example.org\"", "without TLS"),
        ("http: \"localhost:80\"", "begin with `http://`"),
        ("http: \"http://h\", socket: s", "two handlers"),
        ("http: \"http://h\", socket: s, run: x", "three handlers"),
        ("http: \"http://h\", dialect: plain", "only dialect"),
        ("socket: s, dialect: asya-4", "asya-3"),
    ] {
        let field = Field::new(&format!("actors: {{ a: {{ handler: {{ {handler} }} }} }}"));
        let output = field.output(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{handler}: {said}");
        assert!(said.contains(reason), "{handler}: {said}");
    }
}
