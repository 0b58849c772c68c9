//! Job events, for messages whose headers name a queue for them.

use crate::harness::{Answer, Field, HANDLERS, Plain, Value, interpreter, json, wait_until};

fn envelope(id: &str, route: &str, reply_to: &str) -> String {
    format!(
        r#"{{"id":"{id}","route":{{"actors":{route},"current":0}},"headers":{{"job":"root","reply_to":"{reply_to}"}},"payload":{{"n":1}}}}"#
    )
}

/// Waits until an event of this kind has come; gives all events.
#[track_caller]
fn events_until(field: &Field, kind: &str) -> Vec<Value> {
    wait_until(&format!("event `{kind}`"), || {
        let events = field.messages("events");
        events.iter().any(|event| event["event"] == kind).then_some(events)
    })
}

#[test]
fn a_job_is_followed_from_its_first_actor_to_its_end() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _handlers = [Plain::echo(&field.path("a.sock")), Plain::echo(&field.path("b.sock"))];
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    field.put("a", &[envelope("m", r#"["a","b"]"#, "events")]);
    let run = field.run();
    field.wait_for("happy-end", 1);
    let events = events_until(&field, "done");
    let find = |kind: &str, actor: &str| {
        let found = events
            .iter()
            .find(|event| event["event"] == kind && event["actor"] == actor);
        found.unwrap_or_else(|| panic!("no `{kind}` of {actor} in {events:?}"))
    };
    assert_eq!(find("forwarded", "a")["data"], json!(["m"]), "its outputs' ids");
    let done = find("done", "b");
    assert_eq!(
        (&done["job"], &done["id"], &done["current"], &done["data"]),
        (&json!("root"), &json!("m"), &json!(1), &json!({"n": 1}))
    );
    assert!(done["at"].as_str().is_some_and(|at| at.ends_with('Z')) && done["seq"].is_u64());
    wait_until("both were received", || {
        let received: Vec<_> = field
            .messages("events")
            .into_iter()
            .filter(|it| it["event"] == "received")
            .collect();
        (received.len() == 2).then_some(())
    });
    assert!(run.stop().success());
}

#[test]
fn a_fan_out_tells_the_ids_of_its_outputs_and_each_of_them_its_end() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } }, b: { handler: { socket: b.sock } } }");
    let _split = Plain::at(&field.path("a.sock"), |_| Answer::text("[1, 2]"));
    let _echo = Plain::echo(&field.path("b.sock"));
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    field.put("a", &[envelope("order-42", r#"["a","b"]"#, "events")]);
    let run = field.run();
    field.wait_for("happy-end", 2);
    let child = "aae1ccb4-fc35-50e6-a69e-c8847925a21c";
    let events = field.messages("events");
    let forwarded: Vec<_> = events.iter().filter(|event| event["event"] == "forwarded").collect();
    assert_eq!(forwarded[0]["data"], json!(["order-42", child]), "{events:?}");
    let done: Vec<_> = events.iter().filter(|event| event["event"] == "done").collect();
    let seen: Vec<_> = done
        .iter()
        .map(|it| (&it["id"], &it["parent_id"], &it["job"], &it["data"]))
        .collect();
    let (root, none) = (json!("root"), json!(null));
    assert_eq!(
        seen,
        [
            (&json!("order-42"), &none, &root, &json!(1)),
            (&json!(child), &json!("order-42"), &root, &json!(2)),
        ],
        "`done` is safe as soon as its message is at happy-end"
    );
    assert!(run.stop().success());
}

#[test]
fn a_failed_message_tells_its_job_with_the_error() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let _handler = Plain::at(&field.path("a.sock"), |_| {
        Answer::text(r#"{"status":"error","error":"bad","message":"no"}"#)
    });
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    field.put("a", &[envelope("m", r#"["a"]"#, "events")]);
    let run = field.run();
    let events = events_until(&field, "failed");
    let failed = events.iter().find(|event| event["event"] == "failed").expect("it came");
    assert_eq!(
        (&failed["data"]["code"], &failed["actor"]),
        (&json!("bad"), &json!("a"))
    );
    field.wait_for("error-end", 1);
    assert!(run.stop().success());
}

#[test]
fn a_queue_for_events_that_is_missing_costs_nothing() {
    let field = Field::new("actors: { a: { handler: { socket: a.sock } } }");
    let handler = Plain::at(&field.path("a.sock"), |request| match request.number {
        2 => Answer::text(r#"{"status":"error","message":"no"}"#),
        _ => Answer::Frame(request.body.clone()),
    });
    field.put(
        "a",
        &[
            envelope("m1", r#"["a"]"#, "nowhere"),
            envelope("m2", r#"["a"]"#, "nowhere"),
            envelope("m3", r#"["a"]"#, "nowhere"),
        ],
    );
    let run = field.run();
    field.wait_for("happy-end", 2);
    assert_eq!(field.wait_for_error()["code"], "handler_error");
    assert_eq!(handler.requests().len(), 3, "each was called once");
    assert!(run.stop().success());
}

#[test]
fn progress_and_pieces_of_a_python_handler_are_told() {
    let field = Field::new(&format!(
        "actors: {{ a: {{ handler: {{ run: \"{} -m outrigger handlers.py:speak\" }} }} }}",
        interpreter()
    ));
    field.write("handlers.py", HANDLERS);
    field.ok(&["send", "events", "--create", "--id", "other", "--payload", "0"]);
    field.ok(&["take", "events"]);
    field.put("a", &[envelope("m", r#"["a"]"#, "events")]);
    let up = field.up();
    field.wait_for("happy-end", 1);
    events_until(&field, "progress");
    let events = events_until(&field, "partial");
    let data = |kind: &str| {
        events
            .iter()
            .find(|event| event["event"] == kind)
            .map(|event| event["data"].clone())
    };
    assert_eq!(data("partial"), Some(json!({"piece": 1})));
    let progress = data("progress").expect("it came");
    assert_eq!(
        (progress["percent"].as_f64(), progress["message"].as_str()),
        (Some(40.0), Some("almost half"))
    );
    assert!(up.stop().success());
}
