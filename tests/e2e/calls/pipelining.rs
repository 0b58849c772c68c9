//! Many calls on one connection of the Unix socket.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Gate, Line, with_handler};
use crate::harness::{Answer, Field, Plain, Said, Value, Web, json, wait_until};

const OPEN: &str = "calls:
  listen: [ \"http://127.0.0.1:0\", \"ipc:calls.sock\" ]
  functions:
    - { name: f, handler: { socket: f.sock, dialect: plain }, concurrency: 500, args: [ { name: n } ] }
";

fn call(id: &str, n: &str) -> String {
    format!(r#"{{"id":{id},"function":"f","args":[{n}]}}"#)
}

#[test]
fn answers_with_ids_come_as_they_are_ready_and_without_in_order() {
    // 0 and 1 wait, each at a gate of its own.
    let gates: Arc<[Gate; 2]> = Arc::default();
    let shut = Arc::clone(&gates);
    let (field, handler, _sidecar) = with_handler(OPEN, move |request| {
        if let Some(gate) = shut.get(usize::try_from(request.json().as_u64().unwrap()).unwrap()) {
            gate.pass();
        }
        Answer::Frame(request.body.clone())
    });
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&(call("1", "0") + &call("2", "10")));
    assert_eq!(line.hear()["id"], 2);
    gates[0].open();
    assert_eq!(line.hear()["id"], 1);
    let unnamed = |n: u32| format!(r#"{{"function":"f","args":[{n}]}}"#);
    line.say(&[unnamed(1), unnamed(10), "{}".to_owned(), unnamed(20)].concat());
    // They run side by side.
    handler.wait_for(5);
    gates[1].open();
    assert_eq!(
        (line.hear()["result"].clone(), line.hear()["result"].clone()),
        (json!(1), json!(10))
    );
    assert_eq!(
        (line.hear()["code"].clone(), line.hear()["result"].clone()),
        (json!("bad_request"), json!(20))
    );
}

#[test]
fn at_256_in_flight_reading_pauses() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let (field, handler, _sidecar) = with_handler(OPEN, move |request| {
        shut.pass();
        Answer::Frame(request.body.clone())
    });
    let mut line = Line::open(&field.path("calls.sock"));
    let calls: String = (0..300).map(|id| call(&id.to_string(), "0") + "\n").collect();
    line.say(&calls);
    handler.wait_for(256);
    // Others are served meanwhile, and no more of these.
    let mut other = Line::open(&field.path("calls.sock"));
    other.say(&call("1", "0"));
    handler.wait_for(257);
    assert_eq!(handler.requests().len(), 257);
    gate.open();
    let ids: BTreeSet<u64> = (0..300).map(|_| line.hear()["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 300);
}

#[test]
fn a_call_that_is_taken_back_is_answered_once() {
    let field = Field::new(&OPEN.replace("socket: f.sock, dialect: plain", "http: \"http+unix://web.sock\""));
    let web = Web::on_socket(&field.path("web.sock"), |asked| match asked.text() {
        "0" => Said::Silence,
        _ => Said::json(200, "1"),
    });
    let sidecar = field.run();
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&call("\"a\"", "0"));
    web.wait_for(1);
    line.say(&call("\"a\"", "1"));
    let twice = line.hear();
    assert_eq!((&twice["id"], &twice["code"]), (&json!("a"), &json!("bad_request")));
    // An unknown one is passed over.
    line.say(r#"{"id":"b","cancel":true}"#)
        .say(r#"{"id":"\u0061","cancel":true}"#);
    let canceled = line.hear();
    assert_eq!(
        (&canceled["id"], &canceled["success"], &canceled["code"]),
        (&json!("a"), &json!(false), &json!("canceled"))
    );
    web.wait_for_the_end();
    // Its name is free again, and there is no second answer.
    line.say(r#"{"id":"a","cancel":true}"#).say(&call("\"a\"", "1"));
    assert_eq!(line.hear(), json!({"id": "a", "success": true, "result": 1}));
    let sample = r#"sidecar_calls_total{package="main",function="f",way="ipc",outcome="canceled"}"#;
    assert_eq!(sidecar.metric(sample), 1);
}

#[test]
fn a_caller_that_leaves_ends_its_calls() {
    let field = Field::new(&OPEN.replace("socket: f.sock, dialect: plain", "http: \"http+unix://web.sock\""));
    let web = Web::on_socket(&field.path("web.sock"), |_| Said::Silence);
    let _sidecar = field.run();
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&call("1", "0"));
    web.wait_for(1);
    drop(line);
    web.wait_for_the_end();
}

#[test]
fn a_stream_is_pieces_and_then_its_end() {
    let frames = [
        r#"{"status":"partial","data":1}"#,
        r#"{"status":"heartbeat"}"#,
        r#"{"status":"partial","data":[ 2 ]}"#,
        r#"{"status":"ok","result":3}"#,
    ];
    let frames: Vec<Vec<u8>> = frames
        .iter()
        .map(|text| [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat())
        .collect();
    let (field, _handler, _sidecar) = with_handler(OPEN, move |request| match request.json().as_u64() {
        Some(0) => Answer::Slowly(frames.clone(), Duration::from_millis(20)),
        Some(1) => Answer::text("7"),
        Some(2) => Answer::text(r#"{"status":"error","type":"No","message":"no way"}"#),
        _ => Answer::Silence,
    });
    let mut line = Line::open(&field.path("calls.sock"));
    let stream = |id: &str, n: u32| format!(r#"{{{id}"function":"f","args":[{n}],"streaming":true}}"#);
    line.say(&stream("\"id\":1,", 0));
    let heard: Vec<Value> = (0..3).map(|_| line.hear()).collect();
    assert_eq!(
        heard,
        [
            json!({"id": 1, "data": 1}),
            json!({"id": 1, "data": [2]}),
            json!({"id": 1, "success": true, "done": true, "result": 3})
        ]
    );
    assert_eq!(
        line.say(&stream("\"id\":2,", 1)).hear(),
        json!({"id": 2, "success": true, "done": true, "result": 7})
    );
    let failed = line.say(&stream("\"id\":3,", 2)).hear();
    assert_eq!(
        (&failed["success"], &failed["done"], &failed["code"]),
        (&json!(false), &json!(true), &json!("No"))
    );
    line.say(&stream("\"id\":4,", 9)).say(r#"{"id":4,"cancel":true}"#);
    let canceled = line.hear();
    assert_eq!(
        (&canceled["id"], &canceled["done"], &canceled["code"]),
        (&json!(4), &json!(true), &json!("canceled"))
    );
    // Without ids one stream follows the other.
    line.say(&(stream("", 0) + &stream("", 0)));
    let kinds: Vec<bool> = (0..6).map(|_| line.hear().get("done").is_some()).collect();
    assert_eq!(kinds, [false, false, true, false, false, true]);
}

#[test]
fn a_function_has_so_many_places_and_others_wait() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let field = Field::new(&OPEN.replace("concurrency: 500", "concurrency: 2"));
    let handler = Plain::at(&field.path("f.sock"), move |request| {
        shut.pass();
        Answer::Frame(request.body.clone())
    });
    let sidecar = field.run();
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&(0..5).map(|id| call(&id.to_string(), "0")).collect::<String>());
    wait_until("all are there", || {
        (sidecar.metric(r#"sidecar_calls_in_flight{package="main",function="f"}"#) == 5).then_some(())
    });
    handler.wait_for(2);
    assert_eq!(handler.requests().len(), 2);
    gate.open();
    for _ in 0..5 {
        assert_eq!(line.hear()["success"], true);
    }
}

#[test]
fn a_caller_that_reads_nothing_holds_its_own_calls_back_and_not_the_end() {
    let (field, handler, sidecar) = with_handler(OPEN, |_| Answer::text(format!("\"{}\"", "x".repeat(1 << 20))));
    let mut line = Line::open(&field.path("calls.sock"));
    line.say(&(0..100).map(|id| call(&id.to_string(), "0")).collect::<String>());
    handler.wait_for(20);
    let mut other = Line::open(&field.path("calls.sock"));
    assert_eq!(other.say(&call("1", "0")).hear()["success"], true);
    sidecar.signal(crate::harness::Signal::SIGTERM);
    drop(other);
    wait_until("it is told to end", || {
        let is_it = |said: &Value| {
            said["message"]
                .as_str()
                .is_some_and(|said| said.starts_with("shutting down"))
        };
        sidecar.lines().iter().any(is_it).then_some(())
    });
    drop(line);
    assert!(sidecar.ended(Duration::from_secs(20)).success());
}
