//! The Unix socket, object by object.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::Arc,
};

use super::{Gate, Line, ONE, with_handler};
use crate::harness::{Answer, Field, Value, json};

const CALL: &str = r#"{"function":"processData","args":[{"records":[]}]}"#;

fn with_id(id: &str) -> String {
    CALL.replacen('{', &format!("{{\"id\":{id},"), 1)
}

#[test]
fn a_call_is_answered_on_a_line() {
    let (field, handler, sidecar) = with_handler(ONE, |_| Answer::text("{ \"a\" :\n 1 }"));
    let mut line = Line::open(&field.path("calls.sock"));
    assert_eq!(line.say(CALL).hear_text(), "{\"success\":true,\"result\":{\"a\":1}}\n");
    assert_eq!(
        line.say(&with_id("\"a\\u0062\"")).hear_text(),
        "{\"id\":\"a\\u0062\",\"success\":true,\"result\":{\"a\":1}}\n"
    );
    assert_eq!(line.say(&(with_id("-7") + "\n")).hear()["id"], -7);
    assert_eq!(handler.requests()[0], r#"{"records":[]}"#);
    let sample = r#"sidecar_calls_total{package="main",function="processData",way="ipc",outcome="ok"}"#;
    assert_eq!(sidecar.metric(sample), 3);
    assert!(sidecar.said().contains("CALL processData IPC"), "{}", sidecar.said());
}

#[test]
fn errors_have_their_codes() {
    let (field, _handler, _sidecar) = with_handler(ONE, |request| match request.number {
        1 => Answer::text(r#"{"status":"error","error":"too_far","type":"TooFar","message":"no","details":[1]}"#),
        2 => Answer::text(r#"{"status":"error","message":"broken"}"#),
        3 => Answer::text("{nope"),
        _ => Answer::Close,
    });
    let mut line = Line::open(&field.path("calls.sock"));
    let domain = line.say(&with_id("1")).hear();
    assert_eq!(
        domain,
        json!({"id": 1, "success": false, "error": "no", "code": "too_far",
               "errorValue": {"tag": "main/TooFar", "payload": [1], "message": "no"}})
    );
    for code in ["internal", "bad_reply", "handler_unavailable"] {
        let answer = line.say(CALL).hear();
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!(code)),
            "{answer}"
        );
        assert!(answer["error"].is_string());
    }
    let missing = line.say(r#"{"id":2,"function":"nothing","args":[]}"#).hear();
    assert_eq!((&missing["id"], &missing["code"]), (&json!(2), &json!("not_found")));
    let wrong = line
        .say(r#"{"function":"processData","args":[{"records":[{}],"x":1}]}"#)
        .hear();
    assert_eq!(wrong["code"], "bad_arguments");
    let mut paths: Vec<&str> = wrong["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["args[0].records[0].id", "args[0].x"]);
}

#[test]
fn a_timeout_has_its_code() {
    let (field, _handler, _sidecar) = with_handler(&ONE.replace("20s", "200ms"), |_| Answer::Silence);
    assert_eq!(
        Line::open(&field.path("calls.sock")).say(CALL).hear()["code"],
        "timeout"
    );
}

#[test]
fn an_object_of_another_shape_costs_only_itself() {
    let (field, _handler, _sidecar) = with_handler(ONE, |_| Answer::text("1"));
    let mut line = Line::open(&field.path("calls.sock"));
    for (object, id) in [
        ("{}", Value::Null),
        (r#"{"id":1.5,"function":"processData","args":[]}"#, Value::Null),
        (r#"{"id":"x","function":"processData"}"#, json!("x")),
        (r#"{"id":"x","function":7,"args":[]}"#, json!("x")),
        (r#"{"cancel":true}"#, Value::Null),
    ] {
        let answer = line.say(object).hear();
        assert_eq!(
            (&answer["code"], &answer["id"]),
            (&json!("bad_request"), &id),
            "{object}"
        );
    }
    assert_eq!(line.say(CALL).hear()["result"], 1);
}

#[test]
fn bytes_that_are_no_object_end_the_connection_when_all_is_answered() {
    let (field, _handler, _sidecar) = with_handler(ONE, |_| Answer::text("1"));
    for garbage in ["nope", "[1]", "{\"a\":nope", "7 ", "{]", "\"{}\""] {
        let mut line = Line::open(&field.path("calls.sock"));
        line.say(&format!("{}{garbage}", with_id("1")));
        let (first, second) = (line.hear(), line.hear());
        let (bad, good) = if first["code"] == "bad_request" {
            (first, second)
        } else {
            (second, first)
        };
        assert_eq!(bad["code"], "bad_request", "{garbage}");
        assert_eq!((&good["id"], &good["result"]), (&json!(1), &json!(1)));
        assert_eq!(line.hear(), Value::Null, "it ends");
    }
}

#[test]
fn an_object_over_the_limit_ends_the_connection() {
    let (field, _handler, _sidecar) = with_handler(&(ONE.to_owned() + "  body_limit: 1KiB\n"), |_| Answer::text("1"));
    let mut line = Line::open(&field.path("calls.sock"));
    assert_eq!(line.say(CALL).hear()["result"], 1);
    line.say(&format!("{{\"function\":\"{}", "x".repeat(100_000)));
    assert_eq!(line.hear()["code"], "too_large");
    assert_eq!(line.hear(), Value::Null);
}

#[test]
fn after_a_half_close_all_answers_are_still_written() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let (field, handler, _sidecar) = with_handler(ONE, move |_| {
        shut.pass();
        Answer::text("1")
    });
    let mut line = Line::open(&field.path("calls.sock"));
    let calls: String = (0..5).map(|id| with_id(&id.to_string())).collect();
    line.say(&calls).say_no_more();
    handler.wait_for(5);
    gate.open();
    let mut ids: Vec<i64> = (0..5).map(|_| line.hear()["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    assert_eq!(line.hear(), Value::Null);
    let mut cut = Line::open(&field.path("calls.sock"));
    cut.say("{\"function\":").say_no_more();
    assert_eq!((&cut.hear()["code"], cut.hear()), (&json!("bad_request"), Value::Null));
}

#[test]
fn a_socket_is_for_this_user_alone_and_a_live_one_is_refused() {
    let field = Field::new(ONE);
    let path = field.path("calls.sock");
    drop(UnixListener::bind(&path).unwrap());
    let sidecar = field.run();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let other = field.output(&["run"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(78), "{said}");
    assert!(said.contains("cannot take calls on ipc://calls.sock"), "{said}");
    assert!(sidecar.stop().success());
    assert!(!path.exists());
}

#[test]
fn the_usual_place_is_the_users_own() {
    let field = Field::new(&ONE.replace("ipc:calls.sock", "ipc:"));
    let runtime = field.path("runtime");
    let runtime = runtime.to_str().unwrap();
    let sidecar = field.start(&["run"], &[("XDG_RUNTIME_DIR", runtime)]);
    sidecar.ready();
    let path = field.path("runtime/outrigger/calls.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
