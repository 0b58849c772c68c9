//! Handlers in JavaScript that `up` starts with their runtime, which nobody has installed.

use crate::harness::{Field, Signal, Value, is_alive, json, signal, wait_until};

const RUNTIME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdks/typescript/bin/outrigger.mjs");

/// Every call is noted, in a file that is only appended to, before anything is done.
const HANDLERS: &str = r#"
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Fail, One, Retry } from "outrigger";

const { pid } = process;
const note = (...words) => fs.appendFileSync("notes", `${words.join(" ")}\n`);
note("start", pid);

function work(payload, ctx) {
  note("call", ctx.actor, ctx.id, pid, 0);
  return payload;
}

async function* pieces(payload, ctx) {
  await ctx.progress(40, "almost half");
  yield { piece: 1 };
  return [1, { n: 2 }, null];
}

const whole = (payload) => new One([payload]);

function fail(payload, ctx) {
  if (payload.failures === undefined) throw new Fail("no_image", "there is none", { details: { n: payload.n } });
  if (ctx.attempt <= payload.failures) throw new Retry("not yet", { after: 0.1 });
  return { attempt: ctx.attempt };
}

async function gated(payload, ctx) {
  note("call", ctx.actor, ctx.id, pid, 0);
  while (!fs.existsSync("gate")) await sleep(5);
  return payload;
}

function tell(payload, ctx) {
  const given = Object.keys(process.env).filter((name) => name.startsWith("OUTRIGGER")).sort();
  return { id: ctx.id, attempt: ctx.attempt, headers: ctx.headers, given, stdin: fs.readFileSync(0, "utf8") };
}

export { work, pieces, whole, fail, gated, tell };
"#;

fn field(function: &str, rest: &str) -> Field {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"node {RUNTIME} handlers.mjs:{function}\" }}{rest} }} }}"
    ));
    field.write("handlers.mjs", HANDLERS);
    field
}

#[test]
fn messages_are_worked_on_in_processes_that_leave_with_up() {
    let field = field("work", ", replicas: 2, concurrency: 8");
    field.load(&["a"], 200);
    let up = field.up();
    field.wait_for("happy-end", 200);
    wait_until("both are started", || (field.notes().starts.len() == 2).then_some(()));
    let handlers = field.notes().starts;
    assert_eq!(field.notes().calls.len(), 200, "each was called once");
    assert!(up.stop().success());
    assert!(handlers.iter().all(|pid| !is_alive(*pid)), "no handler is left");
}

#[test]
fn a_handler_is_told_what_it_works_on_and_its_lifeline_is_not_its_input() {
    let field = field("tell", "");
    field.ok(&["send", "a", "--id", "m", "--payload", "1", "--header", "tenant=x"]);
    let up = field.up();
    let told = field.wait_for("happy-end", 1).remove(0)["payload"].take();
    assert_eq!(
        (&told["id"], &told["attempt"], &told["stdin"]),
        (&json!("m"), &json!(1), &json!(""))
    );
    assert_eq!(told["headers"]["tenant"], "x");
    assert_eq!(
        told["given"],
        json!([
            "OUTRIGGER_ACTOR",
            "OUTRIGGER_HANDLER_CONCURRENCY",
            "OUTRIGGER_HANDLER_SOCKET"
        ])
    );
    assert!(up.stop().success());
}

#[test]
fn an_array_is_a_fan_out_and_what_was_reported_on_the_way_reaches_whoever_follows_the_job() {
    let field = field("pieces", "");
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    let headers = r#"{"job":"root","reply_to":"events"}"#;
    field.put(
        "a",
        &[format!(
            r#"{{"id":"m","route":{{"actors":["a"],"current":0}},"headers":{headers},"payload":1}}"#
        )],
    );
    let up = field.up();
    let ends = field.wait_for("happy-end", 3);
    let payloads: Vec<&Value> = ends.iter().map(|it| &it["payload"]).collect();
    assert_eq!(payloads, [&json!(1), &json!({"n": 2}), &Value::Null], "in order");
    let data = wait_until("both reports have come", || {
        let events = field.messages("events");
        let of = |kind: &str| Some(events.iter().find(|event| event["event"] == kind)?["data"].clone());
        Some((of("progress")?, of("partial")?))
    });
    assert_eq!(
        data,
        (json!({"percent": 40.0, "message": "almost half"}), json!({"piece": 1}))
    );
    assert!(up.stop().success());
}

#[test]
fn one_is_a_single_message_also_where_it_is_an_array() {
    let field = field("whole", "");
    field.send("a", "m", "5");
    let up = field.up();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], json!([5]));
    assert!(up.stop().success());
}

#[test]
fn fail_is_a_record_with_its_code_details_and_the_users_own_lines() {
    let field = field("fail", ", retry: { attempts: 3, backoff: 10ms }");
    field.load(&["a"], 1);
    let up = field.up();
    let error = field.wait_for_error();
    assert_eq!(
        (&error["code"], &error["message"], &error["details"], &error["attempt"]),
        (&json!("no_image"), &json!("there is none"), &json!({"n": 1}), &json!(1)),
        "{error}"
    );
    let traceback = error["traceback"].as_str().expect("a traceback");
    assert!(
        traceback.contains("handlers.mjs:") && !traceback.contains("sdks/typescript"),
        "{traceback}"
    );
    assert!(up.stop().success());
}

#[test]
fn retry_is_tried_again_and_the_handler_sees_its_attempt() {
    let field = field("fail", "");
    field.send("a", "m", r#"{"failures": 2}"#);
    let up = field.up();
    assert_eq!(field.wait_for("happy-end", 1)[0]["payload"], json!({"attempt": 3}));
    assert!(up.stop().success());
}

#[test]
fn a_process_that_is_killed_at_work_is_replaced_and_its_messages_are_worked_on_again() {
    let field = field("gated", ", concurrency: 4");
    field.load(&["a"], 4);
    let up = field.up();
    wait_until("all four are in work", || {
        (field.notes().calls.len() == 4).then_some(())
    });
    let first = field.notes().starts[0];
    signal(first, Signal::SIGKILL);
    wait_until("another one is started", || {
        (field.notes().starts.len() == 2).then_some(())
    });
    assert!(!is_alive(first));
    field.write("gate", "");
    field.wait_for("happy-end", 4);
    assert_eq!(field.notes().calls.len(), 8, "each was called by both processes");
    assert_eq!(field.ids("happy-end").len(), 4);
    assert_eq!(field.depth("error-end"), 0);
    assert!(up.stop().success());
}

#[test]
fn a_call_that_outlasts_its_timeout_is_an_error_and_its_process_is_replaced() {
    let field = field("gated", ", timeout: 300ms");
    field.load(&["a"], 1);
    let up = field.up();
    assert_eq!(field.wait_for_error()["code"], "timeout");
    wait_until("another one is started", || {
        (field.notes().starts.len() == 2).then_some(())
    });
    field.write("gate", "");
    field.send("a", "next", "1");
    assert_eq!(field.wait_for("happy-end", 1)[0]["id"], "next");
    assert!(up.stop().success());
}
